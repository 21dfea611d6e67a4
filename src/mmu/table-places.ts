// Where in the address space the page tables under one root stand: the way back from an entry in memory to the pages
// whose translation goes through it. One table may stand in several places (two entries may lead to it), and at several
// levels (a table that maps itself).
// Found by searching the upper levels down from the root, and remembered until a store may have changed them. A guest
// can make the number of places enormous; the search then stops at MAX_PLACES, from the low addresses up.

import type { Level } from '../abi/paging.js';
import { ENTRIES_PER_TABLE } from '../abi/paging.js';
import { type Vpn, vpn } from '../base/addresses.js';
import type { MachineMemory } from '../memory/index.js';
import { frameOf, hasReservedBit, isLargeLeaf, isPresent } from './entry.js';
import { pagesOf } from './regions.js';

const MAX_PLACES = 1 << 14;

/** A table as one of this level, translating from `firstPage` on. */
export interface Place {
  readonly level: Level;
  readonly firstPage: Vpn;
}

/**
 * Visits the present, well-formed entries of a table that stands at `place`: for each the first page it translates, and
 * the table it leads to, or undefined when it maps a page. The visitor says whether to go on.
 */
export function eachEntry(
  memory: MachineMemory,
  table: number,
  { level, firstPage }: Place,
  visit: (page: Vpn, next: number | undefined) => boolean,
): void {
  const host = memory.hostOffset(table);
  if (host < 0) return;
  for (let index = 0; index < ENTRIES_PER_TABLE; index++) {
    const word = (host >>> 2) + 2 * index;
    const low = memory.words[word]!;
    const high = memory.words[word + 1]!;
    if (!isPresent(low) || hasReservedBit(low, high, level)) continue;
    const leads = level > 1 && !isLargeLeaf(low, level);
    if (!visit(vpn(firstPage + index * pagesOf(level)), leads ? frameOf(low, high) : undefined)) return;
  }
}

const NOWHERE: readonly Place[] = [];

export class TablePlaces {
  readonly #memory: MachineMemory;
  /** Of the tables under #root; valid while #root is a root. */
  readonly #places = new Map<number, Place[]>();
  #root: number | undefined;

  constructor(memory: MachineMemory) {
    this.#memory = memory;
  }

  /** Every place at which the table stands under the root, which is one of them for the root itself. */
  of(table: number, root: number): readonly Place[] {
    if (this.#root !== root) this.#search(root);
    return this.#places.get(table) ?? NOWHERE;
  }

  /** An entry of this table has changed. */
  changed(table: number): void {
    if (this.#places.get(table)?.some(({ level }) => level > 1)) this.#root = undefined;
  }

  #search(root: number): void {
    this.#places.clear();
    this.#root = root;
    let found = 0;
    const enter = (table: number, place: Place): void => {
      if (++found > MAX_PLACES) return;
      const known = this.#places.get(table);
      if (known) known.push(place);
      else this.#places.set(table, [place]);
      if (place.level === 1) return;
      const below = (place.level - 1) as Level;
      eachEntry(this.#memory, table, place, (firstPage, next) => {
        if (next !== undefined) enter(next, { level: below, firstPage });
        return found <= MAX_PLACES;
      });
    };
    enter(root, { level: 4, firstPage: vpn(0) });
  }
}
