// A double fault: an exception could not be delivered.

import { isCanonical } from '../../base/addresses.js';
import { hex64 } from '../../base/hex.js';
import { isKind, known } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const badExceptionStack: Diagnosis = {
  id: 'bad-exception-stack',
  verdict: 'a fault could not be delivered: there was no usable stack for it',
  family: 'fault',
  requires: [
    {
      when: isKind('double-fault'),
      weight: 8,
      says: 'a double fault: a second exception came while the first was being delivered',
    },
  ],
  clues: [
    {
      when: ({ facts }) => known(facts.registers?.rsp, (rsp) => rsp < 0x1000n || !isCanonical(rsp)),
      weight: 4,
      says: ({ facts }) => `rsp is ${hex64(facts.registers?.rsp ?? 0n)}: no stack`,
    },
    {
      when: ({ facts }) => facts.ripOutsideCode === true,
      weight: -4,
      says: 'rip is outside the code: execution had gone astray before',
    },
  ],
  explanation: () =>
    'The CPU pushes a frame for every exception. When that push itself faults (the stack pointer is wrong, the stack overflowed, the stack or the entry code is not mapped, or a shadow stack does not match), it raises a double fault on a stack of its own.',
  next: () => [
    'Compare rsp with the stack of the CPU or task; look at what loads rsp, CR3 or the shadow-stack pointer just before rip.',
  ],
  sources: ['SDM 3A "Interrupt 8: Double Fault Exception"'],
  examples: ['corpus/linux-6.15-double-fault-lkdtm.log', 'corpus/xen-4.22-double-fault-shadow-stack.log'],
};
