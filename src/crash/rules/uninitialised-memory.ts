// KMSAN.

import { headlineText, hintSays } from './conditions.js';
import { type Diagnosis, SAYS_SO } from './diagnosis.js';

export const uninitialised: Diagnosis = {
  id: 'uninitialised-memory',
  verdict: 'memory was used that nobody had written',
  family: 'check',
  requires: [
    {
      when: hintSays(/uninit|kernel-infoleak/),
      weight: SAYS_SO,
      says: (of) => `the checker says so: ${headlineText(of)}`,
    },
  ],
  clues: [],
  explanation: () => 'KMSAN follows every byte from where it was written. This one never was.',
  next: () => ['Initialise the object where it is allocated; the report names the place.'],
  sources: ['Linux Documentation/dev-tools/kmsan.rst'],
  examples: [],
};
