// No diagnosis fits better: the crash stands, its cause does not.

import type { Diagnosis } from './diagnosis.js';

export const unexplained: Diagnosis = {
  id: 'unexplained',
  verdict: 'the text does not say enough to name a cause',
  family: 'unknown',
  fallback: true,
  requires: [],
  clues: [],
  explanation: () => 'What the text states is set out above; it fits no cause known here better than another.',
  next: () => [
    'Get the whole dump, from its first line: the console of the host (xl dmesg, serial), not what is left on a screen.',
  ],
  sources: [],
  examples: [],
};
