// `paravane run KERNEL`: boots a PV kernel with its console on the terminal, or on stdin and stdout for a script.

import { readFileSync, statSync } from 'node:fs';
import { InputError } from '../../base/failures.js';
import { print, renderText, toJsonValue } from '../../crash/index.js';
import {
  defaultHost,
  type Explanation,
  Machine,
  type MachineConfig,
  parseFlushPolicy,
  parseStaleness,
} from '../../machine/index.js';
import { policiesAsOptions, policiesToJson } from './policies.js';
import { count, type Io, styleFor, table, widthOf } from './terminal.js';

export interface RunOptions {
  readonly tlb?: string;
  readonly refill?: string;
  readonly cpu?: string;
  readonly flush?: string;
  readonly seed?: number;
  readonly initrd?: string;
  readonly append?: string;
  readonly memory: string;
  readonly name: string;
  readonly xen?: '4.1' | '4.17';
  readonly until?: string;
  readonly timeLimit?: number;
  readonly stopAt?: number;
  readonly stats?: boolean;
  readonly json?: boolean;
}

const STATUS_OK = 0;
const STATUS_CRASHED = 1;
const STATUS_LIMIT = 124;

/** Instructions between two looks at the keyboard, the clock and --until: a few milliseconds. */
const SLICE = 2_000_000;
/** How long a person's idle guest sleeps at most before it is looked at again. */
const IDLE_SLEEP_MS = 20;
/** Ctrl-], as xl console has it. */
const LEAVE = 0x1d;

export async function runCommand(kernel: string, options: RunOptions, io: Io): Promise<number> {
  const config = machineConfig(kernel, options);
  const interactive = io.stdin.isTTY === true;
  // Read whole before the run starts, so that the run does not depend on when a line happened to arrive.
  const input = interactive ? undefined : await readAll(io.stdin);
  const machine = startMachine(kernel, config);
  const console = options.json ? io.stderr : io.stdout;
  const watcher = new TextWatcher(options.until);
  let shown = '';
  machine.onOutput((bytes) => {
    console.write(bytes);
    const text = String.fromCharCode(...bytes);
    watcher.feed(text);
    if (options.json) shown += text;
  });
  if (input) machine.type(input);

  const keyboard = interactive ? new Keyboard(io, (bytes) => machine.type(bytes)) : undefined;
  let ending: Ending;
  try {
    ending = await drive(machine, options, watcher, keyboard);
  } finally {
    keyboard?.release();
  }
  const explanation = machine.explain(replayCommand(kernel, options, config, machine));
  report(machine, ending, explanation, options, io);
  if (options.json)
    io.stdout.write(`${JSON.stringify(toJson(machine, ending, explanation, config, shown), null, 2)}\n`);
  return statusOf(machine, ending);
}

/** Why the run is over. */
type Ending = 'ended' | 'until' | 'left' | 'time-limit' | 'stop-at' | 'stuck';

/** Runs in slices until something ends it; between slices the process can see its keyboard and its clock. */
async function drive(
  machine: Machine,
  options: RunOptions,
  watcher: TextWatcher,
  keyboard: Keyboard | undefined,
): Promise<Ending> {
  const deadline = options.timeLimit === undefined ? Number.POSITIVE_INFINITY : Date.now() + options.timeLimit * 1000;
  const stopAt = options.stopAt ?? Number.POSITIVE_INFINITY;
  for (;;) {
    // The clock is also looked at after each exit: a guest can make few instructions take long.
    const isOver = (): boolean => watcher.seen || Date.now() >= deadline;
    const state = machine.run(Math.min(machine.retired + SLICE, stopAt), isOver);
    if (watcher.seen) return 'until';
    if (state === 'ended') return 'ended';
    if (machine.retired >= stopAt) return 'stop-at';
    if (keyboard?.left) return 'left';
    if (Date.now() >= deadline) return 'time-limit';
    if (state === 'idle') {
      // A person's guest waits for the keyboard; a script's guest has had all its input, so its time can be skipped.
      if (keyboard) await sleep(IDLE_SLEEP_MS);
      if (!machine.skipIdle() && !keyboard) return 'stuck';
    } else await sleep(0);
  }
}

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => (milliseconds > 0 ? setTimeout(resolve, milliseconds) : setImmediate(resolve)));

/** Looks for a text in a stream of pieces; keeps no more than the text's length of what went by. */
export class TextWatcher {
  seen = false;
  readonly #wanted: string | undefined;
  #tail = '';

  constructor(wanted: string | undefined) {
    if (wanted === '') throw new InputError('--until: expected a text that is not empty');
    this.#wanted = wanted;
  }

  feed(text: string): void {
    if (this.#wanted === undefined || this.seen) return;
    const window = this.#tail + text;
    this.seen = window.includes(this.#wanted);
    this.#tail = window.slice(-(this.#wanted.length - 1) || window.length);
  }
}

/** The terminal in raw mode: every key goes to the guest, but Ctrl-] leaves. */
class Keyboard {
  left = false;
  readonly #io: Io;
  readonly #listener: (bytes: Buffer) => void;

  constructor(io: Io, type: (bytes: Uint8Array) => void) {
    this.#io = io;
    this.#listener = (bytes) => {
      const leave = bytes.indexOf(LEAVE);
      if (leave >= 0) this.left = true;
      type(leave >= 0 ? bytes.subarray(0, leave) : bytes);
    };
    io.stderr.write('(Ctrl-] leaves)\r\n');
    io.stdin.setRawMode?.(true);
    io.stdin.on('data', this.#listener);
    io.stdin.resume();
  }

  release(): void {
    this.#io.stdin.off('data', this.#listener);
    this.#io.stdin.setRawMode?.(false);
    this.#io.stdin.pause();
  }
}

/** The options that say what to boot, and on what. */
export type BootOptions = Pick<
  RunOptions,
  'tlb' | 'refill' | 'cpu' | 'flush' | 'seed' | 'initrd' | 'append' | 'memory' | 'name' | 'xen'
>;

/** The machine that the options ask for; InputError for what does not make sense. */
export function machineConfig(kernel: string, options: BootOptions): MachineConfig {
  // The words first, then the files: a slip in an option should not cost the reading of a kernel.
  const flush = parseFlushPolicy(options.flush ?? 'xen-4.17');
  const staleness = parseStaleness(options);
  const pages = parseMemory(options.memory);
  return {
    kernel: readInput(kernel, 'kernel'),
    initrd: options.initrd === undefined ? undefined : readInput(options.initrd, 'initrd'),
    commandLine: options.append ?? '',
    pages,
    vcpus: 1,
    staleness,
    flush,
    seed: options.seed ?? 1,
    host: defaultHost(options.xen ?? (flush.accidental === 'xen-4.1' ? '4.1' : '4.17')),
    name: options.name,
  };
}

/** The same run again, stopped at the instruction that crashed. A pipe's input must be given again as it was. */
const replayCommand = (kernel: string, options: RunOptions, config: MachineConfig, machine: Machine): string =>
  [
    `paravane run ${kernel}`,
    ...(options.initrd === undefined ? [] : [`--initrd ${options.initrd}`]),
    ...(options.append === undefined ? [] : [`--append '${options.append}'`]),
    `--memory ${options.memory}`,
    policiesAsOptions(config),
    `--stop-at ${machine.retired}`,
  ].join(' ');

/** What is wrong with a kernel is said with its file's name in front. */
function startMachine(kernel: string, config: MachineConfig): Machine {
  try {
    return new Machine(config);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${kernel}: ${error.message}`, { cause: error });
    throw error;
  }
}

export function readInput(path: string, what: string): Uint8Array {
  try {
    if (statSync(path).isDirectory()) throw new InputError(`${path}: is a directory; expected a ${what} file`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (error as Error).message;
    throw new InputError(`${path}: ${reason}; expected a ${what} file`);
  }
}

const MIB_PAGES = 256;

/** "64M", "1G", or a bare number of MiB as xl has it; in pages. */
function parseMemory(text: string): number {
  const match = /^(\d{1,5})([MmGg]?)$/.exec(text);
  const mib = Number(match?.[1]) * (/[Gg]/.test(match?.[2] ?? '') ? 1024 : 1);
  if (!match || mib < 1 || mib > 2048)
    throw new InputError(`--memory ${text}: expected a size from 1M to 2G, such as 64M, 1G or 256 (MiB)`);
  return mib * MIB_PAGES;
}

async function readAll(stdin: Io['stdin']): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

const statusOf = (machine: Machine, ending: Ending): number => {
  if (ending === 'until' || ending === 'left' || ending === 'stop-at') return STATUS_OK;
  if (ending === 'time-limit' || ending === 'stuck') return STATUS_LIMIT;
  return machine.ended?.reason === 'crash' || machine.ended?.reason === 'watchdog' ? STATUS_CRASHED : STATUS_OK;
};

/** What is said on stderr when the run is over: the crash and its explanation, or in one line why it ended. */
function report(
  machine: Machine,
  ending: Ending,
  explanation: Explanation | undefined,
  options: RunOptions,
  io: Io,
): void {
  const style = styleFor(io.stderr);
  const { ended, retired } = machine;
  io.stderr.write('\n');
  if (ended?.report && explanation) {
    io.stderr.write(`${style.bad(print(ended.report).trimEnd())}\n\n`);
    io.stderr.write(renderText(explanation, { width: widthOf(io.stderr), style }));
  }
  io.stderr.write(`paravane: ${endingWords(machine, ending, options)} after ${count(retired)} instructions\n`);
  if (options.stopAt !== undefined && ending === 'stop-at') io.stderr.write(registerDump(machine));
  if (options.stats) io.stderr.write(statistics(machine));
}

function endingWords({ ended }: Machine, ending: Ending, options: RunOptions): string {
  switch (ending) {
    case 'until':
      return `the console has shown "${options.until}"`;
    case 'left':
      return 'left by Ctrl-]';
    case 'stop-at':
      return 'stopped';
    case 'time-limit':
      return `gave up: --time-limit ${options.timeLimit} is over`;
    case 'stuck':
      return 'gave up: the guest waits for an event that cannot come (no timer set, no input left)';
    case 'ended':
      return ended?.reason === 'crash' ? 'the guest crashed' : `the guest ended (${ended?.reason})`;
  }
}

/** The vCPU's registers, a line each. */
export const registerDump = (machine: Machine): string =>
  table(machine.registers().map(({ name, value }) => [name, value]));

function statistics(machine: Machine): string {
  const { hypercalls, unknownHypercalls, wrongPaths } = machine.statistics;
  const rows = [...hypercalls].sort((a, b) => b.calls - a.calls).map(({ name, calls }) => [name, count(calls)]);
  const unknown = unknownHypercalls.map(({ name, calls }) => `  ${name}: ${count(calls)} times, answered -ENOSYS\n`);
  return (
    `wrong paths taken: ${count(wrongPaths)}\nhypercalls:\n${table(rows, [1]).replace(/^/gm, '  ').trimEnd()}\n` +
    (unknown.length > 0 ? `hypercalls that Xen does not know:\n${unknown.join('')}` : '')
  );
}

function toJson(
  machine: Machine,
  ending: Ending,
  explanation: Explanation | undefined,
  config: MachineConfig,
  console: string,
): unknown {
  const { ended, retired } = machine;
  return {
    ...policiesToJson(config),
    ending,
    reason: ended?.reason ?? null,
    instructions: retired,
    console,
    crash: ended?.report ? print(ended.report) : null,
    explanation: explanation ? toJsonValue(explanation) : null,
    ...machine.statistics,
  };
}
