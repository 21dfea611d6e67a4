// The x87: SDM 2A under each mnemonic beginning with F; the opcode layout is SDM 2D "Escape Opcode Instructions" (A.5).
// Only the forms that do not wait are rows: FINIT, FSAVE and the like are WAIT and such a row.
// Escape opcodes that the SDM does not list but every processor runs are aliases (Intel's 80287 manual; AMD and Intel, tried).

import { hex } from '../../base/hex.js';
import * as m from '../meaning/index.js';
import type { Meaning } from '../meaning/semantics.js';
import { type RowOptions, row, type UnplacedRow } from '../row.js';

const x87 = (
  mnemonic: string,
  operands: string,
  encoding: string,
  means: Meaning,
  options: RowOptions = {},
): UnplacedRow => row(mnemonic, operands, encoding, means, { unit: 'x87', sizing: 'f64', cpuid: 'FPU', ...options });
const alias = { alias: true } as const;
/** The environment's size follows the operand size. */
const sized = { sizing: 'prefix' } as const;

/** Eight encodings from this ModRM byte on. */
const stack = (opcode: string, modrm: number): string => {
  const bits = modrm.toString(2);
  return `${opcode} 11:${bits.slice(2, 5)}:bbb`;
};
const fixed = (opcode: string, modrm: number): string => `${opcode} ${hex(modrm, 2).toUpperCase()}`;

/** By ModRM.reg, which D8, DA, DC and DE have in common. */
const ARITHMETIC = ['add', 'mul', 'compare', 'compare-pop', 'sub', 'subr', 'div', 'divr'] as const;
const NAMES = ['ADD', 'MUL', 'COM', 'COMP', 'SUB', 'SUBR', 'DIV', 'DIVR'] as const;
/** With the result in ST(i), subtraction and division have changed places with their reverses. */
const INTO_STACK = [
  [0, 'ADD', 'add'],
  [1, 'MUL', 'mul'],
  [4, 'SUBR', 'subr'],
  [5, 'SUB', 'sub'],
  [6, 'DIVR', 'divr'],
  [7, 'DIV', 'div'],
] as const;

const CONSTANTS = [
  ['FLD1', 'one'],
  ['FLDL2T', 'log2Of10'],
  ['FLDL2E', 'log2OfE'],
  ['FLDPI', 'pi'],
  ['FLDLG2', 'log10Of2'],
  ['FLDLN2', 'lnOf2'],
  ['FLDZ', 'zero'],
] as const;

/** From D9 F0 on. */
const FUNCTIONS = [
  ['F2XM1', 'f2xm1'],
  ['FYL2X', 'fyl2x'],
  ['FPTAN', 'fptan'],
  ['FPATAN', 'fpatan'],
  ['FXTRACT', 'extract'],
  ['FPREM1', 'remainder-nearest'],
  ['FDECSTP', 'rotate-down'],
  ['FINCSTP', 'rotate-up'],
  ['FPREM', 'remainder'],
  ['FYL2XP1', 'fyl2xp1'],
  ['FSQRT', 'square-root'],
  ['FSINCOS', 'fsincos'],
  ['FRNDINT', 'round'],
  ['FSCALE', 'scale'],
  ['FSIN', 'fsin'],
  ['FCOS', 'fcos'],
] as const;

const CONDITIONAL_MOVES = [
  ['FCMOVB', 'DA', 0xc0, 2],
  ['FCMOVE', 'DA', 0xc8, 4],
  ['FCMOVBE', 'DA', 0xd0, 6],
  ['FCMOVU', 'DA', 0xd8, 10],
  ['FCMOVNB', 'DB', 0xc0, 3],
  ['FCMOVNE', 'DB', 0xc8, 5],
  ['FCMOVNBE', 'DB', 0xd0, 7],
  ['FCMOVNU', 'DB', 0xd8, 11],
] as const;

export const x87Rows: readonly UnplacedRow[] = [
  ...ARITHMETIC.flatMap((operation, digit) => {
    const name = NAMES[digit] as string;
    return [
      x87(`F${name}`, 'Md', `D8 /${digit}`, m.x87Load(`${operation} f32`)),
      x87(`F${name}`, 'Mq', `DC /${digit}`, m.x87Load(`${operation} f64`)),
      x87(`FI${name}`, 'Md', `DA /${digit}`, m.x87Load(`${operation} i32`)),
      x87(`FI${name}`, 'Mw', `DE /${digit}`, m.x87Load(`${operation} i16`)),
      x87(`F${name}`, 'ST,STi', stack('D8', 0xc0 + 8 * digit), m.x87Stack(operation)),
    ];
  }),
  ...INTO_STACK.flatMap(([digit, name, operation]) => [
    x87(`F${name}`, 'STi,ST', stack('DC', 0xc0 + 8 * digit), m.x87Stack(`${operation} to`)),
    x87(`F${name}P`, 'STi,ST', stack('DE', 0xc0 + 8 * digit), m.x87Stack(`${operation}-pop to`)),
  ]),

  x87('FLD', 'Md', 'D9 /0', m.x87Load('load f32')),
  x87('FLD', 'Mq', 'DD /0', m.x87Load('load f64')),
  x87('FLD', 'Mt', 'DB /5', m.x87Load('load f80')),
  x87('FLD', 'STi', stack('D9', 0xc0), m.x87Stack('load')),
  x87('FILD', 'Mw', 'DF /0', m.x87Load('load i16')),
  x87('FILD', 'Md', 'DB /0', m.x87Load('load i32')),
  x87('FILD', 'Mq', 'DF /5', m.x87Load('load i64')),
  x87('FBLD', 'Mt', 'DF /4', m.x87Load('load bcd')),
  x87('FST', 'Md', 'D9 /2', m.x87Store('store f32')),
  x87('FST', 'Mq', 'DD /2', m.x87Store('store f64')),
  x87('FST', 'STi', stack('DD', 0xd0), m.x87Stack('store')),
  x87('FSTP', 'Md', 'D9 /3', m.x87Store('store-pop f32')),
  x87('FSTP', 'Mq', 'DD /3', m.x87Store('store-pop f64')),
  x87('FSTP', 'Mt', 'DB /7', m.x87Store('store-pop f80')),
  x87('FSTP', 'STi', stack('DD', 0xd8), m.x87Stack('store-pop')),
  x87('FIST', 'Mw', 'DF /2', m.x87Store('store i16')),
  x87('FIST', 'Md', 'DB /2', m.x87Store('store i32')),
  x87('FISTP', 'Mw', 'DF /3', m.x87Store('store-pop i16')),
  x87('FISTP', 'Md', 'DB /3', m.x87Store('store-pop i32')),
  x87('FISTP', 'Mq', 'DF /7', m.x87Store('store-pop i64')),
  x87('FISTTP', 'Mw', 'DF /1', m.x87Store('truncate-pop i16'), { cpuid: 'SSE3' }),
  x87('FISTTP', 'Md', 'DB /1', m.x87Store('truncate-pop i32'), { cpuid: 'SSE3' }),
  x87('FISTTP', 'Mq', 'DD /1', m.x87Store('truncate-pop i64'), { cpuid: 'SSE3' }),
  x87('FBSTP', 'Mt', 'DF /6', m.x87Store('store-pop bcd')),
  ...CONSTANTS.map(([name, constant], i) => x87(name, '', fixed('D9', 0xe8 + i), m.x87Stack(`constant ${constant}`))),

  x87('FXCH', 'ST,STi', stack('D9', 0xc8), m.x87Stack('exchange')),
  ...CONDITIONAL_MOVES.map(([name, opcode, modrm, condition]) =>
    x87(name, 'ST,STi', stack(opcode, modrm), m.fcmovcc, { condition }),
  ),
  x87('FUCOM', 'ST,STi', stack('DD', 0xe0), m.x87Stack('compare-quiet')),
  x87('FUCOMP', 'ST,STi', stack('DD', 0xe8), m.x87Stack('compare-quiet-pop')),
  x87('FUCOMPP', '', fixed('DA', 0xe9), m.x87Stack('compare-quiet-pop-pop', 1)),
  x87('FCOMPP', '', fixed('DE', 0xd9), m.x87Stack('compare-pop-pop', 1)),
  x87('FCOMI', 'ST,STi', stack('DB', 0xf0), m.x87Flags('flags')),
  x87('FUCOMI', 'ST,STi', stack('DB', 0xe8), m.x87Flags('flags-quiet')),
  x87('FCOMIP', 'ST,STi', stack('DF', 0xf0), m.x87Flags('flags-pop')),
  x87('FUCOMIP', 'ST,STi', stack('DF', 0xe8), m.x87Flags('flags-quiet-pop')),
  x87('FTST', '', fixed('D9', 0xe4), m.x87Stack('compare-zero')),
  x87('FXAM', '', fixed('D9', 0xe5), m.x87Stack('examine')),
  x87('FCHS', '', fixed('D9', 0xe0), m.x87Stack('change-sign')),
  x87('FABS', '', fixed('D9', 0xe1), m.x87Stack('absolute')),
  ...FUNCTIONS.map(([name, operation], i) => x87(name, '', fixed('D9', 0xf0 + i), m.x87Stack(operation))),
  x87('FFREE', 'STi', stack('DD', 0xc0), m.x87Stack('free')),
  x87('FNOP', '', fixed('D9', 0xd0), m.fnop),

  x87('FLDCW', 'Mw', 'D9 /5', m.fldcw),
  x87('FNSTCW', 'Mw', 'D9 /7', m.fnstcw),
  x87('FNSTSW', 'Mw', 'DD /7', m.fnstsw),
  x87('FNSTSW', 'AX', fixed('DF', 0xe0), m.fnstsw),
  x87('FNCLEX', '', fixed('DB', 0xe2), m.fnclex),
  x87('FNINIT', '', fixed('DB', 0xe3), m.fninit),
  x87('FLDENV', 'Mfe', 'D9 /4', m.fldenv, sized),
  x87('FNSTENV', 'Mfe', 'D9 /6', m.fnstenv, sized),
  x87('FRSTOR', 'Mfs', 'DD /4', m.frstor, sized),
  x87('FNSAVE', 'Mfs', 'DD /6', m.fnsave, sized),
  x87('WAIT', '', '9B', m.wait),

  // What the 8087 and the 80287 did here has no meaning any more; processors do nothing.
  x87('FNENI', '', fixed('DB', 0xe0), m.nop),
  x87('FNDISI', '', fixed('DB', 0xe1), m.nop),
  x87('FNSETPM', '', fixed('DB', 0xe4), m.nop),

  x87('FSTPNCE', 'STi', stack('D9', 0xd8), m.x87Stack('store-pop-unchecked'), alias),
  x87('FCOM', 'ST,STi', stack('DC', 0xd0), m.x87Stack('compare'), alias),
  x87('FCOMP', 'ST,STi', stack('DC', 0xd8), m.x87Stack('compare-pop'), alias),
  x87('FXCH', 'ST,STi', stack('DD', 0xc8), m.x87Stack('exchange'), alias),
  x87('FCOMP', 'ST,STi', stack('DE', 0xd0), m.x87Stack('compare-pop'), alias),
  x87('FFREEP', 'STi', stack('DF', 0xc0), m.x87Stack('free-pop')),
  x87('FXCH', 'ST,STi', stack('DF', 0xc8), m.x87Stack('exchange'), alias),
  x87('FSTP', 'STi', stack('DF', 0xd0), m.x87Stack('store-pop'), alias),
  x87('FSTP', 'STi', stack('DF', 0xd8), m.x87Stack('store-pop'), alias),
];
