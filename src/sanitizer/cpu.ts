// What one vCPU was told to forget, and which root it had, as far as it still matters.
// Sources: SDM 3A "Paging > Caching Translation Information > Operations that Invalidate" (§4.10.4.1), CR4.PCIDE = 0.
// Moments are explained in entries.ts: an operation that is event n removes what was loaded before moment n.
// Left out: more than ROOTS_KEPT roots between two full flushes, the older ones.

import type { Level } from '../abi/paging.js';
import type { Mfn, Vpn } from '../base/addresses.js';
import type { InvalidateScope } from '../mmu/events.js';
import type { Change } from './finding.js';

const ROOTS_KEPT = 32;
/** Drops of the paging-structure caches, above which one looks for those that no root kept is as old as. */
const DROPS_KEPT = 4096;
const LEVELS: readonly Level[] = [1, 2, 3, 4];
const PAGES_PER_REGION: readonly number[] = [0, 1, 512, 512 ** 2, 512 ** 3];

export interface Root {
  readonly table: Mfn;
  readonly from: number;
  readonly to: number;
  /** The load of CR3 that left it. */
  readonly endedBy: Change | undefined;
}

/** The region of this level's size that the page lies in. */
export const regionOf = (page: Vpn, level: Level): number => Math.floor(page / (PAGES_PER_REGION[level] as number));

export class CpuMemory {
  /** The moment of the last flush of everything, and of everything that is not global. */
  allAt = 0;
  #nonGlobalAt = 0;
  #roots: Root[];
  /** By level: the last time that each region's page was dropped. */
  readonly #pageAt: ReadonlyMap<Level, Map<number, number>> = new Map(LEVELS.map((level) => [level, new Map()]));
  /** When all paging-structure caches were dropped, ascending. */
  #tablesAt: number[] = [];
  /** By level and region: when the cached upper-level entry for it was dropped by a #PF. */
  readonly #pathAt = new Map<string, number[]>();

  constructor(root: Mfn, moment: number) {
    this.#roots = [{ table: root, from: moment, to: Number.POSITIVE_INFINITY, endedBy: undefined }];
    this.allAt = moment;
  }

  /** Roots that translations still held may have been loaded through; the present one last. */
  get roots(): readonly Root[] {
    return this.#roots;
  }

  /** `lastStore`: the moment of the last store to any table. Drops that nothing came between need be noted once only. */
  invalidated(scope: InvalidateScope, moment: number, lastStore: number): void {
    if (scope.kind === 'all') this.#flushAll(moment);
    else if (scope.kind === 'non-global') {
      this.#nonGlobalAt = moment;
      // Noted always: a root that is left ends here, and what was read through it with it.
      this.#tablesAt.push(moment);
      if (this.#tablesAt.length > DROPS_KEPT) this.#forgetDrops();
    } else {
      for (const level of LEVELS) this.#pageAt.get(level)?.set(regionOf(scope.page, level), moment);
      if (scope.kind === 'page') note(this.#tablesAt, moment, lastStore);
      else this.#dropPath(scope.page, moment, lastStore);
    }
  }

  /** CR3 was loaded with another root. */
  rootIs(table: Mfn, moment: number, lastStore: number, endedBy: Change): void {
    const present = this.#roots.at(-1);
    // The same root again, with the same tables below it: what was loaded then could as well be loaded now, and later.
    const older = this.#roots
      .map((root) => (root === present ? { ...root, to: moment, endedBy } : root))
      .filter((root) => root.table !== table || root.from <= lastStore);
    const to = Number.POSITIVE_INFINITY;
    this.#roots = [...older.slice(-ROOTS_KEPT), { table, from: moment, to, endedBy: undefined }];
  }

  get root(): Mfn {
    return (this.#roots.at(-1) as Root).table;
  }

  /** When all paging-structure caches were last dropped. */
  get tablesDroppedAt(): number {
    return this.#tablesAt.at(-1) ?? this.allAt;
  }

  /** Whether a translation of this page, of a leaf of this level, loaded at this moment may still be held. */
  mayHold(page: Vpn, level: Level, global: boolean, loaded: number): boolean {
    const dropped = this.#pageAt.get(level)?.get(regionOf(page, level)) ?? 0;
    return loaded >= this.allAt && loaded >= dropped && (global || loaded >= this.#nonGlobalAt);
  }

  /** The first moment after `moment` at which a cached entry of this level on the page's way was dropped. */
  nextTableDrop(page: Vpn, level: Level, moment: number): number {
    const path = this.#pathAt.get(`${level} ${regionOf(page, level)}`);
    return Math.min(firstAfter(this.#tablesAt, moment), path ? firstAfter(path, moment) : Number.POSITIVE_INFINITY);
  }

  #forgetDrops(): void {
    const oldest = (this.#roots[0] as Root).from;
    this.#tablesAt = this.#tablesAt.filter((drop) => drop > oldest).slice(-DROPS_KEPT / 2);
  }

  #flushAll(moment: number): void {
    this.allAt = moment;
    this.#nonGlobalAt = moment;
    for (const regions of this.#pageAt.values()) regions.clear();
    this.#tablesAt = [moment];
    this.#pathAt.clear();
    this.#roots = this.#roots.filter(({ to }) => to === Number.POSITIVE_INFINITY);
  }

  #dropPath(page: Vpn, moment: number, lastStore: number): void {
    for (const level of [2, 3, 4] as const) {
      const key = `${level} ${regionOf(page, level)}`;
      const drops = this.#pathAt.get(key);
      if (drops) note(drops, moment, lastStore);
      else this.#pathAt.set(key, [moment]);
    }
  }
}

/** Adds a drop unless nothing was stored since the one before. */
function note(drops: number[], moment: number, lastStore: number): void {
  const last = drops.at(-1);
  if (last === undefined || last <= lastStore) drops.push(moment);
}

function firstAfter(ascending: readonly number[], moment: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) > moment) high = middle;
    else low = middle + 1;
  }
  return ascending[low] ?? Number.POSITIVE_INFINITY;
}
