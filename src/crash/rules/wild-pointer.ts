// A pointer that leads to no page: garbage, a freed object's, a program's, an error number.

import {
  all,
  any,
  hexAddress,
  isAt,
  isFetch,
  isSystem,
  notMappedClue,
  notPresentClue,
  only,
  pageFaultClue,
} from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

/** Areas of Linux that come and go while it runs: an address there that nothing maps is more often wrong than early. */
const LIVING_AREAS = [
  'kernel',
  'kernel-directmap',
  'kernel-vmalloc',
  'kernel-modules',
  'kernel-image',
  'error-pointer',
] as const;

export const wildPointer: Diagnosis = {
  id: 'wild-pointer',
  verdict: 'a pointer led nowhere: nothing is mapped at its address',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      when: (of) => any(isAt('user', 'error-pointer')(of), all(isSystem('linux')(of), isAt(...LIVING_AREAS)(of))),
      weight: 3,
      says: ({ place, address }) => `${hexAddress(address)} lies in ${place?.words}`,
    },
    notPresentClue,
    notMappedClue,
    only((of) => isFetch(of) !== true),
  ],
  clues: [
    {
      when: isAt('error-pointer'),
      weight: 2,
      says: ({ address }) =>
        `it is the error number ${BigInt.asIntN(64, address ?? 0n)} taken for a pointer: an IS_ERR() check is missing`,
    },
  ],
  explanation: ({ mode, place }) =>
    mode.who === 'guest-user' || mode.who === 'user'
      ? 'A program touched memory that is not mapped, and its kernel could not deal with the fault.'
      : `The kernel followed a pointer to ${place?.words ?? 'nowhere'}, where no page is. The value was never a good pointer, or its object is gone: freed memory, an overwritten field, an index out of range, an address from a program that was not checked.`,
  next: () => [
    'Follow the register that held the address back to where it was loaded, and look at the object around it.',
    'Build the kernel with CONFIG_KASAN: it finds the first wrong access, not the last.',
  ],
  sources: ['Linux arch/x86/mm/fault.c', 'SDM 3A "Page-Fault Exceptions" (§4.7)'],
  examples: ['corpus/linux-2.6.32-xfs-wild-pointer-syslog.log', 'corpus/linux-4.14-chacha20-user-address.log'],
};
