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

import { X86_EXC_GP } from '../abi/exceptions.js';
import { FS, RAX } from '../abi/registers.js';
import { PAGE_SHIFT } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import { I32, I64 } from '../isa/meaning/expression.js';
import type {
  AccessSegment,
  Bits,
  Location,
  Modification,
  Semantics,
  Service,
  Variable,
} from '../isa/meaning/semantics.js';
import type { Form, OperandForm } from './form.js';
import {
  ANSWERS,
  DATA_TLB_ENTRIES,
  ExitCode,
  FLAG_CARRIES,
  FLAG_RESULT,
  READ_TLB,
  SCRATCH,
  SCRATCH_END,
  SCRATCH_SLOTS,
  SEGMENT_BASES,
  SELECTORS,
  SYSTEM_FLAGS,
  TLB_ENTRY_SHIFT,
  TLB_VALUE,
  WRITE_TLB,
} from './layout.js';
import { answerCount, serviceNumber } from './services.js';
import type { Code, LoadOp, StoreOp } from './wasm/code.js';

/** A general register: the n-th register operand, or one by number (`high`: its bits 15:8). */
export type RegisterReference = { readonly operand: number } | { readonly register: number; readonly high: boolean };

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

  // ---- operands, registers, memory

  operand(index: number): Location {
    const operand = this.#operand(index);
    switch (operand.kind) {
      case 'register':
        return this.#registerLocation({ operand: this.#ordinal(index) }, operand.bits);
      case 'memory':
        return this.#memoryLocation(() => this.effectiveAddress(index), operand.bits, { of: index });
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
    const access = (bits / 8) | (segment === 'stack' ? ACCESS_STACK : segment === 'data' ? 0 : ACCESS_OPERAND);
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
    const code = this.#code;
    this.#mayFault('a write to memory');
    const entry = this.#tlbEntry(address);
    this.#isHit(entry, address, bits, WRITE_TLB);
    code.if(
      () => {
        this.#hostAddress(entry, address, WRITE_TLB);
        value.emit(code);
        code.store(storeOp(bits));
      },
      () => {
        this.#store('i64.store', SCRATCH, value);
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
  #locate(address: I64, bits: Bits, tlb: number, slow: number, access: number): number {
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

  #isHit(entry: number, address: I64, bits: Bits, tlb: number): void {
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

  /** How many operands of the same kind come before. */
  #ordinal(index: number): number {
    const { operands } = this.#form;
    return operands.slice(0, index).filter(({ kind }) => kind === operands[index]?.kind).length;
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
