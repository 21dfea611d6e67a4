// Moves of MMX and SSE registers: SDM 2B "MOV…", SDM 2A "LDDQU", "MASKMOV…".
// Which part of a register is written, and which becomes 0, is what the widths say: `Vss` is the low 32 bits and leaves the
// rest alone, `Vdq` is the whole register.

import * as m from '../meaning/index.js';
import { row, type UnplacedRow } from '../row.js';

const mmx = { cpuid: 'MMX' } as const;
const sse = { cpuid: 'SSE' } as const;
const sse2 = { cpuid: 'SSE2' } as const;
const sse3 = { cpuid: 'SSE3' } as const;
const sse41 = { cpuid: 'SSE4_1' } as const;
/** A second encoding, which the assembler does not choose. */
const sse2Alias = { cpuid: 'SSE2', alias: true } as const;

export const vectorMoveRows: readonly UnplacedRow[] = [
  row('MOVD', 'Pq,Ed', 'NP o32 0F 6E /r', m.movToVector, mmx),
  row('MOVQ', 'Pq,Eq', 'NP o64 0F 6E /r', m.movToVector, mmx),
  row('MOVD', 'Ed,Pd', 'NP o32 0F 7E /r', m.mov, mmx),
  row('MOVQ', 'Eq,Pq', 'NP o64 0F 7E /r', m.mov, mmx),
  row('MOVQ', 'Pq,Qq', 'NP 0F 6F /r', m.movVector, mmx),
  row('MOVQ', 'Qq,Pq', 'NP 0F 7F /r', m.movVector, mmx),
  row('MOVNTQ', 'Mq,Pq', 'NP 0F E7 /r', m.movVector, sse),
  row('MASKMOVQ', 'Tq,Pq,Nq', 'NP 0F F7 /r', m.maskmov, sse),
  row('MOVDQ2Q', 'Pq,Uq', 'F2 0F D6 /r', m.movVector, sse2),
  row('MOVQ2DQ', 'Vdq,Nq', 'F3 0F D6 /r', m.movVector, sse2),

  row('MOVQ', 'Vdq,Wq', 'F3 0F 7E /r', m.movVector, sse2),
  row('MOVQ', 'Mq,Vq', '66 0F D6 /r', m.movVector, sse2),
  row('MOVQ', 'Udq,Vq', '66 0F D6 /r', m.movVector, sse2Alias),
  row('MOVD', 'Vdq,Ed', '66 o32 0F 6E /r', m.movToVector, sse2),
  row('MOVQ', 'Vdq,Eq', '66 o64 0F 6E /r', m.movToVector, sse2),
  row('MOVD', 'Ed,Vd', '66 o32 0F 7E /r', m.mov, sse2),
  row('MOVQ', 'Eq,Vq', '66 o64 0F 7E /r', m.mov, sse2),

  row('MOVAPS', 'Vps,Wps', 'NP 0F 28 /r', m.movVector, sse),
  row('MOVAPS', 'Wps,Vps', 'NP 0F 29 /r', m.movVector, sse),
  row('MOVUPS', 'Vps,Wps', 'NP 0F 10 /r', m.movVectorUnaligned, sse),
  row('MOVUPS', 'Wps,Vps', 'NP 0F 11 /r', m.movVectorUnaligned, sse),
  row('MOVAPD', 'Vpd,Wpd', '66 0F 28 /r', m.movVector, sse2),
  row('MOVAPD', 'Wpd,Vpd', '66 0F 29 /r', m.movVector, sse2),
  row('MOVUPD', 'Vpd,Wpd', '66 0F 10 /r', m.movVectorUnaligned, sse2),
  row('MOVUPD', 'Wpd,Vpd', '66 0F 11 /r', m.movVectorUnaligned, sse2),
  row('MOVDQA', 'Vdq,Wdq', '66 0F 6F /r', m.movVector, sse2),
  row('MOVDQA', 'Wdq,Vdq', '66 0F 7F /r', m.movVector, sse2),
  row('MOVDQU', 'Vdq,Wdq', 'F3 0F 6F /r', m.movVectorUnaligned, sse2),
  row('MOVDQU', 'Wdq,Vdq', 'F3 0F 7F /r', m.movVectorUnaligned, sse2),
  row('LDDQU', 'Vdq,Mdq', 'F2 0F F0 /r', m.movVectorUnaligned, sse3),
  row('MOVNTPS', 'Mps,Vps', 'NP 0F 2B /r', m.movVector, sse),
  row('MOVNTPD', 'Mpd,Vpd', '66 0F 2B /r', m.movVector, sse2),
  row('MOVNTDQ', 'Mdq,Vdq', '66 0F E7 /r', m.movVector, sse2),
  row('MOVNTDQA', 'Vdq,Mdq', '66 0F 38 2A /r', m.movVector, sse41),
  row('MASKMOVDQU', 'Tdq,Vdq,Udq', '66 0F F7 /r', m.maskmov, sse2),

  // Between registers the rest of the destination stays; from memory it becomes 0.
  row('MOVSS', 'Vss,Uss', 'F3 0F 10 /r', m.movVector, sse),
  row('MOVSS', 'Vdq,Mss', 'F3 0F 10 /r', m.movVector, sse),
  row('MOVSS', 'Wss,Vss', 'F3 0F 11 /r', m.movVector, sse),
  row('MOVSD', 'Vsd,Usd', 'F2 0F 10 /r', m.movVector, sse2),
  row('MOVSD', 'Vdq,Msd', 'F2 0F 10 /r', m.movVector, sse2),
  row('MOVSD', 'Wsd,Vsd', 'F2 0F 11 /r', m.movVector, sse2),
  row('MOVHLPS', 'Vq,Udq', 'NP 0F 12 /r', m.movHighToLow, sse),
  row('MOVLPS', 'Vq,Mq', 'NP 0F 12 /r', m.movVector, sse),
  row('MOVLPS', 'Mq,Vq', 'NP 0F 13 /r', m.movVector, sse),
  row('MOVLHPS', 'Vdq,Uq', 'NP 0F 16 /r', m.movLowToHigh, sse),
  row('MOVHPS', 'Vdq,Mq', 'NP 0F 16 /r', m.movLowToHigh, sse),
  row('MOVHPS', 'Mq,Vdq', 'NP 0F 17 /r', m.movHighToMemory, sse),
  row('MOVLPD', 'Vq,Mq', '66 0F 12 /r', m.movVector, sse2),
  row('MOVLPD', 'Mq,Vq', '66 0F 13 /r', m.movVector, sse2),
  row('MOVHPD', 'Vdq,Mq', '66 0F 16 /r', m.movLowToHigh, sse2),
  row('MOVHPD', 'Mq,Vdq', '66 0F 17 /r', m.movHighToMemory, sse2),
  row('MOVDDUP', 'Vdq,Wsd', 'F2 0F 12 /r', m.movddup, sse3),
  row('MOVSLDUP', 'Vps,Wps', 'F3 0F 12 /r', m.movsldup, sse3),
  row('MOVSHDUP', 'Vps,Wps', 'F3 0F 16 /r', m.movshdup, sse3),

  row('MOVMSKPS', 'Gy,Ups', 'NP 0F 50 /r', m.movmskps, sse),
  row('MOVMSKPD', 'Gy,Upd', '66 0F 50 /r', m.movmskpd, sse2),
  row('PMOVMSKB', 'Gy,Nq', 'NP 0F D7 /r', m.pmovmskb, sse),
  row('PMOVMSKB', 'Gy,Udq', '66 0F D7 /r', m.pmovmskb, sse2),
];
