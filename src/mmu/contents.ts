// What a TLB and its paging-structure caches hold, as values: for reports and tests. Looking changes nothing.

import type { Maddr, Mfn, Vpn } from '../base/addresses.js';
import { mfn } from '../base/addresses.js';
import { DIRTY, type EntryCache, GLOBAL } from './entry-cache.js';
import type { FillCause } from './events.js';
import type { Psc, TableLevel } from './psc.js';
import { firstPageOf, keyOf } from './regions.js';
import type { PageLevel, Tlb } from './tlb.js';

interface Held {
  /** The first page it covers. */
  readonly page: Vpn;
  /** Effective rights of all levels down to its source, as RIGHT_ bits. */
  readonly rights: number;
  /** Retired instructions when it was loaded, and what made it be loaded. */
  readonly filledAt: number;
  readonly cause: FillCause;
  /** The paging-structure entry in memory that it was loaded from. */
  readonly source: Maddr;
}

/** A TLB entry. */
export interface HeldTranslation extends Held {
  /** 1, 2, 3 for a page of 4 KiB, 2 MiB, 1 GiB. */
  readonly level: PageLevel;
  /** The machine frame of the first page. */
  readonly frame: Mfn;
  readonly dirty: boolean;
  readonly global: boolean;
}

/** An entry of a paging-structure cache. */
export interface HeldTable extends Held {
  /** Of the entry that leads to the table: 2, 3, 4 for the PDE, PDPTE, PML4E cache. */
  readonly level: TableLevel;
  readonly table: Mfn;
}

export interface Contents {
  /** Small pages first. */
  readonly tlb: readonly HeldTranslation[];
  /** PDE cache first. */
  readonly psc: readonly HeldTable[];
}

const heldOf = (entries: EntryCache, slot: number, level: PageLevel | TableLevel): Held => ({
  page: firstPageOf(entries.key[slot]!, level),
  rights: entries.rights[slot]!,
  filledAt: entries.filledAt[slot]!,
  cause: entries.cause(slot),
  source: entries.source[slot] as Maddr,
});

/** All that is held; of one page only what covers it, when a page is given. */
export function contentsOf(tlb: Tlb, psc: Psc, page?: Vpn): Contents {
  const covers = (entries: EntryCache, slot: number, level: PageLevel | TableLevel): boolean =>
    page === undefined || entries.key[slot] === keyOf(page, level);
  const translations: HeldTranslation[] = [];
  tlb.forEach((entries, slot, level) => {
    if (!covers(entries, slot, level)) return;
    const flags = entries.flags[slot]!;
    translations.push({
      ...heldOf(entries, slot, level),
      level,
      frame: mfn(entries.frame[slot]!),
      dirty: (flags & DIRTY) !== 0,
      global: (flags & GLOBAL) !== 0,
    });
  });
  const tables: HeldTable[] = [];
  psc.forEach((entries, slot, level) => {
    if (covers(entries, slot, level))
      tables.push({ ...heldOf(entries, slot, level), level, table: mfn(entries.frame[slot]!) });
  });
  return { tlb: translations, psc: tables };
}
