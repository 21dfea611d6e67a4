// A page-table entry that is garbage, or that Xen refused.

import { any, headlineText, hexWord, hintSays, isSystem, known, remarksSay } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

/** What Xen says when it refuses an entry. */
const REFUSED = /Bad L\d flags|Error getting mfn|Bad type \(saw/;

export const badPageTableEntry: Diagnosis = {
  id: 'bad-page-table-entry',
  verdict: 'a page-table entry is not what it should be: garbage, or refused by Xen',
  family: 'check',
  requires: [
    {
      when: (of) =>
        any(
          hintSays(/bad page map|corrupted page table/)(of),
          remarksSay(REFUSED)(of),
          // vmalloc_fault() is there to complete page tables, and checks what it finds.
          known(of.facts.ripSymbol, (symbol) => /^(?:do_)?vmalloc_fault\+/.test(symbol) && of.facts.kind === 'bug'),
        ),
      weight: 9,
      says: (of) => {
        const remark = of.facts.remarks?.find((line) => REFUSED.test(line));
        return remark === undefined ? headlineText(of) : `Xen refused an entry just before: "${remark}"`;
      },
    },
  ],
  clues: [
    {
      when: ({ facts }) => known(facts.kind, (kind) => kind === 'bug'),
      weight: 20,
      says: 'the code that looks after page tables noticed it',
    },
    {
      when: ({ errorCode, walk }) =>
        known(errorCode, ({ reserved, present }) => reserved && present && walk?.last?.present),
      weight: 4,
      says: ({ walk }) => `a reserved bit is set in an entry: ${hexWord(walk?.last?.entry ?? 0n)}`,
    },
  ],
  explanation: (of) =>
    isSystem('xen-guest')(of)
      ? 'The guest asked Xen for a page-table entry that Xen does not allow (a bad flag, a frame that is not its own). Guests end in BUG() when the hypercall fails.'
      : 'An entry holds a value that no kernel writes there. The table was written over, freed and used for something else, or read while another CPU took it away. Under Xen it can also be an update that was only queued (lazy MMU mode) when it was looked at.',
  next: (of) =>
    isSystem('xen-guest')(of)
      ? [
          'Decode the flags that Xen names: bits 23:12 are bits 63:52 of the entry. Bit 63 (NX) in an entry while EFER.NX is off is a common one.',
        ]
      : [
          'See what the value looks like (text, pointers), who owned the page-table page before, and whether tables are freed before the flush that covers them.',
        ],
  sources: [
    'Linux mm/memory.c print_bad_pte, arch/x86/mm/fault.c pgtable_bad',
    'Xen arch/x86/mm.c (Bad L1 flags)',
    'Linux 1160c2779b82 (vmalloc_fault during lazy MMU updates)',
  ],
  alike: [
    {
      name: 'Linux 1160c2779b82 (2013)',
      words: 'set_pgd only queued in lazy MMU mode, so vmalloc_fault() found the entry missing: BUG at fault.c',
    },
  ],
  examples: [
    'corpus/linux-bad-page-map-oom-reaper.log',
    'corpus/xen-4.4-and-4.15-bad-l1-flags.log',
    'corpus/linux-6.10-corrupted-page-table-journal.log',
  ],
};
