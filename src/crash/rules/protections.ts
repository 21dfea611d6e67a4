// Faults by protections that the entry's own bits do not show: SMAP, SMEP, and what else a general-protection fault stands for.

import type { Case } from '../derive/case.js';
import {
  hexAddress,
  hexWord,
  isAt,
  isFetch,
  isKind,
  known,
  not,
  pageFaultClue,
  type Truth,
  wasForbidden,
} from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

const isKernel = ({ mode }: Case): Truth => known(mode.who, (who) => who === 'kernel' || who === 'hypervisor');
const isUserPage = ({ walk }: Case): Truth => known(walk, ({ user }) => user);
const mnemonic = ({ instruction }: Case): string | undefined => instruction?.row.mnemonic;

export const smap: Diagnosis = {
  id: 'kernel-access-to-user-memory',
  verdict: "the kernel touched a program's memory directly, and SMAP forbids it",
  family: 'fault',
  requires: [
    pageFaultClue(1),
    { when: isKernel, weight: 0, says: '' },
    { when: (of) => not(isFetch(of)), weight: 0, says: '' },
    {
      when: wasForbidden,
      weight: 2,
      says: 'a translation was present, and forbade the access',
      wanted: 'the error code',
    },
    {
      when: (of) => (isAt('user')(of) === false ? false : isUserPage(of)),
      weight: 5,
      says: ({ address }) => `the page of ${hexAddress(address)} is a program's: user-accessible at every level`,
      wanted: 'the walk',
    },
  ],
  clues: [
    {
      when: ({ facts }) => known(facts.accessWords?.hint, (hint) => hint === 'SMAP') ?? undefined,
      weight: 4,
      says: 'it says so itself',
    },
    { when: ({ allowed }) => allowed === false || undefined, weight: 0, says: '' },
  ],
  explanation: () =>
    "With SMAP a kernel may access pages of programs only between STAC and CLAC, that is through copy_from_user() and its kin. The entry itself allows the access; that code runs in the kernel forbids it. A pointer from a program was used as if it were the kernel's own.",
  next: () => [
    'Find where the pointer comes from, and use copy_from_user/copy_to_user; or it is a wild pointer that happens to hit user memory.',
  ],
  sources: ['SDM 3A "Access Rights" (§4.6.1), CR4.SMAP'],
  examples: ['corpus/linux-6.5-smap-journal.log'],
};

export const smep: Diagnosis = {
  id: 'execute-user-page',
  verdict: "the kernel jumped into a program's memory, and SMEP forbids it",
  family: 'fault',
  requires: [
    pageFaultClue(1),
    { when: isKernel, weight: 0, says: '' },
    { when: isFetch, weight: 2, says: 'the access was an instruction fetch' },
    { when: isAt('user'), weight: 3, says: ({ address }) => `${hexAddress(address)} is an address of a program` },
    {
      when: wasForbidden,
      weight: 2,
      says: 'the page is mapped, and to execute it was forbidden',
      wanted: 'the error code',
    },
  ],
  clues: [
    {
      when: ({ facts }) => known(facts.accessWords?.hint, (hint) => hint === 'SMEP'),
      weight: 3,
      says: 'the kernel says so itself',
    },
  ],
  explanation: () =>
    'With SMEP code of the kernel may not execute pages that programs can access. A function pointer of the kernel was overwritten, or points to a program on purpose (an attack).',
  next: () => ['Find the function pointer through which the call went (top of the stack), and who can write it.'],
  sources: ['SDM 3A "Access Rights" (§4.6.1), CR4.SMEP'],
  examples: ['corpus/linux-4.4-smep.log'],
};

export const cpuErratum: Diagnosis = {
  id: 'cpu-erratum',
  verdict: 'the error code is one that no CPU should give: reserved bit without a present translation',
  family: 'hardware',
  requires: [
    pageFaultClue(1),
    {
      when: ({ errorCode }) => known(errorCode, ({ reserved, present }) => reserved && !present),
      weight: 8,
      says: 'bit 3 (reserved bit set) is 1 and bit 0 (present) is 0: bits of an entry that is not present are never checked',
      wanted: 'the error code',
    },
  ],
  clues: [
    {
      when: ({ walk }) => known(walk, ({ outcome }) => outcome === 'not-present'),
      weight: 2,
      says: 'the entry in memory is not present indeed',
    },
  ],
  explanation: () =>
    'Some processors report RSVD along with a fault on an entry that is not present (a swapped-out page): an erratum. A kernel that believes it calls the page table corrupt.',
  next: () => ['Update the microcode and the kernel: newer ones ignore RSVD when P is 0.'],
  sources: [
    'linux-kernel, July 2020, "x86/fault: ignore RSVD flag in error code if P flag is 0"',
    'SDM 3A "Page-Fault Error Code" (§4.7): RSVD is set only with P',
  ],
  examples: ['corpus/linux-reserved-bit-without-present.log'],
};

export const divisionByZero: Diagnosis = {
  id: 'division-by-zero',
  verdict: 'a division by zero, or one whose result does not fit',
  family: 'fault',
  requires: [
    {
      when: ({ facts }) => known(facts.vector, (vector) => vector === 0),
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

export const msrAccess: Diagnosis = {
  id: 'msr-access',
  verdict: (of) =>
    `an access to a model-specific register that this CPU, or hypervisor, does not have${of.facts.registers?.rcx === undefined ? '' : `: MSR ${hexWord(of.facts.registers.rcx & 0xffffffffn)}`}`,
  family: 'fault',
  requires: [
    {
      when: (of) =>
        known(
          mnemonic(of) ?? (/unchecked MSR access/.test(of.facts.headline ?? '') ? 'RDMSR' : undefined),
          (name) => name === 'RDMSR' || name === 'WRMSR',
        ),
      weight: 10,
      says: (of) => `the instruction is ${mnemonic(of)?.toLowerCase() ?? 'rdmsr or wrmsr'}`,
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

export const segmentLoad: Diagnosis = {
  id: 'segment-load-fault',
  verdict: 'a segment register could not be loaded',
  family: 'fault',
  requires: [
    {
      when: (of) =>
        /^IRET fault/.test(of.facts.headline ?? '') ||
        known(mnemonic(of), (name) => /^IRET|^L[DEFGS]S$/.test(name)) ||
        (of.facts.headline === undefined ? undefined : false),
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
