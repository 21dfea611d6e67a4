// RDMSR or WRMSR of a register that is not there.

import { hexWord, isKind, known, mnemonicOf } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const msrAccess: Diagnosis = {
  id: 'msr-access',
  verdict: (of) =>
    `an access to a model-specific register that this CPU, or hypervisor, does not have${of.facts.registers?.rcx === undefined ? '' : `: MSR ${hexWord(of.facts.registers.rcx & 0xffffffffn)}`}`,
  family: 'fault',
  requires: [
    {
      when: (of) =>
        known(
          mnemonicOf(of) ?? (/unchecked MSR access/.test(of.facts.headline ?? '') ? 'RDMSR' : undefined),
          (name) => name === 'RDMSR' || name === 'WRMSR',
        ),
      weight: 10,
      says: (of) => `the instruction is ${mnemonicOf(of)?.toLowerCase() ?? 'rdmsr or wrmsr'}`,
      wanted: 'the bytes at rip',
    },
    {
      when: isKind('general-protection', 'warning', 'exception'),
      weight: 2,
      says: 'and it raised a general-protection fault',
    },
  ],
  clues: [],
  explanation: () =>
    'RDMSR and WRMSR fault on numbers that do not exist, on reserved bits, and on what a hypervisor does not let through.',
  next: () => [
    'Check the feature bit (CPUID) before the access, or use the _safe form that survives the fault. Nested under another hypervisor: see what that one hides.',
  ],
  sources: ['SDM 2B "RDMSR"', 'SDM 4 "Model-Specific Registers"'],
  examples: ['corpus/xen-4.14-vpmu-rdmsr-gpf.log'],
};
