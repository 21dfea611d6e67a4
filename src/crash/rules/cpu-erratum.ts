// An error code that contradicts itself: reserved bit set, and no translation present.

import { known, pageFaultClue } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const cpuErratum: Diagnosis = {
  id: 'cpu-erratum',
  verdict: 'the error code is one that no CPU should give: reserved bit without a present translation',
  family: 'hardware',
  requires: [
    pageFaultClue(1),
    {
      when: ({ errorCode }) => known(errorCode, ({ reserved, present }) => reserved && !present),
      weight: 8,
      says: 'bit 3 (reserved bit set) is 1 and bit 0 (present) is 0: bits of an entry that is not present are never checked',
      wanted: 'the error code',
    },
  ],
  clues: [
    {
      when: ({ walk }) => known(walk, ({ outcome }) => outcome === 'not-present'),
      weight: 2,
      says: 'the entry in memory is not present indeed',
    },
  ],
  explanation: () =>
    'Some processors report RSVD along with a fault on an entry that is not present (a swapped-out page): an erratum. A kernel that believes it calls the page table corrupt.',
  next: () => ['Update the microcode and the kernel: newer ones ignore RSVD when P is 0.'],
  sources: [
    'linux-kernel, July 2020, "x86/fault: ignore RSVD flag in error code if P flag is 0"',
    'SDM 3A "Page-Fault Error Code" (§4.7): RSVD is set only with P',
  ],
  examples: ['corpus/linux-reserved-bit-without-present.log'],
};
