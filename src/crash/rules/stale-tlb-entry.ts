// A page's rights were raised in memory (read-only to writable, supervisor to user, no-execute to execute) without a flush, and
// the CPU answered from the translation it had loaded before.

import { PTE_RW } from '../../abi/paging.js';
import { hex, hex64 } from '../../base/hex.js';
import type { Case } from '../derive/case.js';
import { isPresent } from '../derive/entry-flags.js';
import { indexAt } from '../derive/walk.js';
import {
  all,
  errorCodeText,
  hexAddress,
  isAllowedByTables,
  known,
  leafText,
  nobodyHandles,
  pageFaultClue,
  type Truth,
  wasForbidden,
} from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

const accessWord = ({ access }: Case): string => (access === 'fetch' ? 'execute' : (access ?? 'access'));

const asksForNoFlush = ({ handed }: Case): Truth =>
  known(handed, ({ hypercall }) => hypercall && hypercall.flush === 'none');

/** A fragment of another dump shows the same slot, present and writable. Never false: that there is none proves nothing. */
function otherDumpAgrees({ related, page }: Case): Truth {
  const own = page === undefined ? undefined : indexAt(page, 1);
  const agrees = related.some(({ walk }) => {
    const other = walk?.[1];
    return other !== undefined && other.index === own && isPresent(other.entry) && (other.entry & PTE_RW) !== 0n;
  });
  return agrees ? true : undefined;
}

export const staleTlbEntry: Diagnosis = {
  id: 'stale-tlb-entry',
  verdict: 'stale TLB entry: rights were raised in memory, and the CPU still held the old translation',
  family: 'stale-translation',
  requires: [
    pageFaultClue(1),
    {
      when: wasForbidden,
      weight: 2,
      says: (of) =>
        `error code ${errorCodeText(of)}: a translation was present and forbade the ${of.access ?? 'access'}`,
      wanted: 'the error code: bit 0 tells a forbidden access from a missing translation',
    },
    {
      when: isAllowedByTables,
      weight: 4,
      says: (of) => `the tables in memory allow it: ${leafText(of)}`,
      wanted: "all levels of the walk: whether memory's entry allows the access",
    },
  ],
  clues: [
    {
      when: ({ handed }) => (handed === undefined ? undefined : handed.writable),
      weight: 3,
      says: ({ handed }) =>
        handed?.matchesWalk
          ? `${handed.register} = ${hex64(handed.value)} is this very entry as the guest hands it to Xen, before Xen adds its bits: the entry was changed just before`
          : `rsi = ${hex64(handed?.value ?? 0n)} looks like an entry that was just handed to Xen: present and writable`,
    },
    {
      when: asksForNoFlush,
      weight: 2,
      says: 'rdi, rsi and rdx still read as update_va_mapping(page, entry, flags), and flags is 0: no flush was asked for',
    },
    {
      when: ({ bootTables }) => known(bootTables, ({ faulting, inUse }) => faulting !== undefined && !inUse),
      weight: 2,
      says: ({ bootTables }) =>
        `the page is the ${ordinal(bootTables?.faulting?.position)} of the tables that Xen built for the domain (${bootTables?.faulting?.table}): read-only until the guest recycled it, so its rights have been raised`,
    },
    {
      when: (of) => all(isAllowedByTables(of), nobodyHandles(of)),
      weight: 1,
      says: 'the guest had no handler for page faults yet, so a fault that a handler would have shrugged off was the end',
    },
    {
      when: ({ idiom }) => known(idiom, ({ turn, flagsAgree }) => turn === 'first' && flagsAgree),
      weight: 1,
      says: 'the first store to the page faulted: nothing had been written through the new rights before',
    },
    {
      when: otherDumpAgrees,
      weight: 1,
      says: 'another dump in the same text shows the same slot, with rights that allow the access: it happened before',
    },
    {
      when: ({ machine }) => known(machine, ({ staleLoad }) => staleLoad !== undefined),
      weight: 12,
      says: 'the machine that ran the guest saw the stale translation being loaded and used',
    },
  ],
  explanation: (of) =>
    `The CPU does not look at the page tables on each access: it keeps translations in its TLB, with the rights they had when they were loaded, and may keep them until it is told otherwise. ` +
    (of.allowed
      ? `The entry for ${hexAddress(of.page)} now lets the ${whoWord(of)} ${accessWord(of)} the page. The CPU refused it all the same, so it went by a copy from before. `
      : `If the entry for ${hexAddress(of.page)} lets the ${whoWord(of)} ${accessWord(of)} the page, the CPU went by a copy from before. `) +
    `When rights are only raised, Intel's manual calls the flush optional, because the fault itself drops the stale copy and the access then succeeds when it is tried again; ` +
    `that needs a fault handler that tries again${nobodyHandles(of) ? ', and here none was registered yet' : ''}.`,
  next: (of) => [
    ...(of.handed?.hypercall !== undefined
      ? [
          'Make the hypercall that raises the rights flush the page: HYPERVISOR_update_va_mapping(va, pte, UVMF_INVLPG) instead of flags 0.',
        ]
      : of.facts.system === 'xen-guest'
        ? [
            'Find what raised the rights of this page (update_va_mapping, mmu_update, a multicall) and let it flush: UVMF_INVLPG, or MMUEXT_INVLPG_LOCAL behind it.',
          ]
        : [
            'Find what raised the rights of this page and flush it there (flush_tlb_page, INVLPG) on every CPU that may hold it.',
          ]),
    'Or register a page-fault handler first that tries again when memory allows the access (Linux: spurious_kernel_fault).',
    'To prove it, run the guest where translations are held as long as the architecture allows: paravane run KERNEL --tlb hoarding --refill any.',
    'Do not trust a run that survives: QEMU walks the tables again before it faults, AMD CPUs too, so neither can show this.',
  ],
  sources: [
    'SDM 3A "Paging > Caching Translation Information > Optional Invalidation" (§4.10.4.3)',
    'Linux b22227944b8f "xen/mmu: On early bootup, flush the TLB when changing RO->RW bits Xen provided pagetables" (2013)',
    'Xen 4.1 public/xen.h UVMF_INVLPG; arch/x86/mm.c get_page_type (the flush by time stamp)',
  ],
  alike: [
    {
      name: 'Linux b22227944b8f (2013, DL380 G4)',
      words: 'the page tables that Xen built, recycled without a flush: error code 3, entry writable, occasionally',
    },
    { name: 'Xen 288f75ff8e (2010)', words: 'RHEL 4 PV guests took spurious faults on Nehalem for the same reason' },
    {
      name: 'FreeBSD 625402758bbb (2012)',
      words: 'no flush on relaxed rights: harmless on AMD, a panic on Intel in code that may not fault',
    },
  ],
  examples: ['crash-dl380-g4.txt', 'commit-page.txt'],
};

const whoWord = ({ mode }: Case): string =>
  mode.who === 'guest-kernel'
    ? "guest's kernel"
    : mode.who === 'guest-user'
      ? "guest's program"
      : mode.who === 'hypervisor'
        ? 'hypervisor'
        : 'code that ran';

const ordinal = (position: number | undefined): string =>
  ['?', 'first', 'second', 'third'][position ?? 0] ?? `${hex(position ?? 0)}th`;
