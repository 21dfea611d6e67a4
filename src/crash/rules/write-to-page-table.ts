// A PV guest wrote to one of its own page tables. Xen keeps them read-only for the guest: changes go through hypercalls.

import type { Case } from '../derive/case.js';
import {
  all,
  entryIsReadOnly,
  errorCodeText,
  isSystem,
  isWrite,
  known,
  leafText,
  only,
  pageFaultClue,
  type Truth,
  wasForbidden,
} from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

/** What says that the page is a page table: it is CR3's, or one that the walk goes through, or one that Xen built. */
function tableEvidence({ facts, walk, bootTables }: Case): string | undefined {
  const frame = walk?.frame;
  if (walk === undefined || frame === undefined) return undefined;
  const cr3 = facts.registers?.cr3;
  if (cr3 !== undefined && frame === (cr3 & 0x000f_ffff_ffff_f000n) >> 12n)
    return `the page's frame ${frame.toString(16)} is the one in cr3: it is the L4 table in use`;
  const through = walk.steps.find((step) => step !== walk.last && step.frame === frame);
  if (through !== undefined)
    return `the page's frame ${frame.toString(16)} is the L${through.level - 1} table that this walk itself goes through`;
  if (bootTables?.faulting !== undefined)
    return `pfn ${walk.pfn?.toString(16)} is ${bootTables.faulting.table === 'L1' ? 'an L1 table' : `the ${bootTables.faulting.table} table`} of those that Xen built for the domain`;
  return undefined;
}

/** Never false: that nothing says so proves nothing. */
const isPageTable = (of: Case): Truth => (tableEvidence(of) === undefined ? undefined : true);

export const writeToPageTable: Diagnosis = {
  id: 'write-to-page-table',
  verdict: 'a direct write to a page table, which Xen maps read-only for the guest',
  family: 'fault',
  requires: [
    only(isSystem('xen-guest')),
    pageFaultClue(1),
    { when: isWrite, weight: 1, says: 'the access was a write', wanted: 'the error code, or the bytes at rip' },
    {
      when: entryIsReadOnly,
      weight: 3,
      says: (of) => `memory's entry forbids writing: ${leafText(of)}`,
      wanted: 'the last line of the walk: whether the entry is read-only',
    },
  ],
  clues: [
    {
      when: isPageTable,
      weight: 5,
      says: (of) => tableEvidence(of) ?? '',
      wanted: 'what the page is: compare its pfn with those of the page tables in use',
    },
    {
      when: (of) => all(wasForbidden(of), entryIsReadOnly(of)),
      weight: 1,
      says: (of) => `error code ${errorCodeText(of)} agrees with the entry`,
    },
    {
      when: ({ mode }) => known(mode.who, (who) => who === 'guest-kernel'),
      weight: 0,
      says: "the guest's kernel wrote",
      otherwise: { weight: -3, says: 'a program wrote: programs have no page tables mapped' },
    },
  ],
  explanation: (of) =>
    `A PV guest sees its page tables, but only Xen may write them: the mapping of each is read-only, and a change goes through mmu_update, update_va_mapping or, for L1 tables and when enabled, Xen's emulation of the write. ` +
    `The guest's kernel wrote to ${of.page === undefined ? 'the page' : of.page.toString(16)} as if it were ordinary memory: it took a page that is still a page table, or one that it had made read-only and not given back.`,
  next: () => [
    'Find what the code at rip believes to own: memory that it zeroes or reuses overlaps the page tables (brk, memblock reservations, the initial tables that Xen built).',
    'If the page is no longer a page table, make it writable with update_va_mapping (and UVMF_INVLPG) before it is written.',
  ],
  sources: [
    'Xen arch/x86/mm.c (page types: a page is writable or a page table, never both)',
    'xen-devel 2021-2022, brk over the initial page tables',
  ],
  examples: ['corpus/xen-4.17-brk-over-page-tables.log'],
};
