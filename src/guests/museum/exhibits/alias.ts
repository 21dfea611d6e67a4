// One entry, two addresses: two L2 slots lead to the same L1 table, and only one of the addresses is flushed.

import type { Exhibit } from '../exhibit.js';
import { at, flushPage, hook, load, map, onFaultCall, only, RO, RW, store, UVMF_INVLPG } from '../steps.js';

export const alias: Exhibit = {
  name: 'alias',
  title: 'Two addresses share an entry; one of them is flushed',
  year: '2012',
  system: 'Linux 3.x on Xen',
  bugClass: 'L',
  source: 'arch/x86/xen/mmu.c xen_setup_kernel_pagetable: level2_ident_pgt and level2_kernel_pgt share their L1 tables',
  catalogue: [1],
  story:
    'Linux on Xen reaches all of its memory at two addresses, __va and __ka, through two L2 tables with the same L1s: one entry ' +
    'in memory feeds two translations. UVMF_INVLPG names one address. In Linux nothing writes through the other before the ' +
    'next load of CR3; this guest does.',
  see: 'The page is made writable and flushed, and the store to its other address faults all the same.',
  wrong: 'a page fault at the other address',
  finding: { kind: 'right-added', mistake: 'wrong-alias', grade: 'tolerated' },
  goesWrongOn: ['today', 'xen-4.1', 'worst'],
  main: (build) => `
      ${hook(1, 'window_table')}
      ${map(at(0), 'page_a', RO)}
      ${load(at(0))}
      ${load('next_region')}
      ${map(at(0), 'page_a', RW, UVMF_INVLPG)}
      ${only(build === 'after', flushPage('next_region'))}
      ${onFaultCall('wrong')}
      ${store(at(0), 1)}
      ${store('next_region', 2)}`,
};
