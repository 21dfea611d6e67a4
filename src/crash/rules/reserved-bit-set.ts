// A reserved bit in an entry.

import { errorCodeText, known, pageFaultClue } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const reservedBitSet: Diagnosis = {
  id: 'reserved-bit-set',
  verdict: 'a reserved bit is set in a page-table entry',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      when: ({ errorCode }) => known(errorCode, ({ reserved }) => reserved),
      weight: 6,
      says: (of) => `bit 3 of error code ${errorCodeText(of)} says so`,
      wanted: 'the error code',
    },
  ],
  clues: [],
  explanation: () =>
    'An entry on the way to the page has a bit set that this CPU reserves: a frame number beyond the physical address width, PS where no large page may be, or NX while EFER.NXE is off. Either the entry is corrupt, or the CPU is not in the mode for which it was written.',
  next: () => [
    'Compare the frames in the walk with the physical address width; an entry full of text or pointers was overwritten. Early in boot, look whether EFER.NXE is set yet.',
  ],
  sources: ['SDM 3A "Page-Fault Exceptions" (§4.7), bit 3', 'Xen arch/x86/traps.c reserved_bit_page_fault'],
  examples: ['corpus/xen-4.22-early-nx-reserved-bit.log'],
};
