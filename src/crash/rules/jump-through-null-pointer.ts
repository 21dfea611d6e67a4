// A call or jump through a null function pointer: rip itself is (next to) zero.

import { hexAddress, known } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const jumpThroughNull: Diagnosis = {
  id: 'jump-through-null-pointer',
  verdict: 'a call or jump through a null pointer',
  family: 'fault',
  requires: [
    {
      when: ({ facts }) => known(facts.registers?.rip, (rip) => rip < 0x1000n),
      weight: 6,
      says: ({ facts }) => `rip is ${hexAddress(facts.registers?.rip)}: no code lies there`,
      wanted: 'the RIP line',
    },
  ],
  clues: [
    {
      when: ({ facts, address }) => (address === undefined ? undefined : address === facts.registers?.rip),
      weight: 2,
      says: 'the fault is the instruction fetch itself',
    },
  ],
  explanation: () =>
    'The CPU was sent to address 0 (or next to it): a function pointer that was never set, or a return address that was overwritten with zero.',
  next: () => ['The first word of the stack is usually the return address of the call: look up who called.'],
  sources: ['SDM 2A "CALL": the return address is pushed before the target is fetched'],
  examples: ['corpus/xen-4.14-dom0-rip-zero-from-photo.log'],
};
