// What Xen knows of each machine frame: who owns it, how often it is referred to, and which single type it has now.
// Source: Xen 4.17 asm-x86/mm.h (struct page_info, PGC_*, PGT_*). The reference and type counts are numbers of their own
// here; the packed words (caf=, taf=) exist only when a message prints them. Left out: 32-bit guests' pae_xen_l2, shadow.

import type { Level } from '../abi/paging.js';
import type { Mfn } from '../base/addresses.js';
import type { Domain } from './domain.js';

export const PGT_none = 0;
export const PGT_l1_page_table = 1;
export const PGT_l2_page_table = 2;
export const PGT_l3_page_table = 3;
export const PGT_l4_page_table = 4;
/** A page of a guest's GDT or LDT. */
export const PGT_seg_desc_page = 5;
export const PGT_shared_page = 6;
export const PGT_writable_page = 7;

export type PageType = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

/** The type of a page table of this level. */
export const tableType = (level: Level): PageType => level;

export class PageInfo {
  readonly mfn: Mfn;
  /** Undefined for a frame that nobody owns (free, or given back). */
  owner: Domain | undefined = undefined;
  /** Memory of Xen's own that it shares with its owner: shared_info, grant tables. Never a page table. */
  xenHeap = false;
  /** General references; one of them is held while the page is allocated to its owner. */
  refs = 0;
  /** Whether the owner's own reference (PGC_allocated) is still held. */
  allocated = false;
  /** Kept when typeCount falls to 0, so that the next use knows whether it is a change. */
  type: PageType = PGT_none;
  typeCount = 0;
  /** The contents were audited for `type`. */
  validated = false;
  /** One type reference is held by MMUEXT_PIN_*. */
  pinned = false;
  /** The TLB clock when typeCount last fell to 0. */
  stamp = 0;
  /**
   * Linear page tables: how many entries of other tables of the same level point here (positive), or how many entries here
   * point to other tables of the same level (negative). Xen allows one level of such nesting.
   */
  linearCount = 0;

  constructor(mfn: Mfn) {
    this.mfn = mfn;
  }
}
