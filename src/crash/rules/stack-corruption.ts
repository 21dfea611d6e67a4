// A panic: the stack protector found its value changed.

import { panicSays } from './conditions.js';
import { type Diagnosis, SAYS_SO } from './diagnosis.js';

export const stackCorruption: Diagnosis = {
  id: 'stack-corruption',
  verdict: 'something wrote over the stack: the guard value of a function was not what it had been',
  family: 'check',
  requires: [
    {
      when: panicSays(/stack-protector: Kernel stack is corrupted/),
      weight: SAYS_SO,
      says: (of) => `"${of.facts.panicMessage}"`,
    },
  ],
  clues: [],
  explanation: () =>
    'A function keeps a secret value between its variables and its return address, and compares it before it returns. It had changed: a write ran past the end of a variable, or somebody else wrote into this stack.',
  next: () => [
    'Look at arrays on the stack of the function named, and at what it called; then at other CPUs that may have written through a stale pointer.',
  ],
  sources: ['Linux kernel/panic.c __stack_chk_fail'],
  examples: ['corpus/linux-5.4-stack-protector-panic.log'],
};
