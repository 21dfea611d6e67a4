// --tlb coherent: every answer is what a fresh walk would give. No x86 CPU promises this; it is the yardstick, and what
// most emulators do by accident. Entries are dropped when a store changes what they were loaded from, and all of them
// when CR3 is loaded, for a global one may hold under the old root only. There are no paging-structure caches.
// It rests on every store to a table that is in use going through PageTables, which Xen's page types see to: a PV guest
// has no writable mapping of a table, and here no stale one either.

import { type Maddr, maddrToMfn } from '../../base/addresses.js';
import { NO_PSC } from '../psc.js';
import type { WalkRecord } from '../walk.js';
import { demand } from './demand.js';
import { STEADY, type TlbPolicy } from './policy.js';

export const coherent: TlbPolicy = { ...STEADY, coherent: true, tlb: demand.tlb, psc: NO_PSC };

/** Which tables were read by the walks whose results a coherent TLB holds: so that most stores need no search. */
export class TablesRead {
  readonly #upper = new Set<number>();
  readonly #leaf = new Set<number>();

  /** A translation that this walk found is about to be held. */
  add(walked: WalkRecord): void {
    for (let level = walked.startLevel; level > walked.level; level--) this.#upper.add(walked.tables[level]!);
    this.#leaf.add(walked.tables[walked.level]!);
  }

  /** What a store to this entry may change: no held translation, those with it as their leaf, or any. */
  affectedBy(address: Maddr): 'none' | 'its-leaves' | 'any' {
    const table = maddrToMfn(address);
    if (this.#upper.has(table)) return 'any';
    return this.#leaf.has(table) ? 'its-leaves' : 'none';
  }

  /** No translation is held any more. */
  clear(): void {
    this.#upper.clear();
    this.#leaf.clear();
  }
}
