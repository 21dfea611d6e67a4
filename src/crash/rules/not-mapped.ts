// Page faults on addresses that nothing maps, by what lies there: null pointers, kernel areas, programs' memory.

import { hex0x } from '../../base/hex.js';
import type { Case } from '../derive/case.js';
import { shadowed } from '../derive/places.js';
import {
  all,
  errorCodeText,
  hexAddress,
  isAt,
  isFetch,
  isPageFault,
  isStandingImage,
  isSystem,
  known,
  not,
  pageFaultClue,
  tablesMapIt,
  wasNotPresent,
} from './conditions.js';
import type { Clue, Diagnosis } from './diagnosis.js';

const notPresentClue: Clue = {
  when: wasNotPresent,
  weight: 2,
  says: (of) => `error code ${errorCodeText(of)}: no translation was present`,
  wanted: 'the error code',
};
const tablesAgree: Clue = {
  when: (of) => not(tablesMapIt(of)),
  weight: 2,
  says: ({ walk }) =>
    `the tables agree: the walk ends at level ${walk?.last?.level}, with an entry that is not present`,
  wanted: 'the walk, down to the entry that is not present',
};

const baseRegister = ({ operand, instruction, facts }: Case): string | undefined => {
  const memory = operand?.access.operand === undefined ? undefined : instruction?.operands[operand.access.operand];
  if (memory?.kind !== 'memory' || memory.base < 0 || memory.base > 15) return undefined;
  const names = [
    'rax',
    'rcx',
    'rdx',
    'rbx',
    'rsp',
    'rbp',
    'rsi',
    'rdi',
    'r8',
    'r9',
    'r10',
    'r11',
    'r12',
    'r13',
    'r14',
    'r15',
  ] as const;
  const name = names[memory.base];
  return name !== undefined && facts.registers?.[name] === 0n ? name : undefined;
};

const X86_EXC_GP = 13;
const kasanNull = ({ facts }: Case): boolean => facts.accessWords?.hint === 'null-ptr-deref';

export const nullPointer: Diagnosis = {
  id: 'null-pointer-dereference',
  verdict: ({ address }) =>
    address === undefined || address === 0n
      ? 'a null pointer was followed'
      : `a null pointer was followed: the access was to a member at offset ${hex0x(address)}`,
  family: 'fault',
  requires: [
    {
      when: (of) => (of.facts.vector === X86_EXC_GP ? kasanNull(of) : isPageFault(of)),
      weight: 1,
      says: (of) =>
        kasanNull(of)
          ? 'KASAN looked the address up in its shadow, and says what it was'
          : 'the exception is a page fault',
      wanted: 'the line that names the exception',
    },
    {
      when: (of) => kasanNull(of) || isAt('null-page')(of),
      weight: 4,
      says: (of) =>
        kasanNull(of)
          ? `"${of.facts.remarks?.find((remark) => remark.includes('null-ptr-deref'))}"`
          : `the address ${hexAddress(of.address)} is an offset from zero`,
    },
    { when: (of) => isFetch(of) !== true, weight: 0, says: '' },
  ],
  clues: [
    { ...notPresentClue, wanted: 'the error code' },
    { when: kasanNull, weight: 8, says: 'KASAN knows which address the shadow is of' },
    {
      when: (of) => (of.operand === undefined ? undefined : baseRegister(of) !== undefined),
      weight: 3,
      says: (of) => `${baseRegister(of)}, which the instruction takes its address from, is 0`,
    },
    {
      when: ({ facts }) => (facts.accessWords?.hint?.includes('NULL') ? true : undefined),
      weight: 2,
      says: 'the kernel says so itself',
    },
  ],
  explanation: ({ address }) =>
    `Nothing is ever mapped in the first pages of the address space, so that a null pointer faults. ${
      address === undefined || address === 0n
        ? 'The pointer itself was followed.'
        : `A structure's member ${hex0x(address)} bytes from its start was accessed through a pointer to the structure that was null.`
    }`,
  next: ({ instruction }) => [
    instruction === undefined
      ? 'Disassemble at rip and see which register was null.'
      : 'Find which structure has a member at that offset (pahole), and who should have set the pointer.',
    'Look at the call trace for the path on which the pointer is not set: an error path, a race with teardown, a missing check.',
  ],
  sources: ['Linux arch/x86/mm/fault.c show_fault_oops ("NULL pointer dereference" below one page)'],
  examples: ['corpus/xen-4.16-gdbsx-null-domain.log', 'corpus/xen-4.20-vmptrld-null-html.log'],
};

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

const KERNEL_AREAS = [
  'kernel',
  'kernel-directmap',
  'kernel-vmalloc',
  'kernel-vmemmap',
  'kasan-shadow',
  'kernel-cpu-entry',
  'kernel-fixmap',
  'kernel-image',
  'kernel-modules',
  'xen-directmap',
  'xen-image',
] as const;

const XEN_AREAS = ['xen-m2p', 'xen-private'] as const;

export const kernelAreaNotMapped: Diagnosis = {
  id: 'kernel-area-not-mapped',
  verdict: ({ place }) => `an access to ${place?.words ?? "the kernel's address space"}, where nothing is mapped`,
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      // For a guest Xen's own area is another matter: see xen-private-access.
      when: (of) => isAt(...KERNEL_AREAS, ...(of.facts.system === 'xen-guest' ? [] : XEN_AREAS))(of),
      weight: 2,
      says: ({ place, address }) => `${hexAddress(address)} lies in ${place?.words}`,
    },
    { ...notPresentClue },
    { ...tablesAgree },
  ],
  clues: [
    { when: isSystem('linux'), weight: -2, says: 'the kernel was running: its areas were set up' },
    {
      when: isAt('kasan-shadow'),
      weight: 4,
      says: ({ address }) =>
        `it is the shadow byte of ${hexAddress(address === undefined ? undefined : shadowed(address))}: instrumented code ran before KASAN's shadow was set up`,
    },
  ],
  explanation: ({ place, address }) =>
    place?.name === 'kasan-shadow' && address !== undefined
      ? `Code that the compiler instrumented for KASAN looks up the shadow byte of every address it touches, here of ${hexAddress(shadowed(address))}. The shadow is not mapped yet (or not for that address), so the look-up itself faults.`
      : `The address is one that a kernel uses for ${place?.words ?? 'its own data'}, but no table maps it: the area is not set up yet, was torn down, or the index or pointer that led there is wrong.`,
  next: ({ place }) =>
    place?.name === 'kasan-shadow'
      ? [
          'Keep KASAN out of the code that runs this early (KASAN_SANITIZE_<file>.o := n), or boot this kernel without KASAN as a PV guest.',
        ]
      : [
          'See whether the area is set up by the time rip is reached, above all early in boot.',
          'See whether the pointer or index that gives the address is in range.',
        ],
  sources: ['Linux Documentation/arch/x86/x86_64/mm.rst (what lies where)', 'Xen arch/x86/include/asm/config.h'],
  examples: [
    'corpus/xen-4.2-early-vmemmap.log',
    'corpus/xen-4.9-kasan-shadow.log',
    'corpus/xen-4.19-kasan-shadow-quoted-printable.log',
    'corpus/xen-4.9-kaiser-before-detection.log',
  ],
};

/** Areas of Linux that come and go while it runs: an address there that nothing maps is more often wrong than early. */
const LIVING_AREAS = [
  'kernel',
  'kernel-directmap',
  'kernel-vmalloc',
  'kernel-modules',
  'kernel-image',
  'error-pointer',
] as const;

export const wildPointer: Diagnosis = {
  id: 'wild-pointer',
  verdict: 'a pointer led nowhere: nothing is mapped at its address',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      when: (of) =>
        isAt('user', 'error-pointer')(of) ||
        (of.facts.system === 'linux' ? isAt(...LIVING_AREAS)(of) : known(of.place, () => false)),
      weight: 3,
      says: ({ place, address }) => `${hexAddress(address)} lies in ${place?.words}`,
    },
    { ...notPresentClue },
    { ...tablesAgree },
    { when: (of) => isFetch(of) !== true, weight: 0, says: '' },
  ],
  clues: [
    {
      when: isAt('error-pointer'),
      weight: 2,
      says: ({ address }) =>
        `it is the error number ${BigInt.asIntN(64, address ?? 0n)} taken for a pointer: an IS_ERR() check is missing`,
    },
  ],
  explanation: ({ mode, place }) =>
    mode.who === 'guest-user' || mode.who === 'user'
      ? 'A program touched memory that is not mapped, and its kernel could not deal with the fault.'
      : `The kernel followed a pointer to ${place?.words ?? 'nowhere'}, where no page is. The value was never a good pointer, or its object is gone: freed memory, an overwritten field, an index out of range, an address from a program that was not checked.`,
  next: () => [
    'Follow the register that held the address back to where it was loaded, and look at the object around it.',
    'Build the kernel with CONFIG_KASAN: it finds the first wrong access, not the last.',
  ],
  sources: ['Linux arch/x86/mm/fault.c', 'SDM 3A "Page-Fault Exceptions" (§4.7)'],
  examples: ['corpus/linux-2.6.32-xfs-wild-pointer-syslog.log', 'corpus/linux-4.14-chacha20-user-address.log'],
};

/** Any page fault that the tables agree with: the fallback when no other rule says more. */
export const pageNotMapped: Diagnosis = {
  id: 'page-not-mapped',
  verdict: 'an access to a page that is not mapped',
  family: 'fault',
  requires: [{ when: isPageFault, weight: 1, says: 'the exception is a page fault' }, { ...notPresentClue }],
  clues: [
    { ...tablesAgree, weight: 1 },
    {
      when: (of) => all(wasNotPresent(of), tablesMapIt(of)),
      weight: -3,
      says: 'the tables as printed do map the page',
    },
  ],
  explanation: () =>
    'The CPU found no translation for the address. x86 never caches the absence of a translation, so a stale TLB entry cannot be the reason.',
  next: () => ['See what should have mapped the address, and when.'],
  sources: ['SDM 3A "Paging > Details of TLB Use" (§4.10.2.3): entries that are not present are not cached'],
  examples: [],
};

/** The walk shows a mapping where the CPU found none: it was made in between. */
export const mappedSince: Diagnosis = {
  id: 'mapped-since',
  verdict: 'the page was mapped after the fault and before the walk was printed',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    { ...notPresentClue },
    { when: tablesMapIt, weight: 3, says: 'the tables as printed map the page', wanted: 'the end of the walk' },
  ],
  clues: [
    {
      when: isStandingImage,
      weight: -3,
      says: "the kernel's image is mapped at boot, with large pages, and stays: nobody maps it in between",
    },
  ],
  explanation: () =>
    'The error code says that no translation was present; the walk, printed a little later, shows one. A stale TLB entry cannot explain it: the CPU never caches that something is absent. Another CPU mapped the page in between; or an upper-level entry was changed and the CPU still walked an old, freed table.',
  next: () => [
    'Look for another CPU or vCPU that maps this page, and for the lock that should order the two.',
    'If an upper-level entry was replaced shortly before, look whether a flush followed: paging-structure caches may lead to the old table.',
  ],
  sources: ['SDM 3A "Paging > Caching Translation Information" (§4.10.2.3, §4.10.3)'],
  examples: [],
};
