// What Xen knows of each machine frame: who owns it, how often it is referred to, and which single type it has now.
// Source: Xen 4.17 and 4.1.3 asm-x86/mm.h (struct page_info, PGC_*, PGT_*). The counts are plain numbers here; the packed
// words (caf=, taf=) exist only when a message prints them. Left out: 32-bit guests' pae_xen_l2, shadow paging, PGT_partial
// (no hypercall is ever preempted, so no page is left half validated).
//
//   63 … 61/60      59       58                0
//  +----------+--------+-----------+-- … --+--------+
//  |   type   | pinned | validated |       | count  |    taf: 4.17 has three bits for the type, 4.1 four
//  +----------+--------+-----------+-- … --+--------+

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
export const PGT_writable_page = 7;

export type PageType = 0 | 1 | 2 | 3 | 4 | 5 | 7;

/** The type of a page table of this level. */
export const tableType = (level: Level): PageType => level;

/** The level of a page-table type; undefined for the others. */
export const tableLevel = (type: PageType): Level | undefined =>
  type >= PGT_l1_page_table && type <= PGT_l4_page_table ? (type as Level) : undefined;

export class PageInfo {
  readonly mfn: Mfn;
  /** Undefined for a frame that no domain owns: free, or Xen's own. */
  owner: Domain | undefined = undefined;
  /** Memory of Xen's own that it shares with its owner (shared_info, grant tables). Never a page table. */
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
  /** One type reference and one general reference are held by MMUEXT_PIN_*. */
  pinned = false;
  /** What the TLB clock showed when typeCount last fell to 0. */
  stamp = 0;
  /**
   * Linear page tables: how many entries here point to other tables of the same level (positive), or how many entries of
   * such tables point here (negative). Never both: Xen allows one level of nesting.
   */
  linearCount = 0;

  constructor(mfn: Mfn) {
    this.mfn = mfn;
  }
}

/** count_info as messages print it (caf=). */
export const countWord = (page: PageInfo): bigint =>
  (page.allocated ? 1n << 63n : 0n) | (page.xenHeap ? 1n << 62n : 0n) | BigInt(page.refs);

/** A type as type_info holds it. */
export const typeBits = (type: PageType, profile: '4.1' | '4.17'): bigint =>
  BigInt(type) << (profile === '4.1' ? 60n : 61n);

/** type_info as messages print it (taf=). */
export const typeWord = (page: PageInfo, profile: '4.1' | '4.17'): bigint =>
  typeBits(page.type, profile) |
  (page.pinned ? 1n << 59n : 0n) |
  (page.validated ? 1n << 58n : 0n) |
  BigInt(page.typeCount);
