// The x87: stack, control and status words, and all arithmetic by way of the `x87` service (../x87). SDM 2A and 2B under each
// mnemonic; SDM 1 "Programming with the x87 FPU" (§8); what the manual leaves open is as recorded from a Zen 5.
// Instructions that wait raise #MF first while an unmasked exception is pending. Every instruction but those that control the
// x87 is remembered: its address, its opcode and its operand's address are what FNSTENV shows (AMD's way: always).
// A fault in memory comes before anything changes, so a store is worked out, then made, then noted.

import { X86_EXC_MF } from '../../abi/exceptions.js';
import { invariant } from '../../base/failures.js';
import { x87Request } from '../x87/operations.js';
import { BUSY, INITIAL_CONTROL, STACK_FAULT, SUMMARY, TOP_SHIFT } from '../x87/state.js';
import { I64 } from './expression.js';
import { setStatus } from './flags.js';
import { conditionHolds } from './moves.js';
import type { Bits, Location, Meaning, Semantics, X87Word } from './semantics.js';

const EXCEPTIONS = 63n;
const ZERO = I64.constant(0n);

/** #MF while an exception is pending. */
export function waiting(cpu: Semantics): void {
  cpu.raiseIf(cpu.x87('status').read().and(BigInt(SUMMARY)).isNotZero(), X86_EXC_MF);
}

/** Runs an operation of ../x87/operations.ts, on a low and a high word. */
export function operate(cpu: Semantics, name: string, i = 0, low = ZERO, high = ZERO): readonly I64[] {
  const request = x87Request(name, i);
  invariant(request !== undefined, `the x87 has an operation "${name}"`);
  return cpu.ask('x87', I64.constant(BigInt(request)), low, high);
}

/** The operand that is a stack register counted by ModRM, or ST(0). */
const stackIndex = (cpu: Semantics): number => {
  for (let index = 0; index < cpu.operandCount; index++) {
    const register = cpu.stackRegister(index);
    if (register !== undefined && register !== 0) return register;
  }
  return 0;
};

// ---- on the stack

/** An operation on ST(0) and perhaps ST(i), which is the operand; ST(1) where `i` says so. */
export const x87Stack =
  (name: string, i?: number): Meaning =>
  (cpu) => {
    waiting(cpu);
    operate(cpu, name, i ?? stackIndex(cpu));
    cpu.rememberX87();
  };

/** FCMOVcc. */
export const fcmovcc: Meaning = (cpu) => {
  waiting(cpu);
  operate(cpu, 'move-if', stackIndex(cpu), conditionHolds(cpu).wide());
  cpu.rememberX87();
};

/** FCOMI and its like: CF, PF and ZF; OF, SF and AF are cleared. */
export const x87Flags =
  (name: string): Meaning =>
  (cpu) => {
    waiting(cpu);
    const [flags] = operate(cpu, name, stackIndex(cpu)) as readonly [I64];
    setStatus(cpu, flags);
    cpu.rememberX87();
  };

export const fnop: Meaning = (cpu) => {
  waiting(cpu);
  cpu.rememberX87();
};

export const wait: Meaning = (cpu) => waiting(cpu);

// ---- with memory

/** The bytes of a memory operand of up to 10, in words; only 10 have a second. */
function memoryWords(cpu: Semantics, isLong: boolean): readonly [low: Location, high?: Location] {
  if (!isLong) return [cpu.operand(0)];
  const address = cpu.keep(cpu.effectiveAddress(0));
  return [cpu.memory(address, 64, { of: 0 }), cpu.memory(cpu.keep(address.add(8n)), 16, { of: 0 })];
}

const isLong = (name: string): boolean => /(f80|bcd)$/.test(name);

/** An operation on what is in memory. */
export const x87Load =
  (name: string): Meaning =>
  (cpu) => {
    waiting(cpu);
    const words = memoryWords(cpu, isLong(name)).map((location) => (location as Location).read());
    operate(cpu, name, 0, ...words);
    cpu.rememberX87(0);
  };

/** A store of ST(0). */
export const x87Store =
  (name: string): Meaning =>
  (cpu) => {
    waiting(cpu);
    const [stores, low, high, words] = operate(cpu, name) as readonly [I64, I64, I64, I64];
    cpu.when(stores.isNotZero(), () => {
      const [first, second] = memoryWords(cpu, isLong(name));
      if (!second) first.write(low);
      else {
        const both = [first.modify(), second.modify()] as const;
        both[0].write(low);
        both[1].write(high);
      }
    });
    cpu.x87('status').write(words);
    cpu.x87('tags').write(words.shiftRight(16n));
    cpu.rememberX87(0);
  };

// ---- control

/** Changes the status word so that ES and B are as its flags and these masks make them. */
export function writeStatus(cpu: Semantics, status: I64, control: I64): void {
  const both = BigInt(SUMMARY | BUSY);
  const isPending = status.and(control.not()).and(EXCEPTIONS).isNotZero();
  cpu.x87('status').write(isPending.select(status.or(both), status.and(~both)));
}

/** A control word as it reads back. */
export const asControl = (value: I64): I64 => value.and(0x1f3fn).or(0x40n);

export const fldcw: Meaning = (cpu) => {
  waiting(cpu);
  const control = cpu.keep(asControl(cpu.operand(0).read()));
  const status = cpu.x87('status').read();
  cpu.x87('control').write(control);
  writeStatus(cpu, status, control);
};

/** FNSTCW, FNSTSW. */
const storeWord =
  (word: X87Word): Meaning =>
  (cpu) =>
    cpu.operand(0).write(cpu.x87(word).read());

export const fnstcw: Meaning = storeWord('control');
export const fnstsw: Meaning = storeWord('status');

export const fnclex: Meaning = (cpu) => {
  const flags = EXCEPTIONS | BigInt(STACK_FAULT | SUMMARY | BUSY);
  cpu.x87('status').write(cpu.x87('status').read().and(~flags));
};

const POINTERS: readonly X87Word[] = ['opcode', 'instruction', 'operand', 'codeSegment', 'dataSegment'];

export const fninit: Meaning = (cpu) => {
  cpu.x87('control').write(I64.constant(BigInt(INITIAL_CONTROL)));
  for (const word of ['status', 'tags', ...POINTERS] as const) cpu.x87(word).write(ZERO);
};

// The environment as FNSTENV stores it: seven words of 16 bits, or of 32 whose upper halves are all ones but for
//   4 the opcode, above the code segment.
//   0 control   1 status   2 tags, two bits each   3 instruction   4 code segment   5 operand   6 data segment
const ENVIRONMENT_WORDS = 7;
const REGISTERS = 8;

const wordBits = (cpu: Semantics): 16 | 32 => (cpu.bits === 16 ? 16 : 32);

/** Where the bytes of the image from `offset` on are. */
const imagePlace = (cpu: Semantics, base: I64, offset: number, bits: Bits): Location =>
  cpu.memory(cpu.keep(base.add(BigInt(offset))), bits, { of: 0 });

/** Makes sure that so many bytes can be written: they are in at most two pages. */
function checkImage(cpu: Semantics, base: I64, bytes: number): void {
  imagePlace(cpu, base, 0, 8).modify();
  imagePlace(cpu, base, bytes - 1, 8).modify();
}

function storeEnvironment(cpu: Semantics, base: I64): void {
  const bits = wordBits(cpu);
  const [tags] = operate(cpu, 'tag-word') as readonly [I64];
  const half = (value: I64): I64 => (bits === 16 ? value : value.or(0xffff_0000n));
  const read = (word: X87Word): I64 => cpu.x87(word).read();
  const segment = bits === 16 ? read('codeSegment') : read('codeSegment').or(read('opcode').shiftLeft(16n));
  const words = [
    half(read('control')),
    half(read('status')),
    half(tags),
    read('instruction'),
    segment,
    read('operand'),
  ];
  [...words, half(read('dataSegment'))].forEach((word, index) => {
    imagePlace(cpu, base, (index * bits) / 8, bits).write(word);
  });
}

export const fnstenv: Meaning = (cpu) => {
  const base = cpu.keep(cpu.effectiveAddress(0));
  checkImage(cpu, base, (ENVIRONMENT_WORDS * wordBits(cpu)) / 8);
  storeEnvironment(cpu, base);
  const control = cpu.keep(cpu.x87('control').read().or(EXCEPTIONS));
  const status = cpu.x87('status').read();
  cpu.x87('control').write(control);
  writeStatus(cpu, status, control);
};

/** Saves everything, and initialises. */
export const fnsave: Meaning = (cpu) => {
  const base = cpu.keep(cpu.effectiveAddress(0));
  const environment = (ENVIRONMENT_WORDS * wordBits(cpu)) / 8;
  checkImage(cpu, base, environment + 10 * REGISTERS);
  storeEnvironment(cpu, base);
  for (let i = 0; i < REGISTERS; i++) {
    const [low, high] = operate(cpu, 'register', i) as readonly [I64, I64];
    imagePlace(cpu, base, environment + 10 * i, 64).write(low);
    imagePlace(cpu, base, environment + 10 * i + 8, 16).write(high);
  }
  fninit(cpu);
};

/** Reads an environment; the returned function puts it in force. */
function loadEnvironment(cpu: Semantics, base: I64): () => void {
  const bits = wordBits(cpu);
  const words = Array.from({ length: ENVIRONMENT_WORDS }, (_, index) =>
    imagePlace(cpu, base, (index * bits) / 8, bits).read(),
  );
  const word = (index: number): I64 => words[index] as I64;
  return () => {
    const masks = cpu.keep(asControl(word(0)));
    cpu.x87('control').write(masks);
    writeStatus(cpu, cpu.keep(word(1).zeroExtend(16)), masks);
    cpu.x87('tags').write(abridged(cpu, word(2)));
    cpu.x87('instruction').write(word(3));
    cpu.x87('codeSegment').write(word(4));
    cpu.x87('operand').write(word(5));
    cpu.x87('dataSegment').write(word(6));
    if (bits === 32) cpu.x87('opcode').write(word(4).shiftRight(16n).and(0x7ffn));
  };
}

/** A bit for each register that is not empty, from two bits each, which are both set when it is. */
function abridged(cpu: Semantics, tags: I64): I64 {
  const full = cpu.keep(tags.and(tags.shiftRight(1n)).not().and(0x5555n));
  // Bits 0, 2, 4 … move together.
  const pairs = cpu.keep(full.or(full.shiftRight(1n)).and(0x3333n));
  const fours = cpu.keep(pairs.or(pairs.shiftRight(2n)).and(0x0f0fn));
  return fours.or(fours.shiftRight(4n)).and(0xffn);
}

export const fldenv: Meaning = (cpu) => {
  waiting(cpu);
  const load = loadEnvironment(cpu, cpu.keep(cpu.effectiveAddress(0)));
  load();
};

export const frstor: Meaning = (cpu) => {
  waiting(cpu);
  const base = cpu.keep(cpu.effectiveAddress(0));
  const environment = (ENVIRONMENT_WORDS * wordBits(cpu)) / 8;
  const load = loadEnvironment(cpu, base);
  const registers = Array.from({ length: REGISTERS }, (_, i) => [
    imagePlace(cpu, base, environment + 10 * i, 64).read(),
    imagePlace(cpu, base, environment + 10 * i + 8, 16).read(),
  ]);
  // Counted from the new top of the stack.
  const status = imagePlace(cpu, base, wordBits(cpu) / 8, 16).read();
  const top = cpu.keep(status.shiftRight(BigInt(TOP_SHIFT)).and(7n).shiftLeft(16n));
  registers.forEach(([low, high], i) => {
    operate(cpu, 'set-register', i, low as I64, (high as I64).or(top));
  });
  load();
};
