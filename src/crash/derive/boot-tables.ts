// The page tables that Xen's toolstack (or Xen itself, for dom0) builds for a new PV domain, found from one L1 table's frame.
// Source: Xen tools/libs/guest xg_dom_x86.c (alloc_pgtables_x86_64: L4, L3, L2, then the L1s in the order of their regions),
// arch/x86/pv/dom0_build.c (dom0: L4, first L1, L2, L3, further L1s). Linux recycles them once it runs on its own:
// arch/x86/xen/mmu.c xen_setup_kernel_pagetable.
// Holds for one L3 and one L2 table, that is for an initial area of less than 1 GiB.
//
//   domU   pfn  l1-3  l1-2  l1-1  l1 + 0   l1 + 1  …        dom0   l1-3   l1-2   l1-1  l1    l1 + 1 …
//               L4    L3    L2    L1 of    L1 of                   L4     L1 of  L2    L3    L1 of
//                                 region 0 region 1                       region 0           region 1

import { linearMapOf } from './places.js';
import type { Walk } from './walk.js';

export type TableName = 'L4' | 'L3' | 'L2';

export interface BootTables {
  /** The L1 table that the walk shows, and the 2 MiB region of the image mapping that it maps. */
  readonly l1: { readonly pfn: bigint; readonly region: number };
  /** pfns that follow from it. */
  readonly l4: bigint;
  readonly l3: bigint;
  readonly l2: bigint;
  /** The first of a domU's L1 tables. */
  readonly firstL1: bigint;
  readonly layout: 'domU' | 'dom0';
  /** The walk itself goes through these L3 and L2 tables: the domain still runs on what Xen built. */
  readonly inUse: boolean;
  /** Which of the tables the faulting page is; the position counts from 1. */
  readonly faulting: { readonly table: TableName | 'L1'; readonly position: number; readonly of: number } | undefined;
}

const REGION_SHIFT = 21n;

/** What the walk's L1 table says about the tables that Xen built, if its address is in a boot mapping. */
export function bootTables(walk: Walk, address: bigint, domain: number | undefined): BootTables | undefined {
  const l2e = walk.steps.find(({ level }) => level === 2);
  if (walk.pfn === undefined || l2e === undefined || l2e.large || typeof l2e.pfn !== 'bigint') return undefined;
  const map = linearMapOf(address, walk.pfn);
  if (map === undefined || !map.bootBase) return undefined;
  const region = (address - map.base) >> REGION_SHIFT;
  const l1 = l2e.pfn;
  if (region < 0n || region >= 512n || l1 < region + 3n) return undefined;
  const layout = domain === 0 ? 'dom0' : 'domU';
  const first = l1 - region;
  const [l4, l3, l2] = layout === 'dom0' ? [first - 3n, first, first - 1n] : [first - 3n, first - 2n, first - 1n];
  const stepPfn = (level: number) => walk.steps.find((step) => step.level === level)?.pfn;
  return {
    l1: { pfn: l1, region: Number(region) },
    l4,
    l3,
    l2,
    firstL1: first,
    layout,
    inUse: stepPfn(4) === l3 && stepPfn(3) === l2,
    faulting: faultingTable(walk.pfn, { l4, l3, l2, first, layout }),
  };
}

interface Layout {
  readonly l4: bigint;
  readonly l3: bigint;
  readonly l2: bigint;
  readonly first: bigint;
  readonly layout: 'domU' | 'dom0';
}

function faultingTable(pfn: bigint, { l4, l3, l2, first, layout }: Layout): BootTables['faulting'] {
  const tables: readonly (readonly [TableName, bigint])[] = [
    ['L4', l4],
    ['L3', l3],
    ['L2', l2],
  ];
  const index = tables.findIndex(([, table]) => table === pfn);
  if (index >= 0) return { table: (tables[index] as [TableName, bigint])[0], position: index + 1, of: 3 };
  const beyond = pfn - first;
  const isL1 = layout === 'dom0' ? beyond === -2n || (beyond > 0n && beyond < 512n) : beyond >= 0n && beyond < 512n;
  return isL1 ? { table: 'L1', position: Number(beyond) + 1, of: 512 } : undefined;
}
