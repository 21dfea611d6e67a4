// An access from CPL 3 to a page without US.

import { entryIsForKernel, errorCodeText, isAt, known, not, only, pageFaultClue, wasForbidden } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const userBitMissing: Diagnosis = {
  id: 'supervisor-page-from-user',
  verdict: 'an access from user mode to a page that is for the kernel only',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      when: wasForbidden,
      weight: 1,
      says: (of) => `error code ${errorCodeText(of)}: a translation was present and forbade it`,
    },
    { when: ({ mode }) => known(mode.cpl, (cpl) => cpl === 3), weight: 1, says: 'the access came from CPL 3' },
    {
      when: entryIsForKernel,
      weight: 3,
      says: ({ walk }) =>
        `US is clear at level ${walk?.steps.find(({ flags }) => !flags.some(({ name }) => name === 'US'))?.level}: only CPL 0 to 2 may touch the page`,
    },
    only((of) => not(isAt('xen-private', 'xen-m2p', 'xen-descriptors')(of))),
  ],
  clues: [],
  explanation: () =>
    'The entry is present but lacks the US bit at some level, and code at CPL 3 (a program, or any code of a PV guest) touched the page.',
  next: () => ['See who mapped the page without US, and whether the access was meant to happen at all.'],
  sources: ['SDM 3A "Paging > Access Rights" (§4.6)'],
  examples: [],
};
