// An address whose upper bits are not copies of bit 47.

import { X86_EXC_GP, X86_EXC_SS } from '../../abi/exceptions.js';
import { isCanonical } from '../../base/addresses.js';
import { hex64 } from '../../base/hex.js';
import type { Case } from '../derive/case.js';
import { all, any, isAt, known, type Truth } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

/** The exceptions that a non-canonical address raises: #GP, and #SS where it is the stack's. */
const raisesForAddress = ({ facts }: Case): Truth =>
  known(facts.vector, (vector) => vector === X86_EXC_GP || vector === X86_EXC_SS);
const usesNonCanonical = ({ operand }: Case): Truth =>
  known(operand?.access.address, (address) => !isCanonical(address));

export const nonCanonical: Diagnosis = {
  id: 'non-canonical-pointer',
  verdict: 'an address that is none: bits 63 to 47 are not all equal',
  family: 'fault',
  requires: [
    {
      when: (of) => any(isAt('non-canonical')(of), all(raisesForAddress(of), usesNonCanonical(of))),
      weight: 6,
      says: ({ address, operand }) => `${hex64(address ?? operand?.access.address ?? 0n)} is not canonical`,
      wanted: 'the registers and the bytes at rip: the address that the instruction used',
    },
  ],
  clues: [],
  explanation: () =>
    'The CPU raises a general-protection fault, and no page fault, for an address whose upper bits are not copies of bit 47. Such an address was computed from garbage: a freed object, an overwritten pointer, a bit flip.',
  next: () => [
    'See what the value looks like: text, a poison pattern, or a good pointer with one bit changed (bad memory).',
  ],
  sources: ['SDM 1 "Canonical Addressing" (§3.3.7.1)'],
  examples: [],
};
