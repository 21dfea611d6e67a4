// The language in which an instruction's meaning is written, once: `export const not: Meaning = (cpu) => …`.
// A meaning is a program that writes a program: it runs when code is generated, not when the guest runs, and says through
// `Semantics` what the guest's instruction does. Who reads it decides where operands come from: the interpreter fetches them
// out of a decoded record, a compiler has them as constants and registers in locals.
//
// The rule of precise faults: everything that can fault (reading and modifying memory, `raiseIf`, `checkTarget`) comes
// before the first change of a register or of flags. A generator checks this and refuses a meaning that breaks it.
// Sources: SDM 1 "Basic Execution Environment" (§3), SDM 2 "Instruction Format"; lazy flags: flags.ts.

import type { I32, I64 } from './expression.js';
import type { V128 } from './vector.js';

/** Writes down what an instruction does. */
export type Meaning = (cpu: Semantics) => void;

/** A size in bits of an integer that an instruction works on. */
export type Bits = 8 | 16 | 32 | 64;

/** The segment of a memory access: that of operand `of`, or the stack's (a non-canonical address is #SS), or plain data. */
export type AccessSegment = { readonly of: number } | 'stack' | 'data';

/** A register, a place in memory or an immediate: an operand, or one that the instruction implies. */
export interface Location {
  readonly bits: Bits;
  /** The value, zero-extended. */
  read(): I64;
  /** The value, sign-extended. */
  readSigned(): I64;
  /** Stores the low `bits` bits. A 32-bit register is zero-extended; 8 and 16 bits leave the rest alone. Memory may fault. */
  write(value: I64): void;
  /** Reads with the intention to write: faults now if the write would, so that `write` on the result never does. */
  modify(): Modification;
}

/** A location that has been read and is sure to be writable. */
export interface Modification {
  /** The value, sign-extended. */
  readonly value: I64;
  write(value: I64): void;
}

/** A size in bits of a vector, or of the part of one that is used. */
export type VectorBits = Bits | 128;

/** An XMM or MMX register, or a place in memory, as a vector. */
export interface VectorLocation {
  readonly bits: VectorBits;
  /** The value, zero-extended. */
  read(): V128;
  /** Stores the low `bits` bits and leaves the rest of a register alone. Memory may fault. */
  write(value: V128): void;
}

/** A value that changes while an instruction runs (ENTER's pointers). */
export interface Variable {
  get(): I64;
  set(value: I64): void;
}

/**
 * What only the platform knows. Arguments and answers:
 * `cpuid` leaf, subleaf → eax, ebx, ecx, edx · `tsc` → count · `tscAux` → TSC_AUX · `xgetbv` index → known (1), value ·
 * `descriptor` selector → found (1), the descriptor's 8 bytes · `gdt`, `idt` → limit, base · `ldtr`, `tr`, `msw` → value ·
 * `x87` operation and stack register (x87/operations.ts), low and high word of an operand → four words, of which each
 * operation says what they are; it changes the x87's registers, status and tags at once, and so comes last ·
 * `divideUnsigned`, `divideSigned` high, low, divisor (64 bits each) → fits (1), quotient, remainder ·
 * `compareStrings` first string's low and high half, second's, their lengths, immediate (string-compare.ts) → one bit for
 * each character, status flags ·
 * `float` operation (softfloat/vector-operations.ts), MXCSR, first operand's low and high half, second's, immediate →
 * result's low and high half, MXCSR with flags, whether an exception is not masked (1) · `barrier` → nothing:
 * asking, like asking for anything but arithmetic, keeps speculation from going on behind the instruction.
 */
export type Service =
  | 'x87'
  | 'cpuid'
  | 'tsc'
  | 'tscAux'
  | 'xgetbv'
  | 'descriptor'
  | 'gdt'
  | 'idt'
  | 'ldtr'
  | 'tr'
  | 'msw'
  | 'divideUnsigned'
  | 'divideSigned'
  | 'compareStrings'
  | 'barrier'
  | 'float';

/** What the x87 has beside its registers (x87/state.ts); the address of the last operand, and its segment's selector. */
export type X87Word =
  | 'control'
  | 'status'
  | 'tags'
  | 'opcode'
  | 'instruction'
  | 'operand'
  | 'codeSegment'
  | 'dataSegment';

export interface VectorVariable {
  get(): V128;
  set(value: V128): void;
}

/** Whether 16 bytes of memory must begin at a multiple of 16, or raise #GP(0). */
export type Alignment = 'aligned' | 'unaligned';

export interface Semantics {
  // ---- what the form of the instruction says: constants while code is generated

  /** The operand size. */
  readonly bits: Bits;
  readonly addressBits: 32 | 64;
  /** Of Jcc, SETcc, CMOVcc: 0..15; otherwise -1. */
  readonly condition: number;
  readonly repeat: 'rep' | 'repne' | undefined;
  readonly operandCount: number;

  // ---- operands, registers, memory

  operand(index: number): Location;
  isMemory(index: number): boolean;
  isImmediate(index: number): boolean;
  /** Whether the operand is a near branch target. */
  isRelative(index: number): boolean;
  /** A general register by encoding number. */
  register(register: number, bits: Bits): Location;
  /** Bits 15:8 of rAX. */
  ah(): Location;
  /**
   * The address that a memory operand says, in its address size, without a segment's base. `rspAhead` is added where the
   * base is rSP: POP counts from behind what it pops.
   */
  effectiveAddress(index: number, rspAhead?: bigint): I64;
  /** The address with the segment's base added: what the SDM calls linear. */
  linearAddress(address: I64, segment: AccessSegment): I64;
  /** Memory at an effective address. */
  memory(address: I64, bits: Bits, segment: AccessSegment): Location;
  /** An operand as a vector. 16 bytes of memory are aligned, unless it says otherwise. */
  vector(index: number, alignment?: Alignment): VectorLocation;
  /** Whether the operand is an MMX register. */
  isMmx(index: number): boolean;
  /** An XMM register by number. */
  xmm(register: number): VectorLocation;
  /** Memory at an effective address, as a vector. */
  vectorMemory(address: I64, bits: VectorBits, segment: AccessSegment, alignment?: Alignment): VectorLocation;
  x87(word: X87Word): Location;
  /** The number of an operand that is an x87 register, counted from the top of the stack; undefined of others. */
  stackRegister(index: number): number | undefined;
  /** Notes the instruction, and where its memory operand is (if `operand` is one), for the handler of an x87 exception. */
  rememberX87(operand?: number): void;
  readMxcsr(): I64;
  writeMxcsr(value: I64): void;
  readSelector(segment: number): I64;
  writeSelector(segment: number, selector: I64): void;
  /** The number of a segment-register operand: ES 0 … GS 5. */
  segmentNumber(index: number): number;
  /** FS or GS. */
  writeSegmentBase(segment: number, base: I64): void;

  // ---- values and order

  /** The expression's value, worked out here, for any number of uses. */
  keep(value: I64): I64;
  keepBit(value: I32): I32;
  keepVector(value: V128): V128;
  variable(initial: I64): Variable;
  vectorVariable(initial: V128): VectorVariable;
  when(condition: I32, then: () => void, otherwise?: () => void): void;
  /** Runs `body`, and again for as long as the condition that it returns is not 0. */
  repeatWhile(body: () => I32): void;

  // ---- flags, as flags.ts draws them

  /** The result word: sign-extended result of the last operation. */
  flagResult(): I64;
  /** The carry word. */
  flagCarries(): I64;
  writeFlags(result: I64, carries: I64): void;
  /** The other flags (TF IF DF IOPL NT RF VM AC ID …) at their places in RFLAGS; the six arithmetic ones are 0 here. */
  systemFlags(): I64;
  writeSystemFlags(value: I64): void;

  // ---- where execution goes

  /** The address of the next instruction. */
  nextRip(): I64;
  /** Goes to relative operand `index`, if the condition holds. */
  branch(index: number, condition?: I32): void;
  /** #GP(0) unless the address is canonical; use before anything is changed. */
  checkTarget(target: I64): void;
  /** Goes to an address that was checked. */
  jump(target: I64): void;
  /** Does the same instruction once more, if the condition holds: the next iteration of REP. */
  again(condition: I32): void;
  /** Raises a fault: rip stays at this instruction, nothing is changed. */
  raise(vector: number, errorCode?: I64): void;
  raiseIf(condition: I32, vector: number, errorCode?: I64): void;
  /** Raises #XM; all that changes is MXCSR, whose flags say why. */
  raiseFloat(mxcsr: I64): void;
  /** Raises a trap: this instruction is done and rip is behind it. */
  trap(vector: number): void;
  /** This instruction is done, rip is behind it, and the hypervisor is called. */
  systemCall(): void;

  /** When this instruction is done the run ends, if the condition holds, so that others see the change (of TF) in time. */
  pauseIf(condition: I32): void;

  /** Asks the platform; see `Service`. Precedes every change of state. */
  ask(service: Service, ...values: readonly I64[]): readonly I64[];
}
