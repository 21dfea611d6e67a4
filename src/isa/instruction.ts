// The words that everybody in the house uses about instructions: what a row of the table holds (what an instruction is)
// and what a decoded instruction holds (what these bytes say). How a row is written down: row.ts and docs/isa.md.
// Sources: SDM 2 "Instruction Format" (2.1–2.2), "Key to Abbreviations" (Appendix A.2).
// Leaves out: the VEX, EVEX and XOP encodings, and wider vector registers, which come as further row fields.

import type { Meaning } from './meaning/semantics.js';

/** A size in bytes of a general-purpose register or an immediate. */
export type IntegerSize = 1 | 2 | 4 | 8;

/** Which processors have the instruction: the name of its CPUID feature flag, as the SDM spells it. */
export type CpuidFeature =
  | 'ADX'
  | 'BMI1'
  | 'CLFLUSHOPT'
  | 'CLFSH'
  | 'CLWB'
  | 'CMPXCHG16B'
  | 'CX8'
  | 'FPU'
  | 'FSGSBASE'
  | 'FXSR'
  | 'INVPCID'
  | 'LZCNT'
  | 'MMX'
  | 'MONITOR'
  | 'MOVBE'
  | 'POPCNT'
  | 'PREFETCHW'
  | 'RDRAND'
  | 'RDSEED'
  | 'RDTSCP'
  | 'SMAP'
  | 'SSE'
  | 'SSE2'
  | 'SSE3'
  | 'SSE4_1'
  | 'SSE4_2'
  | 'SSSE3'
  | 'WBNOINVD'
  | 'XSAVE';

/** One operand as a row names it, e.g. `Ev`: where it is found (`E`) and how wide it is (`v`). See docs/isa.md. */
export interface OperandSpec {
  /** As written in the row. */
  readonly text: string;
  readonly source: OperandSource;
  readonly width: OperandWidth;
  /** The register's encoding number when the row fixes it (`AL`, `DX`, `FS`), the value of a `1`; otherwise -1. */
  readonly fixed: number;
}

/**
 * Where an operand is found; the SDM's letters, and names for what the row itself fixes:
 * E ModRM.rm register or memory · R only register · M only memory · G ModRM.reg · S segment, C control, D debug
 * register in ModRM.reg · Z register in the opcode's low three bits · I immediate · Is sign-extended immediate · J
 * relative target · O memory at an address in the instruction · X [rSI] · Y [rDI] · B [rBX] · T [rDI] in DS.
 * x87 registers: ST the top of the stack · STi the one that ModRM.rm counts from there.
 * SSE registers: V ModRM.reg · W ModRM.rm or memory · U ModRM.rm only. MMX registers: P, Q and N in the same way.
 */
export type OperandSource =
  | 'E'
  | 'R'
  | 'M'
  | 'G'
  | 'S'
  | 'C'
  | 'D'
  | 'Z'
  | 'I'
  | 'Is'
  | 'J'
  | 'O'
  | 'X'
  | 'Y'
  | 'B'
  | 'T'
  | 'V'
  | 'W'
  | 'U'
  | 'P'
  | 'Q'
  | 'N'
  | 'ST'
  | 'STi'
  | 'fixed-register'
  | 'fixed-segment'
  | 'one';

/**
 * How large an operand is; the SDM's letters: b byte · w word · d doubleword · q quadword · dq 16 bytes · v the operand
 * size (2, 4, 8) · z 2 or 4 (4 for operand size 8) · y 4 or 8 (8 only with REX.W) · p far pointer (2 bytes of selector
 * after v of offset) · s descriptor-table register (2 bytes of limit, 8 of base) · none for operands with no access
 * behind them (LEA). Of vectors: ps, pd 16 bytes of 32-bit or 64-bit floats · ss, sd one such float, the lowest · fx what
 * FXSAVE saves, 512 bytes. Of the x87: t 10 bytes, a number of 80 bits or packed decimals · fe its environment, 14 or 28
 * bytes by operand size (FNSTENV) · fs the same and all registers, 94 or 108 bytes (FNSAVE). Of a vector register that is the part which is used.
 */
export type OperandWidth =
  | 'b'
  | 'w'
  | 'd'
  | 'q'
  | 'dq'
  | 'v'
  | 'z'
  | 'y'
  | 'p'
  | 's'
  | 'ps'
  | 'pd'
  | 'ss'
  | 'sd'
  | 'fx'
  | 't'
  | 'fe'
  | 'fs'
  | 'none';

/** The opcode maps: one-byte, 0F, 0F 38, 0F 3A. */
export type OpcodeMap = 0 | 1 | 2 | 3;

/** What the bytes of an instruction must be for a row to be the one. */
export interface Encoding {
  readonly map: OpcodeMap;
  /** The first opcode when `opcodeRegister`: the low three bits then name a register. */
  readonly opcode: number;
  readonly opcodeRegister: boolean;
  readonly modrm: boolean;
  /** A ModRM byte matches when `(byte & modrmMask) === modrmValue`; see also `form`. */
  readonly modrmMask: number;
  readonly modrmValue: number;
  /**
   * Whether ModRM must name a register (mod = 3), must name memory, or may do either; 'ignored': it names a register
   * whatever mod says.
   */
  readonly form: 'register' | 'memory' | 'either' | 'ignored';
  /**
   * What 66, F2 and F3 must be. 'any': they do not choose between rows. 'NP': none of them. 'NFx': neither F2 nor F3.
   * '66', 'F2', 'F3': that one is part of the opcode; beside F2 or F3, 66 is an ordinary operand-size prefix.
   */
  readonly mandatory: 'any' | 'NP' | 'NFx' | '66' | 'F2' | 'F3';
  /** The only operand size (2, 4, 8) or address size (4, 8) with which the row is meant; 0 for any. */
  readonly operandSize: 0 | 2 | 4 | 8;
  readonly addressSize: 0 | 4 | 8;
  /** REX.B must be clear: 90 is NOP, 41 90 exchanges r8d and eax. */
  readonly rexBClear: boolean;
}

/** One form of one instruction, as the SDM's opcode tables list it. Decoder, assembler, printer and engine read it. */
export interface Row {
  /** Position in `rows`: dense, so that others can keep tables of their own beside it. */
  readonly index: number;
  /** Upper case, as the SDM writes it; a form whose name depends on size has a row for each (CBW, CWDE, CDQE). */
  readonly mnemonic: string;
  /** As written in the row: `Eb,Gb`. */
  readonly operandText: string;
  /** As written in the row: `00 /r`. */
  readonly encodingText: string;
  readonly operands: readonly OperandSpec[];
  readonly encoding: Encoding;
  readonly means: Meaning;
  /** The condition of Jcc, SETcc and CMOVcc, 0 (overflow) to 15 (greater); -1 for all others. */
  readonly condition: number;
  /** LOCK is allowed when the destination is memory; on every other row it is #UD. */
  readonly lockable: boolean;
  /** F2/F3 repeat it: 'count' until rCX is 0 (MOVS), 'compare' until rCX is 0 or ZF says so (CMPS); 'none' never. */
  readonly repeats: 'none' | 'count' | 'compare';
  /**
   * The operand size in 64-bit mode: 'prefix' 4, 66 makes it 2, REX.W 8 · 'y' 4, REX.W 8 · 'd64' 8, 66 makes it 2 · 'f64' always 8 ·
   * 'byte' always 1.
   */
  readonly sizing: 'prefix' | 'y' | 'd64' | 'f64' | 'byte';
  /**
   * Whose registers it works on: with 'x87', 'mmx' and 'sse' it is #NM while CR0.TS is set; 'mmx' and 'x87' raise a pending
   * x87 exception (#MF), and 'mmx' leaves all x87 registers valid and TOP 0.
   */
  readonly unit: 'integer' | 'x87' | 'mmx' | 'sse';
  /** Who may run it: 'cpl0' (else #GP), 'iopl' (else #GP unless IOPL or the I/O map allows it). */
  readonly privilege: 'none' | 'cpl0' | 'iopl';
  readonly cpuid: CpuidFeature | undefined;
  /** The operands are not written, as the mnemonic says them (MOVSB's [rDI] and [rSI]). */
  readonly silent: boolean;
  /** The assembler chooses another row unless this one is asked for: a second encoding of the same thing. */
  readonly alias: boolean;
}

export type Operand =
  | RegisterOperand
  | VectorOperand
  | StackOperand
  | MemoryOperand
  | ImmediateOperand
  | RelativeOperand
  | SegmentOperand
  | ControlOperand
  | DebugOperand;

export interface RegisterOperand {
  readonly kind: 'register';
  /** Encoding number of the 64-bit register that it is part of, 0..15 (base/registers.ts). */
  readonly register: number;
  readonly size: IntegerSize;
  /** Bits 15:8 of the register: AH, CH, DH, BH, as register 0..3. */
  readonly high: boolean;
}

/** XMM0 to XMM15, or MM0 to MM7. */
export interface VectorOperand {
  readonly kind: 'xmm' | 'mm';
  readonly register: number;
}

/** An x87 register: ST(0) to ST(7), counted from the top of the stack. */
export interface StackOperand {
  readonly kind: 'st';
  readonly register: number;
}

/** The address is base + index * scale + displacement, truncated to the address size, plus the base of FS or GS. */
export interface MemoryOperand {
  readonly kind: 'memory';
  /** Register number 0..15; RIP (16) for the address of the next instruction; NO_REGISTER (-1). */
  readonly base: number;
  /** Register number 0..15, or NO_REGISTER. (XLAT adds AL by itself: its operand is plain [rBX].) */
  readonly index: number;
  /** 1 when there is no index. */
  readonly scale: 1 | 2 | 4 | 8;
  /** Sign-extended: in [-2^63, 2^63). */
  readonly displacement: bigint;
  /**
   * The segment in use: FS or GS where overridden, otherwise SS for a base of rSP or rBP and DS (ES for [rDI] of string
   * instructions). In 64-bit mode only FS and GS have a base; SS matters for which fault a non-canonical address is.
   */
  readonly segment: number;
  /**
   * Bytes accessed: 1, 2, 4, 8, 16, 6 or 10 for far pointers, 10 for table registers and numbers of 80 bits, 512 for
   * FXSAVE, 14 to 108 for FNSTENV and FNSAVE; 0 when nothing is accessed.
   */
  readonly size: number;
}

export interface ImmediateOperand {
  readonly kind: 'immediate';
  /** The value as the instruction uses it: extended to `size` bytes, read as unsigned. */
  readonly value: bigint;
  readonly size: IntegerSize;
}

/** A near branch target: the address of the next instruction plus this. */
export interface RelativeOperand {
  readonly kind: 'relative';
  /** Sign-extended from 8 or 32 bits. */
  readonly displacement: number;
}

export interface SegmentOperand {
  readonly kind: 'segment';
  /** ES 0 … GS 5. */
  readonly register: number;
}

export interface ControlOperand {
  readonly kind: 'control';
  readonly register: number;
}

export interface DebugOperand {
  readonly kind: 'debug';
  readonly register: number;
}

export const RIP = 16;
export const NO_REGISTER = -1;

/** What a run of bytes says. */
export interface Instruction {
  readonly row: Row;
  /** Bytes, 1..15. */
  readonly length: number;
  /** 1 for the byte forms; otherwise what prefixes, REX.W and the row's `sizing` give. */
  readonly operandSize: IntegerSize;
  readonly addressSize: 4 | 8;
  readonly lock: boolean;
  /**
   * What F2/F3 mean here: 'rep' (F3; for CMPS and SCAS: while equal) or 'repne' (F2 on CMPS and SCAS: while not equal);
   * undefined where the row does not repeat. A row that repeats by count alone gives 'rep' for both, as processors do.
   */
  readonly repeat: 'rep' | 'repne' | undefined;
  /** As the row lists them. */
  readonly operands: readonly Operand[];
  /** For printing: the last F2 or F3 byte that is no part of the opcode, with an effect here or without; 0 when none. */
  readonly repeatPrefix: 0 | 0xf2 | 0xf3;
  /** For printing: the segment that the last override byte names, with an effect here or without; -1 when none. */
  readonly segmentPrefix: number;
  /** The ModRM byte, or 0: the x87 remembers it. */
  readonly modrm: number;
  /** For printing, and encoding the same again: bytes of displacement behind ModRM, be it more than it needs. */
  readonly displacementBytes: 0 | 1 | 4;
}

/**
 * Why bytes are no instruction: 'invalid' no row, or LOCK where it is not allowed (#UD) · 'truncated' the bytes end
 * before the instruction does · 'too-long' more than 15 bytes (#GP).
 */
export type DecodeFailure = 'invalid' | 'truncated' | 'too-long';

/** The longest instruction: SDM 2 "Instruction Prefixes" (2.3.11 says the same of VEX). */
export const MAX_INSTRUCTION_BYTES = 15;
