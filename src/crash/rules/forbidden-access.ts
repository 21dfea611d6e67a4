// Present, forbidden, and no other diagnosis names the right that was missing.

import { errorCodeText, leafText, not, pageFaultClue, wasForbidden } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const forbiddenAccess: Diagnosis = {
  id: 'forbidden-access',
  verdict: 'an access that the page tables forbid',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      when: wasForbidden,
      weight: 3,
      says: (of) => `error code ${errorCodeText(of)}: a translation was present and forbade it`,
    },
    {
      when: ({ allowed }) => not(allowed),
      weight: 1,
      says: (of) => `memory's tables agree: ${leafText(of)}`,
      wanted: 'the whole walk',
    },
  ],
  clues: [],
  explanation: () => 'The CPU found a translation for the address and refused the access because of its rights.',
  next: () => ['Compare the access with the rights at each level of the walk.'],
  sources: ['SDM 3A "Page-Fault Exceptions" (§4.7)'],
  examples: [],
};
