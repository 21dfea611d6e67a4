// The paging-structure caches: what a walk remembers of the upper levels, so that the next one can begin further down.
// Source: SDM 3A "Paging > Caching Translation Information > Paging-Structure Caches" (§4.10.3).
//
//   cache    found by address bits   holds
//   PML4E    47:39                   the L3 table, rights of the L4e
//   PDPTE    47:30                   the L2 table, rights of L4e and L3e combined
//   PDE      47:21                   the L1 table, rights of L4e, L3e and L2e combined
//
// Only entries that lead to another table get here, so G means nothing and no entry is global. The deepest one that
// covers an address begins its walk. Memory types (PCD, PWT) are not modelled.

import type { Vpn } from '../base/addresses.js';
import { type CacheShape, EntryCache, NONE } from './entry-cache.js';
import type { FillCause } from './events.js';
import { keyOf } from './regions.js';
import { nextTable, type WalkRecord } from './walk.js';

/** The level of an entry that leads to another table. */
export type TableLevel = 2 | 3 | 4;
const DEEPEST_FIRST: readonly TableLevel[] = [2, 3, 4];

/** The PDE, PDPTE and PML4E cache, in this order. */
export type PscShape = readonly [CacheShape, CacheShape, CacheShape];

/** For a model without paging-structure caches. */
const NOTHING: CacheShape = { sets: 1, ways: 0 };
export const NO_PSC: PscShape = [NOTHING, NOTHING, NOTHING];

export class Psc {
  /** After `find`: where the entry was found. */
  slot = NONE;
  readonly #byLevel: readonly [EntryCache, EntryCache, EntryCache];

  constructor(shape: PscShape) {
    const ignore = (): void => {};
    this.#byLevel = [
      new EntryCache(shape[0], ignore),
      new EntryCache(shape[1], ignore),
      new EntryCache(shape[2], ignore),
    ];
  }

  /** The cache of entries of this level. */
  ofLevel(level: TableLevel): EntryCache {
    return this.#byLevel[level - 2]!;
  }

  /**
   * The level of the deepest entry that covers the page, with `slot` set to where it is; undefined when there is none.
   */
  find(page: Vpn): TableLevel | undefined {
    for (const level of DEEPEST_FIRST) {
      this.slot = this.ofLevel(level).find(keyOf(page, level));
      if (this.slot !== NONE) return level;
    }
    return undefined;
  }

  /**
   * Remembers the table that a walk for the page came to through its entry of this level, which must not be held yet.
   * False when there are no such caches.
   */
  insert(page: Vpn, level: TableLevel, walked: WalkRecord, cause: FillCause, at: number): boolean {
    const table = nextTable(walked, level);
    const rights = walked.rightsDownTo[level]!;
    return this.ofLevel(level).insert(keyOf(page, level), table, rights, 0, walked.addresses[level]!, cause, at);
  }

  /** Drops what a walk for the page could begin with: #PF. */
  dropPath(page: Vpn): void {
    for (const level of DEEPEST_FIRST) this.ofLevel(level).remove(keyOf(page, level));
  }

  dropAll(): void {
    for (const entries of this.#byLevel) entries.clear();
  }

  /** Drops each entry that the test wants dropped. */
  dropWhere(wanted: (entries: EntryCache, slot: number) => boolean): void {
    for (const entries of this.#byLevel) entries.removeWhere((slot) => wanted(entries, slot));
  }

  /** Visits the entries, PDE cache first. The visitor must not change the caches. */
  forEach(visit: (entries: EntryCache, slot: number, level: TableLevel) => void): void {
    for (const level of DEEPEST_FIRST) {
      const entries = this.ofLevel(level);
      entries.forEach((slot) => {
        visit(entries, slot, level);
      });
    }
  }
}
