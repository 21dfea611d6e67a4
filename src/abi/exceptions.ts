// Exception vectors: number, mnemonic, the name Xen 4.1 prints, and whether the CPU pushes an error code.
// Sources: SDM 3A "Interrupt and Exception Handling" (table 6-1); Xen 4.1 arch/x86/traps.c (names).

export const X86_EXC_DE = 0;
export const X86_EXC_DB = 1;
export const X86_EXC_NMI = 2;
export const X86_EXC_BP = 3;
export const X86_EXC_OF = 4;
export const X86_EXC_BR = 5;
export const X86_EXC_UD = 6;
export const X86_EXC_NM = 7;
export const X86_EXC_DF = 8;
export const X86_EXC_TS = 10;
export const X86_EXC_NP = 11;
export const X86_EXC_SS = 12;
export const X86_EXC_GP = 13;
export const X86_EXC_PF = 14;
export const X86_EXC_MF = 16;
export const X86_EXC_AC = 17;
export const X86_EXC_MC = 18;
export const X86_EXC_XM = 19;

/** An exception as the CPU raises it; a value, never thrown past the engine. */
export interface CpuException {
  readonly vector: number;
  /** What the CPU would push, or undefined for vectors without an error code. */
  readonly errorCode?: number;
  /** #PF only: the address that goes to CR2. */
  readonly vaddr?: bigint;
  /** INT n, INT3, INTO: a trap, whose saved rip is behind the instruction. rip is then already there. */
  readonly software?: boolean;
}

export interface VectorFacts {
  readonly mnemonic: string;
  readonly hasErrorCode: boolean;
  /** The wording of Xen 4.1 to 4.16 in "Unhandled %s fault/trap". */
  readonly xenName: string;
}

const facts = (mnemonic: string, xenName: string, hasErrorCode = false): VectorFacts => ({
  mnemonic,
  hasErrorCode,
  xenName,
});

/** By vector number; vectors that the architecture reserves are undefined. */
export const VECTORS: readonly (VectorFacts | undefined)[] = [
  facts('#DE', 'divide error'),
  facts('#DB', 'debug'),
  facts('NMI', 'nmi'),
  facts('#BP', 'bkpt'),
  facts('#OF', 'overflow'),
  facts('#BR', 'bounds'),
  facts('#UD', 'invalid opcode'),
  facts('#NM', 'device not available'),
  facts('#DF', 'double fault', true),
  facts('#CSO', 'coprocessor segment'),
  facts('#TS', 'invalid tss', true),
  facts('#NP', 'segment not found', true),
  facts('#SS', 'stack error', true),
  facts('#GP', 'general protection fault', true),
  facts('#PF', 'page fault', true),
  undefined,
  facts('#MF', 'coprocessor error'),
  facts('#AC', 'alignment check', true),
  facts('#MC', 'machine check'),
  facts('#XM', 'simd error'),
];
