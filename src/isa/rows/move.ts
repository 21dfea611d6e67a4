// Moving data: registers, memory, immediates, segment registers, exchange, extension, addresses. SDM 2A–2C under each
// mnemonic.
// Leaves out LDS and LES (not in 64-bit mode). Vector registers: vector-moves.ts.

import * as m from '../meaning/index.js';
import { row, type UnplacedRow } from '../row.js';
import { forEachCondition } from './conditions.js';

export const moveRows: readonly UnplacedRow[] = [
  row('MOV', 'Eb,Gb', '88 /r', m.mov),
  row('MOV', 'Ev,Gv', '89 /r', m.mov),
  row('MOV', 'Gb,Eb', '8A /r', m.mov),
  row('MOV', 'Gv,Ev', '8B /r', m.mov),
  row('MOV', 'Zb,Ib', 'B0+r', m.mov),
  // C7 comes first so that the assembler takes its seven bytes, and not B8's ten, where a sign-extended imm32 will do.
  row('MOV', 'Ev,Iz', 'C7 /0', m.mov),
  row('MOV', 'Zv,Iv', 'B8+r', m.mov),
  row('MOV', 'Eb,Ib', 'C6 /0', m.mov),
  row('MOV', 'AL,Ob', 'A0', m.mov),
  row('MOV', 'rAX,Ov', 'A1', m.mov),
  row('MOV', 'Ob,AL', 'A2', m.mov),
  row('MOV', 'Ov,rAX', 'A3', m.mov),

  row('MOV', 'Rv,Sw', '8C /r', m.movFromSegment),
  row('MOV', 'Mw,Sw', '8C /r', m.movFromSegment),
  row('MOV', 'Sw,Ew', '8E /r', m.movToSegment),
  row('LSS', 'Gv,Mp', '0F B2 /r', m.lss),
  row('LFS', 'Gv,Mp', '0F B4 /r', m.lfs),
  row('LGS', 'Gv,Mp', '0F B5 /r', m.lgs),

  row('MOVZX', 'Gv,Eb', '0F B6 /r', m.movzx),
  row('MOVZX', 'Gv,Ew', '0F B7 /r', m.movzx),
  row('MOVSX', 'Gv,Eb', '0F BE /r', m.movsx),
  row('MOVSX', 'Gv,Ew', '0F BF /r', m.movsx),
  row('MOVSXD', 'Gv,Ez', '63 /r', m.movsx),
  row('MOVNTI', 'My,Gy', 'NP 0F C3 /r', m.mov, { cpuid: 'SSE2' }),

  // With memory, XCHG locks the bus even without LOCK.
  row('XCHG', 'Eb,Gb', '86 /r', m.xchg, { lock: true }),
  row('XCHG', 'Ev,Gv', '87 /r', m.xchg, { lock: true }),
  row('XCHG', 'Zv,rAX', '90+r', m.xchg),
  row('LEA', 'Gv,M', '8D /r', m.lea),
  row('XLAT', 'Bb', 'D7', m.xlat, { silent: true }),

  ...forEachCondition((cc, condition, digit) => row(`CMOV${cc}`, 'Gv,Ev', `0F 4${digit} /r`, m.cmovcc, { condition })),
  ...forEachCondition((cc, condition, digit) => row(`SET${cc}`, 'Eb', `0F 9${digit} /r`, m.setcc, { condition })),
];
