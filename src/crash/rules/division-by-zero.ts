// #DE.

import { X86_EXC_DE } from '../../abi/exceptions.js';
import { known } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const divisionByZero: Diagnosis = {
  id: 'division-by-zero',
  verdict: 'a division by zero, or one whose result does not fit',
  family: 'fault',
  requires: [
    {
      when: ({ facts }) => known(facts.vector, (vector) => vector === X86_EXC_DE),
      weight: 9,
      says: 'the exception is #DE, the divide error',
    },
  ],
  clues: [],
  explanation: () => 'DIV and IDIV raise #DE when the divisor is 0 or the quotient is too large for its register.',
  next: () => [
    'See which value became the divisor: often a size or a rate that came from outside and was not checked, or overflowed on the way.',
  ],
  sources: ['SDM 2A "DIV"'],
  examples: ['corpus/linux-divide-error-iocost.log'],
};
