// How many bytes the SDM's width letters stand for, and what operand size a row works with.
// Source: SDM 2D "Key to Abbreviations" (A.2.2), SDM 2 "Default 64-Bit Operand Size" (2.2.1.7), SDM 1 table 3-4.

import type { IntegerSize, OperandWidth, Row } from './instruction.js';

/** Bytes of an operand of this width when the instruction's operand size is `operandSize`. */
export function widthBytes(width: OperandWidth, operandSize: IntegerSize): number {
  switch (width) {
    case 'b':
      return 1;
    case 'w':
      return 2;
    case 'd':
    case 'ss':
      return 4;
    case 'q':
    case 'sd':
      return 8;
    case 'dq':
    case 'ps':
    case 'pd':
      return 16;
    case 't':
      return 10;
    case 'fe':
      return operandSize === 2 ? 14 : 28;
    case 'fs':
      return operandSize === 2 ? 94 : 108;
    case 'fx':
      return 512;
    case 'v':
      return operandSize;
    case 'z':
      return Math.min(operandSize, 4);
    case 'y':
      return Math.max(operandSize, 4);
    case 'p':
      return operandSize + 2;
    case 's':
      return 10;
    case 'none':
      return 0;
  }
}

/** The operand size that REX.W and 66 give this row. A 66 that is part of the opcode changes no size. */
export function operandSizeOf(row: Row, rexW: boolean, prefix66: boolean): IntegerSize {
  switch (row.sizing) {
    case 'byte':
      return 1;
    case 'f64':
      return 8;
    case 'd64':
      return prefix66 && !rexW ? 2 : 8;
    case 'y':
      return rexW ? 8 : 4;
    case 'prefix':
      if (rexW) return 8;
      return prefix66 && row.encoding.mandatory !== '66' ? 2 : 4;
  }
}
