// The TLB: finished translations, one entry for a whole page of whatever size.
// Source: SDM 3A "Paging > Caching Translation Information > TLBs" (§4.10.2) and "Invalidation" (§4.10.4), with
// CR4.PCIDE = 0: every entry belongs to PCID 0.
// A large page stays one entry with its size, so that whatever drops one 4 KiB page of it drops all of it, as the rules
// say. Entries of several sizes may cover the same page; the smallest answers (any may, by the rules).
// Not modelled: separate TLBs for instructions and data, a TLB shared by hyper-threads, large pages kept as fragments.

import { type Vpn, vpn } from '../base/addresses.js';
import { type CacheShape, DIRTY, EntryCache, GLOBAL, NONE } from './entry-cache.js';
import type { FillCause } from './events.js';
import { keyOf, pagesOf } from './regions.js';
import type { WalkRecord } from './walk.js';

/** The size of a page, by the level of the entry that maps it: 4 KiB, 2 MiB, 1 GiB. */
export type PageLevel = 1 | 2 | 3;
const PAGE_LEVELS: readonly PageLevel[] = [1, 2, 3];

/** A cache that a client (the engine's fast lookup) derives from answers; it must forget what it is told to forget. */
export interface DerivedCache {
  dropPage(page: Vpn): void;
  dropAll(): void;
}

export const NO_DERIVED_CACHE: DerivedCache = { dropPage() {}, dropAll() {} };

/** One EntryCache for each page size: 4 KiB, 2 MiB, 1 GiB. */
export type TlbShape = readonly [CacheShape, CacheShape, CacheShape];

export class Tlb {
  /** Told of every entry that leaves: by page for a 4 KiB one, by dropAll for the rest. */
  derived: DerivedCache = NO_DERIVED_CACHE;
  /** After `find`: where the entry was found. */
  slot = NONE;
  readonly #bySize: readonly [EntryCache, EntryCache, EntryCache];

  constructor(shape: TlbShape) {
    const dropLarge = (): void => this.derived.dropAll();
    this.#bySize = [
      new EntryCache(shape[0], (page) => this.derived.dropPage(vpn(page))),
      new EntryCache(shape[1], dropLarge),
      new EntryCache(shape[2], dropLarge),
    ];
  }

  /** The entries of one page size. */
  ofSize(level: PageLevel): EntryCache {
    return this.#bySize[level - 1]!;
  }

  /** The size of the entry that answers for the page, with `slot` set to where it is; undefined when none is held. */
  find(page: Vpn): PageLevel | undefined {
    for (const level of PAGE_LEVELS) {
      this.slot = this.ofSize(level).find(keyOf(page, level));
      if (this.slot !== NONE) return level;
    }
    return undefined;
  }

  /** Keeps what a walk for the page found; no entry may cover the page yet. */
  insert(page: Vpn, walked: WalkRecord, cause: FillCause, at: number): void {
    const level = walked.level as PageLevel;
    const flags = (walked.dirty ? DIRTY : 0) | (walked.global ? GLOBAL : 0);
    const firstFrame = walked.frame - (page % pagesOf(level));
    const entries = this.ofSize(level);
    entries.insert(keyOf(page, level), firstFrame, walked.rights, flags, walked.addresses[level]!, cause, at);
  }

  /** Drops the entries of every size that cover the page, global or not: INVLPG, #PF. */
  dropPage(page: Vpn): void {
    for (const level of PAGE_LEVELS) this.ofSize(level).remove(keyOf(page, level));
  }

  /** Drops all entries but the global ones: MOV to CR3. */
  dropNonGlobal(): void {
    for (const entries of this.#bySize) entries.clearNonGlobal();
    this.derived.dropAll();
  }

  dropAll(): void {
    for (const entries of this.#bySize) entries.clear();
    this.derived.dropAll();
  }

  /** Drops each entry that the test wants dropped. */
  dropWhere(wanted: (entries: EntryCache, slot: number) => boolean): void {
    for (const entries of this.#bySize) entries.removeWhere((slot) => wanted(entries, slot));
  }

  /** Visits the entries, small pages first. The visitor must not change the TLB. */
  forEach(visit: (entries: EntryCache, slot: number, level: PageLevel) => void): void {
    for (const level of PAGE_LEVELS) {
      const entries = this.ofSize(level);
      entries.forEach((slot) => {
        visit(entries, slot, level);
      });
    }
  }
}
