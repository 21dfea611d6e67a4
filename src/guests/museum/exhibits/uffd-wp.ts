// Linux: a page is write-protected for a snapshot, copied, and written to meanwhile.

import type { Exhibit } from '../exhibit.js';
import { at, copyPage, expect, flushAll, map, onFaultCall, only, RO, RW, store, UVMF_INVLPG } from '../steps.js';

export const uffdWp: Exhibit = {
  name: 'uffd-wp',
  title: 'A write-protected page is copied while another thread still writes to it',
  year: '2021',
  system: 'Linux',
  bugClass: 'T',
  source: 'Linux commit 6ce64428d620, found by N. Amit (userfaultfd selftest)',
  catalogue: [19],
  story:
    'userfaultfd can write-protect a range, to snapshot it while the program runs. The flush was put off, under a lock that lets others ' +
    'in: a write fault on a second CPU found the page read-only, copied it and gave the copy to the program, while a third CPU ' +
    'went on writing to the original. What it wrote between copy and flush was lost.',
  see: 'The last store goes into the frame that the copy was made from.',
  wrong: 'a write went into the page that was copied from',
  finding: { kind: 'right-removed', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${onFaultCall('write_fault')}
      ${map(at(0), 'page_a')}
      ${store(at(0), 1)}
      ; CPU 1, userfaultfd: write-protected
      ${map(at(0), 'page_a', RO)}
      ; CPU 2, a write fault: mended, it flushes before it copies
      ${only(build === 'after', flushAll())}
      ${copyPage('page_b', 'page_a')}
      ; CPU 3, a thread that writes
      ${store(at(0), 2)}
      ; CPU 2: the copy takes the page's place; CPU 1: the flush
      ${map(at(0), 'page_b')}
      ${flushAll()}
      ${expect(at(0), 2)}`,
  parts: `
    write_fault:
      ${map(at(0), 'page_b', RW, UVMF_INVLPG)}
      ret`,
};
