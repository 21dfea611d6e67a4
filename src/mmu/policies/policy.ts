// What a --tlb policy decides. The mechanism (tlb.ts, psc.ts, mmu.ts) is one and the same for all of them.

import type { Vpn } from '../../base/addresses.js';
import type { PscShape } from '../psc.js';
import type { TlbShape } from '../tlb.js';

/** What a policy may do to the TLB and the paging-structure caches when its chance comes. */
export interface ChanceDeeds {
  dropAll(): void;
  /** Drops each entry for which the (stateful) test answers true. */
  dropWhere(wanted: () => boolean): void;
  /** Loads the page's translation if there is one and `--refill any` allows loads that no access asked for. */
  load(page: Vpn): void;
}

export interface TlbPolicy {
  readonly tlb: TlbShape;
  readonly psc: PscShape;
  /** Whether entries are dropped as soon as memory, or a new root, would give another answer. */
  readonly coherent: boolean;
  /** Asked for each translation that is loaded: whether it is kept. */
  keepsFill(page: Vpn): boolean;
  /** Asked for each load that nothing but `--refill any` proposes: whether it happens. */
  acceptsOffer(): boolean;
  /** Of `instructions` that a wrong path may execute, how many it does before the mistake is noticed. */
  cutShort(instructions: number): number;
  /** Retired instructions from now to the next chance; Infinity for never. */
  chanceInterval(): number;
  chance(deeds: ChanceDeeds): void;
}

/** What policies without chance have in common: keep all, take all, never act by themselves. */
export const STEADY = {
  keepsFill: () => true,
  acceptsOffer: () => true,
  cutShort: (instructions: number) => instructions,
  chanceInterval: () => Number.POSITIVE_INFINITY,
  chance: () => {},
} as const;
