// A set-associative memory of translations in typed arrays, replaced first in, first out: what the TLB (one for each
// page size) and the paging-structure caches (one for each level) are made of.
//
//   #head   set 0 ──> slot ──> slot ──> slot        newest first; at most `ways` live slots in a chain
//           set 1 ──> …                             (no limit at all when ways is Infinity)
//   by slot: key, frame, source, filledAt, rights, flags, cause                      + #next, #epochOf
//
// FIFO and not LRU: most hits are answered by the engine's derived cache and never seen here, so an order of use would
// be an order of misses. A slot is alive while its epoch is the current one or its entry is global: dropping all
// non-global entries is adding one to the epoch, and a dead slot leaves its chain when something is next inserted
// there.

import type { FillCause } from './events.js';

/** Sets must be a power of two. `ways` 0 holds nothing; Infinity never evicts. */
export interface CacheShape {
  readonly sets: number;
  readonly ways: number;
}

/** No slot: nothing found. */
export const NONE = -1;

/** Flags of an entry. D is the leaf's dirty bit when it was loaded; a global entry survives MOV to CR3. */
export const DIRTY = 1;
export const GLOBAL = 2;

const CAUSES: readonly FillCause[] = ['access', 'wrong-path', 'any', 'chance'];

/** The larger array, holding what the old one held. */
function grown<Values extends Float64Array | Uint8Array | Int32Array>(old: Values, larger: Values): Values {
  larger.set(old);
  return larger;
}

export class EntryCache {
  /** By slot. The page or region number at this cache's granularity. */
  key = new Float64Array(0);
  /** The first machine frame of the page, or the next table. */
  frame = new Float64Array(0);
  /** The machine address of the paging-structure entry it was loaded from. */
  source = new Float64Array(0);
  /** Retired instructions when it was loaded. */
  filledAt = new Float64Array(0);
  /** Combined rights of all levels down to `source`. */
  rights = new Uint8Array(0);
  flags = new Uint8Array(0);
  #cause = new Uint8Array(0);
  #next = new Int32Array(0);
  #epochOf = new Int32Array(0);
  readonly #head: Int32Array;
  readonly #ways: number;
  readonly #onDrop: (key: number) => void;
  #epoch = 0;
  /** Slots from here on were never used since the last `clear`; those freed before are chained from #free. */
  #fresh = 0;
  #free = NONE;

  /**
   * `onDrop` is told the key of each single entry that leaves: evicted or removed, not those of `clear` and the like.
   */
  constructor(shape: CacheShape, onDrop: (key: number) => void) {
    this.#head = new Int32Array(shape.sets).fill(NONE);
    this.#ways = shape.ways;
    this.#onDrop = onDrop;
  }

  cause(slot: number): FillCause {
    return CAUSES[this.#cause[slot]!]!;
  }

  /** The slot of the live entry with this key, or NONE. */
  find(key: number): number {
    // The sets are a power of two below 2^31, so the mask is right for any key below 2^53.
    for (let slot = this.#head[key & (this.#head.length - 1)]!; slot !== NONE; slot = this.#next[slot]!)
      if (this.key[slot] === key && this.#alive(slot)) return slot;
    return NONE;
  }

  /** Keeps an entry for a key that is not held; the set's oldest one goes when there is no room. False without ways. */
  insert(
    key: number,
    frame: number,
    rights: number,
    flags: number,
    source: number,
    cause: FillCause,
    filledAt: number,
  ): boolean {
    if (this.#ways === 0) return false;
    const set = key & (this.#head.length - 1);
    this.#makeRoom(set);
    const slot = this.#take();
    this.key[slot] = key;
    this.frame[slot] = frame;
    this.source[slot] = source;
    this.filledAt[slot] = filledAt;
    this.rights[slot] = rights;
    this.flags[slot] = flags;
    this.#cause[slot] = CAUSES.indexOf(cause);
    this.#epochOf[slot] = this.#epoch;
    this.#next[slot] = this.#head[set]!;
    this.#head[set] = slot;
    return true;
  }

  /** Drops the entry with this key, if there is one. */
  remove(key: number): void {
    const slot = this.find(key);
    if (slot !== NONE) this.removeWhere((other) => other === slot, key & (this.#head.length - 1), 1);
  }

  /**
   * Drops each live entry of the sets [firstSet, firstSet + sets) that the test wants dropped; of all sets by default.
   */
  removeWhere(wanted: (slot: number) => boolean, firstSet = 0, sets = this.#head.length): void {
    for (let set = firstSet; set < firstSet + sets; set++) {
      let before = NONE;
      for (let slot = this.#head[set]!; slot !== NONE; ) {
        const next = this.#next[slot]!;
        const live = this.#alive(slot);
        if (live && !wanted(slot)) before = slot;
        else {
          this.#unlink(set, before, slot);
          if (live) this.#onDrop(this.key[slot]!);
        }
        slot = next;
      }
    }
  }

  /** Drops every entry that is not global. */
  clearNonGlobal(): void {
    this.#epoch++;
  }

  /** Drops every entry. */
  clear(): void {
    this.#head.fill(NONE);
    this.#fresh = 0;
    this.#free = NONE;
  }

  /** Visits the live entries, set by set, newest first. The visitor must not change this cache. */
  forEach(visit: (slot: number) => void): void {
    for (const head of this.#head)
      for (let slot = head; slot !== NONE; slot = this.#next[slot]!) if (this.#alive(slot)) visit(slot);
  }

  #alive(slot: number): boolean {
    return this.#epochOf[slot] === this.#epoch || (this.flags[slot]! & GLOBAL) !== 0;
  }

  /** Unlinks the set's dead slots, and its oldest live one when there are `ways` of them. */
  #makeRoom(set: number): void {
    let live = 0;
    let before = NONE;
    for (let slot = this.#head[set]!; slot !== NONE; ) {
      const next = this.#next[slot]!;
      if (!this.#alive(slot)) this.#unlink(set, before, slot);
      else if (++live === this.#ways) {
        this.#unlink(set, before, slot);
        this.#onDrop(this.key[slot]!);
      } else before = slot;
      slot = next;
    }
  }

  #unlink(set: number, before: number, slot: number): void {
    if (before === NONE) this.#head[set] = this.#next[slot]!;
    else this.#next[before] = this.#next[slot]!;
    this.#next[slot] = this.#free;
    this.#free = slot;
  }

  #take(): number {
    const slot = this.#free;
    if (slot !== NONE) {
      this.#free = this.#next[slot]!;
      return slot;
    }
    if (this.#fresh === this.key.length) this.#grow(Math.max(64, 2 * this.key.length));
    return this.#fresh++;
  }

  #grow(slots: number): void {
    this.key = grown(this.key, new Float64Array(slots));
    this.frame = grown(this.frame, new Float64Array(slots));
    this.source = grown(this.source, new Float64Array(slots));
    this.filledAt = grown(this.filledAt, new Float64Array(slots));
    this.rights = grown(this.rights, new Uint8Array(slots));
    this.flags = grown(this.flags, new Uint8Array(slots));
    this.#cause = grown(this.#cause, new Uint8Array(slots));
    this.#next = grown(this.#next, new Int32Array(slots));
    this.#epochOf = grown(this.#epochOf, new Int32Array(slots));
  }
}
