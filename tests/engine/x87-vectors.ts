// Reading and replaying what a real processor's x87 did: tests/vectors/README.md says what the lines mean.

import { RAX, RBX } from '../../src/abi/registers.js';
import { F80, finite, pack } from '../../src/isa/softfloat/index.js';
import { withSummary } from '../../src/isa/x87/state.js';
import { type TestMachine, testMachine } from './machine.js';

// As in tools/vectors/record-x87.c.
const CODE = 0x5000_0100n;
const OPERAND = 0x6000_0040n;
const MEMORY_BYTES = 112;
const RAX_BEFORE = 0x1122_3344_5566_7788n;
const LINUX_CS = 0x33;
/** What a register holds that a line does not name. */
const TWO = pack(F80, finite(0, 1n, 1));
const STATUS_BITS = [0, 2, 4, 6, 7, 11];

interface State {
  readonly control: number;
  readonly status: number;
  readonly tags: number;
  /** By the register's own number. */
  readonly registers: readonly bigint[];
  readonly memory: Uint8Array;
}

export interface X87Vector {
  readonly bytes: Uint8Array;
  readonly before: State & {
    readonly flags: number;
    readonly pointers: { readonly opcode: number; readonly instruction: bigint; readonly operand: bigint };
  };
  readonly after: State & { readonly flags: number; readonly rax: bigint; readonly vector: number };
}

const bytesOf = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const wide = (text: string): bigint => BigInt(`0x${text}`);
const extended = (text: string): bigint => wide(text.padEnd(20, '0'));
const topOf = (status: number): number => (status >> 11) & 7;

/** `key:value` words by their key. */
const fields = (words: readonly string[]): ReadonlyMap<string, string> =>
  new Map(words.map((word) => word.split(':') as [string, string]));

function memoryOf(text: string | undefined, otherwise: Uint8Array): Uint8Array {
  const memory = otherwise.slice();
  if (text !== undefined) memory.set(bytesOf(text));
  return memory;
}

export function parseX87Vector(line: string): X87Vector {
  const [input = '', output = ''] = line.split(' > ');
  const [bytes = '', words = '', ...inputs] = input.split(' ');
  const [control, status, tags, flags] = words.split(',').map((word) => Number.parseInt(word, 16)) as Four;
  const given = fields(inputs);
  const registers = new Array<bigint>(8).fill(TWO);
  for (let i = 0; i < 8; i++) registers[(topOf(status) + i) & 7] = extended(given.get(String(i)) ?? '40008');
  const pointers = (given.get('p') ?? '0,0,0').split(',');
  const [opcode, instruction, operand] = pointers as [string, string, string];
  const memory = memoryOf(given.get('m'), new Uint8Array(MEMORY_BYTES));
  const rflags = STATUS_BITS.reduce((word, bit, i) => word | (((flags >> i) & 1) << bit), 0);

  const [wordsAfter = '', ...outputs] = output.split(' ');
  const [controlAfter, statusAfter, tagsAfter] = wordsAfter.split(',').map((word) => Number.parseInt(word, 16)) as Four;
  const found = fields(outputs.filter((word) => !word.startsWith('!')));
  const registersAfter = registers.slice();
  for (let i = 0; i < 8; i++) {
    const text = found.get(String(i));
    if (text !== undefined) registersAfter[(topOf(statusAfter) + i) & 7] = extended(text);
  }
  const ax = found.get('ax');
  return {
    bytes: bytesOf(bytes),
    before: {
      control,
      status,
      tags,
      registers,
      memory,
      flags: rflags,
      pointers: { opcode: Number.parseInt(opcode, 16), instruction: wide(instruction), operand: wide(operand) },
    },
    after: {
      control: controlAfter,
      status: statusAfter,
      tags: tagsAfter,
      registers: registersAfter,
      memory: memoryOf(found.get('m'), memory),
      flags: Number.parseInt(found.get('f') ?? rflags.toString(16), 16),
      rax: ax === undefined ? RAX_BEFORE : (RAX_BEFORE & ~0xffffn) | wide(ax),
      vector: Number(outputs.find((word) => word.startsWith('!'))?.slice(1) ?? 0),
    },
  };
}

type Four = [number, number, number, number];

const hex = (value: number | bigint): string => value.toString(16);
const hexes = (bytes: Uint8Array): string => Array.from(bytes, (byte) => hex(byte).padStart(2, '0')).join('');

/** A machine on which x87 vectors are replayed: memory laid out as in the recorder. */
export class X87Machine {
  readonly #machine: TestMachine;
  readonly #memory: Uint8Array;

  constructor() {
    this.#machine = testMachine();
    this.#machine.map(CODE & ~0xfffn);
    const frame = this.#machine.map(OPERAND & ~0xfffn);
    const host = this.#machine.memory.hostOffset(frame) + Number(OPERAND & 0xfffn);
    this.#memory = new Uint8Array(this.#machine.memory.memory.buffer, host, MEMORY_BYTES);
  }

  /** What the instruction leaves here. */
  run({ bytes, before }: X87Vector): X87Vector['after'] {
    const { vcpu } = this.#machine;
    // INT3 behind it, so that nothing more is decoded.
    this.#machine.poke(CODE, Uint8Array.of(...bytes, 0xcc));
    this.#memory.set(before.memory);
    vcpu.rip = CODE;
    vcpu.rflags = BigInt(before.flags);
    vcpu.writeGpr(RAX, RAX_BEFORE);
    vcpu.writeGpr(RBX, OPERAND);
    vcpu.writeSelector(1, LINUX_CS);
    const { opcode, instruction, operand } = before.pointers;
    vcpu.x87 = {
      ...before,
      status: withSummary(before.status, before.control),
      opcode,
      instruction,
      operand,
      codeSegment: 0,
      dataSegment: 0,
    };
    const exit = this.#machine.run(1);
    const { x87 } = vcpu;
    return {
      ...x87,
      memory: this.#memory.slice(),
      flags: Number(vcpu.rflags) & 0x8d5,
      rax: vcpu.readGpr(RAX),
      vector: exit.reason === 'exception' ? exit.exception.vector : 0,
    };
  }
}

/** What differs from the recording, in words. */
export function differences(found: X87Vector['after'], expected: X87Vector['after']): string[] {
  const words = (['vector', 'control', 'status', 'tags', 'flags', 'rax'] as const).flatMap((name) =>
    found[name] === expected[name] ? [] : [`${name} is ${hex(found[name])}, not ${hex(expected[name])}`],
  );
  const registers = expected.registers.flatMap((value, i) =>
    found.registers[i] === value ? [] : [`register ${i} is ${hex(found.registers[i] as bigint)}, not ${hex(value)}`],
  );
  const isSame = found.memory.every((byte, i) => byte === expected.memory[i]);
  return [
    ...words,
    ...registers,
    ...(isSame ? [] : [`memory is ${hexes(found.memory)}, not ${hexes(expected.memory)}`]),
  ];
}

const C1 = 1 << 9;

/** Whether the registers are the same but for one unit in a last place, and all words but for C1. */
export function approximates(found: X87Vector['after'], expected: X87Vector['after']): boolean {
  const isNear = (value: bigint, i: number): boolean => {
    const distance = value - (expected.registers[i] as bigint);
    return distance >= -1n && distance <= 1n;
  };
  return (
    found.registers.every(isNear) &&
    differences(
      { ...found, registers: expected.registers, status: found.status & ~C1 },
      { ...expected, status: expected.status & ~C1 },
    ).length === 0
  );
}
