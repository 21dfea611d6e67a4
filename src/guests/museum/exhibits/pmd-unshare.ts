// CVE-2021-4002: a page table that two processes shared is given up by one of them, without a flush.

import type { Exhibit } from '../exhibit.js';
import { expect, flushAll, hook, map, onFaultGoTo, only, store, UVMF_INVLPG, unhook } from '../steps.js';

export const pmdUnshare: Exhibit = {
  name: 'pmd-unshare',
  title: 'A shared page table is given up without a flush, and goes on being filled by the other',
  year: '2021',
  system: 'Linux',
  bugClass: 'S',
  source: 'CVE-2021-4002 (hugetlbfs, huge_pmd_unshare)',
  catalogue: [20],
  story:
    'Processes that map the same huge pages share the table that maps them. When one unmapped its part, huge_pmd_unshare cleared ' +
    'the entry that led to the shared table and recorded no flush. The upper entry stayed in the paging-structure cache: the process ' +
    'could still walk into a table that was no longer its own, and reach what the other mapped there later.',
  see: 'An address that was never used before reads a frame that was mapped after the table had been given up. Xen flushes after each change of an upper-level entry since XSA-286 (4.17), and hides it.',
  wrong: "read another file's page through a table given up",
  finding: { kind: 'table-replaced', mistake: 'no-flush', grade: 're-use' },
  goesWrongOn: ['xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ; the shared table: the other process has it at the window, this one behind it
      ${hook(1, 'window_table')}
      ${map('window', 'page_a', undefined, UVMF_INVLPG)}
      mov rax, [next_region]
      ; unshared
      ${unhook(1)}
      ${only(build === 'after', flushAll())}
      ; the other process goes on, and maps another file's page
      ${map('window + 0x1000', 'page_b')}
      ${store('page_b', 5)}
      ; this one has nothing there, and must fault
      ${onFaultGoTo('.caught')}
      mov rax, [next_region + 0x1000]
      cmp rax, 5
      je wrong
    .caught:
      ${expect('page_b', 5)}`,
};
