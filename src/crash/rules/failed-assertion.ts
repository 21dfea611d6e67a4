// BUG(), BUG_ON(), ASSERT(): the code checked, and stopped.

import { X86_EXC_UD } from '../../abi/exceptions.js';
import { headlineText, isKind, known } from './conditions.js';
import { type Diagnosis, SAYS_SO } from './diagnosis.js';

export const failedAssertion: Diagnosis = {
  id: 'failed-assertion',
  verdict: ({ facts }) =>
    `a check in the code failed and stopped it${facts.headline === undefined ? '' : `: ${facts.headline}`}`,
  family: 'check',
  requires: [
    {
      when: (of) =>
        known(
          of.facts.kind,
          (kind) =>
            kind === 'bug' ||
            kind === 'assertion' ||
            (kind === 'invalid-opcode' && (of.instruction === undefined || of.effects?.raises === X86_EXC_UD)),
        ),
      weight: 8,
      says: (of) =>
        of.facts.kind === 'invalid-opcode'
          ? 'an invalid opcode: BUG() and assertions are the instruction ud2'
          : `it says so: ${headlineText(of)}`,
    },
  ],
  clues: [
    {
      when: isKind('bug', 'assertion'),
      weight: SAYS_SO - 8,
      says: 'the place in the source is named',
    },
    {
      when: ({ effects }) => known(effects, ({ raises }) => raises === X86_EXC_UD),
      weight: 4,
      says: 'the instruction is ud2, as BUG() is compiled',
    },
  ],
  explanation: ({ facts }) =>
    facts.kind === 'invalid-opcode'
      ? 'BUG(), BUG_ON() and assertions end in the instruction ud2. Early in boot, before the kernel has an exception handler, all that is left to see of one is an invalid opcode.'
      : 'The code checked something that must hold, and it did not. The place is exact; the reason lies before it: in who brought about the state that was checked.',
  next: ({ facts }) => [
    facts.kind === 'invalid-opcode'
      ? 'Look up rip in the kernel: the BUG_ON() there, and what it checks.'
      : 'Read the condition at the place named, and find out which of its parts failed: the registers often hold the values compared.',
    'Search for the place in the list archives: others who hit the same check.',
  ],
  sources: ['Linux include/asm-generic/bug.h, arch/x86/include/asm/bug.h', 'Xen common/bug.c'],
  examples: [
    'corpus/linux-4.12-leave-mm-bug.log',
    'corpus/xen-4.20-pcidevs-assertion.log',
    'corpus/xen-4.8-e820-conflict-deeply-quoted.log',
  ],
};
