// Memory ran out: a panic, or an allocation of Xen's on behalf of a guest.

import { any, panicSays, remarksSay } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

/** What Xen says when an allocation for a guest fails; 12 is ENOMEM. */
const NO_MEMORY = /failed: -12\b|Could not allocate order|[Oo]ut of memory/;

export const outOfMemory: Diagnosis = {
  id: 'out-of-memory',
  verdict: 'memory ran out',
  family: 'check',
  requires: [
    {
      when: (of) =>
        any(panicSays(/[Oo]ut of memory|deadlocked on memory|Could not allocate/)(of), remarksSay(NO_MEMORY)(of)),
      weight: 12,
      says: (of) =>
        of.facts.panicMessage === undefined
          ? `Xen said: ${of.facts.remarks?.find((remark) => NO_MEMORY.test(remark))}`
          : `"${of.facts.panicMessage}"`,
    },
  ],
  clues: [],
  explanation: ({ facts }) =>
    facts.system === 'xen-guest'
      ? 'An allocation that Xen needed on behalf of the guest failed with -12 (ENOMEM), in a place where the only answer is to crash the guest.'
      : 'Nothing could be freed any more, and there was no process left to kill.',
  next: () => [
    "Give more memory to the guest, or, where Xen's own pool ran out (IOMMU page tables, shadow), to Xen: leave some of the host's free.",
  ],
  sources: ['Xen drivers/passthrough/iommu.c; Linux mm/oom_kill.c'],
  examples: ['corpus/xen-4.18-iommu-mapping-failed.log', 'corpus/linux-oom-deadlocked-on-memory.log'],
};
