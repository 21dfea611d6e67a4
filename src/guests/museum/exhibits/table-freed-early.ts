// Linux: page-table pages are freed before the flush that covers the paging-structure caches.

import type { Exhibit } from '../exhibit.js';
import { expect, flushPage, hook, hookAgain, map, onFaultGoTo, store, unhook, unmap } from '../steps.js';

/** The freed page becomes the table of another program, and gets an entry. */
const reuse = `
      ${hookAgain(3, 'table_a')}
      ${map('next_region + 0x401000', 'page_b')}
      ${store('page_b', 5)}`;

const flush = flushPage('next_region');

export const tableFreedEarly: Exhibit = {
  name: 'table-freed-early',
  title: 'A page-table page is used again before the flush, and the CPU walks what it holds now',
  year: '2018',
  system: 'Linux',
  bugClass: 'S',
  source: 'Linux merge 706a1ea65e6f, commit d86564a2f085',
  catalogue: [21],
  story:
    'munmap freed the pages of page tables before the flush that makes CPUs forget the way to them. In between, a speculative walk ' +
    'goes through a table that belongs to somebody else by then, and takes what it finds there for its own. The flush comes, but ' +
    'what was loaded meanwhile is a translation of another page than the one that is flushed, and stays.',
  see: 'The page that is read was never mapped in this program at all. Only --refill any loads its translation in time, as real CPUs may; a walk that nobody asked for has to happen between the two steps.',
  wrong: 'read a page that was never mapped here',
  finding: { kind: 'table-replaced', mistake: 'wrong-address', grade: 're-use' },
  goesWrongOn: ['worst', 'amd'],
  main: (build) => `
      ${hook(1, 'table_a')}
      ${map('next_region', 'page_a')}
      mov rax, [next_region]
      ; munmap
      ${unmap('next_region')}
      ${unhook(1)}
      ${build === 'before' ? reuse + flush : flush + reuse}
      ${onFaultGoTo('.caught')}
      mov rax, [next_region + 0x1000]
      cmp rax, 5
      je wrong
    .caught:
      ${expect('page_b', 5)}`,
};
