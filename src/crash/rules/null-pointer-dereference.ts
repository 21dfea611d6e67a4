// A null pointer was followed: the address is a member's offset from zero.

import { X86_EXC_GP } from '../../abi/exceptions.js';
import { GPR_NAMES } from '../../abi/registers.js';
import { hex0x } from '../../base/hex.js';
import type { Case } from '../derive/case.js';
import { hexAddress, isAt, isFetch, isPageFault, notPresentClue, only } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

/** The base register of the faulting operand, when it is 0. */
const nullBase = ({ operand, instruction, facts }: Case): string | undefined => {
  const memory = operand?.access.operand === undefined ? undefined : instruction?.operands[operand.access.operand];
  const name = memory?.kind === 'memory' ? GPR_NAMES[memory.base] : undefined;
  return name !== undefined && facts.registers?.[name] === 0n ? name : undefined;
};
/** KASAN looked a general-protection fault's address up in its shadow, and found a null pointer's. */
const kasanSaysNull = ({ facts }: Case): boolean => facts.accessWords?.hint === 'null-ptr-deref';

export const nullPointer: Diagnosis = {
  id: 'null-pointer-dereference',
  verdict: ({ address }) =>
    address === undefined || address === 0n
      ? 'a null pointer was followed'
      : `a null pointer was followed: the access was to a member at offset ${hex0x(address)}`,
  family: 'fault',
  requires: [
    {
      when: (of) => (of.facts.vector === X86_EXC_GP ? kasanSaysNull(of) : isPageFault(of)),
      weight: 1,
      says: (of) =>
        kasanSaysNull(of)
          ? 'KASAN looked the address up in its shadow, and says what it was'
          : 'the exception is a page fault',
      wanted: 'the line that names the exception',
    },
    {
      when: (of) => kasanSaysNull(of) || isAt('null-page')(of),
      weight: 4,
      says: (of) =>
        kasanSaysNull(of)
          ? `"${of.facts.remarks?.find((remark) => remark.includes('null-ptr-deref'))}"`
          : `the address ${hexAddress(of.address)} is an offset from zero`,
    },
    only((of) => isFetch(of) !== true),
  ],
  clues: [
    notPresentClue,
    { when: kasanSaysNull, weight: 8, says: 'KASAN knows which address the shadow is of' },
    {
      when: (of) => (of.operand === undefined ? undefined : nullBase(of) !== undefined),
      weight: 3,
      says: (of) => `${nullBase(of)}, which the instruction takes its address from, is 0`,
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
