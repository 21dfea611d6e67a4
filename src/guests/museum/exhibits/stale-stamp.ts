// XSA-241: a page is stamped with the time of its last use, and the time is old.

import type { Exhibit } from '../exhibit.js';
import { at, expect, flushAll, map, onFaultGoTo, only, store, unmap } from '../steps.js';

/** The clock of full flushes; the one of this CPU's last one; the page's stamp. */
const [CLOCK, CPU_TIME, STAMP] = ['variable_a', 'variable_b', 'variable_c'];

export const staleStamp: Exhibit = {
  name: 'stale-stamp',
  title: 'A page gets a time stamp that is too old, and its flush seems done already',
  year: '2017',
  system: 'Xen',
  bugClass: 'Y',
  source: 'XSA-241 (CVE-2017-15588), Xen commit 23a183607a',
  catalogue: [37],
  story:
    'Xen counts full flushes and stamps a page with the count when its last use ends. Before the page is used otherwise, only CPUs ' +
    'whose last flush is not younger than the stamp are flushed. The count was read, then stored; an interrupt between the two could bring a flush, and ' +
    'more use of the page after it. The stamp said "before that flush", so the flush that was needed seemed to have been. ' +
    'The guest has such a clock of its own.',
  see: 'The filter compares two numbers and is sure. The old translation is younger than both.',
  wrong: 'wrote into a page that was given away',
  finding: { kind: 'unmapped', mistake: 'flush-before-store', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      mov qword ptr [${CLOCK}], 5
      mov qword ptr [${CPU_TIME}], 5
      ${map(at(0), 'page_a')}
      ${store(at(0), 1)}
      ; the last use ends: the clock is read …
      mov rbx, [${CLOCK}]
      ; … an interrupt: a full flush, and the page is used once more
      ${flushAll()}
      inc qword ptr [${CLOCK}]
      mov qword ptr [${CPU_TIME}], 6
      ${store(at(0), 2)}
      ; … and stored. Mended: read and stored in one
      ${only(build === 'after', `mov rbx, [${CLOCK}]`)}
      mov [${STAMP}], rbx
      ${unmap(at(0))}
      ; the page is to be used otherwise: has this CPU been flushed since?
      mov rax, [${CPU_TIME}]
      cmp rax, [${STAMP}]
      ja .flushed
      ${flushAll()}
    .flushed:
      ${store('page_a', 3)}
      ${onFaultGoTo('.caught')}
      ${store(at(0), 4)}
    .caught:
      ${expect('page_a', 3)}`,
};
