// Builds the events of one vCPU's Mmu. Every method returns at once while nobody listens.

import type { Level } from '../abi/paging.js';
import { type Maddr, type Mfn, mfn, type Vpn, vpnToVaddr } from '../base/addresses.js';
import { ALL_RIGHTS, SPECULATIVE, WRITE } from './access.js';
import { DIRTY, type EntryCache } from './entry-cache.js';
import { AD_UPDATE, type FillCause, type InvalidateScope, type StaleHitEvent, type Why } from './events.js';
import type { PageTables } from './page-tables.js';
import type { TableLevel } from './psc.js';
import { pagesOf } from './regions.js';
import { nextTable, WalkRecord, walk, walkFrom } from './walk.js';

type Consequence = StaleHitEvent['consequence'];

export class Reporter {
  readonly #tables: PageTables;
  readonly #vcpu: number;
  readonly #fresh = new WalkRecord();

  constructor(tables: PageTables, vcpu: number) {
    this.#tables = tables;
    this.#vcpu = vcpu;
  }

  get active(): boolean {
    return this.#tables.events.active;
  }

  invalidated(scope: InvalidateScope, root: Mfn | undefined, why: Why): void {
    if (this.active) this.#tables.events.emit({ kind: 'invalidate', ...this.#head(), scope, root, why });
  }

  /** An access is about to be made. True when somebody watches the page: then it was told. */
  accessed(page: Vpn, access: number): boolean {
    const { watcher } = this.#tables;
    if (watcher === undefined || (access & SPECULATIVE) !== 0 || !watcher.watches(this.#vcpu, page)) return false;
    this.#tables.events.emit({ kind: 'access', ...this.#head(), page, access });
    return true;
  }

  /** The TLB has taken in what `walked` found for the page. */
  loaded(page: Vpn, walked: WalkRecord, cause: FillCause): void {
    if (!this.active) return;
    const { level, rights, dirty, global, startLevel } = walked;
    const leaf = walked.addresses[level] as Maddr;
    const frame = mfn(walked.frame);
    const what = { page, level, frame, rights, dirty, global, cause, leaf, startLevel };
    this.#tables.events.emit({ kind: 'fill', ...this.#head(), ...what });
  }

  /** A paging-structure cache has taken in the table that `walked` came to through its entry of this level. */
  tableLoaded(page: Vpn, level: TableLevel, walked: WalkRecord, cause: FillCause): void {
    if (!this.active) return;
    const table = mfn(nextTable(walked, level));
    const rights = walked.rightsDownTo[level]!;
    this.#tables.events.emit({ kind: 'psc-fill', ...this.#head(), level, page, table, rights, cause });
  }

  /** The CPU has set these bits, A or D or both, in an entry. */
  bitsSet(address: Maddr, bits: number): void {
    if (!this.active || bits === 0) return;
    const after = this.#tables.memory.read64(address);
    const before = after & ~BigInt(bits);
    this.#tables.events.emit({ kind: 'table-store', at: this.#tables.clock(), address, before, after, why: AD_UPDATE });
  }

  /** A TLB entry is about to decide about an access. True when a fresh walk would decide otherwise. */
  hit(page: Vpn, access: number, root: Mfn, held: EntryCache, slot: number, level: Level, then: Consequence): boolean {
    if (!this.active) return false;
    const fresh = this.#walkFresh(page, root);
    const frame = mfn(held.frame[slot]! + (page % pagesOf(level)));
    const rights = held.rights[slot]!;
    const losesDirty = then === 'served' && (access & WRITE) !== 0 && (held.flags[slot]! & DIRTY) !== 0 && !fresh.dirty;
    if (fresh.outcome === 'mapped' && fresh.frame === frame && fresh.rights === rights && !losesDirty) return false;
    this.#stale(page, access, root, 'tlb', { frame, rights }, then, held, slot);
    return true;
  }

  /** The same for a walk that began at the paging-structure cache entry in `slot`. */
  walkedFrom(
    held: EntryCache,
    slot: number,
    page: Vpn,
    access: number,
    root: Mfn,
    walked: WalkRecord,
    then: Consequence,
  ): boolean {
    if (!this.active) return false;
    const fresh = this.#walkFresh(page, root);
    const mapped = walked.outcome === 'mapped';
    const agrees =
      fresh.outcome === walked.outcome && (!mapped || (fresh.frame === walked.frame && fresh.rights === walked.rights));
    if (agrees) return false;
    const answer = mapped ? { frame: mfn(walked.frame), rights: walked.rights } : undefined;
    this.#stale(page, access, root, 'psc', answer, then, held, slot);
    return true;
  }

  #walkFresh(page: Vpn, root: Mfn): WalkRecord {
    walkFrom(this.#tables.memory, page, root, 4, ALL_RIGHTS, this.#fresh);
    return this.#fresh;
  }

  #stale(
    page: Vpn,
    access: number,
    root: Mfn,
    via: StaleHitEvent['via'],
    answer: StaleHitEvent['answer'],
    consequence: Consequence,
    held: EntryCache,
    slot: number,
  ): void {
    const fresh = walk(this.#tables.memory, root, vpnToVaddr(page));
    const origin = { filledAt: held.filledAt[slot]!, cause: held.cause(slot), leaf: held.source[slot] as Maddr };
    const what = { page, access, via, answer, consequence, ...origin, fresh };
    this.#tables.events.emit({ kind: 'stale-hit', ...this.#head(), ...what });
  }

  #head(): { readonly vcpu: number; readonly at: number } {
    return { vcpu: this.#vcpu, at: this.#tables.clock() };
  }
}
