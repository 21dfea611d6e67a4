// What SSE4.1 and SSE4.2 brought for integers and lanes in SSE registers, and CRC32. SDM 2A–2B under each mnemonic.
// The floats of SSE4.1 (ROUNDPS, DPPS) are in sse-float.ts.

import * as m from '../meaning/index.js';
import type { Meaning } from '../meaning/semantics.js';
import { row, type UnplacedRow } from '../row.js';

const sse41 = { cpuid: 'SSE4_1' } as const;
const sse42 = { cpuid: 'SSE4_2' } as const;

/** Opcode of map 0F 38, behind 66. */
const two = (name: string, opcode: string, means: Meaning): UnplacedRow =>
  row(name, 'Vdq,Wdq', `66 0F 38 ${opcode} /r`, means, sse41);

export const sse4Rows: readonly UnplacedRow[] = [
  two('PACKUSDW', '2B', m.packusdw),
  two('PCMPEQQ', '29', m.pcmpeqq),
  row('PCMPGTQ', 'Vdq,Wdq', '66 0F 38 37 /r', m.pcmpgtq, sse42),
  two('PMULLD', '40', m.pmulld),
  two('PMULDQ', '28', m.pmuldq),
  two('PMINSB', '38', m.pminsb),
  two('PMINSD', '39', m.pminsd),
  two('PMINUW', '3A', m.pminuw),
  two('PMINUD', '3B', m.pminud),
  two('PMAXSB', '3C', m.pmaxsb),
  two('PMAXSD', '3D', m.pmaxsd),
  two('PMAXUW', '3E', m.pmaxuw),
  two('PMAXUD', '3F', m.pmaxud),
  two('PHMINPOSUW', '41', m.phminposuw),
  two('PTEST', '17', m.ptest),
  row('PCMPESTRM', 'Vdq,Wdq,Ib', '66 0F 3A 60 /r', m.pcmpestrm, { ...sse42, sizing: 'y' }),
  row('PCMPESTRI', 'Vdq,Wdq,Ib', '66 0F 3A 61 /r', m.pcmpestri, { ...sse42, sizing: 'y' }),
  row('PCMPISTRM', 'Vdq,Wdq,Ib', '66 0F 3A 62 /r', m.pcmpistrm, sse42),
  row('PCMPISTRI', 'Vdq,Wdq,Ib', '66 0F 3A 63 /r', m.pcmpistri, sse42),
  row('CRC32', 'Gy,Eb', 'F2 0F 38 F0 /r', m.crc32, { ...sse42, sizing: 'y' }),
  row('CRC32', 'Gy,Ev', 'F2 0F 38 F1 /r', m.crc32, sse42),
  row('MPSADBW', 'Vdq,Wdq,Ib', '66 0F 3A 42 /r', m.mpsadbw, sse41),

  row('PMOVSXBW', 'Vdq,Wq', '66 0F 38 20 /r', m.pmovsxbw, sse41),
  row('PMOVSXBD', 'Vdq,Wd', '66 0F 38 21 /r', m.pmovsxbd, sse41),
  row('PMOVSXBQ', 'Vdq,Ww', '66 0F 38 22 /r', m.pmovsxbq, sse41),
  row('PMOVSXWD', 'Vdq,Wq', '66 0F 38 23 /r', m.pmovsxwd, sse41),
  row('PMOVSXWQ', 'Vdq,Wd', '66 0F 38 24 /r', m.pmovsxwq, sse41),
  row('PMOVSXDQ', 'Vdq,Wq', '66 0F 38 25 /r', m.pmovsxdq, sse41),
  row('PMOVZXBW', 'Vdq,Wq', '66 0F 38 30 /r', m.pmovzxbw, sse41),
  row('PMOVZXBD', 'Vdq,Wd', '66 0F 38 31 /r', m.pmovzxbd, sse41),
  row('PMOVZXBQ', 'Vdq,Ww', '66 0F 38 32 /r', m.pmovzxbq, sse41),
  row('PMOVZXWD', 'Vdq,Wq', '66 0F 38 33 /r', m.pmovzxwd, sse41),
  row('PMOVZXWQ', 'Vdq,Wd', '66 0F 38 34 /r', m.pmovzxwq, sse41),
  row('PMOVZXDQ', 'Vdq,Wq', '66 0F 38 35 /r', m.pmovzxdq, sse41),

  // xmm0 is the mask.
  two('PBLENDVB', '10', m.pblendvb),
  two('BLENDVPS', '14', m.blendvps),
  two('BLENDVPD', '15', m.blendvpd),
  row('PBLENDW', 'Vdq,Wdq,Ib', '66 0F 3A 0E /r', m.pblendw, sse41),
  row('BLENDPS', 'Vps,Wps,Ib', '66 0F 3A 0C /r', m.blendps, sse41),
  row('BLENDPD', 'Vpd,Wpd,Ib', '66 0F 3A 0D /r', m.blendpd, sse41),

  // A register is written in full, memory as the name says.
  row('PEXTRB', 'Ry,Vdq,Ib', '66 0F 3A 14 /r', m.pextrb, sse41),
  row('PEXTRB', 'Mb,Vdq,Ib', '66 0F 3A 14 /r', m.pextrb, sse41),
  row('PEXTRW', 'Ry,Vdq,Ib', '66 0F 3A 15 /r', m.pextrw, { ...sse41, alias: true }),
  row('PEXTRW', 'Mw,Vdq,Ib', '66 0F 3A 15 /r', m.pextrw, sse41),
  row('PEXTRD', 'Ed,Vdq,Ib', '66 o32 0F 3A 16 /r', m.pextrd, sse41),
  row('PEXTRQ', 'Eq,Vdq,Ib', '66 o64 0F 3A 16 /r', m.pextrq, sse41),
  row('EXTRACTPS', 'Ry,Vdq,Ib', '66 0F 3A 17 /r', m.pextrd, sse41),
  row('EXTRACTPS', 'Md,Vdq,Ib', '66 0F 3A 17 /r', m.pextrd, sse41),
  row('PINSRB', 'Vdq,Ry,Ib', '66 0F 3A 20 /r', m.pinsrb, sse41),
  row('PINSRB', 'Vdq,Mb,Ib', '66 0F 3A 20 /r', m.pinsrb, sse41),
  row('INSERTPS', 'Vdq,Udq,Ib', '66 0F 3A 21 /r', m.insertps, sse41),
  row('INSERTPS', 'Vdq,Md,Ib', '66 0F 3A 21 /r', m.insertps, sse41),
  row('PINSRD', 'Vdq,Ed,Ib', '66 o32 0F 3A 22 /r', m.pinsrd, sse41),
  row('PINSRQ', 'Vdq,Eq,Ib', '66 o64 0F 3A 22 /r', m.pinsrq, sse41),
];
