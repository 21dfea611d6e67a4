// A kernel's jump into a program's page: SMEP.

import { hexAddress, isAt, isFetch, isKernelMode, known, only, pageFaultClue, wasForbidden } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const smep: Diagnosis = {
  id: 'execute-user-page',
  verdict: "the kernel jumped into a program's memory, and SMEP forbids it",
  family: 'fault',
  requires: [
    pageFaultClue(1),
    only(isKernelMode),
    { when: isFetch, weight: 2, says: 'the access was an instruction fetch' },
    { when: isAt('user'), weight: 3, says: ({ address }) => `${hexAddress(address)} is an address of a program` },
    {
      when: wasForbidden,
      weight: 2,
      says: 'the page is mapped, and to execute it was forbidden',
      wanted: 'the error code',
    },
  ],
  clues: [
    {
      when: ({ facts }) => known(facts.accessWords?.hint, (hint) => hint === 'SMEP'),
      weight: 3,
      says: 'the kernel says so itself',
    },
  ],
  explanation: () =>
    'With SMEP code of the kernel may not execute pages that programs can access. A function pointer of the kernel was overwritten, or points to a program on purpose (an attack).',
  next: () => ['Find the function pointer through which the call went (top of the stack), and who can write it.'],
  sources: ['SDM 3A "Access Rights" (§4.6.1), CR4.SMEP'],
  examples: ['corpus/linux-4.4-smep.log'],
};
