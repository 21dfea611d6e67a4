// XSA-408: whether to flush is decided by what the entry has become, not by what it was.

import type { Exhibit } from '../exhibit.js';
import { at, expect, flushAll, map, onFaultGoTo, only, RO, store } from '../steps.js';

export const wrongCondition: Exhibit = {
  name: 'wrong-condition',
  title: 'The question whether to flush is put to the new entry instead of the old one',
  year: '2022',
  system: 'Xen (shadow paging)',
  bugClass: 'T',
  source: 'XSA-408 (CVE-2022-33745), Xen commit a9949efb28',
  catalogue: [36],
  story:
    'To save flushes, code asks: was the entry one that a CPU may hold? When code was moved about for the L1TF mitigations, the question ' +
    'came to be asked after the entry had been replaced, of its new contents: the flush was left out when it was needed, and done when it ' +
    'was not. Jan Beulich could not connect it with the crashes that it cured; only repeated tests showed them gone. Here a kernel ' +
    'flushes when an entry was writable, and asks too late.',
  see: 'The page is read-only by then, and yet the store goes through.',
  wrong: 'a read-only page was written to',
  finding: { kind: 'right-removed', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${map(at(0), 'page_a')}
      ${store(at(0), 1)}
      ; make it read-only, and flush if it was writable
      mov rbx, [window_table]
      ${map(at(0), 'page_a', RO)}
      ${only(build === 'before', 'mov rbx, [window_table]')}
      test bl, 2
      jz .not_writable
      ${flushAll()}
    .not_writable:
      ${onFaultGoTo('.caught')}
      ${store(at(0), 2)}
    .caught:
      ${expect(at(0), 1)}`,
};
