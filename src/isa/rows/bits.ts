// Shifts, rotates, bit tests, bit scans and byte swaps: SDM 2A–2C under each mnemonic; shift group 2 and bit-test group
// 8 are in SDM 2D (A.4.2).
// Leaves out the VEX-encoded ones (BMI1, BMI2). CRC32 came with SSE4.2: sse4.ts.

import * as m from '../meaning/index.js';
import type { Meaning } from '../meaning/semantics.js';
import { type RowOptions, row, type UnplacedRow } from '../row.js';

/** The six forms of a shift or rotate: by one, by CL, by an immediate. */
const shift = (name: string, digit: number, means: Meaning, options: RowOptions = {}): UnplacedRow[] => [
  row(name, 'Eb,1', `D0 /${digit}`, means, options),
  row(name, 'Ev,1', `D1 /${digit}`, means, options),
  row(name, 'Eb,CL', `D2 /${digit}`, means, options),
  row(name, 'Ev,CL', `D3 /${digit}`, means, options),
  row(name, 'Eb,Ib', `C0 /${digit}`, means, options),
  row(name, 'Ev,Ib', `C1 /${digit}`, means, options),
];

export const bitRows: readonly UnplacedRow[] = [
  ...shift('ROL', 0, m.rol),
  ...shift('ROR', 1, m.ror),
  ...shift('RCL', 2, m.rcl),
  ...shift('RCR', 3, m.rcr),
  ...shift('SHL', 4, m.shl),
  ...shift('SHR', 5, m.shr),
  // Undocumented by Intel, documented by AMD (APM 3, table A-6); every processor takes /6 as /4.
  ...shift('SHL', 6, m.shl, { alias: true }),
  ...shift('SAR', 7, m.sar),
  row('SHLD', 'Ev,Gv,Ib', '0F A4 /r', m.shld),
  row('SHLD', 'Ev,Gv,CL', '0F A5 /r', m.shld),
  row('SHRD', 'Ev,Gv,Ib', '0F AC /r', m.shrd),
  row('SHRD', 'Ev,Gv,CL', '0F AD /r', m.shrd),

  // With a register for the bit number and memory for the bits, the number reaches beyond the operand.
  row('BT', 'Ev,Gv', '0F A3 /r', m.bt),
  row('BTS', 'Ev,Gv', '0F AB /r', m.bts, { lock: true }),
  row('BTR', 'Ev,Gv', '0F B3 /r', m.btr, { lock: true }),
  row('BTC', 'Ev,Gv', '0F BB /r', m.btc, { lock: true }),
  row('BT', 'Ev,Ib', '0F BA /4', m.bt),
  row('BTS', 'Ev,Ib', '0F BA /5', m.bts, { lock: true }),
  row('BTR', 'Ev,Ib', '0F BA /6', m.btr, { lock: true }),
  row('BTC', 'Ev,Ib', '0F BA /7', m.btc, { lock: true }),

  // A processor without BMI1 or LZCNT ignores the F3 and scans.
  row('BSF', 'Gv,Ev', '0F BC /r', m.bsf),
  row('TZCNT', 'Gv,Ev', 'F3 0F BC /r', m.tzcnt, { cpuid: 'BMI1' }),
  row('BSR', 'Gv,Ev', '0F BD /r', m.bsr),
  row('LZCNT', 'Gv,Ev', 'F3 0F BD /r', m.lzcnt, { cpuid: 'LZCNT' }),
  row('POPCNT', 'Gv,Ev', 'F3 0F B8 /r', m.popcnt, { cpuid: 'POPCNT' }),

  row('BSWAP', 'Zv', '0F C8+r', m.bswap),
  row('MOVBE', 'Gv,Mv', 'NFx 0F 38 F0 /r', m.movbe, { cpuid: 'MOVBE' }),
  row('MOVBE', 'Mv,Gv', 'NFx 0F 38 F1 /r', m.movbe, { cpuid: 'MOVBE' }),
];
