// Execution went where no code is.

import { hex64 } from '../../base/hex.js';
import type { Diagnosis } from './diagnosis.js';

export const wildJump: Diagnosis = {
  id: 'wild-jump',
  verdict: 'execution went to an address where no code of the program is',
  family: 'fault',
  requires: [
    {
      when: ({ facts }) =>
        facts.ripOutsideCode ?? (facts.system === 'xen' && facts.registers?.rip !== undefined ? false : undefined),
      weight: 9,
      says: ({ facts }) => `the dump names no symbol for rip ${hex64(facts.registers?.rip ?? 0n)}`,
    },
  ],
  clues: [],
  explanation: () =>
    'rip is in no function: a function pointer or return address was wrong, or the code there (a stub, a patch, a module) has been removed or is not mapped any more.',
  next: () => ['The top of the stack is usually the return address of the call that went astray.'],
  sources: ['Xen common/symbols.c (%pS prints the number where it knows no symbol)'],
  examples: ['corpus/xen-4.14-stub-page-double-fault-truncated.log'],
};
