// Arithmetic and logic on integers: SDM 2A–2C under each mnemonic; the opcode layout of the eight two-operand ones and
// of groups 1, 3, 4 and 5 is SDM 2D "Opcode Extensions for One-Byte and Two-Byte Opcodes" (A.4.2).
// Leaves out the instructions that 64-bit mode has not: DAA, DAS, AAA, AAS, AAM, AAD, and INC/DEC in 40–4F.

import { hex } from '../../base/hex.js';
import * as m from '../meaning/index.js';
import type { Meaning } from '../meaning/semantics.js';
import { type RowOptions, row, type UnplacedRow } from '../row.js';

const byte = (value: number): string => hex(value, 2).toUpperCase();

/** The nine forms that ADD and its seven siblings share: six in a row of opcodes, three in group 1. */
const twoOperands = (
  name: string,
  first: number,
  digit: number,
  means: Meaning,
  options: RowOptions,
): UnplacedRow[] => [
  row(name, 'Eb,Gb', `${byte(first)} /r`, means, options),
  row(name, 'Ev,Gv', `${byte(first + 1)} /r`, means, options),
  row(name, 'Gb,Eb', `${byte(first + 2)} /r`, means),
  row(name, 'Gv,Ev', `${byte(first + 3)} /r`, means),
  row(name, 'Ev,Ibs', `83 /${digit}`, means, options),
  row(name, 'AL,Ib', byte(first + 4), means),
  row(name, 'rAX,Iz', byte(first + 5), means),
  row(name, 'Eb,Ib', `80 /${digit}`, means, options),
  row(name, 'Ev,Iz', `81 /${digit}`, means, options),
];

export const arithmeticRows: readonly UnplacedRow[] = [
  ...twoOperands('ADD', 0x00, 0, m.add, { lock: true }),
  ...twoOperands('OR', 0x08, 1, m.or, { lock: true }),
  ...twoOperands('ADC', 0x10, 2, m.adc, { lock: true }),
  ...twoOperands('SBB', 0x18, 3, m.sbb, { lock: true }),
  ...twoOperands('AND', 0x20, 4, m.and, { lock: true }),
  ...twoOperands('SUB', 0x28, 5, m.sub, { lock: true }),
  ...twoOperands('XOR', 0x30, 6, m.xor, { lock: true }),
  ...twoOperands('CMP', 0x38, 7, m.cmp, {}),

  row('INC', 'Eb', 'FE /0', m.inc, { lock: true }),
  row('INC', 'Ev', 'FF /0', m.inc, { lock: true }),
  row('DEC', 'Eb', 'FE /1', m.dec, { lock: true }),
  row('DEC', 'Ev', 'FF /1', m.dec, { lock: true }),
  row('NOT', 'Eb', 'F6 /2', m.not, { lock: true }),
  row('NOT', 'Ev', 'F7 /2', m.not, { lock: true }),
  row('NEG', 'Eb', 'F6 /3', m.neg, { lock: true }),
  row('NEG', 'Ev', 'F7 /3', m.neg, { lock: true }),

  row('TEST', 'Eb,Gb', '84 /r', m.test),
  row('TEST', 'Ev,Gv', '85 /r', m.test),
  row('TEST', 'AL,Ib', 'A8', m.test),
  row('TEST', 'rAX,Iz', 'A9', m.test),
  row('TEST', 'Eb,Ib', 'F6 /0', m.test),
  row('TEST', 'Ev,Iz', 'F7 /0', m.test),
  row('TEST', 'Eb,Ib', 'F6 /1', m.test, { alias: true }),
  row('TEST', 'Ev,Iz', 'F7 /1', m.test, { alias: true }),

  // The product, dividend, quotient and remainder are in rAX and rDX, or in AX.
  row('MUL', 'Eb', 'F6 /4', m.mul),
  row('MUL', 'Ev', 'F7 /4', m.mul),
  row('IMUL', 'Eb', 'F6 /5', m.imul),
  row('IMUL', 'Ev', 'F7 /5', m.imul),
  row('DIV', 'Eb', 'F6 /6', m.div),
  row('DIV', 'Ev', 'F7 /6', m.div),
  row('IDIV', 'Eb', 'F6 /7', m.idiv),
  row('IDIV', 'Ev', 'F7 /7', m.idiv),
  row('IMUL', 'Gv,Ev', '0F AF /r', m.imulTwo),
  row('IMUL', 'Gv,Ev,Ibs', '6B /r', m.imulTwo),
  row('IMUL', 'Gv,Ev,Iz', '69 /r', m.imulTwo),

  row('XADD', 'Eb,Gb', '0F C0 /r', m.xadd, { lock: true }),
  row('XADD', 'Ev,Gv', '0F C1 /r', m.xadd, { lock: true }),
  row('CMPXCHG', 'Eb,Gb', '0F B0 /r', m.cmpxchg, { lock: true }),
  row('CMPXCHG', 'Ev,Gv', '0F B1 /r', m.cmpxchg, { lock: true }),
  // Sums that leave all flags but one alone, so that two chains of carries can go on side by side.
  row('ADCX', 'Gy,Ey', '66 0F 38 F6 /r', m.adcx, { cpuid: 'ADX', sizing: 'y' }),
  row('ADOX', 'Gy,Ey', 'F3 0F 38 F6 /r', m.adox, { cpuid: 'ADX', sizing: 'y' }),
  row('CMPXCHG8B', 'Mq', '0F C7 /1', m.cmpxchg8b, { lock: true, cpuid: 'CX8' }),
  row('CMPXCHG16B', 'Mdq', 'o64 0F C7 /1', m.cmpxchg8b, { lock: true, cpuid: 'CMPXCHG16B' }),

  row('CBW', '', 'o16 98', m.cbw),
  row('CWDE', '', 'o32 98', m.cbw),
  row('CDQE', '', 'o64 98', m.cbw),
  row('CWD', '', 'o16 99', m.cwd),
  row('CDQ', '', 'o32 99', m.cwd),
  row('CQO', '', 'o64 99', m.cwd),
];
