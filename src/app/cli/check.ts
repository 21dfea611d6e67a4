// `paravane check KERNEL…`: each kernel once under the sanitizer, without its console; what was found, and status 3 if any of it
// needs action.

import { InputError } from '../../base/failures.js';
import {
  type Finding,
  Machine,
  type MachineConfig,
  needsAction,
  parseFlushPolicy,
  parseStaleness,
} from '../../machine/index.js';
import {
  findingToJson,
  GRADES,
  gradeWords,
  parseSuppressions,
  type ReportOptions,
  renderFinding,
  type Suppressed,
  type SuppressionRule,
  sarifLog,
  sarifRun,
  suppress,
} from '../../sanitizer/index.js';
import { type BootOptions, machineConfig, readInput, registerDump, TextWatcher } from './run.js';
import { seedConfig } from './seed.js';
import { count, type Io, type Style, styleFor } from './terminal.js';

export interface CheckOptions extends Omit<BootOptions, 'name'> {
  readonly guest?: 'seed' | 'seed-fixed';
  readonly until?: string;
  readonly instructions: number;
  readonly stopAt?: number;
  readonly all?: boolean;
  readonly trustAccidents?: boolean;
  readonly suppressions?: string;
  readonly json?: boolean;
  readonly sarif?: boolean;
}

const STATUS_OK = 0;
const STATUS_FOUND = 3;

/** Instructions between two looks for --until's text. */
const SLICE = 2_000_000;
/** How often a guest may wait for a timer, with nothing on its console, before it is taken to wait for somebody. */
const WAITS = 5000;

interface Checked {
  /** As the user named it. */
  readonly guest: string;
  readonly machine: Machine;
  readonly ending: string;
  readonly result: Suppressed;
  readonly report: ReportOptions;
}

export function checkCommand(kernels: readonly string[], options: CheckOptions, io: Io): number {
  if ((options.guest === undefined) === (kernels.length === 0))
    throw new InputError('check wants either kernels or --guest');
  const rules = options.suppressions === undefined ? [] : readRules(options.suppressions);
  const guests = options.guest === undefined ? kernels : [options.guest];
  const checked = guests.map((guest) => checkOne(guest, options, rules));
  if (options.json) io.stdout.write(`${JSON.stringify(checked.map(toJson), null, 2)}\n`);
  else if (options.sarif) io.stdout.write(`${JSON.stringify(toSarif(checked), null, 2)}\n`);
  else for (const one of checked) print(one, options, io);
  return checked.some(({ result }) => result.shown.some(({ grade }) => needsAction(grade))) ? STATUS_FOUND : STATUS_OK;
}

const readRules = (path: string): readonly SuppressionRule[] =>
  parseSuppressions(new TextDecoder().decode(readInput(path, 'suppressions')));

function checkOne(guest: string, options: CheckOptions, rules: readonly SuppressionRule[]): Checked {
  const sanitize = { trustsAccidents: options.trustAccidents === true };
  const machine = new Machine({ ...configOf(guest, options), sanitize });
  const ending = drive(machine, options);
  const symbolOf = (address: bigint): string | undefined => machine.symbols.format(address);
  const replay = (at: number): string => `paravane check ${wordsOf(guest, options)} --stop-at ${at}`;
  return { guest, machine, ending, result: suppress(machine.findings, rules, symbolOf), report: { symbolOf, replay } };
}

function configOf(guest: string, options: CheckOptions): MachineConfig {
  if (options.guest === undefined) return machineConfig(guest, { ...options, name: 'guest' });
  const flush = parseFlushPolicy(options.flush ?? 'xen-4.1');
  const fixed = options.guest === 'seed-fixed';
  return seedConfig({ fixed, staleness: parseStaleness(options), flush, seed: options.seed ?? 1 });
}

/** Runs until there is no more to see; says why. */
function drive(machine: Machine, options: CheckOptions): string {
  const watcher = new TextWatcher(options.until);
  let waits = 0;
  machine.onOutput((bytes) => {
    waits = 0;
    watcher.feed(String.fromCharCode(...bytes));
  });
  const end = Math.min(options.instructions, options.stopAt ?? Number.POSITIVE_INFINITY);
  for (;;) {
    const state = machine.run(Math.min(machine.retired + SLICE, end), () => watcher.seen);
    if (watcher.seen) return `its console has shown "${options.until}"`;
    if (state === 'ended') return `it ended (${machine.ended?.reason})`;
    if (machine.retired >= end) return 'stopped';
    if (state === 'idle' && (++waits > WAITS || !machine.skipIdle())) return 'it waits for input';
  }
}

/** The command's words that this guest's run depends on, to be typed again. */
function wordsOf(guest: string, options: CheckOptions): string {
  const { tlb, refill, cpu, flush, seed, initrd, append, memory, xen } = options;
  const given = Object.entries({ tlb, refill, cpu, flush, seed, initrd, append, xen }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name} ${quoted(String(value))}`],
  );
  const what = options.guest === undefined ? [quoted(guest), `--memory ${memory}`] : [`--guest ${guest}`];
  return [...what, ...given].join(' ');
}

/** As a shell wants it. */
const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

function print({ guest, machine, ending, result, report }: Checked, options: CheckOptions, io: Io): void {
  const style = styleFor(io.stdout);
  const wanted = result.shown.filter(({ grade }) => options.all || needsAction(grade));
  for (const finding of wanted) io.stdout.write(`${coloured(renderFinding(finding, report), finding, style)}\n`);
  io.stdout.write(`${guest}: ${ending} after ${count(machine.retired)} instructions\n`);
  io.stdout.write(`${tally(result, options.all === true)}\n`);
  for (const { rule, count: hits } of result.hits)
    io.stdout.write(
      `  suppression "${rule.text}" (line ${rule.line}): ${hits === 0 ? 'hid nothing' : `hid ${hits}`}\n`,
    );
  if (options.stopAt !== undefined) io.stdout.write(registerDump(machine));
}

const coloured = (text: string, { title, grade }: Finding, style: Style): string =>
  text.replace(title, needsAction(grade) ? style.bad(title) : style.note(title));

/** "2 findings: 1 fatal, 1 tolerated (--all shows it)". */
function tally({ shown, hidden }: Suppressed, all: boolean): string {
  if (shown.length + hidden.length === 0) return 'No finding.';
  const byGrade = GRADES.flatMap((grade) => {
    const number = shown.filter((finding) => finding.grade === grade).length;
    return number === 0 ? [] : [`${number} ${grade} (${gradeWords(grade)})`];
  });
  const more = !all && shown.some(({ grade }) => !needsAction(grade)) ? '; --all shows what needs no action' : '';
  const suppressed = hidden.length === 0 ? '' : `${byGrade.length > 0 ? ', ' : ''}${hidden.length} suppressed`;
  const total = shown.length + hidden.length;
  return `${total} finding${total === 1 ? '' : 's'}: ${byGrade.join(', ')}${suppressed}${more}.`;
}

function toJson({ guest, machine, ending, result, report }: Checked): object {
  return {
    guest,
    ending,
    instructions: machine.retired,
    findings: result.shown.map((finding) => findingToJson(finding, report)),
    suppressed: result.hidden.map(({ title, grade }) => ({ title, grade })),
    suppressions: result.hits.map(({ rule, count: hits }) => ({ rule: rule.text, line: rule.line, hits })),
  };
}

const toSarif = (checked: readonly Checked[]): object =>
  sarifLog(
    checked.map(({ guest, result, report }) => sarifRun(result.shown, { ...report, artifact: guest })),
  ) as object;
