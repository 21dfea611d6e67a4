// What the SDM leaves undefined: flags and, rarely, registers that a vector's replay need not reproduce. SDM 2A–2C, "Flags
// Affected" under each mnemonic; SDM 1 "EFLAGS Cross-Reference" (appendix A).

import type { Instruction } from '../../src/isa/index.js';
import type { Vector } from './vectors.js';

const [CF, PF, AF, ZF, SF, OF] = [1, 4, 0x10, 0x40, 0x80, 0x800] as const;

export interface UndefinedParts {
  readonly flags: number;
  readonly registers: readonly number[];
}

const flags = (value: number): UndefinedParts => ({ flags: value, registers: [] });

export function undefinedParts(instruction: Instruction, vector: Vector): UndefinedParts {
  const { mnemonic } = instruction.row;
  if (/^(AND|OR|XOR|TEST)$/.test(mnemonic)) return flags(AF);
  if (/^(MUL|IMUL)$/.test(mnemonic)) return flags(SF | ZF | AF | PF);
  if (/^(DIV|IDIV)$/.test(mnemonic)) return flags(CF | OF | SF | ZF | AF | PF);
  if (/^BT[SRC]?$/.test(mnemonic)) return flags(OF | SF | AF | PF);
  if (/^(BSF|BSR)$/.test(mnemonic)) return flags(CF | OF | SF | AF | PF);
  if (/^(TZCNT|LZCNT)$/.test(mnemonic)) return flags(OF | SF | AF | PF);
  if (/^(ROL|ROR|RCL|RCR)$/.test(mnemonic)) return flags(countOf(instruction, vector) === 1 ? 0 : OF);
  if (/^(SHL|SAL|SHR|SAR|SHLD|SHRD)$/.test(mnemonic))
    return undefinedOfShift(instruction, countOf(instruction, vector));
  if (mnemonic === 'BSWAP' && instruction.operandSize === 2) return { flags: 0, registers: destination(instruction) };
  return flags(0);
}

function undefinedOfShift(instruction: Instruction, count: number): UndefinedParts {
  if (count === 0) return flags(0);
  const bits = instruction.operandSize * 8;
  const isDouble = /^SH[LR]D$/.test(instruction.row.mnemonic);
  if (isDouble && count > bits) return { flags: CF | OF | SF | ZF | AF | PF, registers: destination(instruction) };
  const carry = !isDouble && instruction.row.mnemonic !== 'SAR' && count >= bits ? CF : 0;
  return flags(AF | (count === 1 ? 0 : OF) | carry);
}

/** The masked count of a shift or rotate: its last operand. */
function countOf(instruction: Instruction, { gpr }: Vector): number {
  const count = instruction.operands.at(-1);
  const value = count?.kind === 'immediate' ? count.value : (gpr.get(1) ?? 0n);
  return Number(value & (instruction.operandSize === 8 ? 63n : 31n));
}

function destination({ operands }: Instruction): readonly number[] {
  const [first] = operands;
  return first?.kind === 'register' ? [first.register] : [];
}
