// Linux: reclaim has cleared the entry and put the flush off; munmap finds nothing to flush.

import type { Exhibit } from '../exhibit.js';
import { at, expect, flushAll, map, onFaultGoTo, only, store, unmap } from '../steps.js';

export const batchedReclaim: Exhibit = {
  name: 'batched-reclaim',
  title: 'Reclaim puts its flush off, and munmap finds nothing to flush',
  year: '2017',
  system: 'Linux',
  bugClass: 'B',
  source: 'Linux commit 3ea277194dae, found by N. Amit',
  catalogue: [13],
  story:
    'When memory is short, reclaim clears many entries and sends one flush for all of them at its end. mprotect or munmap of the same ' +
    'range, on another CPU in the meantime, sees an entry that is not present: nothing to change, nothing to flush. It returns to a ' +
    'program that now takes the range for unmapped, while its other threads can still use it. Since then such calls ask first ' +
    'whether a batch is pending (flush_tlb_batched_pending).',
  see: 'munmap has returned. The old address still reads, and writes.',
  wrong: 'the page can be used after munmap',
  finding: { kind: 'unmapped', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${map(at(0), 'page_a')}
      ${store(at(0), 1)}
      ; reclaim: the entry is cleared, the flush is pending
      ${unmap(at(0))}
      mov qword ptr [variable_a], 1
      ; munmap: mended, it sends a flush that is pending
      ${only(
        build === 'after',
        `
      cmp qword ptr [variable_a], 0
      je .none_pending
      ${flushAll()}
    .none_pending:`,
      )}
      test qword ptr [window_table], 1
      jz .nothing_there
      ${unmap(at(0))}
      ${flushAll()}
    .nothing_there:
      ; another thread
      ${onFaultGoTo('.caught')}
      ${store(at(0), 2)}
      jmp .late
    .caught:
      mov qword ptr [variable_b], 1
    .late:
      ; reclaim's flush comes at last
      ${flushAll()}
      ${expect('variable_b', 1)}`,
};
