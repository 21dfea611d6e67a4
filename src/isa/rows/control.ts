// Where execution goes on: jumps, calls, returns, loops, interrupts, and the ways into and out of the kernel. SDM 2A–2C
// under each mnemonic.
// A near branch is always 64 bits wide here and ignores 66, as Intel's processors do; AMD's take 66 as a 16-bit branch
// (docs/isa.md, "Where manuals and processors differ").
// Leaves out the direct far jump and call, INTO and BOUND (not in 64-bit mode), and transactions (XBEGIN, XABORT).

import * as m from '../meaning/index.js';
import { row, type UnplacedRow } from '../row.js';
import { forEachCondition } from './conditions.js';

const f64 = { sizing: 'f64' } as const;

export const controlRows: readonly UnplacedRow[] = [
  ...forEachCondition((cc, condition, digit) => row(`J${cc}`, 'Jb', `7${digit}`, m.jcc, { ...f64, condition })),
  ...forEachCondition((cc, condition, digit) => row(`J${cc}`, 'Jz', `0F 8${digit}`, m.jcc, { ...f64, condition })),
  row('JMP', 'Jb', 'EB', m.jmp, f64),
  row('JMP', 'Jz', 'E9', m.jmp, f64),
  row('JMP', 'Ev', 'FF /4', m.jmp, f64),
  row('CALL', 'Jz', 'E8', m.call, f64),
  row('CALL', 'Ev', 'FF /2', m.call, f64),
  row('RET', '', 'C3', m.ret, f64),
  row('RET', 'Iw', 'C2', m.ret, f64),

  // The address size says whether ECX or RCX counts.
  row('LOOPNE', 'Jb', 'E0', m.loopne, f64),
  row('LOOPE', 'Jb', 'E1', m.loope, f64),
  row('LOOP', 'Jb', 'E2', m.loop, f64),
  row('JECXZ', 'Jb', 'a32 E3', m.jrcxz, f64),
  row('JRCXZ', 'Jb', 'a64 E3', m.jrcxz, f64),

  row('CALLF', 'Mp', 'FF /3', m.callFar),
  row('JMPF', 'Mp', 'FF /5', m.jmpFar),
  row('RETF', '', 'CB', m.retFar),
  row('RETF', 'Iw', 'CA', m.retFar),
  row('IRET', '', 'o16 CF', m.iret),
  row('IRETD', '', 'o32 CF', m.iret),
  row('IRETQ', '', 'o64 CF', m.iret),

  row('INT3', '', 'CC', m.int3),
  row('INT', 'Ib', 'CD', m.int),
  row('INT1', '', 'F1', m.int1),
  row('UD2', '', '0F 0B', m.ud),
  row('UD1', 'Gv,Ev', '0F B9 /r', m.ud),
  row('UD0', 'Gv,Ev', '0F FF /r', m.ud),

  row('SYSCALL', '', '0F 05', m.syscall),
  row('SYSRET', '', '0F 07', m.privileged, { privilege: 'cpl0' }),
  row('SYSRETQ', '', 'o64 0F 07', m.privileged, { privilege: 'cpl0' }),
  row('SYSENTER', '', '0F 34', m.sysenter),
  row('SYSEXIT', '', '0F 35', m.privileged, { privilege: 'cpl0' }),
  row('SYSEXITQ', '', 'o64 0F 35', m.privileged, { privilege: 'cpl0' }),
];
