// Exception vectors as dumps word them, and what kind of crash each makes.
// Sources: abi/exceptions.ts; Xen 4.17 arch/x86/traps.c vector_name; Linux arch/x86/kernel/traps.c (names before "[#1]").

import { VECTORS, X86_EXC_DF, X86_EXC_GP, X86_EXC_MC, X86_EXC_PF, X86_EXC_UD } from '../../abi/exceptions.js';
import type { CrashKind, Facts } from '../facts.js';
import { parseNumber } from './format.js';

const KINDS: Readonly<Record<number, CrashKind>> = {
  [X86_EXC_UD]: 'invalid-opcode',
  [X86_EXC_DF]: 'double-fault',
  [X86_EXC_GP]: 'general-protection',
  [X86_EXC_PF]: 'page-fault',
  [X86_EXC_MC]: 'machine-check',
};

export const exceptionKind = (vector: number): CrashKind => KINDS[vector] ?? 'exception';

/** Vectors above those of abi/exceptions.ts that push an error code: #CP, #VC, #SX. SDM 3A table 6-1, AMD APM 2 §8.2. */
const NEWER_WITH_ERROR_CODE: readonly number[] = [21, 29, 30];

/** True when the CPU pushes an error code for this vector: what dumps print for the others means nothing. */
export const hasErrorCode = (vector: number): boolean =>
  VECTORS[vector]?.hasErrorCode ?? NEWER_WITH_ERROR_CODE.includes(vector);

/** The error code, unless the vector has none (Xen then prints 0000, or ffffffff since 4.9). */
export const statedErrorCode = (vector: number, digits: string | undefined): Pick<Facts, 'errorCode'> =>
  digits === undefined || !hasErrorCode(vector) ? {} : { errorCode: parseNumber(digits) };

/** The number of a vector by one of its names, with or without '#': "PF", "page fault", "general protection fault". */
export function vectorByName(name: string): number | undefined {
  const plain = name.replace('#', '').toLowerCase();
  const found = VECTORS.findIndex(
    (facts) => facts && (facts.mnemonic.replace('#', '').toLowerCase() === plain || facts.xenName === plain),
  );
  return found < 0 ? undefined : found;
}
