// Linux: page-table pages are freed before the flush that covers the paging-structure caches.

import type { Exhibit } from '../exhibit.js';
import { at, flushPage, hook, map, onFaultGoTo, store, unhook, unmap } from '../steps.js';

/** The freed page gets an owner, whose data looks like an entry for page_b at slot 1. */
const reuse = `
      ${map(at(0), 'table_a')}
      mov rdi, page_b
      call virt_to_mfn
      shl rax, 12
      or rax, 0x67
      mov [${at(0)} + 8], rax`;

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
    'goes through a table that is somebody else’s data by then and takes whatever it finds for entries. The flush comes, but ' +
    'what was loaded from the data is a translation for another page than the one that is flushed, and stays.',
  see: 'The page that reads the secret was never mapped at all: its translation was made from data. Only --refill any loads it, as real CPUs may.',
  wrong: 'read a page that nobody ever mapped',
  goesWrongOn: ['worst', 'amd'],
  main: (build) => `
      ${hook(1, 'table_a')}
      ${map('next_region', 'page_a')}
      mov rax, [next_region]
      ${store('page_b', 5)}
      ; munmap
      ${unmap('next_region')}
      ${unhook(1)}
      ${build === 'before' ? reuse + flush : flush + reuse}
      ${onFaultGoTo('.caught')}
      mov rax, [next_region + 0x1000]
      cmp rax, 5
      je wrong
    .caught:`,
};
