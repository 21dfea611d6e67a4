// KCSAN.

import { headlineText, hintSays } from './conditions.js';
import { type Diagnosis, SAYS_SO } from './diagnosis.js';

export const dataRace: Diagnosis = {
  id: 'data-race',
  verdict: 'two CPUs accessed the same memory at once, and at least one wrote, with nothing to order them',
  family: 'check',
  requires: [
    { when: hintSays(/data-race/), weight: SAYS_SO, says: (of) => `the checker says so: ${headlineText(of)}` },
  ],
  clues: [],
  explanation: () =>
    'KCSAN stops at an access and looks whether another CPU touches the same memory meanwhile. It did.',
  next: () => [
    'Take the lock that the other side takes, or mark both accesses (READ_ONCE, WRITE_ONCE) where the race is meant.',
  ],
  sources: ['Linux Documentation/dev-tools/kcsan.rst'],
  examples: ['corpus/linux-kcsan-udp-tskey.log'],
};
