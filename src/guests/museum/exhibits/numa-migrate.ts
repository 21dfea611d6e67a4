// Linux: a page is copied to another node while it can still be written to.

import type { Exhibit } from '../exhibit.js';
import { at, copyPage, expect, flushAll, map, onFaultCall, only, RW, store, UVMF_INVLPG, unmap } from '../steps.js';

export const numaMigrate: Exhibit = {
  name: 'numa-migrate',
  title: 'A page moves to another node while it is still written to where it was',
  year: '2013',
  system: 'Linux',
  bugClass: 'B',
  source: 'Linux commit 20841405940e',
  catalogue: [12],
  story:
    'NUMA balancing takes the rights from an entry so that the next access faults and shows who uses the page; the flush was put off to ' +
    'the end of the range. A second CPU saw the entry without rights, took the page for unused and moved it to another node. A third CPU ' +
    'still had the old translation and wrote to the old frame after it had been copied. The write was lost.',
  see: 'The thread read back, after the move, what it had written before its last write.',
  wrong: 'a write was lost in the move',
  finding: { kind: 'unmapped', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${onFaultCall('numa_fault')}
      ${map(at(0), 'page_a')}
      ${store(at(0), 1)}
      ; CPU 1, change_prot_numa: no rights, the flush comes at the end of the range
      ${unmap(at(0))}
      ; CPU 2, migrate_misplaced_page: mended, it sends the flush that is pending before it copies
      ${only(build === 'after', flushAll())}
      ${copyPage('page_b', 'page_a')}
      ; CPU 3, a thread
      ${store(at(0), 2)}
      ; CPU 2: the entry leads to the new place; CPU 1: the end of the range
      ${map(at(0), 'page_b')}
      ${flushAll()}
      ${expect(at(0), 2)}`,
  // A thread that faults waits until the page has arrived.
  parts: `
    numa_fault:
      ${map(at(0), 'page_b', RW, UVMF_INVLPG)}
      ret`,
};
