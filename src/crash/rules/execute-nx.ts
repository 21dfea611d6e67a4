// A jump to a page that is data.

import { entryForbidsExecution, errorCodeText, isFetch, known, leafText, pageFaultClue } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const executeNx: Diagnosis = {
  id: 'execute-nx',
  verdict: 'an attempt to execute a page that is marked no-execute',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      when: isFetch,
      weight: 2,
      says: 'the access was an instruction fetch',
      wanted: 'the error code, or rip to compare with the address',
    },
    {
      when: ({ errorCode }) => known(errorCode, ({ present }) => present),
      weight: 1,
      says: (of) => `error code ${errorCodeText(of)}: a translation was present`,
      wanted: 'the error code',
    },
    {
      when: entryForbidsExecution,
      weight: 8,
      says: (of) => `NX is set on the way: ${leafText(of)}`,
      wanted: 'the walk: whether an entry has NX',
    },
  ],
  clues: [],
  explanation: () =>
    'The page is data: its entry forbids execution. The CPU was sent there by a wrong function pointer or return address, or the page should have been made executable first.',
  next: () => [
    'See whether the address is meant to be code: if so, who forgot to make it executable; if not, follow the jump back on the stack.',
  ],
  sources: ['SDM 3A "Paging > Access Rights" (§4.6)'],
  examples: ['corpus/xen-4.17-efi-reset-nx.log'],
};
