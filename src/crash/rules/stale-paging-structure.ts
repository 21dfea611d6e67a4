// The stale copy is of an upper-level entry, in a paging-structure cache, and not of the leaf in the TLB.

import {
  all,
  any,
  isAllowedByTables,
  isStandingImage,
  pageFaultClue,
  tablesMapIt,
  wasForbidden,
  wasNotPresent,
} from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const stalePagingStructure: Diagnosis = {
  id: 'stale-paging-structure',
  verdict: 'stale paging-structure cache: an upper-level entry was changed, and the CPU still walked by the old one',
  family: 'stale-translation',
  requires: [
    pageFaultClue(0),
    {
      when: (of) => any(all(wasForbidden(of), isAllowedByTables(of)), all(wasNotPresent(of), tablesMapIt(of))),
      weight: 4,
      says: (of) =>
        wasNotPresent(of)
          ? 'the CPU found no translation, and the tables in memory have one: it walked other tables than these'
          : 'a translation forbade the access, and the tables in memory allow it at every level',
    },
  ],
  clues: [
    {
      when: (of) => all(wasNotPresent(of), isStandingImage(of)),
      weight: 4,
      says: "the kernel's image is mapped at boot and stays: the entry was there, and the CPU did not come by it",
    },
    {
      when: ({ handed, facts }) =>
        handed?.matchesWalk ? true : handed !== undefined || facts.registers?.rsi === undefined ? undefined : false,
      weight: -2,
      says: 'it is the leaf entry that was just changed, as the registers show',
    },
    {
      when: ({ machine }) => machine?.change !== undefined,
      weight: -3,
      says: 'the machine saw the leaf entry change',
    },
  ],
  explanation: (of) =>
    wasNotPresent(of)
      ? 'The CPU never caches that something is absent, but it caches upper-level entries, and walks on from them. If one was replaced and the old one stayed cached, the CPU walks on through the old table: one that was freed and emptied, or that of another address space (with page-table isolation the tables of programs lack the kernel). It then finds nothing where the tables in memory have an entry.'
      : 'The CPU also caches upper-level entries, with the rights of all levels above combined. A change there needs a flush too: INVLPG of any address drops them all, a CR3 load too. It is the rarer case, because upper-level entries are seldom made less than writable.',
  next: () => [
    'Look for changes of L2, L3 or L4 entries (mmu_update) shortly before, and whether a flush followed them.',
  ],
  sources: ['SDM 3A "Paging > Paging-Structure Caches" (§4.10.3) and "Operations that Invalidate" (§4.10.4.1)'],
  alike: [
    {
      name: 'Linux 706a1ea65e6f (2018)',
      words: 'page-table pages were freed before the flush that covers the paging-structure caches',
    },
    {
      name: 'nanvix PR 2244 (2026)',
      words: 'tables freed and entries cleared with no INVLPG: a wild fault through a freed table',
    },
    {
      name: 'Xen XSA-286 (2020)',
      words: "a guest's L2 replaced under Xen's linear page table: an edit through the old one",
    },
  ],
  examples: ['corpus/linux-4.15-fetch-walk-allows.log'],
};
