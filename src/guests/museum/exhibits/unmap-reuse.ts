// Nanvix: a page is unmapped, its frame given to somebody else, and the old address still leads to it.

import type { Exhibit } from '../exhibit.js';
import { at, expect, map, onFaultGoTo, store, UVMF_INVLPG, UVMF_NONE, unmap } from '../steps.js';

export const unmapReuse: Exhibit = {
  name: 'unmap-reuse',
  title: 'A page is unmapped with no invalidation, and its frame used again',
  year: '2026',
  system: 'Nanvix',
  bugClass: 'F',
  source: 'GitHub nanvix/nanvix pull request 2244',
  catalogue: [8],
  story:
    'The Nanvix microkernel removed page-table entries without INVLPG. Continuous integration failed now and then with faults ' +
    'at addresses that nobody had used. Here a frame is taken from one owner and given to another; then the first owner stores ' +
    'through a pointer that it kept.',
  see: "The store should fault: nothing is mapped there. It goes through, into the new owner's data.",
  wrong: "wrote into the frame's new owner",
  finding: { kind: 'unmapped', mistake: 'no-flush', grade: 're-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${map(at(0), 'page_a')}
      ${store(at(0), 1)}
      ${unmap(at(0), build === 'after' ? UVMF_INVLPG : UVMF_NONE)}
      ; the new owner
      ${map(at(1), 'page_a')}
      ${store(at(1), 2)}
      ; the old one
      ${onFaultGoTo('.caught')}
      ${store(at(0), 3)}
    .caught:
      ${expect(at(1), 2)}`,
};
