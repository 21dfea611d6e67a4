// One vCPU's memory management unit: the order in which held translations and tables are asked, what gets loaded and
// what must be dropped.
// Sources: SDM 3A "Paging > Accessed and Dirty Flags" (§4.8), "Caching Translation Information" (§4.10): "Using the
// TLBs and paging-structure caches" (§4.10.3.2), "Operations that Invalidate" (§4.10.4.1). CR4.PCIDE = 0, CR4.PGE = 1.
//
//   translate:  TLB ──miss──> PDE cache ──> PDPTE cache ──> PML4E cache ──> CR3
//                │               └──────── the deepest that is held begins the walk ────────┘
//                └─hit─> rights ok: served · missing: #PF (intel), walk again (amd) · write with D clear: walk again
//
// Choices where the architecture leaves some:
// - A write by way of a clean entry does not trust it: the CPU has to go to memory to set D, and so walks again.
//   Linux's batched unmapping (mm/rmap.c, try_to_unmap_one) relies on CPUs doing so.
// - A is set in every upper-level entry that a walk passes, and in the leaf if the access is allowed. A load that no
//   committed access makes sets A in the leaf whatever its rights are, for without A nothing may be cached.
// - An access that will fault loads nothing into the TLB: the #PF would drop it.
// Not modelled: PCIDs and INVPCID, INVLPGB, separate instruction and data TLBs, memory types, changes of CR0.PG and
// PAE.

import { type Level, PFEC_page_present, PTE_P } from '../abi/paging.js';
import { isCanonical, type Maddr, type Mfn, mfn, type Vaddr, type Vpn, vaddrToVpn } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import type { Random } from '../base/random.js';
import { ALL_RIGHTS, accessErrorCode, allows, repeatable, SPECULATIVE, type Translation, WRITE } from './access.js';
import { AnyRefill } from './any.js';
import { type Contents, contentsOf } from './contents.js';
import { WALKS_AGAIN_FOR_RIGHTS } from './cpus.js';
import { LOW_A, LOW_D } from './entry.js';
import { DIRTY } from './entry-cache.js';
import type { FillCause, StaleHitEvent, Why } from './events.js';
import type { PageTables } from './page-tables.js';
import { TablesRead } from './policies/coherent.js';
import { policyOf } from './policies/index.js';
import type { ChanceDeeds, TlbPolicy } from './policies/policy.js';
import { Psc, type TableLevel } from './psc.js';
import { pagesOf } from './regions.js';
import { Reporter } from './reporter.js';
import type { Staleness } from './staleness.js';
import { type DerivedCache, Tlb } from './tlb.js';
import { type Walk, WalkRecord, walk, walkErrorCode, walkFrom } from './walk.js';

export interface MmuOptions {
  readonly tables: PageTables;
  readonly staleness: Staleness;
  /** Drawn from by `--tlb random` only, and never disturbed: the Mmu forks its own. */
  readonly random: Random;
  /** The vCPU's number, for events. */
  readonly vcpu: number;
}

const PAGE_FAULT: Why = { what: '#PF' };

export class Mmu {
  readonly vcpu: number;
  readonly staleness: Staleness;
  readonly #tables: PageTables;
  readonly #reporter: Reporter;
  readonly #policy: TlbPolicy;
  readonly #walksAgain: boolean;
  readonly #tlb: Tlb;
  readonly #psc: Psc;
  /** With --tlb coherent only. */
  readonly #tablesRead: TablesRead | undefined;
  /** With --refill any only. */
  readonly #any: AnyRefill | undefined;
  readonly #deeds: ChanceDeeds;
  /** The walk under way; #walk fills it. */
  readonly #walked = new WalkRecord();
  #root: Mfn | undefined;
  #chanceAt: number;

  constructor({ tables, staleness, random, vcpu }: MmuOptions) {
    this.vcpu = vcpu;
    this.staleness = staleness;
    this.#tables = tables;
    this.#reporter = new Reporter(tables, vcpu);
    this.#policy = policyOf(staleness.tlb, random.fork(`tlb of vcpu ${vcpu}`));
    this.#walksAgain = WALKS_AGAIN_FOR_RIGHTS[staleness.cpu];
    this.#tlb = new Tlb(this.#policy.tlb);
    this.#psc = new Psc(this.#policy.psc);
    this.#tablesRead = this.#policy.coherent ? new TablesRead() : undefined;
    const load = (page: Vpn): void => this.#offer(page, 'any');
    this.#any = staleness.refill.kind === 'any' ? new AnyRefill(tables.memory, { psc: this.#psc, load }) : undefined;
    this.#deeds = {
      dropAll: () => this.#dropAll(),
      dropWhere: (wanted) => {
        this.#tlb.dropWhere(wanted);
        this.#psc.dropWhere(wanted);
      },
      load: (page) => {
        if (this.#any && this.#root !== undefined) this.#offer(page, 'chance');
      },
    };
    this.#chanceAt = tables.clock() + this.#policy.chanceInterval();
    tables.attach({
      beforeStore: (address) => {
        if (this.#root !== undefined) this.#any?.beforeStore(address, this.#root);
      },
      afterStore: (address, before) => this.#afterStore(address, before),
    });
  }

  /** Whoever caches answers (by `mayRepeat`) registers here before the first one. */
  get derived(): DerivedCache {
    return this.#tlb.derived;
  }
  set derived(cache: DerivedCache) {
    this.#tlb.derived = cache;
  }

  /** The L4 table in CR3, which must have been loaded. */
  get root(): Mfn {
    invariant(this.#root !== undefined, 'CR3 is loaded before it is used');
    return this.#root;
  }

  /**
   * The access of a guest, or of Xen, to a page. True: `result` says where it goes. False: it says with which error
   * code the access faults; the caller raises #PF and calls `pageFault`, unless the access is SPECULATIVE. May load
   * translations and set A and D. The caller has checked that the address is canonical.
   */
  translate(page: Vpn, access: number, result: Translation): boolean {
    if (!this.#reporter.accessed(page, access)) return this.#answer(page, access, result);
    const allowed = this.#answer(page, access, result);
    result.mayRepeat = 0;
    return allowed;
  }

  #answer(page: Vpn, access: number, result: Translation): boolean {
    const level = this.#tlb.find(page);
    if (level !== undefined) {
      const entries = this.#tlb.ofSize(level);
      const slot = this.#tlb.slot;
      const rights = entries.rights[slot]!;
      const dirty = (entries.flags[slot]! & DIRTY) !== 0;
      const allowed = allows(rights, access);
      const setsDirty = allowed && !dirty && (access & (WRITE | SPECULATIVE)) === WRITE;
      // A stale answer is not to be repeated unseen while somebody listens.
      const reported =
        !setsDirty &&
        this.#reporter.active &&
        this.#reporter.hit(page, access, this.root, entries, slot, level, this.#consequence(allowed));
      if (allowed && !setsDirty) {
        result.frame = mfn(entries.frame[slot]! + (page % pagesOf(level)));
        result.level = level;
        result.mayRepeat = reported ? 0 : repeatable(rights, dirty, access);
        return true;
      }
      if (!allowed && !this.#walksAgain) {
        result.errorCode = PFEC_page_present | accessErrorCode(access);
        return false;
      }
      this.#tlb.dropPage(page);
      if (!allowed) this.#psc.dropPath(page);
    }
    return this.#walkAndLoad(page, access, result);
  }

  /** MOV to CR3 with CR4.PCIDE = 0: drops all but the global entries, and the paging-structure caches. */
  loadCr3(root: Mfn, why: Why): void {
    this.#beforeInvalidate();
    this.#root = root;
    this.#dropNonGlobal();
    this.#reporter.invalidated({ kind: 'non-global' }, this.#root, why);
  }

  /** MOV to CR3 of the root that is there already. */
  flushNonGlobal(why: Why): void {
    this.loadCr3(this.root, why);
  }

  /** A change of CR4.PGE, or both of its toggles: drops everything. */
  flushAll(why: Why): void {
    this.#dropAll();
    this.#reporter.invalidated({ kind: 'all' }, this.#root, why);
  }

  /**
   * INVLPG: drops what is held for the page, global or not and of every size, and all of the paging-structure caches.
   * For an address that is not canonical it does nothing, as the instruction.
   */
  invalidatePage(address: Vaddr, why: Why): void {
    if (!isCanonical(address)) return;
    const page = vaddrToVpn(address);
    this.#beforeInvalidate();
    this.#tlb.dropPage(page);
    this.#psc.dropAll();
    this.#reporter.invalidated({ kind: 'page', page }, this.#root, why);
  }

  /** A #PF is raised for this address: drops what is held for its page, and what a walk for it would begin with. */
  pageFault(address: Vaddr): void {
    const page = vaddrToVpn(address);
    this.#beforeInvalidate();
    this.#tlb.dropPage(page);
    this.#psc.dropPath(page);
    this.#reporter.invalidated({ kind: 'page-fault', page }, this.#root, PAGE_FAULT);
  }

  /** What is held for an address, in the order in which it would be used. Effect-free. */
  lookup(address: Vaddr): Contents {
    return contentsOf(this.#tlb, this.#psc, vaddrToVpn(address));
  }

  /** Everything that is held. Effect-free. */
  contents(): Contents {
    return contentsOf(this.#tlb, this.#psc);
  }

  /** What the tables in memory say of an address now. Effect-free. */
  walk(address: Vaddr): Walk {
    return walk(this.#tables.memory, this.root, address);
  }

  /** How many instructions down the wrong path a branch that is mispredicted now executes; 0 is none. */
  speculationBudget(): number {
    const { refill } = this.staleness;
    return refill.kind === 'wrong-path' ? this.#policy.cutShort(refill.instructions) : 0;
  }

  /** Retired instructions until `chance` wants to be called; Infinity when never. */
  nextChanceIn(): number {
    return Math.max(0, this.#chanceAt - this.#tables.clock());
  }

  /** Lets the model drop, or load, translations by itself. To be called when `nextChanceIn` has come down to 0. */
  chance(): void {
    this.#policy.chance(this.#deeds);
    this.#chanceAt = this.#tables.clock() + this.#policy.chanceInterval();
  }

  /** The TLB has no answer: finds one in the tables. */
  #walkAndLoad(page: Vpn, access: number, result: Translation): boolean {
    const walked = this.#walked;
    let allowed = this.#walk(page) && allows(walked.rights, access);
    let reported = false;
    if (walked.startLevel < 4) {
      reported = this.#reporter.active && this.#reportWalk(page, access, allowed);
      if (!allowed && walked.outcome === 'mapped' && this.#walksAgain) {
        this.#psc.dropPath(page);
        allowed = this.#walk(page) && allows(walked.rights, access);
      }
    }
    const speculative = (access & SPECULATIVE) !== 0;
    const writes = allowed && !speculative && (access & WRITE) !== 0;
    const kept = this.#load(page, allowed || speculative, writes, speculative ? 'wrong-path' : 'access');
    if (!allowed) {
      const present = walked.outcome === 'mapped' ? PFEC_page_present : walkErrorCode(walked.outcome);
      result.errorCode = present | accessErrorCode(access);
      return false;
    }
    result.frame = mfn(walked.frame);
    result.level = walked.level;
    result.mayRepeat = kept && !reported ? repeatable(walked.rights, walked.dirty, access) : 0;
    return true;
  }

  /** Walks into #walked, from the deepest paging-structure cache entry that is held, else from CR3. True: mapped. */
  #walk(page: Vpn): boolean {
    const { memory } = this.#tables;
    const held = this.#psc.find(page);
    if (held === undefined) walkFrom(memory, page, this.root, 4, ALL_RIGHTS, this.#walked);
    else {
      const entries = this.#psc.ofLevel(held);
      const table = mfn(entries.frame[this.#psc.slot]!);
      walkFrom(memory, page, table, (held - 1) as Level, entries.rights[this.#psc.slot]!, this.#walked);
    }
    return this.#walked.outcome === 'mapped';
  }

  /**
   * Takes in what #walked found for a page: sets A (and D, for a write), and keeps the upper levels and, if `withLeaf`,
   * the translation. False when chance will have it that nothing is kept.
   */
  #load(page: Vpn, withLeaf: boolean, writes: boolean, cause: FillCause): boolean {
    const walked = this.#walked;
    const at = this.#tables.clock();
    const kept = this.#policy.keepsFill(page);
    for (let level = walked.startLevel; level > walked.level; level--) {
      this.#setInEntry(level, LOW_A);
      if (kept && this.#psc.insert(page, level as TableLevel, walked, cause, at))
        this.#reporter.tableLoaded(page, level as TableLevel, walked, cause);
    }
    if (walked.outcome !== 'mapped' || !withLeaf) return kept;
    this.#setInEntry(walked.level, writes ? LOW_A | LOW_D : LOW_A);
    walked.dirty ||= writes;
    if (!kept) return false;
    this.#tlb.insert(page, walked, cause, at);
    this.#tablesRead?.add(walked);
    this.#reporter.loaded(page, walked, cause);
    return true;
  }

  /** Sets A or D in the entry that #walked read at this level, as the CPU does with a locked access. */
  #setInEntry(level: Level, bits: number): void {
    if ((bits & ~this.#walked.low[level]!) === 0) return;
    const { memory } = this.#tables;
    const address = this.#walked.addresses[level] as Maddr;
    // Read again: of a table that maps itself, the same entry may have been changed at another level.
    const before = memory.read32(address);
    memory.write32(address, (before | bits) >>> 0);
    this.#reporter.bitsSet(address, bits & ~before);
  }

  /** A load that no access asks for. What is held for the page stays. */
  #offer(page: Vpn, cause: FillCause): void {
    if (!this.#policy.acceptsOffer()) return;
    const held = this.#tlb.find(page);
    // With the translation held, and the way to its leaf too, there is nothing left to load.
    if (held !== undefined && this.#psc.find(page) === held + 1) return;
    this.#walk(page);
    this.#load(page, held === undefined, false, cause);
  }

  #beforeInvalidate(): void {
    if (this.#root !== undefined) this.#any?.beforeInvalidate(this.#root);
  }

  #dropNonGlobal(): void {
    if (this.#tablesRead) this.#dropAll();
    else {
      this.#tlb.dropNonGlobal();
      this.#psc.dropAll();
    }
  }

  #dropAll(): void {
    this.#tlb.dropAll();
    this.#psc.dropAll();
    this.#tablesRead?.clear();
  }

  #afterStore(address: Maddr, before: bigint): void {
    this.#any?.afterStore(address);
    const affected = this.#tablesRead?.affectedBy(address);
    if (affected === 'any') this.#dropAll();
    else if (affected === 'its-leaves') this.#tlb.dropWhere((entries, slot) => entries.source[slot] === address);
    // So that uses of what has become stale now are seen by those who listen. An absent entry is held by nobody.
    if (this.#reporter.active && (before & PTE_P) !== 0n) this.#tlb.derived.dropAll();
  }

  #consequence(allowed: boolean): StaleHitEvent['consequence'] {
    if (allowed) return 'served';
    return this.#walksAgain ? 'walked-again' : 'refused';
  }

  /** #walked, which began at a paging-structure cache entry, is about to answer. True when the answer is stale. */
  #reportWalk(page: Vpn, access: number, allowed: boolean): boolean {
    const walked = this.#walked;
    const held = this.#psc.find(page);
    invariant(held !== undefined, 'what the walk began with is still held');
    const mapped = walked.outcome === 'mapped';
    const consequence = mapped ? this.#consequence(allowed) : 'refused';
    const entries = this.#psc.ofLevel(held);
    return this.#reporter.walkedFrom(entries, this.#psc.slot, page, access, this.root, walked, consequence);
  }
}
