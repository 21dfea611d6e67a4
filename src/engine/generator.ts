// Turns meanings into WebAssembly: the half of `Semantics` that is the same whoever executes the code. Where operands and
// registers live, and how code goes on to the next instruction, is the `Target`'s: the interpreter's (interpreter.ts) reads
// a record; one with constants and locals makes a compiler of the same meanings (tests/engine/straight-line.ts).
//
// A memory access first looks into the fast TLB of the context it runs in: if the page is there, the access is an addition
// and a load. Comparing the page of the access's *last* byte with the tag sends accesses that cross a page the slow way, as
// it does addresses that are not canonical: no tag has such a page. The slow way is JavaScript's (data-access.ts); it may throw,
// and has everything it needs to say where execution was.
//
// The rule of precise faults (semantics.ts) is checked here, when code is generated: an operation that may fault after a
// register or a flag was written is an EmulatorBug.

import { X86_EXC_GP, X86_EXC_MF, X86_EXC_NM, X86_EXC_XM } from '../abi/exceptions.js';
import { CS, FS, RAX } from '../abi/registers.js';
import { PAGE_SHIFT } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import { I32, I64 } from '../isa/meaning/expression.js';
import type {
  AccessSegment,
  Alignment,
  Bits,
  Location,
  Modification,
  Semantics,
  Service,
  Variable,
  VectorBits,
  VectorLocation,
  VectorVariable,
  X87Word,
} from '../isa/meaning/semantics.js';
import { V128 } from '../isa/meaning/vector.js';
import type { Form, OperandForm } from './form.js';
import {
  ANSWERS,
  DATA_TLB_ENTRIES,
  ExitCode,
  FLAG_CARRIES,
  FLAG_RESULT,
  MXCSR,
  READ_TLB,
  SCRATCH,
  SCRATCH_END,
  SCRATCH_SLOTS,
  SEGMENT_BASES,
  SELECTORS,
  SYSTEM_FLAGS,
  TASK_SWITCHED,
  TLB_ENTRY_SHIFT,
  TLB_VALUE,
  WRITE_TLB,
  X87_CODE_SEGMENT,
  X87_CONTROL,
  X87_DATA_SEGMENT,
  X87_EXPONENT,
  X87_INSTRUCTION,
  X87_OPCODE,
  X87_OPERAND,
  X87_STATUS,
  X87_TAGS,
} from './layout.js';
import { answerCount, serviceNumber } from './services.js';
import type { Code, LoadOp, StoreOp } from './wasm/code.js';
import type { VectorLoadOp, VectorStoreOp } from './wasm/vector-ops.js';

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
const ACCESS_SLOT_SHIFT = 5;
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

const X87_WORDS: Readonly<Record<X87Word, readonly [address: number, bits: Bits]>> = {
  control: [X87_CONTROL, 16],
  status: [X87_STATUS, 16],
  tags: [X87_TAGS, 16],
  opcode: [X87_OPCODE, 16],
  instruction: [X87_INSTRUCTION, 64],
  operand: [X87_OPERAND, 64],
  codeSegment: [X87_CODE_SEGMENT, 16],
  dataSegment: [X87_DATA_SEGMENT, 16],
};

const STATUS_ERROR_SUMMARY = 1n << 7n;
const STATUS_TOP = 7n << 11n;
/** All eight registers are in use. */
const ALL_TAGS = 0xffn;

/** What loads so many bits into a vector that is zero otherwise; fewer than 32 go by way of an integer. */
const VECTOR_LOADS: Readonly<Record<32 | 64 | 128, VectorLoadOp>> = {
  32: 'v128.load32_zero',
  64: 'v128.load64_zero',
  128: 'v128.load',
};
const VECTOR_STORES: Readonly<Record<VectorBits, VectorStoreOp>> = {
  8: 'v128.store8_lane',
  16: 'v128.store16_lane',
  32: 'v128.store32_lane',
  64: 'v128.store64_lane',
  128: 'v128.store',
};

/** Emits one instruction. A new one is made for each. */
export class Generator implements Semantics {
  readonly bits: Bits;
  readonly addressBits: 32 | 64;
  readonly condition: number;
  readonly repeat: 'rep' | 'repne' | undefined;
  readonly operandCount: number;
  readonly #form: Form;
  readonly #code: Code;
  readonly #target: Target;
  /** Something was written already, so nothing may fault any more. */
  #changed = false;
  #scratchSlots = 0;

  constructor(form: Form, code: Code, target: Target) {
    this.bits = form.bits;
    this.addressBits = form.addressBits;
    this.condition = form.condition;
    this.repeat = form.repeat;
    this.operandCount = form.operands.length;
    this.#form = form;
    this.#code = code;
    this.#target = target;
  }

  /** Emits the whole instruction, but for going on to the next. */
  emit(): void {
    const { unit, meaning } = this.#form;
    if (unit !== 'integer') this.raiseIf(this.#load('i64.load32_u', TASK_SWITCHED).isNotZero(), X86_EXC_NM);
    if (unit === 'mmx') {
      const status = this.#load('i64.load16_u', X87_STATUS);
      this.raiseIf(status.and(STATUS_ERROR_SUMMARY).isNotZero(), X86_EXC_MF);
      meaning(this);
      this.#enterMmx();
    } else meaning(this);
  }

  /** What an MMX instruction leaves of x87: TOP 0, and all registers valid. */
  #enterMmx(): void {
    this.#store('i64.store16', X87_STATUS, this.#load('i64.load16_u', X87_STATUS).and(~STATUS_TOP));
    this.#store('i64.store16', X87_TAGS, I64.constant(ALL_TAGS));
  }

  // ---- operands, registers, memory

  operand(index: number): Location {
    const operand = this.#operand(index);
    switch (operand.kind) {
      case 'register':
        return this.#registerLocation({ operand: this.#ordinal(index) }, operand.bits);
      case 'xmm':
      case 'mm':
        return this.#integerOfVector(index, integerBits(operand.bits));
      case 'memory':
        return this.#memoryLocation(() => this.effectiveAddress(index), integerBits(operand.bits), { of: index });
      case 'immediate':
        return this.#immediateLocation(this.#ordinal(index), operand.bits);
      default:
        invariant(false, `a ${operand.kind} operand is no location`);
    }
  }

  isMemory(index: number): boolean {
    return this.#operand(index).kind === 'memory';
  }
  isImmediate(index: number): boolean {
    return this.#operand(index).kind === 'immediate';
  }
  isRelative(index: number): boolean {
    return this.#operand(index).kind === 'relative';
  }

  register(register: number, bits: Bits): Location {
    return this.#registerLocation({ register, high: false }, bits);
  }
  ah(): Location {
    return this.#registerLocation({ register: RAX, high: true }, 8);
  }

  effectiveAddress(index: number, rspAhead = 0n): I64 {
    const operand = this.#operand(index);
    invariant(operand.kind === 'memory', 'only a memory operand has an address');
    return this.#target.address(operand, rspAhead).zeroExtend(this.addressBits);
  }

  linearAddress(address: I64, segment: AccessSegment): I64 {
    if (typeof segment === 'string') return address;
    const operand = this.#operand(segment.of);
    return operand.kind === 'memory' && operand.shape === 'segment' ? address.add(this.#target.segmentBase()) : address;
  }

  memory(address: I64, bits: Bits, segment: AccessSegment): Location {
    return this.#memoryLocation(() => address, bits, segment);
  }

  vector(index: number, alignment: Alignment = 'aligned'): VectorLocation {
    const operand = this.#operand(index);
    switch (operand.kind) {
      case 'xmm':
      case 'mm':
        return this.#vectorRegister({ operand: this.#ordinal(index) }, operand.bits, operand.kind === 'mm');
      case 'memory':
        return this.vectorMemory(this.effectiveAddress(index), operand.bits, { of: index }, alignment);
      default:
        invariant(false, `a ${operand.kind} operand is no vector`);
    }
  }

  isMmx(index: number): boolean {
    return this.#operand(index).kind === 'mm';
  }

  xmm(register: number): VectorLocation {
    return this.#vectorRegister({ xmm: register }, 128, false);
  }

  vectorMemory(
    address: I64,
    bits: VectorBits,
    segment: AccessSegment,
    alignment: Alignment = 'aligned',
  ): VectorLocation {
    const access = accessOf(bits, segment);
    const place = (): I64 => {
      const linear = this.keep(this.linearAddress(address, segment));
      if (bits === 128 && alignment === 'aligned')
        this.raiseIf(linear.and(15n).isNotZero(), X86_EXC_GP, I64.constant(0n));
      return linear;
    };
    return {
      bits,
      read: () => {
        const host = this.#locate(place(), bits, READ_TLB, this.#target.slow.read, access);
        return this.#loadVector(() => this.#code.localGet(host), 0, bits);
      },
      write: (value) => {
        const linear = place();
        const stored = this.keepVector(value);
        this.#put(linear, bits, access, (offset) => {
          stored.emit(this.#code);
          this.#code.storeVector(VECTOR_STORES[bits], offset);
        });
      },
    };
  }

  x87(word: X87Word): Location {
    const [address, bits] = X87_WORDS[word];
    const read = (): I64 => this.#load(loadOp(bits, false), address);
    const write = (value: I64): void => {
      this.#changed = true;
      this.#store(storeOp(bits), address, value);
    };
    const readSigned = (): I64 => this.#load(loadOp(bits, true), address);
    return { bits, read, readSigned, write, modify: () => ({ value: readSigned(), write }) };
  }
  stackRegister(index: number): number | undefined {
    const operand = this.#operand(index);
    return operand.kind === 'st' ? operand.register : undefined;
  }
  rememberX87(operand?: number): void {
    this.x87('instruction').write(this.#target.rip());
    this.x87('opcode').write(this.#target.x87Opcode());
    this.x87('codeSegment').write(this.readSelector(CS));
    if (operand === undefined) return;
    this.x87('operand').write(this.effectiveAddress(operand));
    this.x87('dataSegment').write(this.#target.operandSelector());
  }

  readMxcsr(): I64 {
    return this.#load('i64.load32_u', MXCSR);
  }
  writeMxcsr(value: I64): void {
    this.#changed = true;
    this.#store('i64.store32', MXCSR, value);
  }

  readSelector(segment: number): I64 {
    return this.#load('i64.load16_u', SELECTORS + 2 * segment);
  }
  writeSelector(segment: number, selector: I64): void {
    this.#changed = true;
    this.#store('i64.store16', SELECTORS + 2 * segment, selector);
  }
  segmentNumber(index: number): number {
    const operand = this.#operand(index);
    invariant(operand.kind === 'segment', 'the operand is a segment register');
    return operand.register;
  }
  writeSegmentBase(segment: number, base: I64): void {
    invariant(segment >= FS, 'only FS and GS have a base');
    this.#changed = true;
    this.#store('i64.store', SEGMENT_BASES + 8 * segment, base);
  }

  // ---- values and order

  keep(value: I64): I64 {
    if (value.constant !== undefined) return value;
    const local = this.#code.local('i64');
    value.emit(this.#code);
    this.#code.localSet(local);
    return this.#local64(local);
  }

  keepBit(value: I32): I32 {
    if (value.constant !== undefined) return value;
    const local = this.#code.local('i32');
    value.emit(this.#code);
    this.#code.localSet(local);
    return I32.of(() => this.#code.localGet(local), { reusable: true });
  }

  keepVector(value: V128): V128 {
    const local = this.#code.local('v128');
    value.emit(this.#code);
    this.#code.localSet(local);
    return V128.of(() => this.#code.localGet(local), { reusable: true });
  }

  vectorVariable(initial: V128): VectorVariable {
    const local = this.#code.local('v128');
    const set = (value: V128): void => {
      value.emit(this.#code);
      this.#code.localSet(local);
    };
    set(initial);
    return { get: () => V128.of(() => this.#code.localGet(local), { reusable: true }), set };
  }

  variable(initial: I64): Variable {
    const local = this.#code.local('i64');
    const set = (value: I64): void => {
      value.emit(this.#code);
      this.#code.localSet(local);
    };
    set(initial);
    return { get: () => this.#local64(local), set };
  }

  when(condition: I32, then: () => void, otherwise?: () => void): void {
    if (condition.constant !== undefined) {
      (condition.constant !== 0 ? then : otherwise)?.();
      return;
    }
    const before = this.#changed;
    let after = before;
    const branch = (write: () => void) => (): void => {
      this.#changed = before;
      write();
      after ||= this.#changed;
    };
    condition.emit(this.#code);
    this.#code.if(branch(then), otherwise && branch(otherwise));
    this.#changed = after;
  }

  repeatWhile(body: () => I32): void {
    this.#code.loop((label) => {
      body().emit(this.#code);
      this.#code.branchIf(label);
    });
  }

  // ---- flags

  flagResult(): I64 {
    return this.keep(this.#target.readState(FLAG_RESULT));
  }
  flagCarries(): I64 {
    return this.keep(this.#target.readState(FLAG_CARRIES));
  }
  writeFlags(result: I64, carries: I64): void {
    this.#changed = true;
    this.#target.writeState(FLAG_RESULT, result);
    this.#target.writeState(FLAG_CARRIES, carries);
  }
  systemFlags(): I64 {
    return this.keep(this.#target.readState(SYSTEM_FLAGS));
  }
  writeSystemFlags(value: I64): void {
    this.#changed = true;
    this.#target.writeState(SYSTEM_FLAGS, value);
  }

  // ---- where execution goes

  nextRip(): I64 {
    return this.keep(this.#target.nextRip());
  }
  branch(index: number, condition?: I32): void {
    invariant(this.isRelative(index), 'a branch goes to a relative operand');
    this.#target.branch(condition);
  }
  checkTarget(target: I64): void {
    // Canonical: bits 63:47 are all equal.
    const isBad = target.shiftLeft(16n).shiftRightSigned(16n).differs(target);
    this.raiseIf(isBad, X86_EXC_GP, I64.constant(0n));
  }
  jump(target: I64): void {
    this.#target.jump(target);
  }
  again(condition: I32): void {
    this.#target.again(condition);
  }

  raise(vector: number, errorCode?: I64): void {
    this.#mayFault('an exception');
    this.#raise(vector, errorCode);
  }
  raiseIf(condition: I32, vector: number, errorCode?: I64): void {
    this.when(condition, () => this.raise(vector, errorCode));
  }
  raiseFloat(mxcsr: I64): void {
    this.#mayFault('an exception');
    this.#store('i64.store32', MXCSR, mxcsr);
    // MMX registers count as used even so (tried on AMD EPYC).
    if (this.#form.unit === 'mmx') this.#enterMmx();
    this.#raise(X86_EXC_XM, undefined);
  }
  trap(vector: number): void {
    this.#raise(vector | RAISE_TRAP, undefined);
  }
  systemCall(): void {
    this.#target.leave(ExitCode.syscall);
  }
  pauseIf(condition: I32): void {
    this.#target.pauseIf(condition);
  }

  ask(service: Service, ...values: readonly I64[]): readonly I64[] {
    this.#mayFault('a question to the platform');
    values.forEach((value, index) => {
      this.#store('i64.store', ANSWERS + 8 * index, value);
    });
    this.#code.constant32(serviceNumber(service));
    this.#target.pushPosition();
    this.#code.call(this.#target.slow.ask);
    return Array.from({ length: answerCount(service) }, (_, index) => this.#load('i64.load', ANSWERS + 8 * index));
  }

  // ---- locations

  #registerLocation(register: RegisterReference, bits: Bits): Location {
    const target = this.#target;
    const readSigned = (): I64 => this.keep(target.readRegister(register, bits, true));
    const write = (value: I64): void => {
      this.#changed = true;
      target.writeRegister(register, bits, value);
    };
    return {
      bits,
      read: () => this.keep(target.readRegister(register, bits, false)),
      readSigned,
      write,
      modify: () => ({ value: readSigned(), write }),
    };
  }

  /** The low bits of a vector register, as a number. */
  #integerOfVector(index: number, bits: Bits): Location {
    const register = this.#vectorRegister({ operand: this.#ordinal(index) }, bits, this.isMmx(index));
    const read = (): I64 => this.keep(register.read().lane(64, 0));
    const readSigned = (): I64 => this.keep(read().signExtend(bits));
    const write = (value: I64): void => register.write(V128.splat(64, value));
    return { bits, read, readSigned, write, modify: () => ({ value: readSigned(), write }) };
  }

  #vectorRegister(register: VectorReference, bits: VectorBits, isMmx: boolean): VectorLocation {
    const code = this.#code;
    const target = this.#target;
    return {
      bits,
      read: () => {
        const base = code.local('i32');
        const offset = target.pushVectorAddress(register);
        code.localSet(base);
        return this.#loadVector(() => code.localGet(base), offset, bits);
      },
      write: (value) => {
        this.#changed = true;
        const offset = target.pushVectorAddress(register);
        value.emit(code);
        code.storeVector(VECTOR_STORES[bits], offset);
        if (!isMmx) return;
        // Read as an x87 register it is a NaN.
        const exponent = target.pushVectorAddress(register) + X87_EXPONENT;
        code.constant64(0xffffn);
        code.store('i64.store16', exponent);
      },
    };
  }

  #loadVector(pushBase: () => void, offset: number, bits: VectorBits): V128 {
    const code = this.#code;
    if (bits >= 32) {
      pushBase();
      code.loadVector(VECTOR_LOADS[bits as 32 | 64 | 128], offset);
      const local = code.local('v128');
      code.localSet(local);
      return V128.of(() => code.localGet(local), { reusable: true });
    }
    pushBase();
    code.load(loadOp(bits as Bits, false), offset);
    const local = code.local('i64');
    code.localSet(local);
    return this.keepVector(V128.low(this.#local64(local)));
  }

  #immediateLocation(index: number, bits: Bits): Location {
    const readSigned = (): I64 => this.keep(this.#target.immediate(index));
    const refuse = (): never => {
      invariant(false, 'an immediate is not written');
    };
    return {
      bits,
      read: () => this.keep(readSigned().zeroExtend(bits)),
      readSigned,
      write: refuse,
      modify: refuse,
    };
  }

  #memoryLocation(address: () => I64, bits: Bits, segment: AccessSegment): Location {
    const linear = (): I64 => this.keep(this.linearAddress(address(), segment));
    const access = accessOf(bits, segment);
    return {
      bits,
      read: () => this.#readMemory(linear(), bits, access, false),
      readSigned: () => this.#readMemory(linear(), bits, access, true),
      write: (value) => this.#writeMemory(linear(), bits, access, this.keep(value)),
      modify: () => this.#modifyMemory(linear(), bits, access),
    };
  }

  #readMemory(address: I64, bits: Bits, access: number, signed: boolean): I64 {
    const code = this.#code;
    const host = this.#locate(address, bits, READ_TLB, this.#target.slow.read, access);
    return this.keep(
      I64.of(
        () => {
          code.localGet(host);
          code.load(loadOp(bits, signed));
        },
        { reusable: false },
      ),
    );
  }

  #writeMemory(address: I64, bits: Bits, access: number, value: I64): void {
    this.#put(address, bits, access, (offset) => {
      value.emit(this.#code);
      this.#code.store(storeOp(bits), offset);
    });
  }

  /** Stores at an address: `store` emits a value and its store, at the offset given, behind the base that is pushed. */
  #put(address: I64, bits: VectorBits, access: number, store: (offset: number) => void): void {
    const code = this.#code;
    this.#mayFault('a write to memory');
    const entry = this.#tlbEntry(address);
    this.#isHit(entry, address, bits, WRITE_TLB);
    code.if(
      () => {
        this.#hostAddress(entry, address, WRITE_TLB);
        store(0);
      },
      () => {
        code.constant32(0);
        store(SCRATCH);
        address.emit(code);
        code.constant32(access);
        this.#target.pushPosition();
        code.call(this.#target.slow.store);
      },
    );
  }

  #modifyMemory(address: I64, bits: Bits, access: number): Modification {
    const code = this.#code;
    invariant(this.#scratchSlots < SCRATCH_SLOTS, 'an instruction modifies at most as many places as there are slots');
    const slotted = access | (this.#scratchSlots++ << ACCESS_SLOT_SHIFT);
    const host = this.#locate(address, bits, WRITE_TLB, this.#target.slow.modify, slotted);
    const value = this.keep(
      I64.of(
        () => {
          code.localGet(host);
          code.load(loadOp(bits, true));
        },
        { reusable: false },
      ),
    );
    const write = (result: I64): void => {
      code.localGet(host);
      result.emit(code);
      code.store(storeOp(bits));
      code.localGet(host);
      code.constant32(SCRATCH_END);
      code.operate('i32.lt_u');
      code.if(() => {
        code.constant32(slotted);
        this.#target.pushPosition();
        code.call(this.#target.slow.commit);
      });
    };
    return { value, write };
  }

  /** The host address for an access, in a local. */
  #locate(address: I64, bits: VectorBits, tlb: number, slow: number, access: number): number {
    const code = this.#code;
    this.#mayFault('an access to memory');
    const entry = this.#tlbEntry(address);
    const host = code.local('i32');
    this.#isHit(entry, address, bits, tlb);
    code.ifElse(
      'i32',
      () => this.#hostAddress(entry, address, tlb),
      () => {
        address.emit(code);
        code.constant32(access);
        this.#target.pushPosition();
        code.call(slow);
      },
    );
    code.localSet(host);
    return host;
  }

  /** The local that holds the context plus the place of the page's entry in a TLB. */
  #tlbEntry(address: I64): number {
    const entry = this.#code.local('i32');
    address
      .shiftRight(BigInt(PAGE_SHIFT - TLB_ENTRY_SHIFT))
      .low()
      .and(I32.constant((DATA_TLB_ENTRIES - 1) << TLB_ENTRY_SHIFT))
      .emit(this.#code);
    this.#target.pushContext();
    this.#code.operate('i32.add');
    this.#code.localSet(entry);
    return entry;
  }

  #isHit(entry: number, address: I64, bits: VectorBits, tlb: number): void {
    const lastByte = bits === 8 ? address : address.add(BigInt(bits / 8 - 1));
    this.#code.localGet(entry);
    this.#code.load('i64.load', tlb);
    lastByte.and(-1n << BigInt(PAGE_SHIFT)).emit(this.#code);
    this.#code.operate('i64.eq');
  }

  #hostAddress(entry: number, address: I64, tlb: number): void {
    this.#code.localGet(entry);
    this.#code.load('i32.load', tlb + TLB_VALUE);
    address.low().emit(this.#code);
    this.#code.operate('i32.add');
  }

  // ---- small change

  #raise(vector: number, errorCode: I64 | undefined): void {
    const code = this.#code;
    code.constant32(vector);
    code.constant32(errorCode ? 1 : 0);
    (errorCode ?? I64.constant(0n)).emit(code);
    this.#target.pushPosition();
    code.call(this.#target.slow.raise);
    code.unreachable();
  }

  #operand(index: number): OperandForm {
    const operand = this.#form.operands[index];
    invariant(operand, `there is an operand ${index}`);
    return operand;
  }

  /** How many operands come before that are found in the same way: registers of all kinds, or immediates. */
  #ordinal(index: number): number {
    const isImmediate = this.isImmediate(index);
    const before = this.#form.operands.slice(0, index);
    return before.filter(({ kind }) => (isImmediate ? kind === 'immediate' : /^(register|xmm|mm)$/.test(kind))).length;
  }

  #mayFault(what: string): void {
    invariant(!this.#changed, `${what} comes before the first change of a register`);
  }

  #local64(local: number): I64 {
    return I64.of(() => this.#code.localGet(local), { reusable: true });
  }

  #load(op: LoadOp, address: number): I64 {
    const code = this.#code;
    return this.keep(
      I64.of(
        () => {
          code.constant32(0);
          code.load(op, address);
        },
        { reusable: false },
      ),
    );
  }

  #store(op: StoreOp, address: number, value: I64): void {
    this.#code.constant32(0);
    value.emit(this.#code);
    this.#code.store(op, address);
  }
}

/** How slow functions are told of an access. */
const accessOf = (bits: VectorBits, segment: AccessSegment): number =>
  (bits / 8) | (segment === 'stack' ? ACCESS_STACK : segment === 'data' ? 0 : ACCESS_OPERAND);

function integerBits(bits: VectorBits): Bits {
  invariant(bits !== 128, '16 bytes are no number');
  return bits;
}
