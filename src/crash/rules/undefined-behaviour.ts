// UBSAN.

import { headlineText, known } from './conditions.js';
import { type Diagnosis, SAYS_SO } from './diagnosis.js';

export const undefinedBehaviour: Diagnosis = {
  id: 'undefined-behaviour',
  verdict: ({ facts }) =>
    `the code did something that C leaves undefined${facts.accessWords?.hint === undefined ? '' : `: ${facts.accessWords.hint}`}`,
  family: 'check',
  requires: [
    {
      when: ({ facts }) => known(facts.headline, (line) => line.startsWith('UBSAN')),
      weight: SAYS_SO,
      says: (of) => `the checker says so: ${headlineText(of)}`,
    },
  ],
  clues: [],
  explanation: () =>
    'UBSAN checks at run time what the compiler may assume never to happen: shifts that are too far, overflows, misaligned pointers. It reports and goes on.',
  next: () => ['Read the expression at the place named, and check its operands before it.'],
  sources: ['Linux Documentation/dev-tools/ubsan.rst; Xen common/ubsan'],
  examples: ['corpus/linux-5.10-ubsan-io-uring.log', 'corpus/xen-4.11-ubsan-vtd-quirk.log'],
};
