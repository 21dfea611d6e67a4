// IRET, or a segment load, whose descriptor could not be read.

import { any, known, mnemonicOf } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const segmentLoad: Diagnosis = {
  id: 'segment-load-fault',
  verdict: 'a segment register could not be loaded',
  family: 'fault',
  requires: [
    {
      when: (of) =>
        any(
          known(of.facts.headline, (line) => line.startsWith('IRET fault')),
          known(mnemonicOf(of), (name) => /^IRET|^L[DEFGS]S$/.test(name)),
        ),
      weight: 9,
      says: (of) =>
        of.facts.headline === undefined ? 'the instruction loads a segment register' : `"${of.facts.headline}"`,
    },
  ],
  clues: [
    {
      when: ({ facts }) => known(facts.selectors?.ss, (ss) => (ss & 4) !== 0),
      weight: 2,
      says: ({ facts }) => `ss ${facts.selectors?.ss?.toString(16).padStart(4, '0')} is a selector of the LDT`,
    },
  ],
  explanation: () =>
    "IRET loads cs and ss. The descriptor table that the selector names must be readable at that moment; the fault is on the descriptor, not on the program's own memory.",
  next: () => [
    'Look whether GDT and LDT are mapped in the address space in use at that moment, and whether the selector is within their limits.',
  ],
  sources: ['SDM 2A "IRET"', 'xen-devel, 9 Dec 2020 (LDT page looked up in the user page tables)'],
  examples: ['corpus/xen-4.15-iret-fault-ldt-selector.log'],
};
