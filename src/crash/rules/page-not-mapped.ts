// Any page fault on a page that is not mapped, where no other diagnosis says more.

import { all, isPageFault, notMappedClue, notPresentClue, tablesMapIt, wasNotPresent } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const pageNotMapped: Diagnosis = {
  id: 'page-not-mapped',
  verdict: 'an access to a page that is not mapped',
  family: 'fault',
  requires: [{ when: isPageFault, weight: 1, says: 'the exception is a page fault' }, notPresentClue],
  clues: [
    { ...notMappedClue, weight: 1 },
    {
      when: (of) => all(wasNotPresent(of), tablesMapIt(of)),
      weight: -3,
      says: 'the tables as printed do map the page',
    },
  ],
  explanation: () =>
    'The CPU found no translation for the address. x86 never caches the absence of a translation, so a stale TLB entry cannot be the reason.',
  next: () => ['See what should have mapped the address, and when.'],
  sources: ['SDM 3A "Paging > Details of TLB Use" (§4.10.2.3): entries that are not present are not cached'],
  examples: [],
};
