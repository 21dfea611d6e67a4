// What each page-table entry said in the past, for as long as a CPU may remember it.
//
// Moments are counted in events: the state of the tables after event n and before event n+1 is moment n. An entry's version
// with the interval [from, to) is what memory held at the moments from `from` to `to - 1`.
// Left out: of an entry that changes often between two full flushes only the newest PAST_KEPT versions are kept.

import { entryFrame, type Level, PTE_A, PTE_D, PTE_P, PTE_PS } from '../abi/paging.js';
import { type Maddr, type Mfn, maddr, maddrToMfn, mfn, mfnToMaddr, PAGE_BYTES } from '../base/addresses.js';
import type { Change } from './finding.js';

const PAST_KEPT = 16;
/** Tables copied when one upper-level entry leaves. */
const TABLES_COPIED = 64;
const ENTRY_BYTES = 8;
const AD = PTE_A | PTE_D;

/** Entries as they stand; undefined where there is no RAM. */
export type ReadEntry = (address: Maddr) => bigint | undefined;

export interface Version {
  readonly value: bigint;
  readonly from: number;
  /** Infinity for what memory says now. */
  readonly to: number;
  /** The store that ended it. */
  readonly endedBy: Change | undefined;
}

interface Entry {
  past: Version[];
  /** What was stored last, or seen when its table left the tree; and since when. */
  last: bigint;
  since: number;
}

export class EntryHistory {
  readonly #entries = new Map<Maddr, Entry>();
  /** Tables that left the tree, and when. */
  readonly #left = new Map<Mfn, number>();
  /** Those of them that a CPU may still remember the way to. */
  readonly #sampled = new Set<Mfn>();
  readonly #read: ReadEntry;

  constructor(read: ReadEntry) {
    this.#read = read;
  }

  /** False: nothing that anybody could remember has changed. */
  get any(): boolean {
    return this.#entries.size > 0;
  }

  /** A store, as event `moment`. */
  stored(address: Maddr, before: bigint, after: bigint, moment: number, change: Change | undefined): void {
    const entry = this.#entryAt(address) ?? { past: [], last: before, since: 0 };
    this.#entries.set(address, entry);
    if ((before | AD) !== (entry.last | AD)) {
      // It came there while the frame was no table, and counts from now on at the latest.
      entry.past.push({ value: entry.last, from: entry.since, to: moment - 1, endedBy: undefined });
      entry.since = moment - 1;
    }
    entry.past.push({ value: before, from: entry.since, to: moment, endedBy: change });
    if (entry.past.length > PAST_KEPT) entry.past.splice(0, entry.past.length - PAST_KEPT);
    entry.last = after;
    entry.since = moment;
  }

  /** The CPU has set A or D: no other version, the same one with the bit. */
  bitsSet(address: Maddr, after: bigint): void {
    const entry = this.#entries.get(address);
    if (entry) entry.last = after;
  }

  /**
   * A table has left the tree, by event `moment`: what it says now is kept, for its frame may get other contents that no event
   * tells of. `level` is the table's own; tables below it are kept likewise, up to a number.
   */
  tableLeft(table: Mfn, level: Level, moment: number): void {
    let budget = TABLES_COPIED;
    const keep = (frame: Mfn, at: Level): void => {
      if (budget-- <= 0 || this.#left.has(frame)) return;
      this.#left.set(frame, moment);
      this.#sampled.add(frame);
      const base = mfnToMaddr(frame);
      for (let offset = 0; offset < PAGE_BYTES; offset += ENTRY_BYTES) {
        const address = maddr(base + offset);
        const value = this.#read(address);
        if (value === undefined) return;
        if ((value & PTE_P) === 0n) continue;
        if (!this.#entries.has(address)) this.#entries.set(address, { past: [], last: value, since: 0 });
        if (at > 1 && (value & PTE_PS) === 0n) keep(mfn(entryFrame(value)), (at - 1) as Level);
      }
    };
    keep(table, level);
  }

  /**
   * Looks, at this moment, what the frames of tables that have left say by now: a CPU that remembers the way there takes it for
   * entries. To be called before each drop of such memories; `dropped` is when the last CPU had its last.
   */
  sample(moment: number, dropped: number): void {
    for (const frame of this.#sampled) {
      if ((this.#left.get(frame) ?? 0) < dropped) {
        this.#sampled.delete(frame);
        continue;
      }
      for (let offset = 0; offset < PAGE_BYTES; offset += ENTRY_BYTES) {
        const address = maddr(mfnToMaddr(frame) + offset);
        const value = this.#read(address);
        const entry = this.#entryAt(address);
        if (value === undefined || !entry || (value | AD) === (entry.last | AD)) continue;
        this.#entries.set(address, entry);
        entry.past.push({ value: entry.last, from: entry.since, to: moment, endedBy: undefined });
        entry.last = value;
        entry.since = moment;
      }
    }
  }

  /** What is known of an entry's past. Of a table that has left, all but the entries kept were absent. */
  #entryAt(address: Maddr): Entry | undefined {
    const entry = this.#entries.get(address);
    if (entry) return entry;
    return this.#left.has(maddrToMfn(address)) ? { past: [], last: 0n, since: 0 } : undefined;
  }

  /** All versions that the entry may be remembered by at moment `now`; the last is what memory says. */
  versions(address: Maddr, now: number): readonly Version[] {
    const value = this.#read(address);
    const entry = this.#entryAt(address);
    const to = Number.POSITIVE_INFINITY;
    if (!entry) return value === undefined ? [] : [{ value, from: 0, to, endedBy: undefined }];
    if (value === undefined) return entry.past;
    if ((value | AD) === (entry.last | AD))
      return [...entry.past, { value, from: entry.since, to, endedBy: undefined }];
    // It came there by another way than a store to a table: the frame was none for a while. Who knows since when.
    return [
      ...entry.past,
      { value: entry.last, from: entry.since, to: now, endedBy: undefined },
      { value, from: now, to, endedBy: undefined },
    ];
  }

  /** Forgets what ended at this moment or before: no CPU remembers it. */
  forget(moment: number): void {
    for (const [frame, left] of this.#left) if (left <= moment) this.#left.delete(frame);
    for (const [address, entry] of this.#entries) {
      entry.past = entry.past.filter(({ to }) => to > moment);
      if (entry.past.length === 0 && entry.since <= moment) this.#entries.delete(address);
    }
  }

  get size(): number {
    return this.#entries.size;
  }
}
