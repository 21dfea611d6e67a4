// What an instruction does to memory, worked out from the registers of a dump: the instruction's own meaning (isa/meaning) is
// run with the registers as constants, and whatever folds to a constant is known. A register that the dump does not show,
// and everything that comes from memory, is unknown, and so is what is computed from it.
// Leaves out instructions that isa has no row for, and the values of vectors.

import { RFLAGS_DF } from '../../abi/registers.js';
import type { Instruction, MemoryOperand } from '../../isa/instruction.js';
import { NO_REGISTER, RIP } from '../../isa/instruction.js';
import { I32, I64 } from '../../isa/meaning/expression.js';
import type {
  AccessSegment,
  Bits,
  Location,
  Modification,
  Semantics,
  Variable,
  VectorBits,
  VectorLocation,
  VectorVariable,
} from '../../isa/meaning/semantics.js';
import { V128 } from '../../isa/meaning/vector.js';

/** One access to memory, in the order in which the instruction makes them. */
export interface MemoryAccess {
  readonly kind: 'read' | 'write' | 'read-write';
  /** The linear address where the dump's registers tell it. */
  readonly address: bigint | undefined;
  readonly bytes: number;
  /** The operand behind it; undefined for what the instruction implies (a push's stack slot). */
  readonly operand: number | undefined;
  readonly onStack: boolean;
  /** False when it depends on something unknown whether the access is made. */
  readonly certain: boolean;
}

/** What the dump knows of registers, by encoding number, and of segment bases. */
export interface KnownRegisters {
  readonly gpr: (register: number) => bigint | undefined;
  /** The address of the instruction behind this one. */
  readonly nextRip: bigint | undefined;
  readonly rflags: bigint | undefined;
  /** FS 4, GS 5. */
  readonly segmentBase: (segment: number) => bigint | undefined;
}

/** The memory accesses of an instruction, and where a jump or call goes if registers tell. */
export interface Effects {
  readonly accesses: readonly MemoryAccess[];
  /** Where it would go on: of jumps and calls. */
  readonly target: bigint | undefined;
  /** The value it would have stored, where one store of a known value is made. */
  readonly stored: bigint | undefined;
  /** The exception that the instruction raises by itself (UD2, INT3). */
  readonly raises: number | undefined;
}

export function effectsOf(instruction: Instruction, known: KnownRegisters): Effects {
  const recorder = new Recorder(instruction, known);
  instruction.row.means(recorder);
  const writes = recorder.accesses.filter(({ kind }) => kind !== 'read');
  return {
    accesses: recorder.accesses,
    target: recorder.target,
    stored: writes.length === 1 ? recorder.stored : undefined,
    raises: recorder.raises,
  };
}

const FS = 4;
const GS = 5;

/** An expression of which nothing is known. It is never emitted. */
const unknown = (): I64 => I64.of(() => {}, { reusable: true });
const unknownVector = (): V128 => V128.of(() => {}, { reusable: true });
const unknownBit = (): I32 => I32.of(() => {}, { reusable: true });
const constantOrUnknown = (value: bigint | undefined): I64 => (value === undefined ? unknown() : I64.constant(value));

/** Takes down what a meaning does, and does nothing. */
class Recorder implements Semantics {
  readonly accesses: MemoryAccess[] = [];
  target: bigint | undefined;
  stored: bigint | undefined;
  raises: number | undefined;

  readonly bits: Bits;
  readonly addressBits: 32 | 64;
  readonly condition: number;
  readonly repeat: 'rep' | 'repne' | undefined;
  readonly operandCount: number;

  private readonly instruction: Instruction;
  private readonly known: KnownRegisters;
  /** Registers that the instruction itself has written. */
  private readonly written = new Map<number, bigint | undefined>();
  private uncertain = 0;

  constructor(instruction: Instruction, known: KnownRegisters) {
    this.instruction = instruction;
    this.known = known;
    this.bits = (instruction.operandSize * 8) as Bits;
    this.addressBits = (instruction.addressSize * 8) as 32 | 64;
    this.condition = instruction.row.condition;
    this.repeat = instruction.repeat;
    this.operandCount = instruction.operands.length;
  }

  operand(index: number): Location {
    const operand = this.instruction.operands[index];
    switch (operand?.kind) {
      case 'register':
        return this.registerLocation(operand.register, (operand.size * 8) as Bits, operand.high ? 8n : 0n);
      case 'memory':
        return this.memoryLocation(
          this.linearAddress(this.effectiveAddress(index), { of: index }),
          operand.size,
          index,
          false,
        );
      case 'immediate':
        return new RecordedLocation(
          (operand.size * 8) as Bits,
          () => operand.value,
          () => {},
        );
      default:
        return new RecordedLocation(
          this.bits,
          () => undefined,
          () => {},
        );
    }
  }
  isMemory(index: number): boolean {
    return this.instruction.operands[index]?.kind === 'memory';
  }
  isImmediate(index: number): boolean {
    return this.instruction.operands[index]?.kind === 'immediate';
  }
  isRelative(index: number): boolean {
    return this.instruction.operands[index]?.kind === 'relative';
  }
  register(register: number, bits: Bits): Location {
    return this.registerLocation(register, bits, 0n);
  }
  ah(): Location {
    return this.registerLocation(0, 8, 8n);
  }
  effectiveAddress(index: number, rspAhead = 0n): I64 {
    const operand = this.instruction.operands[index] as MemoryOperand;
    const base = operand.base === NO_REGISTER ? 0n : operand.base === RIP ? this.known.nextRip : this.gpr(operand.base);
    const scaled = operand.index === NO_REGISTER ? 0n : this.gpr(operand.index);
    if (base === undefined || scaled === undefined) return unknown();
    const ahead = operand.base === 4 ? rspAhead : 0n;
    const sum = base + ahead + scaled * BigInt(operand.scale) + operand.displacement;
    return I64.constant(BigInt.asUintN(this.addressBits, sum));
  }
  linearAddress(address: I64, segment: AccessSegment): I64 {
    if (typeof segment !== 'object') return address;
    const operand = this.instruction.operands[segment.of];
    const number = operand?.kind === 'memory' ? operand.segment : -1;
    if (number !== FS && number !== GS) return address;
    const base = this.known.segmentBase(number);
    return base === undefined || address.constant === undefined ? unknown() : address.add(base);
  }
  memory(address: I64, bits: Bits, segment: AccessSegment): Location {
    const operand = typeof segment === 'object' ? segment.of : undefined;
    return this.memoryLocation(this.linearAddress(address, segment), bits / 8, operand, segment === 'stack');
  }
  vector(index: number): VectorLocation {
    const operand = this.instruction.operands[index];
    if (operand?.kind !== 'memory') return this.xmm();
    return this.vectorMemory(this.effectiveAddress(index), (operand.size * 8) as VectorBits, { of: index });
  }
  xmm(): VectorLocation {
    return { bits: 128, read: unknownVector, write: () => {} };
  }
  vectorMemory(address: I64, bits: VectorBits, segment: AccessSegment): VectorLocation {
    const operand = typeof segment === 'object' ? segment.of : undefined;
    const place = this.memoryLocation(this.linearAddress(address, segment), bits / 8, operand, segment === 'stack');
    return {
      bits,
      read: () => {
        place.read();
        return unknownVector();
      },
      write: () => place.write(unknown()),
    };
  }
  isMmx(index: number): boolean {
    return this.instruction.operands[index]?.kind === 'mm';
  }
  x87(): Location {
    return {
      bits: 64,
      read: unknown,
      readSigned: unknown,
      write: () => {},
      modify: () => ({ value: unknown(), write: () => {} }),
    };
  }
  stackRegister(index: number): number | undefined {
    const operand = this.instruction.operands[index];
    return operand?.kind === 'st' ? operand.register : undefined;
  }
  rememberX87(): void {}
  readMxcsr(): I64 {
    return unknown();
  }
  writeMxcsr(): void {}
  readSelector(): I64 {
    return unknown();
  }
  writeSelector(): void {}
  segmentNumber(index: number): number {
    const operand = this.instruction.operands[index];
    return operand?.kind === 'segment' ? operand.register : -1;
  }
  writeSegmentBase(): void {}

  keep(value: I64): I64 {
    return value.constant === undefined ? unknown() : value;
  }
  keepBit(value: I32): I32 {
    return value.constant === undefined ? unknownBit() : value;
  }
  vectorVariable(): VectorVariable {
    return { get: unknownVector, set: () => {} };
  }
  keepVector(): V128 {
    return unknownVector();
  }
  variable(initial: I64): Variable {
    let value = initial;
    return {
      get: () => this.keep(value),
      set: (next) => {
        value = this.keep(next);
      },
    };
  }
  when(condition: I32, then: () => void, otherwise?: () => void): void {
    if (condition.constant === undefined) {
      this.uncertain++;
      then();
      otherwise?.();
      this.uncertain--;
    } else if (condition.constant !== 0) then();
    else otherwise?.();
  }
  /** Once: what a further turn does depends on what the first found. */
  repeatWhile(body: () => I32): void {
    body();
  }

  flagResult(): I64 {
    return unknown();
  }
  flagCarries(): I64 {
    return unknown();
  }
  writeFlags(): void {}
  systemFlags(): I64 {
    return this.known.rflags === undefined ? unknown() : I64.constant(this.known.rflags & BigInt(RFLAGS_DF));
  }
  writeSystemFlags(): void {}

  nextRip(): I64 {
    return constantOrUnknown(this.known.nextRip);
  }
  branch(index: number): void {
    const operand = this.instruction.operands[index];
    if (operand?.kind === 'relative' && this.known.nextRip !== undefined)
      this.target = BigInt.asUintN(64, this.known.nextRip + BigInt(operand.displacement));
  }
  checkTarget(target: I64): void {
    this.target = target.constant;
  }
  jump(target: I64): void {
    this.target = target.constant;
  }
  again(): void {}
  raise(vector: number): void {
    if (this.uncertain === 0) this.raises = vector;
  }
  raiseIf(condition: I32, vector: number): void {
    if (condition.constant) this.raise(vector);
  }
  raiseFloat(): void {}
  trap(vector: number): void {
    this.raise(vector);
  }
  pauseIf(): void {}
  systemCall(): void {}
  /** More answers than any service gives. */
  ask(): readonly I64[] {
    return Array.from({ length: 8 }, unknown);
  }

  private gpr(register: number): bigint | undefined {
    return this.written.has(register) ? this.written.get(register) : this.known.gpr(register);
  }

  private registerLocation(register: number, bits: Bits, shift: bigint): Location {
    const read = (): bigint | undefined => {
      const whole = this.gpr(register);
      return whole === undefined ? undefined : BigInt.asUintN(bits, whole >> shift);
    };
    const write = (value: bigint | undefined): void => {
      const whole = this.gpr(register);
      const part = value === undefined ? undefined : BigInt.asUintN(bits, value);
      if (bits >= 32 || part === undefined || whole === undefined)
        this.written.set(register, bits >= 32 ? part : undefined);
      else {
        const mask = ((1n << BigInt(bits)) - 1n) << shift;
        this.written.set(register, (whole & ~mask) | (part << shift));
      }
    };
    return new RecordedLocation(bits, read, write);
  }

  private memoryLocation(address: I64, bytes: number, operand: number | undefined, onStack: boolean): Location {
    const record = (kind: MemoryAccess['kind']): void => {
      if (bytes === 0) return;
      const known = address.constant === undefined ? undefined : BigInt.asUintN(64, address.constant);
      this.accesses.push({ kind, address: known, bytes, operand, onStack, certain: this.uncertain === 0 });
    };
    return new RecordedLocation(
      Math.min(bytes * 8, 64) as Bits,
      () => {
        record('read');
        return undefined;
      },
      (value) => {
        record('write');
        this.stored = value === undefined ? undefined : BigInt.asUintN(Math.min(bytes * 8, 64), value);
      },
      () => record('read-write'),
    );
  }
}

class RecordedLocation implements Location {
  readonly bits: Bits;
  private readonly readValue: () => bigint | undefined;
  private readonly writeValue: (value: bigint | undefined) => void;
  private readonly beforeModify: (() => void) | undefined;

  constructor(
    bits: Bits,
    readValue: () => bigint | undefined,
    writeValue: (value: bigint | undefined) => void,
    beforeModify?: () => void,
  ) {
    this.bits = bits;
    this.readValue = readValue;
    this.writeValue = writeValue;
    this.beforeModify = beforeModify;
  }
  read(): I64 {
    return constantOrUnknown(this.readValue());
  }
  readSigned(): I64 {
    const value = this.readValue();
    return value === undefined ? unknown() : I64.constant(BigInt.asIntN(this.bits, value));
  }
  write(value: I64): void {
    this.writeValue(value.constant);
  }
  modify(): Modification {
    if (this.beforeModify) {
      this.beforeModify();
      return { value: unknown(), write: () => {} };
    }
    return { value: this.readSigned(), write: (value) => this.writeValue(value.constant) };
  }
}
