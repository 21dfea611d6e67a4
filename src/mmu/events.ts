// What happens to translations, for whoever wants to know (the sanitizer, reports). Nothing is built while nobody
// listens.

import type { Level } from '../abi/paging.js';
import type { Maddr, Mfn, Vpn } from '../base/addresses.js';
import type { Walk } from './walk.js';

export type { Walk } from './walk.js';

/**
 * Why a store or an invalidation happened: the caller's own label, carried along and never looked into. Callers add
 * what they know (which hypercall, from which guest address); `what` says it in a few words, for people.
 */
export interface Why {
  readonly what: string;
}

/** Of the stores by which a walk sets A and D: no software made them. */
export const AD_UPDATE: Why = { what: 'A/D update by the CPU' };

/**
 * What made a translation be loaded. 'access' is the guest's (or Xen's) own; the others come from --refill and --tlb.
 */
export type FillCause = 'access' | 'wrong-path' | 'any' | 'chance';

interface EventHead {
  readonly vcpu: number;
  /** Retired instructions of the machine when it happened. */
  readonly at: number;
}

/** A translation was loaded into the TLB. */
export interface FillEvent extends EventHead {
  readonly kind: 'fill';
  /** The page asked for, and the size of the entry: 1, 2, 3 for 4 KiB, 2 MiB, 1 GiB. */
  readonly page: Vpn;
  readonly level: Level;
  /** The machine frame of that 4 KiB page. */
  readonly frame: Mfn;
  /** Effective rights, as RIGHT_ bits. */
  readonly rights: number;
  readonly dirty: boolean;
  readonly global: boolean;
  readonly cause: FillCause;
  /** Where the leaf entry lies that it was loaded from. */
  readonly leaf: Maddr;
  /** The level at which the walk began: 4 from CR3, less from a paging-structure cache. */
  readonly startLevel: Level;
}

/** An upper-level entry was loaded into a paging-structure cache. */
export interface PscFillEvent extends EventHead {
  readonly kind: 'psc-fill';
  /** Of the entry: 4, 3, 2 for the PML4E, PDPTE, PDE cache. */
  readonly level: Level;
  /** A page below it. */
  readonly page: Vpn;
  /** The next table, and the combined rights down to here. */
  readonly table: Mfn;
  readonly rights: number;
  readonly cause: FillCause;
}

/**
 * Something held answered an access otherwise than a fresh walk of the same tables would have: another frame, other
 * rights, a page that is not there, one that is, or a write whose D bit memory no longer has. (An A bit that was
 * cleared is not counted.) While anybody listens, every such use is seen: stale answers are not given for repetition,
 * and a store that may make answers stale has all that was given so dropped.
 */
export interface StaleHitEvent extends EventHead {
  readonly kind: 'stale-hit';
  readonly page: Vpn;
  /** As given to `translate`. */
  readonly access: number;
  /** A TLB entry answered, or a walk that began at a paging-structure cache's entry. */
  readonly via: 'tlb' | 'psc';
  /** What it gave; undefined when a walk by way of the paging-structure cache reached no page. */
  readonly answer: { readonly frame: Mfn; readonly rights: number } | undefined;
  /** The access was served; it faults; or (AMD) the CPU walks again because of a missing right. */
  readonly consequence: 'served' | 'refused' | 'walked-again';
  /** When and why the stale answer was loaded. */
  readonly filledAt: number;
  readonly cause: FillCause;
  /**
   * The entry in memory that it was loaded from: a leaf, or by way of a paging-structure cache an upper-level entry.
   */
  readonly leaf: Maddr;
  /** What memory says now. */
  readonly fresh: Walk;
}

export type InvalidateScope =
  /** All sizes of entry for this page, global or not, and all paging-structure caches: INVLPG. */
  | { readonly kind: 'page'; readonly page: Vpn }
  /** All but the global entries, and all paging-structure caches: MOV to CR3. */
  | { readonly kind: 'non-global' }
  /** Everything: a change of CR4.PGE. */
  | { readonly kind: 'all' }
  /** Entries for this page, and the paging-structure cache entries on its way: #PF. */
  | { readonly kind: 'page-fault'; readonly page: Vpn };

/** The CPU was told to drop translations (or did so by the rules of a #PF). */
export interface InvalidateEvent extends EventHead {
  readonly kind: 'invalidate';
  readonly scope: InvalidateScope;
  /** The L4 table in CR3 from now on; undefined before the first is loaded. */
  readonly root: Mfn | undefined;
  readonly why: Why;
}

/**
 * An access, not a speculative one, to a page that the `TranslationWatcher` wanted to see: told before it is answered,
 * and so before it sets A or D. If it is answered from something stale, a 'stale-hit' comes next.
 */
export interface AccessEvent extends EventHead {
  readonly kind: 'access';
  readonly page: Vpn;
  /** As given to `translate`. */
  readonly access: number;
}

/** Asked, at each translation that is not a repetition, whether accesses to the page are to be told and not repeated. */
export interface TranslationWatcher {
  watches(vcpu: number, page: Vpn): boolean;
}

/** A page-table entry in memory changed: by `PageTables`, or by a walk that set A or D. */
export interface TableStoreEvent {
  readonly kind: 'table-store';
  readonly at: number;
  readonly address: Maddr;
  readonly before: bigint;
  readonly after: bigint;
  readonly why: Why;
}

export type MmuEvent = FillEvent | PscFillEvent | StaleHitEvent | InvalidateEvent | AccessEvent | TableStoreEvent;
