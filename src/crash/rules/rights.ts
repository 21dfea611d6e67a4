// Faults that a present entry's other rights explain: no-execute, user bits, reserved bits, Xen's own area.

import { hex64 } from '../../base/hex.js';
import {
  entryForbidsExecution,
  entryIsForKernel,
  errorCodeText,
  hexAddress,
  isAt,
  isFetch,
  isSystem,
  known,
  lacksUser,
  leafText,
  not,
  pageFaultClue,
  wasForbidden,
} from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const executeNx: Diagnosis = {
  id: 'execute-nx',
  verdict: 'an attempt to execute a page that is marked no-execute',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      when: isFetch,
      weight: 2,
      says: 'the access was an instruction fetch',
      wanted: 'the error code, or rip to compare with the address',
    },
    {
      when: ({ errorCode }) => known(errorCode, ({ present }) => present),
      weight: 1,
      says: (of) => `error code ${errorCodeText(of)}: a translation was present`,
      wanted: 'the error code',
    },
    {
      when: entryForbidsExecution,
      weight: 8,
      says: (of) => `NX is set on the way: ${leafText(of)}`,
      wanted: 'the walk: whether an entry has NX',
    },
  ],
  clues: [],
  explanation: () =>
    'The page is data: its entry forbids execution. The CPU was sent there by a wrong function pointer or return address, or the page should have been made executable first.',
  next: () => [
    'See whether the address is meant to be code: if so, who forgot to make it executable; if not, follow the jump back on the stack.',
  ],
  sources: ['SDM 3A "Paging > Access Rights" (§4.6)'],
  examples: ['corpus/xen-4.17-efi-reset-nx.log'],
};

export const reservedBitSet: Diagnosis = {
  id: 'reserved-bit-set',
  verdict: 'a reserved bit is set in a page-table entry',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      when: ({ errorCode }) => known(errorCode, ({ reserved }) => reserved),
      weight: 6,
      says: (of) => `bit 3 of error code ${errorCodeText(of)} says so`,
      wanted: 'the error code',
    },
  ],
  clues: [],
  explanation: () =>
    'An entry on the way to the page has a bit set that this CPU reserves: a frame number beyond the physical address width, PS where no large page may be, or NX while EFER.NXE is off. Either the entry is corrupt, or the CPU is not in the mode for which it was written.',
  next: () => [
    'Compare the frames in the walk with the physical address width; an entry full of text or pointers was overwritten. Early in boot, look whether EFER.NXE is set yet.',
  ],
  sources: ['SDM 3A "Page-Fault Exceptions" (§4.7), bit 3', 'Xen arch/x86/traps.c reserved_bit_page_fault'],
  examples: ['corpus/xen-4.22-early-nx-reserved-bit.log'],
};

export const xenPrivateAccess: Diagnosis = {
  id: 'xen-private-access',
  verdict: 'the guest touched the part of the address space that belongs to Xen',
  family: 'fault',
  requires: [
    { when: isSystem('xen-guest'), weight: 0, says: 'a PV guest' },
    pageFaultClue(1),
    {
      when: isAt('xen-private', 'xen-m2p', 'xen-descriptors'),
      weight: 5,
      says: ({ address, place }) => `${hexAddress(address)} lies in ${place?.words}`,
    },
  ],
  clues: [
    {
      when: wasForbidden,
      weight: 2,
      says: 'a translation is present there, but not for the guest: Xen maps it for itself',
    },
    { when: lacksUser, weight: 1, says: (of) => `the entry has no US: ${leafText(of)}` },
  ],
  explanation: () =>
    'A PV guest shares its address space with Xen, which keeps ffff800000000000 to ffff87ffffffffff for itself. Of that a guest may only read the machine-to-physical table, and that has holes where the machine has no memory.',
  next: () => [
    'A wild pointer, or a frame number that the machine-to-physical table has no entry for: check the mfn before looking it up.',
  ],
  sources: ['Xen public/arch-x86/xen-x86_64.h (HYPERVISOR_VIRT_START, MACH2PHYS_VIRT_START)'],
  examples: [],
};

export const userBitMissing: Diagnosis = {
  id: 'supervisor-page-from-user',
  verdict: 'an access from user mode to a page that is for the kernel only',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      when: wasForbidden,
      weight: 1,
      says: (of) => `error code ${errorCodeText(of)}: a translation was present and forbade it`,
    },
    { when: ({ mode }) => known(mode.cpl, (cpl) => cpl === 3), weight: 1, says: 'the access came from CPL 3' },
    {
      when: entryIsForKernel,
      weight: 3,
      says: ({ walk }) =>
        `US is clear at level ${walk?.steps.find(({ flags }) => !flags.some(({ name }) => name === 'US'))?.level}: only CPL 0 to 2 may touch the page`,
    },
    { when: (of) => not(isAt('xen-private', 'xen-m2p', 'xen-descriptors')(of)), weight: 0, says: '' },
  ],
  clues: [],
  explanation: () =>
    'The entry is present but lacks the US bit at some level, and code at CPL 3 (a program, or any code of a PV guest) touched the page.',
  next: () => ['See who mapped the page without US, and whether the access was meant to happen at all.'],
  sources: ['SDM 3A "Paging > Access Rights" (§4.6)'],
  examples: [],
};

/** Present, forbidden, and the walk agrees in some way that no other rule names. */
export const forbiddenAccess: Diagnosis = {
  id: 'forbidden-access',
  verdict: 'an access that the page tables forbid',
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      when: wasForbidden,
      weight: 3,
      says: (of) => `error code ${errorCodeText(of)}: a translation was present and forbade it`,
    },
    {
      when: ({ allowed }) => not(allowed),
      weight: 1,
      says: (of) => `memory's tables agree: ${leafText(of)}`,
      wanted: 'the whole walk',
    },
  ],
  clues: [],
  explanation: () => 'The CPU found a translation for the address and refused the access because of its rights.',
  next: () => ['Compare the access with the rights at each level of the walk.'],
  sources: ['SDM 3A "Page-Fault Exceptions" (§4.7)'],
  examples: [],
};

export const nonCanonical: Diagnosis = {
  id: 'non-canonical-pointer',
  verdict: 'an address that is none: bits 63 to 47 are not all equal',
  family: 'fault',
  requires: [
    {
      when: ({ facts, place, operand }) =>
        place?.name === 'non-canonical' ||
        (facts.vector === 13 || facts.vector === 12
          ? known(operand?.access.address, isOdd)
          : facts.vector === undefined
            ? undefined
            : false),
      weight: 6,
      says: ({ address, operand }) => `${hex64(address ?? operand?.access.address ?? 0n)} is not canonical`,
      wanted: 'the registers and the bytes at rip: the address that the instruction used',
    },
  ],
  clues: [],
  explanation: () =>
    'The CPU raises a general-protection fault, and no page fault, for an address whose upper bits are not copies of bit 47. Such an address was computed from garbage: a freed object, an overwritten pointer, a bit flip.',
  next: () => [
    'See what the value looks like: text, a poison pattern, or a good pointer with one bit changed (bad memory).',
  ],
  sources: ['SDM 1 "Canonical Addressing" (§3.3.7.1)'],
  examples: [],
};

const isOdd = (address: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, address)) !== address;
