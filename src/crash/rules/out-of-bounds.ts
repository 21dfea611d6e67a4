// An access beside its object, found by a checker.

import { headlineText, hintSays, isKind, only } from './conditions.js';
import { type Diagnosis, SAYS_SO } from './diagnosis.js';

export const outOfBounds: Diagnosis = {
  id: 'out-of-bounds',
  verdict: 'memory outside the object was accessed',
  family: 'check',
  requires: [
    {
      when: hintSays(/out-of-bounds(?! in \/)|global-out|stack-out|slab-out|vmalloc-out|wild-memory-access/),
      weight: SAYS_SO,
      says: (of) => `the checker says so: ${headlineText(of)}`,
    },
    only(isKind('sanitizer')),
    only((of) => !/^UBSAN|shift-out/.test(of.facts.headline ?? '')),
  ],
  clues: [],
  explanation: () =>
    'The access lies behind or before the object that the pointer was made for: an index or a length was not checked.',
  next: () => [
    'Compare the offset in the report with the size of the object, and find the index or length that was not checked.',
  ],
  sources: ['Linux Documentation/dev-tools/kasan.rst'],
  examples: [],
};
