// XSA-286: a linear page table shows the L1 that was there before.

import type { Exhibit } from '../exhibit.js';
import { expect, flushAll, hook, map, only } from '../steps.js';

export const linearMap: Exhibit = {
  name: 'linear-map',
  title: 'A linear page table still shows the L1 that an L2 entry led to before',
  year: '2020',
  system: 'Xen',
  bugClass: 'S',
  source: 'XSA-286, Xen commit 16a20963b3; XTF tests/xsa-286',
  catalogue: [32, 49],
  story:
    'A linear page table maps the tables themselves into the address space: an upper-level entry that leads to its own table makes ' +
    'all L1 entries readable in one row. So one entry has two roles, and a change of it has to be flushed in both. Xen kept ' +
    'such a map of the current guest; a guest that replaced an L2 entry inside a multicall could make Xen edit the old L1 through it. ' +
    'Here the guest has a linear map of its own, and replaces an L1.',
  see: 'The entry that the linear map shows for the page is that of the old table. Xen 4.17 flushes after each change of an upper-level entry: that was the cure.',
  wrong: 'the linear map shows an entry of the old table',
  finding: { kind: 'frame-replaced', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ; two tables, and a linear map in which their entries can be read
      ${hook(1, 'table_a')}
      ${hook(3, 'table_b')}
      ${map('next_region', 'page_a')}
      call open_linear_map
      mov rbx, [linear_entry]
      test rbx, rbx
      jz bug
      ; another L1, in which the page is not mapped
      ${hook(1, 'table_b')}
      ${only(build === 'after', flushAll())}
      ; is it mapped? Ask the linear map
      ${expect('linear_entry', 0)}`,
};
