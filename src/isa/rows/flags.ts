// Single flags, and AH as a view of the low flags: SDM 2A–2C under each mnemonic.

import * as m from '../meaning/index.js';
import { row, type UnplacedRow } from '../row.js';

export const flagRows: readonly UnplacedRow[] = [
  row('CMC', '', 'F5', m.cmc),
  row('CLC', '', 'F8', m.clc),
  row('STC', '', 'F9', m.stc),
  row('CLI', '', 'FA', m.cliSti, { privilege: 'iopl' }),
  row('STI', '', 'FB', m.cliSti, { privilege: 'iopl' }),
  row('CLD', '', 'FC', m.cld),
  row('STD', '', 'FD', m.std),
  row('SAHF', '', '9E', m.sahf),
  row('LAHF', '', '9F', m.lahf),
];
