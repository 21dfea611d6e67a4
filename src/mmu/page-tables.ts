// The one door through which page tables change: every store to an entry passes here, so that each vCPU's Mmu hears of
// it before (translations may still be loaded from the old entry) and after (a coherent TLB drops what no longer
// holds). Walks that set A and D report their stores themselves (mmu.ts); they never take a translation away.

import type { Maddr } from '../base/addresses.js';
import type { Channel } from '../base/events.js';
import type { MachineMemory } from '../memory/index.js';
import type { MmuEvent, TranslationWatcher, Why } from './events.js';

/** An Mmu, as seen from here. */
export interface TableStoreObserver {
  /** The entry at `address` is about to be replaced. May load translations, and so set A and D in it. */
  beforeStore(address: Maddr): void;
  /** It has been replaced; `before` is what it was. */
  afterStore(address: Maddr, before: bigint): void;
}

export interface PageTablesOptions {
  readonly memory: MachineMemory;
  readonly events: Channel<MmuEvent>;
  /** Retired instructions of the machine so far. */
  readonly clock: () => number;
}

/** The machine's page tables: one for all vCPUs. */
export class PageTables {
  readonly memory: MachineMemory;
  readonly events: Channel<MmuEvent>;
  readonly clock: () => number;
  /** Who wants to see accesses to some pages; it listens to `events` too. */
  watcher: TranslationWatcher | undefined;
  readonly #observers: TableStoreObserver[] = [];

  constructor({ memory, events, clock }: PageTablesOptions) {
    this.memory = memory;
    this.events = events;
    this.clock = clock;
  }

  /** Called by each Mmu once. */
  attach(observer: TableStoreObserver): void {
    this.#observers.push(observer);
  }

  /** Stores an entry. The address is 8-byte aligned and in RAM. */
  storeEntry(address: Maddr, value: bigint, why: Why): void {
    for (const observer of this.#observers) observer.beforeStore(address);
    this.#commit(address, value, why);
  }

  /**
   * Stores `value` if the entry is `expected`, as LOCK CMPXCHG does, and returns what it was before: nothing can come
   * between the comparison and the store, not even a walk that sets A or D.
   */
  compareAndStore(address: Maddr, expected: bigint, value: bigint, why: Why): bigint {
    for (const observer of this.#observers) observer.beforeStore(address);
    const found = this.memory.read64(address);
    if (found === expected) this.#commit(address, value, why);
    return found;
  }

  #commit(address: Maddr, value: bigint, why: Why): void {
    const before = this.memory.read64(address);
    this.memory.write64(address, value);
    for (const observer of this.#observers) observer.afterStore(address, before);
    if (this.events.active)
      this.events.emit({ kind: 'table-store', at: this.clock(), address, before, after: value, why });
  }
}
