// The stack: SDM 2A–2B under each mnemonic. In 64-bit mode these push and pop 8 bytes, or 2 with 66; never 4.
// Leaves out PUSHA, POPA and the pushes and pops of ES, CS, SS and DS (not in 64-bit mode).

import * as m from '../meaning/index.js';
import { row, type UnplacedRow } from '../row.js';

const d64 = { sizing: 'd64' } as const;

export const stackRows: readonly UnplacedRow[] = [
  row('PUSH', 'Zv', '50+r', m.push, d64),
  row('POP', 'Zv', '58+r', m.pop, d64),
  row('PUSH', 'Ibs', '6A', m.push, d64),
  row('PUSH', 'Iz', '68', m.push, d64),
  row('PUSH', 'Ev', 'FF /6', m.push, d64),
  row('POP', 'Ev', '8F /0', m.pop, d64),
  row('PUSH', 'FS', '0F A0', m.pushSegment, d64),
  row('POP', 'FS', '0F A1', m.popSegment, d64),
  row('PUSH', 'GS', '0F A8', m.pushSegment, d64),
  row('POP', 'GS', '0F A9', m.popSegment, d64),
  row('PUSHF', '', 'o16 9C', m.pushf, d64),
  row('PUSHFQ', '', 'o64 9C', m.pushf, d64),
  row('POPF', '', 'o16 9D', m.popf, d64),
  row('POPFQ', '', 'o64 9D', m.popf, d64),
  row('ENTER', 'Iw,Ib', 'C8', m.enter, d64),
  row('LEAVE', '', 'C9', m.leave, d64),
];
