// Where everything of a new domain lies: arithmetic only, no memory is touched.
// Source: Xen's toolstack, 4.17 tools/libs/guest/xg_dom_core.c (xc_dom_build_image), xg_dom_x86.c (count_pgtables,
// alloc_pgtables_pv, alloc_p2m_list_x86_64, alloc_magic_pages_pv); 4.1 tools/libxc/xc_dom_core.c, xc_dom_x86.c.
//
//  pfn 0                                                                                mapped end: 4 MiB aligned
//  | gap | kernel | initrd | p2m | start_info | xenstore | console | L4 L3s L2s L1s | boot stack | >= 512 KiB | unmapped …
//  VIRT_BASE, each part in whole pages, virtual addresses running along with pfns
//
// 4.17 alone: with the note MOD_START_PFN the initrd lies behind the mapped end; with INIT_P2M the p2m list does too (behind
// the initrd), mapped at the note's address by tables of its own that follow it.

import { type Level, levelShift } from '../abi/paging.js';
import { PAGE_BYTES } from '../base/addresses.js';
import { roundUpBig } from './bytes.js';

const ADDRESS_MASK = (1n << 48n) - 1n;
const PAGE = BigInt(PAGE_BYTES);
const MAPPED_ALIGNMENT = 1n << 22n;
const PADDING_PAGES = (512 * 1024) / PAGE_BYTES;
const BOOT_STACK_PAGES = 1;

/** What decides where things go. */
export interface LayoutRequest {
  readonly virtBase: bigint;
  /** The kernel's virtual range; its start is page aligned and not below virtBase. */
  readonly virtStart: bigint;
  readonly virtEnd: bigint;
  readonly initrdBytes: number;
  readonly unmappedInitrd: boolean;
  /** INIT_P2M, if it is to be honoured. */
  readonly initP2m: bigint | undefined;
  /** The domain's size: decides how long the p2m list is. */
  readonly pages: number;
}

/** A run of pages; `vaddr` is where the initial tables map its first one, undefined when they do not. */
export interface Area {
  readonly pfn: number;
  readonly pages: number;
  readonly vaddr: bigint | undefined;
}

/** One page of the initial tables. `base` is the first address it covers, cut to 48 bits. */
export interface TablePage {
  readonly level: Level;
  readonly base: bigint;
  readonly pfn: number;
}

/** Virtual addresses from `vaddr` on, mapped to pfns from `pfn` on. */
export interface Mapping {
  readonly vaddr: bigint;
  readonly pfn: number;
  readonly pages: number;
}

/** Where each part of the initial area goes; pfns count from VIRT_BASE on. */
export interface Layout {
  readonly kernel: Area;
  readonly initrd: Area | undefined;
  readonly p2m: Area;
  /** Pages of the p2m's area including its own tables; only these count as "p2m frames" in start_info. */
  readonly p2mFrames: number;
  readonly startInfo: Area;
  readonly xenstore: Area;
  readonly console: Area;
  /** The tables of the main mapping: L4 first, then L3s, L2s, L1s. */
  readonly tables: Area;
  readonly bootStack: Area;
  /** One past the last mapped address of the main mapping; 4 MiB aligned. */
  readonly mappedEnd: bigint;
  readonly mappings: readonly Mapping[];
  readonly tablePages: readonly TablePage[];
  /** How many pages the domain must have for all of this. */
  readonly pagesNeeded: number;
}

/** Lays a domain out. The result may need more pages than the request has: compare `pagesNeeded`. */
export function layOut(request: LayoutRequest): Layout {
  const { virtBase } = request;
  let next = Number((request.virtStart - virtBase) / PAGE);
  const take = (pages: number): Area => {
    const area = { pfn: next, pages, vaddr: virtBase + BigInt(next) * PAGE };
    next += pages;
    return area;
  };
  const takeUnmapped = (pages: number): Area => ({ ...take(pages), vaddr: undefined });

  const kernel = take(pagesFor(request.virtEnd - request.virtStart));
  const initrdPages = pagesFor(BigInt(request.initrdBytes));
  const p2mPages = pagesFor(BigInt(request.pages) * 8n);
  const mappedInitrd = initrdPages > 0 && !request.unmappedInitrd ? take(initrdPages) : undefined;
  const mappedP2m = request.initP2m === undefined ? take(p2mPages) : undefined;
  const startInfo = take(1);
  const xenstore = take(1);
  const console = take(1);

  const main = fitTables(virtBase, next);
  const tablePages = numberTables(main.tables, next);
  const tables = take(main.tables.length);
  const bootStack = take(BOOT_STACK_PAGES);
  next = main.pages;
  const mappings: Mapping[] = [{ vaddr: virtBase, pfn: 0, pages: main.pages }];

  const initrd = mappedInitrd ?? (initrdPages > 0 ? takeUnmapped(initrdPages) : undefined);
  let p2m = mappedP2m;
  let p2mFrames = p2mPages;
  if (!p2m) {
    const vaddr = request.initP2m as bigint;
    p2m = { ...take(p2mPages), vaddr };
    mappings.push({ vaddr, pfn: p2m.pfn, pages: p2mPages });
    const own = numberTables(tablesFor(vaddr, p2mPages, main.tables), next);
    take(own.length);
    p2mFrames += own.length;
    tablePages.push(...own);
  }
  return {
    kernel,
    initrd,
    p2m,
    p2mFrames,
    startInfo,
    xenstore,
    console,
    tables,
    bootStack,
    mappedEnd: virtBase + BigInt(main.pages) * PAGE,
    mappings,
    tablePages,
    pagesNeeded: next,
  };
}

/** The smallest domain that this kernel and initrd fit into; the p2m list grows with the domain, hence the loop. */
export function minimumPages(request: Omit<LayoutRequest, 'pages'>): number {
  let pages = 0;
  for (;;) {
    const { pagesNeeded } = layOut({ ...request, pages });
    if (pagesNeeded <= pages) return pages;
    pages = pagesNeeded;
  }
}

type UnplacedTable = Omit<TablePage, 'pfn'>;

/**
 * How many pages are mapped from virtBase on, when `used` pages come before the tables: the tables must themselves lie in
 * what they map, with the boot stack and the padding behind them.
 */
function fitTables(virtBase: bigint, used: number): { readonly pages: number; readonly tables: UnplacedTable[] } {
  const behind = BOOT_STACK_PAGES + PADDING_PAGES;
  let room = behind;
  for (;;) {
    const end = roundUpBig(virtBase + BigInt(used + room) * PAGE + 1n, MAPPED_ALIGNMENT);
    const pages = Number((end - virtBase) / PAGE);
    const tables = tablesFor(virtBase, pages, []);
    room = tables.length + behind;
    if (used + room <= pages) return { pages, tables };
  }
}

/** The tables that map `pages` pages from `start` on, top level first, less those in `existing`. */
function tablesFor(start: bigint, pages: number, existing: readonly UnplacedTable[]): UnplacedTable[] {
  const first = start & ADDRESS_MASK;
  const last = first + BigInt(pages) * PAGE - 1n;
  const have = new Set(existing.map(({ level, base }) => `${level}:${base}`));
  const tables: UnplacedTable[] = [];
  for (const level of [4, 3, 2, 1] as const) {
    const shift = BigInt(levelShift(level) + 9);
    for (let index = first >> shift; index <= last >> shift; index++) {
      const base = index << shift;
      if (!have.has(`${level}:${base}`)) tables.push({ level, base });
    }
  }
  return tables;
}

const numberTables = (tables: readonly UnplacedTable[], pfn: number): TablePage[] =>
  tables.map((table, index) => ({ ...table, pfn: pfn + index }));

const pagesFor = (bytes: bigint): number => Number((bytes + PAGE - 1n) / PAGE);
