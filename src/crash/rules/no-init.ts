// A panic: no first program.

import { panicSays } from './conditions.js';
import { type Diagnosis, SAYS_SO } from './diagnosis.js';

export const noInit: Diagnosis = {
  id: 'no-init',
  verdict: 'the kernel found no program to run as the first process, or that program ended',
  family: 'check',
  requires: [
    {
      when: panicSays(/No working init found|No init found|Attempted to kill init/),
      weight: SAYS_SO,
      says: (of) => `"${of.facts.panicMessage}"`,
    },
  ],
  clues: [],
  explanation: () =>
    'The root file system is mounted, but /sbin/init (or init=) is not there, is for another architecture, or exited.',
  next: () => [
    'Check init= and whether the file and its interpreter are on the root file system. exitcode=0x0000000b means that init got SIGSEGV.',
  ],
  sources: ['Linux init/main.c kernel_init, kernel/exit.c'],
  examples: ['corpus/linux-5.10-no-init.log'],
};
