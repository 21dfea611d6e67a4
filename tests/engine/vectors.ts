// Reading and replaying the recorded hardware vectors: tests/vectors/README.md says what the lines mean.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { GPR_NAMES, GS, RFLAGS_IF, RFLAGS_TF } from '../../src/abi/registers.js';
import type { Exit } from '../../src/engine/index.js';
import { decode, type Instruction } from '../../src/isa/index.js';
import { type TestMachine, type TestMachineOptions, testMachine } from './machine.js';

// As in tools/vectors/record.c.
export const CODE = 0x5000_0100n;
const DATA = 0x6000_0000n;
const DATA_BYTES = 0x3000;
const PATTERN = Uint8Array.from({ length: DATA_BYTES }, (_, i) => i * 0x9d + (i >> 8) * 0x3b + 0x47);
const GS_BASE = 0x1_2340n;
const DEFAULTS = GPR_NAMES.map((_, i) => BigInt.asUintN(64, 0x1357_9bdf_0246_8acen * BigInt(2 * i + 3)));
const ADDRESS_OF_INSTRUCTION_SPACE = CODE & ~0xfffn;
/** CF PF AF ZF SF DF OF. */
export const FLAGS_SHOWN = 0xcd5;

export interface Vector {
  readonly line: string;
  readonly bytes: Uint8Array;
  readonly gpr: ReadonlyMap<number, bigint>;
  readonly flags: number;
  readonly memory: readonly MemoryBytes[];
  readonly after: {
    readonly gpr: ReadonlyMap<number, bigint>;
    readonly rip: bigint;
    readonly flags: number;
    readonly steps: number;
    readonly memory: readonly MemoryBytes[];
    readonly fault:
      | { readonly vector: number; readonly errorCode: number; readonly address: bigint | undefined }
      | undefined;
  };
}

interface MemoryBytes {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

export interface VectorGroup {
  readonly title: string;
  readonly lines: readonly string[];
}

/** The recorded file: the processor's name, and the lines by row and operand form. */
export function readVectors(name: string): { readonly cpu: string; readonly groups: readonly VectorGroup[] } {
  const path = join(import.meta.dirname, '../vectors', name);
  const [cpu = '', ...lines] = gunzipSync(readFileSync(path)).toString().trimEnd().split('\n');
  const groups: { title: string; lines: string[] }[] = [];
  for (const line of lines) {
    if (line.startsWith('# ')) groups.push({ title: line.slice(2), lines: [] });
    else groups.at(-1)?.lines.push(line);
  }
  return { cpu, groups };
}

const bytesOf = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

export function parseVector(line: string): Vector {
  const [before = '', after = ''] = line.split(' >');
  const [bytesText = '', ...inputs] = before.split(' ');
  const input = parseState(inputs);
  const output = parseState(after.split(' ').filter(Boolean));
  const bytes = bytesOf(bytesText);
  return {
    line,
    bytes,
    gpr: input.gpr,
    flags: input.flags ?? 0,
    memory: input.memory,
    after: {
      gpr: output.gpr,
      rip: output.rip ?? CODE + BigInt(bytes.length),
      flags: output.flags ?? input.flags ?? 0,
      steps: output.steps ?? 1,
      memory: output.memory,
      fault: output.fault,
    },
  };
}

function parseState(tokens: readonly string[]) {
  const gpr = new Map<number, bigint>();
  const memory: MemoryBytes[] = [];
  let rip: bigint | undefined;
  let flags: number | undefined;
  let steps: number | undefined;
  let fault: Vector['after']['fault'];
  for (const token of tokens) {
    const stop = /^!(\d+):([0-9a-f]+)(?:@([0-9a-f]+))?$/.exec(token);
    const assignment = /^(\w+)=([0-9a-f]+)$/.exec(token);
    const place = /^([0-9a-f]+):([0-9a-f]+)$/.exec(token);
    if (stop) {
      const address = stop[3] === undefined ? undefined : BigInt(`0x${stop[3]}`);
      fault = { vector: Number(stop[1]), errorCode: Number.parseInt(stop[2]!, 16), address };
    } else if (place) memory.push({ address: BigInt(`0x${place[1]}`), bytes: bytesOf(place[2]!) });
    else if (!assignment) throw new Error(`cannot read ${token}`);
    else if (assignment[1] === 'rip') rip = BigInt(`0x${assignment[2]}`);
    else if (assignment[1] === 'f') flags = Number.parseInt(assignment[2]!, 16);
    else if (assignment[1] === 'steps') steps = Number(assignment[2]);
    else gpr.set(GPR_NAMES.indexOf(assignment[1] as 'rax'), BigInt(`0x${assignment[2]}`));
  }
  return { gpr, memory, rip, flags, steps, fault };
}

/** The descriptors of Linux's GDT that LAR, LSL, VERR and VERW were asked about. */
const LINUX_GDT = new Map([
  [0x10, 0x00af_9b00_0000_ffffn],
  [0x18, 0x00cf_9300_0000_ffffn],
  [0x20, 0x00cf_fb00_0000_ffffn],
  [0x28, 0x00cf_f300_0000_ffffn],
  [0x30, 0x00af_fb00_0000_ffffn],
]);

/** A machine on which vectors are replayed: memory laid out as in the recorder. */
export class VectorMachine {
  readonly machine: TestMachine;
  readonly #data: Uint8Array;

  constructor(options: TestMachineOptions = {}) {
    const readDescriptor = (selector: number): bigint | undefined => LINUX_GDT.get(selector & ~7);
    this.machine = testMachine({ ...options, host: { readDescriptor } });
    this.machine.map(ADDRESS_OF_INSTRUCTION_SPACE);
    // Frames in a row, so that the three pages are one run of bytes.
    const frames = [0, 1, 2].map(() => this.machine.frame());
    frames.forEach((frame, page) => {
      this.machine.map(DATA + BigInt(page * 0x1000), { frame, writable: page < 2, executable: false });
    });
    const host = this.machine.memory.hostOffset(frames[0]!);
    this.#data = new Uint8Array(this.machine.memory.memory.buffer, host, DATA_BYTES);
  }

  /** Runs the vector's instruction; what differs from the recording, in words. `undefinedFlags` are not compared. */
  replay(vector: Vector, undefinedFlags: number, undefinedRegisters: readonly number[]): string[] {
    const { machine } = this;
    const { vcpu } = machine;
    machine.poke(CODE, vector.bytes);
    this.#data.set(PATTERN);
    for (const { address, bytes } of vector.memory) this.#data.set(bytes, Number(address - DATA));
    const expectedData = this.#data.slice();
    for (const { address, bytes } of vector.after.memory) expectedData.set(bytes, Number(address - DATA));
    GPR_NAMES.forEach((_, i) => {
      vcpu.writeGpr(i, vector.gpr.get(i) ?? DEFAULTS[i]!);
    });
    vcpu.rip = CODE;
    vcpu.rflags = BigInt(vector.flags | RFLAGS_TF | RFLAGS_IF);
    vcpu.writeSegmentBase(GS, GS_BASE);

    let exit: Exit = { reason: 'budget' };
    for (let step = 0; step < vector.after.steps; step++) exit = machine.run(1);
    return [
      ...this.#exitDifferences(vector, exit),
      ...this.#registerDifferences(vector, undefinedFlags, undefinedRegisters),
      ...this.#memoryDifferences(expectedData),
    ];
  }

  #exitDifferences({ after: { fault } }: Vector, exit: Exit): string[] {
    const expected = fault
      ? `#${fault.vector} ${PUSHES_ERROR_CODE.has(fault.vector) ? fault.errorCode.toString(16) : ''} ${fault.address?.toString(16) ?? ''}`
      : '#1  ';
    const found =
      exit.reason === 'exception'
        ? `#${exit.exception.vector} ${exit.exception.errorCode?.toString(16) ?? ''} ${exit.exception.vaddr?.toString(16) ?? ''}`
        : exit.reason;
    return found === expected ? [] : [`ended with ${found}, not ${expected}`];
  }

  #registerDifferences(
    { gpr, after }: Vector,
    undefinedFlags: number,
    undefinedRegisters: readonly number[],
  ): string[] {
    const { vcpu } = this.machine;
    const differences: string[] = [];
    GPR_NAMES.forEach((name, i) => {
      const expected = after.gpr.get(i) ?? gpr.get(i) ?? DEFAULTS[i]!;
      const found = vcpu.readGpr(i);
      if (found !== expected && !undefinedRegisters.includes(i))
        differences.push(`${name} is ${found.toString(16)}, not ${expected.toString(16)}`);
    });
    if (vcpu.rip !== after.rip) differences.push(`rip is ${vcpu.rip.toString(16)}, not ${after.rip.toString(16)}`);
    const wrong = (Number(vcpu.rflags) ^ after.flags) & FLAGS_SHOWN & ~undefinedFlags;
    if (wrong !== 0)
      differences.push(
        `flags are ${(Number(vcpu.rflags) & FLAGS_SHOWN).toString(16)}, not ${after.flags.toString(16)}`,
      );
    return differences;
  }

  #memoryDifferences(expected: Uint8Array): string[] {
    if (Buffer.compare(expected, this.#data) === 0) return [];
    const at = expected.findIndex((byte, i) => byte !== this.#data[i]);
    const words = `memory at ${(DATA + BigInt(at)).toString(16)}`;
    return [`${words} is ${this.#data[at]!.toString(16)}, not ${expected[at]!.toString(16)}`];
  }
}

const PUSHES_ERROR_CODE = new Set([10, 11, 12, 13, 14, 17]);

/** The instruction of a vector. */
export function instructionOf({ bytes }: Vector): Instruction {
  const instruction = decode(bytes, 0, bytes.length);
  if (typeof instruction === 'string') throw new Error(`recorded bytes are ${instruction}`);
  return instruction;
}
