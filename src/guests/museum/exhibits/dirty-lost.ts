// D is cleared and nobody flushes: the next write leaves no trace.

import { PTE_D } from '../../../abi/paging.js';
import type { Exhibit } from '../exhibit.js';
import { at, copyPage, expect, map, RW, store, UVMF_INVLPG, UVMF_NONE, unmap } from '../steps.js';

const CLEAN = RW & ~Number(PTE_D);

export const dirtyLost: Exhibit = {
  name: 'dirty-lost',
  title: 'The dirty bit is cleared without a flush, and the next write leaves no trace',
  year: '2017',
  system: 'Linux',
  bugClass: 'D',
  source:
    'SDM 3A "Paging > Accessed and Dirty Flags" (§4.8); Linux "mm: fix MADV_[FREE|DONTNEED] TLB flush miss problem"',
  catalogue: [14],
  story:
    'Write-back copies a dirty page to disk and clears D, so that a later write shows. A CPU that remembers the page as dirty sees ' +
    'no reason to set D again. When memory is short the page is clean: it is dropped and read from disk again, and what was ' +
    'written between is gone. MADV_FREE clears D in the same way, with its flush put off.',
  see: 'After the second store the entry in memory is clean, and the page comes back from disk as it was.',
  wrong: 'a write was lost',
  finding: { kind: 'dirty-lost', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${map(at(0), 'page_a')}
      ${store(at(0), 1)}
      ; write-back: page_b is the disk
      ${map(at(0), 'page_a', CLEAN, build === 'after' ? UVMF_INVLPG : UVMF_NONE)}
      ${copyPage('page_b', 'page_a')}
      ${store(at(0), 2)}
      ; memory is short: a dirty page is written once more, a clean one is dropped
      mov rax, [window_table]
      test al, ${Number(PTE_D)}
      jz .clean
      ${copyPage('page_b', 'page_a')}
    .clean:
      ${unmap(at(0), UVMF_INVLPG)}
      ; and read again when it is wanted
      ${copyPage('page_c', 'page_b')}
      ${map(at(0), 'page_c')}
      ${expect(at(0), 2)}`,
};
