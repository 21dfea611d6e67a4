// Linux: two equal pages are merged while one of them can still be written to.

import { PTE_D } from '../../../abi/paging.js';
import type { Exhibit } from '../exhibit.js';
import { at, expect, flushAll, map, onFaultGoTo, only, RO, store, UVMF_INVLPG } from '../steps.js';

const CLEAN_RO = RO & ~Number(PTE_D);

export const ksm: Exhibit = {
  name: 'ksm',
  title: 'Two equal pages are merged while one can still be written to',
  year: '2017',
  system: 'Linux',
  bugClass: 'B',
  source: 'Linux "mm: fix KSM data corruption" (the series around commit 99baac21e458)',
  catalogue: [15],
  story:
    'KSM looks for pages with the same contents and keeps one of them. It first makes the page read-only and flushes, then compares; ' +
    'but a page that is read-only and clean in the table already it takes for protected. MADV_FREE, with its flush still ' +
    'batched up, leaves entries in that state that a CPU remembers as writable. What is written after the comparison goes to a page that is being thrown away.',
  see: 'KSM finds the pages equal and drops one; the store that follows goes to the dropped frame, which has a new owner.',
  wrong: 'wrote into the merged-away page',
  finding: { kind: 'right-removed', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ; two pages of a process with the same contents
      ${store('page_b', 7)}
      ${map(at(0), 'page_a')}
      ${store(at(0), 7)}
      ; another thread: the entry is made clean and read-only, the flush is put off
      mov qword ptr [variable_a], 1
      ${map(at(0), 'page_a', CLEAN_RO)}
      ; KSM: protected already? Mended, it asks also whether a flush is pending
      ${only(
        build === 'after',
        `
      cmp qword ptr [variable_a], 0
      je .protected
      ${flushAll()}
    .protected:`,
      )}
      mov rax, [page_a]
      cmp rax, [page_b]
      jne .different
      ; the process writes now; it must not get through
      ${onFaultGoTo('.caught')}
      ${store(at(0), 8)}
    .caught:
      ; equal: page_b stands for both, and page_a is dropped
      ${map(at(0), 'page_b', RO, UVMF_INVLPG)}
      ; what the dropped page held then must be what was compared
      ${expect('page_a', 7)}
    .different:`,
};
