// What a generator needs of whoever executes the code that it writes: where operands and registers are, how execution goes on,
// and which of the engine's functions there are to call. And the words in which slow functions are told of an access.

import type { I32, I64 } from '../isa/meaning/expression.js';
import type { Bits } from '../isa/meaning/semantics.js';
import type { OperandForm } from './form.js';
import { SCRATCH_SLOTS } from './layout.js';
import type { LoadOp, StoreOp } from './wasm/code.js';

/** A general register: the n-th register operand, or one by number (`high`: its bits 15:8). */
export type RegisterReference = { readonly operand: number } | { readonly register: number; readonly high: boolean };
/** An XMM or MMX register: the n-th register operand, or an XMM register by number. */
export type VectorReference = { readonly operand: number } | { readonly xmm: number };

/** The engine's functions that generated code calls, by their index in the module. */
export interface SlowFunctions {
  /** (address i64, access i32, record, remaining) -> host address to read from. */
  readonly read: number;
  /** The same -> host address to read and write; a scratch address needs `commit`. */
  readonly modify: number;
  /** The same; stores what is in scratch slot 0. */
  readonly store: number;
  /** (access i32, record, remaining): stores what is in the access's scratch slot. */
  readonly commit: number;
  /** (vector i32, has error code i32, error code i64, record, remaining): never returns. */
  readonly raise: number;
  /** (service i32, record, remaining): answers in ANSWERS. */
  readonly ask: number;
}

// How slow functions are told what an access is: size in bytes, scratch slot, whose segment.
export const ACCESS_SLOT_SHIFT = 5;
export const accessSize = (access: number): number => access & 0x1f;
export const accessSlot = (access: number): number => (access >> ACCESS_SLOT_SHIFT) & (SCRATCH_SLOTS - 1);
/** The access is the stack's: a non-canonical address is #SS. */
export const ACCESS_STACK = 1 << 7;
/** The access is the memory operand's: its record says which segment. */
export const ACCESS_OPERAND = 1 << 8;

/** Set in the vector given to `raise` when the instruction is done, and rip goes behind it. */
export const RAISE_TRAP = 1 << 8;

/** Who executes the code: where operands come from, and where execution goes on. */
export interface Target {
  readonly slow: SlowFunctions;
  /** Pushes the context in which memory is accessed. */
  pushContext(): void;
  /** Pushes the record being executed and the budget left, for slow functions. */
  pushPosition(): void;
  readRegister(register: RegisterReference, bits: Bits, signed: boolean): I64;
  writeRegister(register: RegisterReference, bits: Bits, value: I64): void;
  /** Pushes a base; with the offset that it returns added, it is the address of the register in the running state. */
  pushVectorAddress(register: VectorReference): number;
  /** The n-th immediate, sign-extended from its own size. */
  immediate(index: number): I64;
  /** The memory operand's address before it is truncated to the address size. */
  address(operand: OperandForm & { kind: 'memory' }, rspAhead: bigint): I64;
  /** The base of the memory operand's FS or GS. */
  segmentBase(): I64;
  /** A word of the vCPU's state by its place in RUNNING_STATE: flags. */
  readState(address: number): I64;
  writeState(address: number, value: I64): void;
  nextRip(): I64;
  /** The address of the instruction. */
  rip(): I64;
  /** The opcode that the x87 remembers. */
  x87Opcode(): I64;
  /** The selector of the memory operand's segment. */
  operandSelector(): I64;
  branch(condition: I32 | undefined): void;
  jump(target: I64): void;
  again(condition: I32): void;
  /** Leaves generated code with the instruction done. */
  leave(exit: number): void;
  /** Leaves generated code, if the condition holds, when the instruction is done: what is emitted behind this still runs. */
  pauseIf(condition: I32): void;
}

const LOADS: Readonly<Record<Bits, readonly [unsigned: LoadOp, signed: LoadOp]>> = {
  8: ['i64.load8_u', 'i64.load8_s'],
  16: ['i64.load16_u', 'i64.load16_s'],
  32: ['i64.load32_u', 'i64.load32_s'],
  64: ['i64.load', 'i64.load'],
};
const STORES: Readonly<Record<Bits, StoreOp>> = {
  8: 'i64.store8',
  16: 'i64.store16',
  32: 'i64.store32',
  64: 'i64.store',
};
export const loadOp = (bits: Bits, signed: boolean): LoadOp => LOADS[bits][signed ? 1 : 0];
export const storeOp = (bits: Bits): StoreOp => STORES[bits];
