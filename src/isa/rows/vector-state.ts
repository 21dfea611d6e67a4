// Saving, restoring and clearing the registers of x87, MMX and SSE. SDM 2A under each mnemonic, SDM 2B "STMXCSR".
// Leaves out the XSAVE family: CPUID does not show it.

import * as m from '../meaning/index.js';
import { row, type UnplacedRow } from '../row.js';

const fxsr = { cpuid: 'FXSR', unit: 'sse' } as const;

export const vectorStateRows: readonly UnplacedRow[] = [
  row('FXSAVE', 'Mfx', 'NP o32 0F AE /0', m.fxsave, fxsr),
  row('FXSAVE64', 'Mfx', 'NP o64 0F AE /0', m.fxsave, fxsr),
  row('FXRSTOR', 'Mfx', 'NP o32 0F AE /1', m.fxrstor, fxsr),
  row('FXRSTOR64', 'Mfx', 'NP o64 0F AE /1', m.fxrstor, fxsr),
  row('LDMXCSR', 'Md', 'NP 0F AE /2', m.ldmxcsr, { cpuid: 'SSE', unit: 'sse', sizing: 'f64' }),
  row('STMXCSR', 'Md', 'NP 0F AE /3', m.stmxcsr, { cpuid: 'SSE', unit: 'sse', sizing: 'f64' }),
  // Of MMX's instructions the one that leaves x87's registers empty.
  row('EMMS', '', 'NP 0F 77', m.emms, { cpuid: 'MMX', unit: 'x87', sizing: 'f64' }),
];
