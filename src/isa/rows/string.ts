// String instructions: SDM 2A–2C under each mnemonic, SDM 2B "REP/REPE/REPZ/REPNE/REPNZ".
// Their operands stand in the mnemonic.
// F2 on the ones that do not compare is undefined to the manuals; processors take it as F3.

import * as m from '../meaning/index.js';
import { row, type UnplacedRow } from '../row.js';

const count = { repeats: 'count', silent: true } as const;
const compare = { repeats: 'compare', silent: true } as const;
const port = { ...count, privilege: 'iopl' } as const;

export const stringRows: readonly UnplacedRow[] = [
  row('MOVSB', 'Yb,Xb', 'A4', m.movs, count),
  row('MOVSW', 'Yv,Xv', 'o16 A5', m.movs, count),
  row('MOVSD', 'Yv,Xv', 'o32 A5', m.movs, count),
  row('MOVSQ', 'Yv,Xv', 'o64 A5', m.movs, count),
  row('CMPSB', 'Xb,Yb', 'A6', m.cmps, compare),
  row('CMPSW', 'Xv,Yv', 'o16 A7', m.cmps, compare),
  row('CMPSD', 'Xv,Yv', 'o32 A7', m.cmps, compare),
  row('CMPSQ', 'Xv,Yv', 'o64 A7', m.cmps, compare),
  row('STOSB', 'Yb,AL', 'AA', m.stos, count),
  row('STOSW', 'Yv,rAX', 'o16 AB', m.stos, count),
  row('STOSD', 'Yv,rAX', 'o32 AB', m.stos, count),
  row('STOSQ', 'Yv,rAX', 'o64 AB', m.stos, count),
  row('LODSB', 'AL,Xb', 'AC', m.lods, count),
  row('LODSW', 'rAX,Xv', 'o16 AD', m.lods, count),
  row('LODSD', 'rAX,Xv', 'o32 AD', m.lods, count),
  row('LODSQ', 'rAX,Xv', 'o64 AD', m.lods, count),
  row('SCASB', 'AL,Yb', 'AE', m.scas, compare),
  row('SCASW', 'rAX,Yv', 'o16 AF', m.scas, compare),
  row('SCASD', 'rAX,Yv', 'o32 AF', m.scas, compare),
  row('SCASQ', 'rAX,Yv', 'o64 AF', m.scas, compare),

  // REX.W makes no eight-byte ports: INSD and OUTSD.
  row('INSB', 'Yb,DX', '6C', m.portIns, port),
  row('INSW', 'Yz,DX', 'o16 6D', m.portIns, port),
  row('INSD', 'Yz,DX', '6D', m.portIns, port),
  row('OUTSB', 'DX,Xb', '6E', m.portOuts, port),
  row('OUTSW', 'DX,Xz', 'o16 6F', m.portOuts, port),
  row('OUTSD', 'DX,Xz', '6F', m.portOuts, port),
];
