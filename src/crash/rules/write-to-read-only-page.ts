// A write to a page that its tables rightly forbid: constants, code, a copy-on-write page, a page under protection.

import type { Case } from '../derive/case.js';
import { entryIsReadOnly, errorCodeText, isWrite, known, leafText, pageFaultClue, wasForbidden } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

const inImage = ({ place }: Case) =>
  known(place, ({ name }) => ['kernel-image', 'kernel-modules', 'xen-image'].includes(name));

export const writeToReadOnlyPage: Diagnosis = {
  id: 'write-to-read-only-page',
  verdict: 'a write to a page that is mapped read-only',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    { when: isWrite, weight: 1, says: 'the access was a write', wanted: 'the error code, or the bytes at rip' },
    {
      when: wasForbidden,
      weight: 1,
      says: (of) => `error code ${errorCodeText(of)}: a translation was present and forbade it`,
      wanted: 'the error code',
    },
    {
      when: entryIsReadOnly,
      weight: 3,
      says: (of) => `memory's entry forbids writing, as the error code says: ${leafText(of)}`,
      wanted: 'the last line of the walk: whether the entry is read-only',
    },
  ],
  clues: [
    {
      when: inImage,
      weight: 1,
      says: ({ place }) => `the address lies in ${place?.words}: code and constants there are read-only`,
    },
  ],
  explanation: (of) =>
    `The CPU did what the page tables say: the page is present and not writable. ${
      inImage(of)
        ? 'Somebody wrote to code or constants through a wrong pointer, or to data that is read-only since initialisation ended.'
        : 'Somebody wrote through a pointer to memory that was protected on purpose.'
    }`,
  next: () => [
    'Look up what lies at the address (System.map, or the owner of the page) and whether it should be writable at all.',
    'Follow the pointer back: which register held it, and where it was loaded from.',
  ],
  sources: ['SDM 3A "Paging > Access Rights" (§4.6)'],
  examples: ['corpus/xen-4.15-double-fault-handler-guard-page.log'],
};
