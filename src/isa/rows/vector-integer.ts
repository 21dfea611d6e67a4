// Integers in MMX and SSE registers: MMX, SSE, SSE2, SSSE3. SDM 2B under each mnemonic (P…).
// Nearly all exist twice, with the same opcode: of MMX registers without a prefix, of SSE registers with 66.
// Those that only SSE registers have came with SSE4: sse4.ts.

import type { CpuidFeature } from '../instruction.js';
import * as m from '../meaning/index.js';
import type { Meaning } from '../meaning/semantics.js';
import { row, type UnplacedRow } from '../row.js';

/** Both forms; `cpuid` is what the MMX form needs, the SSE form needs SSE2, or SSSE3 if both do. */
const both = (cpuid: CpuidFeature, name: string, opcode: string, means: Meaning): UnplacedRow[] => [
  row(name, 'Pq,Qq', `NP 0F ${opcode} /r`, means, { cpuid }),
  row(name, 'Vdq,Wdq', `66 0F ${opcode} /r`, means, { cpuid: cpuid === 'SSSE3' ? cpuid : 'SSE2' }),
];

const mmx = { cpuid: 'MMX' } as const;
const sse = { cpuid: 'SSE' } as const;
const sse2 = { cpuid: 'SSE2' } as const;
const ssse3 = { cpuid: 'SSSE3' } as const;

/** Shifts by a register or memory (an opcode) and by an immediate (a group and a digit in it). */
const shift = (name: string, opcode: string, group: string, digit: number, means: Meaning): UnplacedRow[] => [
  ...both('MMX', name, opcode, means),
  row(name, 'Nq,Ib', `NP 0F ${group} /${digit}`, means, mmx),
  row(name, 'Udq,Ib', `66 0F ${group} /${digit}`, means, sse2),
];

export const vectorIntegerRows: readonly UnplacedRow[] = [
  ...both('MMX', 'PADDB', 'FC', m.paddb),
  ...both('MMX', 'PADDW', 'FD', m.paddw),
  ...both('MMX', 'PADDD', 'FE', m.paddd),
  ...both('SSE2', 'PADDQ', 'D4', m.paddq),
  ...both('MMX', 'PADDSB', 'EC', m.paddsb),
  ...both('MMX', 'PADDSW', 'ED', m.paddsw),
  ...both('MMX', 'PADDUSB', 'DC', m.paddusb),
  ...both('MMX', 'PADDUSW', 'DD', m.paddusw),
  ...both('MMX', 'PSUBB', 'F8', m.psubb),
  ...both('MMX', 'PSUBW', 'F9', m.psubw),
  ...both('MMX', 'PSUBD', 'FA', m.psubd),
  ...both('SSE2', 'PSUBQ', 'FB', m.psubq),
  ...both('MMX', 'PSUBSB', 'E8', m.psubsb),
  ...both('MMX', 'PSUBSW', 'E9', m.psubsw),
  ...both('MMX', 'PSUBUSB', 'D8', m.psubusb),
  ...both('MMX', 'PSUBUSW', 'D9', m.psubusw),
  ...both('SSE', 'PAVGB', 'E0', m.pavgb),
  ...both('SSE', 'PAVGW', 'E3', m.pavgw),
  ...both('SSE', 'PMINUB', 'DA', m.pminub),
  ...both('SSE', 'PMINSW', 'EA', m.pminsw),
  ...both('SSE', 'PMAXUB', 'DE', m.pmaxub),
  ...both('SSE', 'PMAXSW', 'EE', m.pmaxsw),
  ...both('SSE', 'PSADBW', 'F6', m.psadbw),

  ...both('MMX', 'PMULLW', 'D5', m.pmullw),
  ...both('MMX', 'PMULHW', 'E5', m.pmulhw),
  ...both('SSE', 'PMULHUW', 'E4', m.pmulhuw),
  ...both('MMX', 'PMADDWD', 'F5', m.pmaddwd),
  ...both('SSE2', 'PMULUDQ', 'F4', m.pmuludq),

  ...both('MMX', 'PCMPEQB', '74', m.pcmpeqb),
  ...both('MMX', 'PCMPEQW', '75', m.pcmpeqw),
  ...both('MMX', 'PCMPEQD', '76', m.pcmpeqd),
  ...both('MMX', 'PCMPGTB', '64', m.pcmpgtb),
  ...both('MMX', 'PCMPGTW', '65', m.pcmpgtw),
  ...both('MMX', 'PCMPGTD', '66', m.pcmpgtd),
  ...both('MMX', 'PAND', 'DB', m.pand),
  ...both('MMX', 'PANDN', 'DF', m.pandn),
  ...both('MMX', 'POR', 'EB', m.por),
  ...both('MMX', 'PXOR', 'EF', m.pxor),

  ...shift('PSLLW', 'F1', '71', 6, m.psllw),
  ...shift('PSLLD', 'F2', '72', 6, m.pslld),
  ...shift('PSLLQ', 'F3', '73', 6, m.psllq),
  ...shift('PSRLW', 'D1', '71', 2, m.psrlw),
  ...shift('PSRLD', 'D2', '72', 2, m.psrld),
  ...shift('PSRLQ', 'D3', '73', 2, m.psrlq),
  ...shift('PSRAW', 'E1', '71', 4, m.psraw),
  ...shift('PSRAD', 'E2', '72', 4, m.psrad),
  row('PSLLDQ', 'Udq,Ib', '66 0F 73 /7', m.pslldq, sse2),
  row('PSRLDQ', 'Udq,Ib', '66 0F 73 /3', m.psrldq, sse2),

  ...both('MMX', 'PACKSSWB', '63', m.packsswb),
  ...both('MMX', 'PACKUSWB', '67', m.packuswb),
  ...both('MMX', 'PACKSSDW', '6B', m.packssdw),
  row('PUNPCKLBW', 'Pq,Qd', 'NP 0F 60 /r', m.punpcklbw, mmx),
  row('PUNPCKLWD', 'Pq,Qd', 'NP 0F 61 /r', m.punpcklwd, mmx),
  row('PUNPCKLDQ', 'Pq,Qd', 'NP 0F 62 /r', m.punpckldq, mmx),
  row('PUNPCKLBW', 'Vdq,Wdq', '66 0F 60 /r', m.punpcklbw, sse2),
  row('PUNPCKLWD', 'Vdq,Wdq', '66 0F 61 /r', m.punpcklwd, sse2),
  row('PUNPCKLDQ', 'Vdq,Wdq', '66 0F 62 /r', m.punpckldq, sse2),
  row('PUNPCKLQDQ', 'Vdq,Wdq', '66 0F 6C /r', m.punpcklqdq, sse2),
  ...both('MMX', 'PUNPCKHBW', '68', m.punpckhbw),
  ...both('MMX', 'PUNPCKHWD', '69', m.punpckhwd),
  ...both('MMX', 'PUNPCKHDQ', '6A', m.punpckhdq),
  row('PUNPCKHQDQ', 'Vdq,Wdq', '66 0F 6D /r', m.punpckhqdq, sse2),

  row('PSHUFW', 'Pq,Qq,Ib', 'NP 0F 70 /r', m.pshuflw, sse),
  row('PSHUFD', 'Vdq,Wdq,Ib', '66 0F 70 /r', m.pshufd, sse2),
  row('PSHUFLW', 'Vdq,Wdq,Ib', 'F2 0F 70 /r', m.pshuflw, sse2),
  row('PSHUFHW', 'Vdq,Wdq,Ib', 'F3 0F 70 /r', m.pshufhw, sse2),
  row('PINSRW', 'Pq,Ry,Ib', 'NP 0F C4 /r', m.pinsrw, sse),
  row('PINSRW', 'Pq,Mw,Ib', 'NP 0F C4 /r', m.pinsrw, sse),
  row('PINSRW', 'Vdq,Ry,Ib', '66 0F C4 /r', m.pinsrw, sse2),
  row('PINSRW', 'Vdq,Mw,Ib', '66 0F C4 /r', m.pinsrw, sse2),
  row('PEXTRW', 'Gy,Nq,Ib', 'NP 0F C5 /r', m.pextrw, sse),
  row('PEXTRW', 'Gy,Udq,Ib', '66 0F C5 /r', m.pextrw, sse2),

  ...both('SSSE3', 'PSHUFB', '38 00', m.pshufb),
  ...both('SSSE3', 'PHADDW', '38 01', m.phaddw),
  ...both('SSSE3', 'PHADDD', '38 02', m.phaddd),
  ...both('SSSE3', 'PHADDSW', '38 03', m.phaddsw),
  ...both('SSSE3', 'PMADDUBSW', '38 04', m.pmaddubsw),
  ...both('SSSE3', 'PHSUBW', '38 05', m.phsubw),
  ...both('SSSE3', 'PHSUBD', '38 06', m.phsubd),
  ...both('SSSE3', 'PHSUBSW', '38 07', m.phsubsw),
  ...both('SSSE3', 'PSIGNB', '38 08', m.psignb),
  ...both('SSSE3', 'PSIGNW', '38 09', m.psignw),
  ...both('SSSE3', 'PSIGND', '38 0A', m.psignd),
  ...both('SSSE3', 'PMULHRSW', '38 0B', m.pmulhrsw),
  ...both('SSSE3', 'PABSB', '38 1C', m.pabsb),
  ...both('SSSE3', 'PABSW', '38 1D', m.pabsw),
  ...both('SSSE3', 'PABSD', '38 1E', m.pabsd),
  row('PALIGNR', 'Pq,Qq,Ib', 'NP 0F 3A 0F /r', m.palignr, ssse3),
  row('PALIGNR', 'Vdq,Wdq,Ib', '66 0F 3A 0F /r', m.palignr, ssse3),
];
