// The walk shows a mapping where the CPU found none: it was made in between.

import { isStandingImage, notPresentClue, pageFaultClue, tablesMapIt } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const mappedSince: Diagnosis = {
  id: 'mapped-since',
  verdict: 'the page was mapped after the fault and before the walk was printed',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    notPresentClue,
    { when: tablesMapIt, weight: 3, says: 'the tables as printed map the page', wanted: 'the end of the walk' },
  ],
  clues: [
    {
      when: isStandingImage,
      weight: -3,
      says: "the kernel's image is mapped at boot, with large pages, and stays: nobody maps it in between",
    },
  ],
  explanation: () =>
    'The error code says that no translation was present; the walk, printed a little later, shows one. A stale TLB entry cannot explain it: the CPU never caches that something is absent. Another CPU mapped the page in between; or an upper-level entry was changed and the CPU still walked an old, freed table.',
  next: () => [
    'Look for another CPU or vCPU that maps this page, and for the lock that should order the two.',
    'If an upper-level entry was replaced shortly before, look whether a flush followed: paging-structure caches may lead to the old table.',
  ],
  sources: ['SDM 3A "Paging > Caching Translation Information" (§4.10.2.3, §4.10.3)'],
  examples: [],
};
