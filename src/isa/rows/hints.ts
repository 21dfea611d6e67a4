// What changes nothing that a program can see: no-operations, prefetches, fences, landing pads. SDM 2B "NOP",
// "PREFETCHh", "ENDBR64"; the reserved no-operations 0F 0D and 0F 18–1F are in SDM 2D (table A-3).
// New processors give meanings to reserved no-operations (shadow stacks, MPX, cache hints); as this machine has none of
// those features, the rows here mean what they do there: nothing.

import * as m from '../meaning/index.js';
import { row, type UnplacedRow } from '../row.js';

const alias = { alias: true } as const;

export const hintRows: readonly UnplacedRow[] = [
  row('NOP', '', 'REX.B=0 90', m.nop),
  row('PAUSE', '', 'F3 REX.B=0 90', m.nop),
  row('NOP', 'Ev', '0F 1F /0', m.nop),

  row('PREFETCH', 'Mb', '0F 0D /0', m.nop, { cpuid: 'PREFETCHW' }),
  row('PREFETCHW', 'Mb', '0F 0D /1', m.nop, { cpuid: 'PREFETCHW' }),
  // AMD reserves /2 to /7 and takes them as one of the two above; Intel made /2 a prefetch of its own.
  row('PREFETCHWT1', 'Mb', '0F 0D /2', m.nop),
  row('PREFETCHW', 'Mb', '0F 0D /3', m.nop, alias),
  row('PREFETCH', 'Mb', '0F 0D /4', m.nop, alias),
  row('PREFETCH', 'Mb', '0F 0D /5', m.nop, alias),
  row('PREFETCH', 'Mb', '0F 0D /6', m.nop, alias),
  row('PREFETCH', 'Mb', '0F 0D /7', m.nop, alias),
  row('PREFETCHNTA', 'Mb', '0F 18 /0', m.nop),
  row('PREFETCHT0', 'Mb', '0F 18 /1', m.nop),
  row('PREFETCHT1', 'Mb', '0F 18 /2', m.nop),
  row('PREFETCHT2', 'Mb', '0F 18 /3', m.nop),
  row('PREFETCHIT1', 'Mb', '0F 18 /6', m.nop),
  row('PREFETCHIT0', 'Mb', '0F 18 /7', m.nop),
  row('CLDEMOTE', 'Mb', 'NP 0F 1C /0', m.nop),
  row('RDSSPD', 'Rd', 'F3 0F 1E /1', m.nop),
  row('RDSSPQ', 'Rq', 'F3 o64 0F 1E /1', m.nop),
  row('ENDBR64', '', 'F3 0F 1E FA', m.nop),
  row('ENDBR32', '', 'F3 0F 1E FB', m.nop),
  row('RESERVEDNOP', 'Ev,Gv', '0F 0D /r', m.nop, alias),
  row('RESERVEDNOP', 'Ev,Gv', '0F 18 /r', m.nop, alias),
  row('RESERVEDNOP', 'Ev,Gv', '0F 19 /r', m.nop, alias),
  row('RESERVEDNOP', 'Ev,Gv', '0F 1A /r', m.nop, alias),
  row('RESERVEDNOP', 'Ev,Gv', '0F 1B /r', m.nop, alias),
  row('RESERVEDNOP', 'Ev,Gv', '0F 1C /r', m.nop, alias),
  row('RESERVEDNOP', 'Ev,Gv', '0F 1D /r', m.nop, alias),
  row('RESERVEDNOP', 'Ev,Gv', '0F 1E /r', m.nop, alias),
  row('RESERVEDNOP', 'Ev,Gv', '0F 1F /r', m.nop, alias),

  // Caches are not modelled: all that is left of these is a read of one byte, which may fault.
  row('CLFLUSH', 'Mb', 'NP 0F AE /7', m.clflush, { cpuid: 'CLFSH', sizing: 'f64' }),
  row('CLFLUSHOPT', 'Mb', '66 0F AE /7', m.clflush, { cpuid: 'CLFLUSHOPT', sizing: 'f64' }),
  row('CLWB', 'Mb', '66 0F AE /6', m.clflush, { cpuid: 'CLWB', sizing: 'f64' }),

  // Processors ignore the rm field that the SDM gives as 0.
  row('LFENCE', '', 'NP 0F AE 11:101:bbb', m.lfence, { cpuid: 'SSE2' }),
  row('MFENCE', '', 'NP 0F AE 11:110:bbb', m.nop, { cpuid: 'SSE2' }),
  row('SFENCE', '', 'NP 0F AE 11:111:bbb', m.nop, { cpuid: 'SSE' }),
];
