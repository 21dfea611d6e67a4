// CVE-2018-18281: mremap moves an entry, and the old address is flushed too late.

import type { Exhibit } from '../exhibit.js';
import { at, expect, flushPage, map, onFaultGoTo, only, store, UVMF_INVLPG, unmap } from '../steps.js';

export const mremap: Exhibit = {
  name: 'mremap',
  title: 'mremap moves a page, and its old address outlives it',
  year: '2018',
  system: 'Linux',
  bugClass: 'F',
  source: 'CVE-2018-18281; Linux commit eb66ae030829',
  catalogue: [16],
  story:
    'mremap moved page-table entries to their new place, let go of the lock, and flushed the old addresses afterwards. Between, ' +
    'ftruncate on another CPU found the pages at their new addresses, unmapped and flushed those, and freed the frames; a thread ' +
    'that still used the old address wrote into whatever was allocated next. Jann Horn of Project Zero found it, and showed how to exploit it.',
  see: 'The page is flushed, but at the wrong one of its addresses.',
  wrong: "wrote into the frame's next owner",
  finding: { kind: 'unmapped', mistake: 'wrong-address', grade: 're-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${map(at(0), 'page_a')}
      ${store(at(0), 1)}
      ; mremap: from page 0 to page 1
      ${unmap(at(0))}
      ${map(at(1), 'page_a')}
      ${only(build === 'after', flushPage(at(0)))}
      ; ftruncate: it is mapped at page 1
      ${unmap(at(1), UVMF_INVLPG)}
      ; the next owner
      ${map(at(2), 'page_a')}
      ${store(at(2), 2)}
      ; a thread that knows nothing of all this
      ${onFaultGoTo('.caught')}
      ${store(at(0), 3)}
    .caught:
      ${expect(at(2), 2)}`,
};
