// Works out what one instruction of the guest's would do, on the hypervisor's side: its row's meaning with every operand at
// hand, so that each expression folds to a constant. Nothing is changed; the caller stores and applies what it agrees with.
// For writable page tables (ptwr.ts), where the store goes to an entry that Xen must check first.
// Source: Xen 4.17 arch/x86/x86_emulate (what it is used for there), arch/x86/pv/ro-page-fault.c. Left out: whatever leaves
// the straight line (branches, faults, system calls), segment loads, vectors, and what only the platform knows: then there
// is no answer.

import { ES, FS, GPR_COUNT, GS, RFLAGS_FIXED, RSP } from '../abi/registers.js';
import { isCanonical } from '../base/addresses.js';
import { type Instruction, NO_REGISTER, RIP } from '../isa/instruction.js';
import { I32, I64 } from '../isa/meaning/expression.js';
import { carriesOfStatus, resultOfStatus, STATUS_FLAGS, statusWord } from '../isa/meaning/flags.js';
import type {
  AccessSegment,
  Bits,
  Location,
  Modification,
  Semantics,
  Variable,
  VectorLocation,
  VectorVariable,
} from '../isa/meaning/semantics.js';
import { V128 } from '../isa/meaning/vector.js';
import { readGuestStruct } from './guest-memory.js';
import type { XenVcpu } from './vcpu.js';

/** A store; one that an instruction only had to be able to make (a CMPXCHG that finds another value) leaves what is there. */
export interface MemoryWrite {
  readonly address: bigint;
  readonly bytes: number;
  readonly value: bigint;
}

/** What the instruction would do. */
export interface Effects {
  readonly writes: readonly MemoryWrite[];
  /** Changes registers, flags and rip. */
  apply(): void;
}

/** What the instruction, which stands at the vCPU's rip, would do; undefined when that cannot be worked out. */
export function effectsOf(vcpu: XenVcpu, instruction: Instruction): Effects | undefined {
  const run = new Run(vcpu, instruction);
  instruction.row.means(run);
  return run.effects();
}

const ZERO = I64.constant(0n);
/** ENTER copies at most 31 pointers; no other meaning loops. */
const MOST_ROUNDS = 64;
/** Of any service. */
const MOST_ANSWERS = 8;

class Run implements Semantics {
  readonly bits: Bits;
  readonly addressBits: 32 | 64;
  readonly condition: number;
  readonly repeat: 'rep' | 'repne' | undefined;
  readonly operandCount: number;

  readonly #vcpu: XenVcpu;
  readonly #instruction: Instruction;
  readonly #gpr: bigint[] = [];
  /** By address. */
  readonly #writes = new Map<bigint, MemoryWrite>();
  #flagResult: I64;
  #flagCarries: I64;
  #systemFlags: bigint;
  #rip: bigint;
  /** Something was asked for that has no answer here. */
  #failed = false;

  constructor(vcpu: XenVcpu, instruction: Instruction) {
    const { registers } = vcpu;
    this.#vcpu = vcpu;
    this.#instruction = instruction;
    this.bits = (instruction.operandSize * 8) as Bits;
    this.addressBits = instruction.addressSize === 8 ? 64 : 32;
    this.condition = instruction.row.condition;
    this.repeat = instruction.repeat;
    this.operandCount = instruction.operands.length;
    for (let index = 0; index < GPR_COUNT; index++) this.#gpr.push(registers.readGpr(index));
    const flags = I64.constant(registers.rflags);
    this.#flagResult = resultOfStatus(flags);
    this.#flagCarries = carriesOfStatus(flags);
    this.#systemFlags = registers.rflags & ~STATUS_FLAGS;
    this.#rip = BigInt.asUintN(64, registers.rip + BigInt(instruction.length));
  }

  effects(): Effects | undefined {
    if (this.#failed) return undefined;
    const { registers } = this.#vcpu;
    return {
      writes: [...this.#writes.values()],
      apply: () => {
        this.#gpr.forEach((value, index) => {
          registers.writeGpr(index, value);
        });
        const status = this.#constant(statusWord(this.#flagResult, this.#flagCarries));
        registers.rflags = (this.#systemFlags & ~STATUS_FLAGS) | status | BigInt(RFLAGS_FIXED);
        registers.rip = this.#rip;
      },
    };
  }

  // ---- operands, registers, memory

  operand(index: number): Location {
    const operand = this.#instruction.operands[index];
    switch (operand?.kind) {
      case 'register':
        return operand.high
          ? this.#register(operand.register, 8, 8n)
          : this.#register(operand.register, (operand.size * 8) as Bits, 0n);
      case 'memory':
        return this.memory(this.effectiveAddress(index), (operand.size * 8) as Bits, { of: index });
      case 'immediate':
        return this.#fixed(operand.value, (operand.size * 8) as Bits);
      default:
        return this.#nowhere();
    }
  }

  isMemory(index: number): boolean {
    return this.#instruction.operands[index]?.kind === 'memory';
  }
  isImmediate(index: number): boolean {
    return this.#instruction.operands[index]?.kind === 'immediate';
  }
  isRelative(index: number): boolean {
    return this.#instruction.operands[index]?.kind === 'relative';
  }

  register(register: number, bits: Bits): Location {
    return this.#register(register, bits, 0n);
  }
  ah(): Location {
    return this.#register(0, 8, 8n);
  }

  effectiveAddress(index: number, rspAhead = 0n): I64 {
    const operand = this.#instruction.operands[index];
    if (operand?.kind !== 'memory') return this.#fail();
    const value = (register: number): bigint => {
      if (register === NO_REGISTER) return 0n;
      if (register === RIP) return BigInt.asUintN(64, this.#vcpu.registers.rip + BigInt(this.#instruction.length));
      return this.#gpr[register]! + (register === RSP && register === operand.base ? rspAhead : 0n);
    };
    const sum = value(operand.base) + value(operand.index) * BigInt(operand.scale) + operand.displacement;
    return I64.constant(BigInt.asUintN(this.addressBits, sum));
  }

  linearAddress(address: I64, segment: AccessSegment): I64 {
    return I64.constant(this.#constant(address) + this.#segmentBase(segment));
  }

  memory(address: I64, bits: Bits, segment: AccessSegment): Location {
    const at = BigInt.asUintN(64, this.#constant(address) + this.#segmentBase(segment));
    if (!isCanonical(at)) return this.#nowhere();
    const read = (): bigint => {
      const view = readGuestStruct(this.#vcpu, at, bits / 8);
      if (!view) return this.#constant(this.#fail());
      let value = 0n;
      for (let byte = bits / 8 - 1; byte >= 0; byte--) value = (value << 8n) | BigInt(view.getUint8(byte));
      return value;
    };
    const write = (value: bigint): void => {
      this.#writes.set(at, { address: at, bytes: bits / 8, value: BigInt.asUintN(bits, value) });
    };
    const place = this.#location(bits, read, write);
    return {
      ...place,
      modify: () => {
        const modification = place.modify();
        modification.write(modification.value);
        return modification;
      },
    };
  }

  #segmentBase(segment: AccessSegment): bigint {
    if (typeof segment === 'string') return 0n;
    const operand = this.#instruction.operands[segment.of];
    if (operand?.kind !== 'memory' || (operand.segment !== FS && operand.segment !== GS)) return 0n;
    return this.#vcpu.registers.readSegmentBase(operand.segment);
  }

  vector(): VectorLocation {
    this.#failed = true;
    return { bits: 128, read: () => V128.constant(0n), write: () => {} };
  }
  xmm(): VectorLocation {
    return this.vector();
  }
  vectorMemory(): VectorLocation {
    return this.vector();
  }
  isMmx(): boolean {
    return false;
  }
  x87(): Location {
    return this.#nowhere();
  }
  stackRegister(): undefined {
    return undefined;
  }
  rememberX87(): void {
    this.#failed = true;
  }
  readMxcsr(): I64 {
    return this.#fail();
  }
  writeMxcsr(): void {
    this.#failed = true;
  }

  readSelector(segment: number): I64 {
    return I64.constant(BigInt(this.#vcpu.registers.readSelector(segment)));
  }
  writeSelector(): void {
    this.#failed = true;
  }
  segmentNumber(index: number): number {
    const operand = this.#instruction.operands[index];
    return operand?.kind === 'segment' ? operand.register : ES;
  }
  writeSegmentBase(): void {
    this.#failed = true;
  }

  // ---- values and order: everything is a constant here

  keep(value: I64): I64 {
    return I64.constant(this.#constant(value));
  }
  keepBit(value: I32): I32 {
    return I32.constant(this.#truth(value) ? 1 : 0);
  }
  vectorVariable(): VectorVariable {
    return { get: () => V128.constant(0n), set: () => {} };
  }
  keepVector(value: V128): V128 {
    return value;
  }
  variable(initial: I64): Variable {
    let held = this.keep(initial);
    return {
      get: () => held,
      set: (value) => {
        held = this.keep(value);
      },
    };
  }
  when(condition: I32, then: () => void, otherwise?: () => void): void {
    if (this.#truth(condition)) then();
    else otherwise?.();
  }
  repeatWhile(body: () => I32): void {
    for (let round = 0; round < MOST_ROUNDS; round++) if (!this.#truth(body())) return;
    this.#failed = true;
  }

  // ---- flags

  flagResult(): I64 {
    return this.#flagResult;
  }
  flagCarries(): I64 {
    return this.#flagCarries;
  }
  writeFlags(result: I64, carries: I64): void {
    this.#flagResult = this.keep(result);
    this.#flagCarries = this.keep(carries);
  }
  systemFlags(): I64 {
    return I64.constant(this.#systemFlags);
  }
  writeSystemFlags(value: I64): void {
    this.#systemFlags = this.#constant(value);
  }

  // ---- where execution goes

  nextRip(): I64 {
    return I64.constant(this.#rip);
  }
  again(condition: I32): void {
    if (this.#truth(condition)) this.#rip = this.#vcpu.registers.rip;
  }
  checkTarget(): void {
    this.#failed = true;
  }
  branch(): void {
    this.#failed = true;
  }
  jump(): void {
    this.#failed = true;
  }
  raise(): void {
    this.#failed = true;
  }
  raiseFloat(): void {
    this.#failed = true;
  }
  raiseIf(condition: I32): void {
    if (this.#truth(condition)) this.#failed = true;
  }
  trap(): void {
    this.#failed = true;
  }
  systemCall(): void {
    this.#failed = true;
  }
  pauseIf(): void {
    // Whoever is told of the change by `rflags` sees it in time.
  }
  ask(): readonly I64[] {
    return [this.#fail(), ...Array.from({ length: MOST_ANSWERS }, () => ZERO)];
  }

  // ---- locations

  #register(register: number, bits: Bits, shift: bigint): Location {
    const mask = ((1n << BigInt(bits)) - 1n) << shift;
    return this.#location(
      bits,
      () => (this.#gpr[register]! & mask) >> shift,
      (value) => {
        const part = BigInt.asUintN(bits, value);
        const rest = bits === 32 ? 0n : this.#gpr[register]! & ~mask;
        this.#gpr[register] = rest | (part << shift);
      },
    );
  }

  #fixed(value: bigint, bits: Bits): Location {
    return this.#location(
      bits,
      () => value,
      () => {
        this.#failed = true;
      },
    );
  }

  #nowhere(): Location {
    this.#failed = true;
    return this.#fixed(0n, 64);
  }

  #location(bits: Bits, read: () => bigint, write: (value: bigint) => void): Location {
    const store = (value: I64): void => write(this.#constant(value));
    const readSigned = (): I64 => I64.constant(BigInt.asIntN(bits, read()));
    return {
      bits,
      read: () => I64.constant(read()),
      readSigned,
      write: store,
      modify: (): Modification => ({ value: readSigned(), write: store }),
    };
  }

  #fail(): I64 {
    this.#failed = true;
    return ZERO;
  }

  #constant(value: I64): bigint {
    if (value.constant === undefined) this.#failed = true;
    return value.constant ?? 0n;
  }

  #truth(value: I32): boolean {
    if (value.constant === undefined) this.#failed = true;
    return (value.constant ?? 0) !== 0;
  }
}
