// WARN(): the code checked, and went on.

import { headlineText, isKind } from './conditions.js';
import { type Diagnosis, SAYS_SO } from './diagnosis.js';

export const warningOnly: Diagnosis = {
  id: 'warning',
  verdict: ({ facts }) => `a warning, not a crash${facts.headline === undefined ? '' : `: ${facts.headline}`}`,
  family: 'check',
  requires: [{ when: isKind('warning'), weight: SAYS_SO, says: (of) => headlineText(of) }],
  clues: [],
  explanation: () => 'The code noticed something that should not be, said so, and went on.',
  next: () => ['Read the condition at the place named. A warning just before a crash is often its first symptom.'],
  sources: ['Linux include/asm-generic/bug.h WARN()'],
  examples: [],
};
