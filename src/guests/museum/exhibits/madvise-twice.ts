// Linux: two threads drop the same range at once; the second returns before the first has flushed.

import type { Exhibit } from '../exhibit.js';
import { at, flushAll, load, map, onFaultCall, only, RW, store, UVMF_NONE, unmap } from '../steps.js';

export const madviseTwice: Exhibit = {
  name: 'madvise-twice',
  title: 'Two threads drop the same range, and one of them still sees the old data',
  year: '2017',
  system: 'Linux',
  bugClass: 'B',
  source: 'Linux commits 99baac21e458 and 4647706ebeee',
  catalogue: [14],
  story:
    'After MADV_DONTNEED a program may rely on it that the range reads as zero. Two threads call it for the same range: the ' +
    'first clears the entries and will flush; the second finds them clear, has nothing to do, and returns. It reads, and gets ' +
    'what was there before. The mended kernel counts the flushes under way in each address space, and flushes when there is another.',
  see: 'The second thread reads what it was promised to be gone.',
  wrong: 'read what had been dropped',
  finding: { kind: 'unmapped', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${onFaultCall('zero_page')}
      ${map(at(0), 'page_a')}
      ${store(at(0), 1)}
      ; thread 1: madvise(MADV_DONTNEED); its flush comes later
      inc qword ptr [variable_a]
      ${unmap(at(0))}
      ; thread 2: the same, from beginning to end
      inc qword ptr [variable_a]
      xor ebx, ebx
      test qword ptr [window_table], 1
      jz .none
      ${unmap(at(0))}
      inc ebx
    .none:
      ; mended: somebody else is at it too, so flush though nothing was cleared
      ${only(build === 'after', 'cmp qword ptr [variable_a], 1\n      ja .flush')}
      test ebx, ebx
      jz .returned
    .flush:
      ${flushAll()}
    .returned:
      dec qword ptr [variable_a]
      ${load(at(0))}
      mov rbx, rax
      ; thread 1 comes to its flush
      ${flushAll()}
      test rbx, rbx
      jnz wrong`,
  parts: `
    zero_page:
      ${map(at(0), 'page_b', RW, UVMF_NONE)}
      ret`,
};
