// --refill any: any translation that the tables give may be loaded at any moment, whether or not anything asks for it
// (SDM 3A "Paging > Caching Translation Information > Details of TLB Use", §4.10.2.3: for any address, even one that is
// not used; §4.10.3.1 for the paging-structure caches).
//
// What can be worst about "any moment" is the last one at which a translation is still true, for only then does nothing
// come in between. So everything is loaded just before it ceases to be true:
//   - before a store to a table entry: every page whose walk, from this vCPU's root, goes through the entry. That is
//     after a flush that comes before the store, even inside the same hypercall. For an upper-level entry: the entry
//     itself into the paging-structure cache, and all pages below it;
//   - before an invalidation drops paging-structure caches of which one no longer agrees with memory: every page that
//     the table it still leads to gives, whatever that frame now holds. Such translations may be loaded at any time
//     while the stale entry is held, and survive the INVLPG of another page;
//   - before a store to a table that only a held paging-structure entry leads to: likewise.
// What is held already is not loaded again, so of several translations that a page had, the oldest is kept.
//
// Not covered, though the rules allow it: global translations of a root left behind that only that root gives; the
// younger of two stale translations while the older is held; tables two steps below a stale paging-structure entry,
// between one invalidation and the next; more than MAX_VISITS pages and tables at one store or invalidation (an
// upper-level entry may have millions below it; those at low addresses come first); more places of one table than
// TablePlaces finds.

import { type Level, TABLE_INDEX_MASK } from '../abi/paging.js';
import { type Maddr, type Mfn, maddrToMfn, mfn, PAGE_OFFSET_MASK, type Vpn, vpn } from '../base/addresses.js';
import type { MachineMemory } from '../memory/index.js';
import { ALL_RIGHTS } from './access.js';
import type { Psc } from './psc.js';
import { firstPageOf, pagesOf } from './regions.js';
import { eachEntry, type Place, TablePlaces } from './table-places.js';
import { nextTable, WalkRecord, walkFrom } from './walk.js';

const MAX_VISITS = 4096;

/** What the loader needs of the Mmu that it serves. */
export interface LoadTarget {
  readonly psc: Psc;
  /** Loads what a walk for the page gives, as an access could have, unless it is held already. */
  load(page: Vpn): void;
}

export class AnyRefill {
  readonly #memory: MachineMemory;
  readonly #target: LoadTarget;
  readonly #places: TablePlaces;
  readonly #record = new WalkRecord();
  #visits = 0;

  constructor(memory: MachineMemory, target: LoadTarget) {
    this.#memory = memory;
    this.#target = target;
    this.#places = new TablePlaces(memory);
  }

  beforeStore(address: Maddr, root: Mfn): void {
    this.#visits = 0;
    const table = maddrToMfn(address);
    const index = ((address & PAGE_OFFSET_MASK) >>> 3) & TABLE_INDEX_MASK;
    for (const place of this.#places.of(table, root)) this.#loadThrough(table, place, index);
    for (const place of this.#placesBelowPsc(table)) this.#loadThrough(table, place, index);
  }

  afterStore(address: Maddr): void {
    this.#places.changed(maddrToMfn(address));
  }

  /** Before an operation after which TLB entries may be left, and paging-structure entries not. */
  beforeInvalidate(root: Mfn): void {
    this.#visits = 0;
    for (const [table, place] of this.#stalePsc(root)) this.#loadBelow(table, place);
  }

  /** Loads what goes through one entry of a table that stands at this place. */
  #loadThrough(table: number, place: Place, index: number): void {
    const page = vpn(place.firstPage + index * pagesOf(place.level));
    const record = this.#record;
    walkFrom(this.#memory, page, mfn(table), place.level, ALL_RIGHTS, record);
    const leads = record.level < place.level;
    if (!leads && record.outcome !== 'mapped') return;
    this.#load(page);
    if (leads) this.#loadBelow(nextTable(record, place.level), { level: (place.level - 1) as Level, firstPage: page });
  }

  /** Loads all that a table gives at this place. */
  #loadBelow(table: number, place: Place): void {
    this.#visits++;
    eachEntry(this.#memory, table, place, (page, next) => {
      if (next === undefined) this.#load(page);
      else this.#loadBelow(next, { level: (place.level - 1) as Level, firstPage: page });
      return this.#visits < MAX_VISITS;
    });
  }

  #load(page: Vpn): void {
    if (this.#visits++ < MAX_VISITS) this.#target.load(page);
  }

  /** The places that held paging-structure entries give to this table. */
  #placesBelowPsc(table: number): readonly Place[] {
    const places: Place[] = [];
    this.#target.psc.forEach((entries, slot, level) => {
      if (entries.frame[slot] === table)
        places.push({ level: (level - 1) as Level, firstPage: firstPageOf(entries.key[slot]!, level) });
    });
    return places;
  }

  /** The tables, and their places, to which held paging-structure entries lead otherwise than memory does. */
  #stalePsc(root: Mfn): readonly (readonly [table: number, place: Place])[] {
    const stale: [number, Place][] = [];
    const record = this.#record;
    this.#target.psc.forEach((entries, slot, level) => {
      const firstPage = firstPageOf(entries.key[slot]!, level);
      walkFrom(this.#memory, firstPage, root, 4, ALL_RIGHTS, record);
      const agrees =
        record.level < level &&
        nextTable(record, level) === entries.frame[slot] &&
        record.rightsDownTo[level] === entries.rights[slot];
      if (!agrees) stale.push([entries.frame[slot]!, { level: (level - 1) as Level, firstPage }]);
    });
    return stale;
  }
}
