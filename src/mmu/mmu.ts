// One vCPU's memory management unit: what the engine and Xen ask for translations, and tell about invalidations.

import { PFEC_page_present } from '../abi/paging.js';
import { type Maddr, type Mfn, mfn, type Vaddr, type Vpn, vaddrToVpn } from '../base/addresses.js';
import type { Random } from '../base/random.js';
import { ALL_RIGHTS, accessErrorCode, allows, repeatable, SPECULATIVE, type Translation, WRITE } from './access.js';
import { LOW_A, LOW_D } from './entry.js';
import type { FillCause, InvalidateScope, Why } from './events.js';
import type { PageTables } from './page-tables.js';
import type { Staleness } from './staleness.js';
import { type Walk, WalkRecord, walk, walkErrorCode, walkFrom } from './walk.js';

/** A cache that a client (the engine's fast lookup) derives from answers; it must forget when told. */
export interface DerivedCache {
  dropPage(page: Vpn): void;
  dropAll(): void;
}

export interface MmuOptions {
  readonly tables: PageTables;
  readonly staleness: Staleness;
  readonly random: Random;
  /** The vCPU's number, for events. */
  readonly vcpu: number;
}

/** A translation that the TLB holds, for reports. */
export interface HeldTranslation {
  readonly level: 1 | 2 | 3;
  /** The machine frame of the 4 KiB page asked for. */
  readonly frame: Mfn;
  readonly rights: number;
  readonly dirty: boolean;
  readonly global: boolean;
  readonly filledAt: number;
  readonly cause: FillCause;
  readonly leaf: Maddr;
}

const NO_DERIVED: DerivedCache = { dropPage() {}, dropAll() {} };
const AD_UPDATE: Why = { what: 'A/D update by the CPU' };

export class Mmu {
  readonly vcpu: number;
  readonly staleness: Staleness;
  /** Whoever caches answers registers here before the first one. */
  derived: DerivedCache = NO_DERIVED;
  readonly #tables: PageTables;
  readonly #record = new WalkRecord();
  #root: Mfn = mfn(0);

  constructor({ tables, staleness, vcpu }: MmuOptions) {
    this.vcpu = vcpu;
    this.staleness = staleness;
    this.#tables = tables;
    tables.attach({ beforeStore: () => {}, afterStore: () => this.derived.dropAll() });
  }

  /** The L4 table in CR3. */
  get root(): Mfn {
    return this.#root;
  }

  /** The guest's (or Xen's) access to a page: see `Translation`. May set A and D in the tables, and fill the TLB. */
  translate(page: Vpn, access: number, result: Translation): boolean {
    const record = this.#record;
    walkFrom(this.#tables.memory, page, this.#root, 4, ALL_RIGHTS, record);
    const mapped = record.outcome === 'mapped';
    const allowed = mapped && allows(record.rights, access);
    const speculative = (access & SPECULATIVE) !== 0;
    const dirties = allowed && !speculative && (access & WRITE) !== 0;
    for (let level = 4; level >= record.level; level--) {
      if (level === record.level && !(mapped && (allowed || speculative))) break;
      const set = level === record.level && dirties ? LOW_A | LOW_D : LOW_A;
      this.#setBits(record.addresses[level] as Maddr, record.low[level]!, set);
    }
    if (!allowed) {
      result.errorCode = accessErrorCode(access) | (mapped ? PFEC_page_present : walkErrorCode(record.outcome));
      return false;
    }
    result.frame = mfn(record.frame);
    result.level = record.level;
    result.mayRepeat = repeatable(record.rights, record.dirty || dirties, access);
    return true;
  }

  /** MOV to CR3 (CR4.PCIDE = 0): drops all but global entries, and the paging-structure caches. */
  loadCr3(root: Mfn, why: Why): void {
    this.#root = root;
    this.#invalidated({ kind: 'non-global' }, why);
  }

  /** MOV to CR3 of the root that is there. */
  flushNonGlobal(why: Why): void {
    this.#invalidated({ kind: 'non-global' }, why);
  }

  /** CR4.PGE toggled: drops everything. */
  flushAll(why: Why): void {
    this.#invalidated({ kind: 'all' }, why);
  }

  /** INVLPG. */
  invalidatePage(address: Vaddr, why: Why): void {
    this.#invalidated({ kind: 'page', page: vaddrToVpn(address) }, why);
  }

  /** A #PF is raised for a (non-speculative) access to this address. */
  pageFault(address: Vaddr): void {
    this.#invalidated({ kind: 'page-fault', page: vaddrToVpn(address) }, { what: '#PF' });
  }

  /** What the TLB holds for the page, smallest page first. Effect-free. */
  lookup(_page: Vpn): readonly HeldTranslation[] {
    return [];
  }

  /** What memory says of the page now, from this vCPU's root. Effect-free. */
  walk(page: Vpn): Walk {
    return walk(this.#tables.memory, this.#root, page);
  }

  /** How many instructions down the wrong path a branch that is mispredicted now executes; 0 is none. */
  speculationBudget(): number {
    return 0;
  }

  /** Instructions until `chance` wants to be called; Infinity when never. */
  nextChanceIn(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** Lets the model drop or load translations by itself. */
  chance(): void {}

  #setBits(address: Maddr, low: number, bits: number): void {
    if ((low & bits) === bits) return;
    const { memory, events, clock } = this.#tables;
    memory.write32(address, (memory.read32(address) | bits) >>> 0);
    if (events.active) {
      const after = memory.read64(address);
      const before = after & ~BigInt(bits & ~low);
      events.emit({ kind: 'table-store', at: clock(), address, before, after, why: AD_UPDATE });
    }
  }

  #invalidated(scope: InvalidateScope, why: Why): void {
    this.derived.dropAll();
    const { events, clock } = this.#tables;
    if (events.active) events.emit({ kind: 'invalidate', vcpu: this.vcpu, at: clock(), scope, why });
  }
}
