// What operating systems use: descriptor tables, control and debug registers, MSRs, ports, caches, and asking the
// processor about itself. SDM 2A–2C under each mnemonic; groups 6 and 7 in SDM 2D (A.4.2).
// A PV guest runs at CPL 3 and gets #GP for what only CPL 0 may do (`cpl0`): the hypervisor then emulates some of it.
// Leaves out virtualisation, enclaves, protection keys, user interrupts and shadow stacks.

import * as m from '../meaning/index.js';
import { row, type UnplacedRow } from '../row.js';

const cpl0 = { privilege: 'cpl0' } as const;
const iopl = { privilege: 'iopl' } as const;

export const systemRows: readonly UnplacedRow[] = [
  // A store to memory is two bytes wide whatever the operand size; a register is written in full.
  row('SLDT', 'Rv', '0F 00 /0', m.sldt),
  row('SLDT', 'Mw', '0F 00 /0', m.sldt),
  row('STR', 'Rv', '0F 00 /1', m.str),
  row('STR', 'Mw', '0F 00 /1', m.str),
  row('LLDT', 'Ew', '0F 00 /2', m.privileged, cpl0),
  row('LTR', 'Ew', '0F 00 /3', m.privileged, cpl0),
  row('VERR', 'Ew', '0F 00 /4', m.verr),
  row('VERW', 'Ew', '0F 00 /5', m.verw),
  row('SGDT', 'Ms', '0F 01 /0', m.sgdt, { sizing: 'f64' }),
  row('SIDT', 'Ms', '0F 01 /1', m.sidt, { sizing: 'f64' }),
  row('LGDT', 'Ms', '0F 01 /2', m.privileged, { ...cpl0, sizing: 'f64' }),
  row('LIDT', 'Ms', '0F 01 /3', m.privileged, { ...cpl0, sizing: 'f64' }),
  row('SMSW', 'Rv', '0F 01 /4', m.smsw),
  row('SMSW', 'Mw', '0F 01 /4', m.smsw),
  row('LMSW', 'Ew', '0F 01 /6', m.privileged, cpl0),
  row('LAR', 'Gv,Ew', '0F 02 /r', m.lar),
  row('LSL', 'Gv,Ew', '0F 03 /r', m.lsl),

  row('INVLPG', 'M', '0F 01 /7', m.privileged, cpl0),
  row('INVPCID', 'Gq,Mdq', '66 0F 38 82 /r', m.privileged, { ...cpl0, sizing: 'f64', cpuid: 'INVPCID' }),
  row('SWAPGS', '', '0F 01 F8', m.privileged, cpl0),
  row('CLTS', '', '0F 06', m.privileged, cpl0),
  row('INVD', '', '0F 08', m.privileged, cpl0),
  row('WBINVD', '', '0F 09', m.privileged, cpl0),
  row('WBNOINVD', '', 'F3 0F 09', m.privileged, { ...cpl0, cpuid: 'WBNOINVD' }),
  row('HLT', '', 'F4', m.privileged, cpl0),
  // These are #UD, not #GP, above CPL 0.
  row('RSM', '', '0F AA', m.ud, cpl0),
  row('CLAC', '', 'NP 0F 01 CA', m.ud, { ...cpl0, cpuid: 'SMAP' }),
  row('STAC', '', 'NP 0F 01 CB', m.ud, { ...cpl0, cpuid: 'SMAP' }),
  row('MONITOR', '', 'NP 0F 01 C8', m.ud, { ...cpl0, cpuid: 'MONITOR' }),
  row('MWAIT', '', 'NP 0F 01 C9', m.ud, { ...cpl0, cpuid: 'MONITOR' }),

  // ModRM's mod is ignored: both operands are registers.
  row('MOV', 'Rq,Cq', '0F 20 mm:rrr:bbb', m.privileged, { ...cpl0, sizing: 'f64' }),
  row('MOV', 'Rq,Dq', '0F 21 mm:rrr:bbb', m.privileged, { ...cpl0, sizing: 'f64' }),
  row('MOV', 'Cq,Rq', '0F 22 mm:rrr:bbb', m.privileged, { ...cpl0, sizing: 'f64' }),
  row('MOV', 'Dq,Rq', '0F 23 mm:rrr:bbb', m.privileged, { ...cpl0, sizing: 'f64' }),
  row('WRMSR', '', '0F 30', m.privileged, cpl0),
  row('RDTSC', '', '0F 31', m.rdtsc),
  row('RDMSR', '', '0F 32', m.privileged, cpl0),
  row('RDPMC', '', '0F 33', m.privileged, cpl0),
  row('RDTSCP', '', '0F 01 F9', m.rdtscp, { cpuid: 'RDTSCP' }),
  row('CPUID', '', '0F A2', m.cpuid),
  row('XGETBV', '', 'NP 0F 01 D0', m.xgetbv, { cpuid: 'XSAVE' }),
  row('XSETBV', '', 'NP 0F 01 D1', m.privileged, { ...cpl0, cpuid: 'XSAVE' }),

  row('IN', 'AL,Ib', 'E4', m.portIn, iopl),
  row('IN', 'eAX,Ib', 'E5', m.portIn, iopl),
  row('OUT', 'Ib,AL', 'E6', m.portOut, iopl),
  row('OUT', 'Ib,eAX', 'E7', m.portOut, iopl),
  row('IN', 'AL,DX', 'EC', m.portIn, iopl),
  row('IN', 'eAX,DX', 'ED', m.portIn, iopl),
  row('OUT', 'DX,AL', 'EE', m.portOut, iopl),
  row('OUT', 'DX,eAX', 'EF', m.portOut, iopl),
];
