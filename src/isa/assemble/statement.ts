// What somebody who writes assembly says: one instruction by name, with operands that may be symbols, before a row and
// bytes have been chosen for it. text.ts reads these from lines, assembler.ts collects them, select.ts finds the row.

import { InputError } from '../../base/failures.js';
import type { RegisterOperand } from '../instruction.js';
import { type AnyRegisterOperand, registersByName } from '../registers.js';

/** The address of a symbol plus a number. */
export interface SymbolReference {
  readonly kind: 'symbol';
  readonly name: string;
  readonly addend: bigint;
}

/** A number, read modulo the size that it is used at, or a symbol's address. */
export type Value = bigint | SymbolReference;

/**
 * Memory, as written. With a base of 'rip' (or 'eip', which truncates to 32 bits) a symbol means the place itself, and
 * a number is a distance from the next instruction.
 */
export interface MemoryReference {
  readonly kind: 'reference';
  readonly base?: RegisterOperand | 'rip' | 'eip' | undefined;
  readonly index?: RegisterOperand | undefined;
  readonly scale?: 1 | 2 | 4 | 8 | undefined;
  readonly displacement?: Value | undefined;
  /** FS 4 or GS 5. */
  readonly segment?: number | undefined;
  /** Bytes; needed where no register operand says it. */
  readonly size?: number | undefined;
  /** Displacement bytes to spend even where fewer would do. */
  readonly displacementBytes?: 1 | 4 | undefined;
}

export type StatementOperand = AnyRegisterOperand | MemoryReference | Value;

export interface Statement {
  /** Upper case. */
  readonly mnemonic: string;
  readonly operands: readonly StatementOperand[];
  readonly lock?: boolean | undefined;
  readonly repeat?: 'rep' | 'repne' | undefined;
  /** Asked for beside the operands: `o16 leave`, `a32 movsb`; `gs lodsb` (FS 4, GS 5), where operands are silent. */
  readonly operandSize?: 2 | 4 | 8 | undefined;
  readonly addressSize?: 4 | undefined;
  readonly segment?: number | undefined;
}

/** A general-purpose register by its name, such as 'rax' or 'r8d'. */
export function reg(name: string): RegisterOperand {
  const register = registersByName.get(name);
  if (register?.kind !== 'register') throw new InputError(`${name} is no general-purpose register`);
  return register;
}

/** Memory: `mem({ base: reg('rdi'), index: reg('rcx'), scale: 8, displacement: 16n, size: 8 })`. */
export const mem = (reference: Omit<MemoryReference, 'kind'>): MemoryReference => ({ kind: 'reference', ...reference });

/** The address of a symbol, plus a number. */
export const symbol = (name: string, addend = 0n): SymbolReference => ({ kind: 'symbol', name, addend });
