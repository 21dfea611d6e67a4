// Xen: one INVLPG for 2 MiB that are mapped by pages of 4 KiB.

import type { Exhibit } from '../exhibit.js';
import { at, expect, flushAll, flushPage, map, onFaultGoTo, store, unmap } from '../steps.js';

export const superpageFlush: Exhibit = {
  name: 'superpage-flush',
  title: 'One INVLPG for a 2 MiB range that turns out to be mapped in pieces',
  year: '2007',
  system: 'Xen; again FreeBSD 2018 and 2026',
  bugClass: 'Z',
  source: 'Xen commit 9255c493f1; FreeBSD commit a0f64f38a182, FreeBSD-EN-26:10.amd64 (INVLPGB)',
  catalogue: [48, 53, 54],
  story:
    'One INVLPG drops the whole of a 2 MiB page. Xen used one for each aligned 2 MiB that it flushed, also where the range was mapped by ' +
    '512 entries of 4 KiB: one of them went, 511 stayed. FreeBSD did the same to the 4 KiB leftovers of promoted superpages, and again, in ' +
    '2026, with the stride of INVLPGB.',
  see: 'The first page of the range is flushed. The second still leads to a frame that belongs to somebody else.',
  wrong: 'wrote through the second page of a flushed range',
  finding: { kind: 'unmapped', mistake: 'wrong-address', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${map(at(0), 'page_a')}
      ${map(at(1), 'page_b')}
      ${store(at(0), 1)}
      ${store(at(1), 1)}
      ; the 2 MiB of the window go
      ${unmap(at(0))}
      ${unmap(at(1))}
      ${build === 'after' ? flushAll() : flushPage(at(0))}
      ; page_b has a new owner
      ${store('page_b', 2)}
      ${onFaultGoTo('.caught')}
      ${store(at(1), 3)}
    .caught:
      ${expect('page_b', 2)}`,
};
