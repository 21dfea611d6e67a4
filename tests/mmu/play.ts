// Random play for the laws: a handful of frames that are tables of any level at once (so that tables get shared, mapped
// by themselves and replaced), sixteen pages, and random stores, accesses and invalidations. All of it follows from the
// seed.

import { type Maddr, type Mfn, mfn, mfnToMaddr, vpn, vpnToVaddr } from '../../src/base/addresses.js';
import { channel } from '../../src/base/events.js';
import { type Random, random } from '../../src/base/random.js';
import { MachineMemory } from '../../src/memory/index.js';
import {
  type DerivedCache,
  FETCH,
  Mmu,
  type MmuEvent,
  PageTables,
  parseStaleness,
  READ,
  RIGHT_EXECUTE,
  RIGHT_USER,
  RIGHT_WRITE,
  SPECULATIVE,
  translation,
  USER,
  WRITE,
} from '../../src/mmu/index.js';
import { type Answer, type Request, SaturatedTlb } from './saturated.js';

const TABLES = 8;
const FIRST_TABLE = 0x100;
/** Indices 0 and 1 at each level. */
export const PAGES: readonly number[] = Array.from({ length: 16 }, (_, bits) =>
  [0, 1, 2, 3].reduce((page, level) => page + ((bits >> level) & 1) * 512 ** level, 0),
);
const WHY = { what: 'play' };
const NOT_WATCHED: ReadonlySet<Answer> = new Set();

export interface PlayOptions {
  /** Whether any store may make a page global. */
  readonly globals?: boolean;
  /** Whether the oracle keeps track of all that may be held; else it only knows what memory says now. */
  readonly watched?: boolean;
}

/** One machine with one vCPU, its random tables, and the oracle that watches. */
export class Play {
  readonly memory = new MachineMemory({
    memory: new WebAssembly.Memory({ initial: 2 }),
    storageOffset: 0,
    storageFrames: TABLES,
    maxMfn: 2 ** 20,
  });
  readonly events = channel<MmuEvent>();
  readonly tables: PageTables;
  readonly mmu: Mmu;
  readonly oracle: SaturatedTlb;
  readonly walksAgain: boolean;
  /** What happened, for the message of a failure. */
  readonly log: (readonly unknown[])[] = [];
  now = 0;
  readonly #random: Random;
  readonly #result = translation();
  readonly #globals: boolean;
  readonly #watched: boolean;

  constructor(options: string, seed: number, { globals = true, watched = false }: PlayOptions = {}) {
    this.#random = random(seed).fork('play');
    this.#globals = globals;
    this.#watched = watched;
    for (let i = 0; i < TABLES; i++) this.memory.addFrame(mfn(FIRST_TABLE + i));
    const texts = Object.fromEntries([...options.matchAll(/--(\w+) (\S+)/g)].map(([, name, text]) => [name, text]));
    const staleness = parseStaleness(texts);
    this.walksAgain = staleness.cpu === 'amd';
    this.tables = new PageTables({ memory: this.memory, events: this.events, clock: () => this.now });
    this.mmu = new Mmu({ tables: this.tables, staleness, random: random(seed), vcpu: 0 });
    for (let i = 0; i < 2 * TABLES; i++) this.memory.write64(this.#entryAddress(i), this.#entry(i & 1));
    this.mmu.loadCr3(mfn(FIRST_TABLE), WHY);
    this.oracle = new SaturatedTlb((address) => this.#peek(address), PAGES, FIRST_TABLE, !watched);
  }

  /** A random store. `before` is told the address of the entry while it is still what it was. */
  store(before: (address: Maddr) => void = () => {}): void {
    const which = this.#random.below(2 * TABLES);
    const address = this.#entryAddress(which);
    before(address);
    const entry = this.#entry(which & 1);
    this.log.push(['store', address.toString(16), entry.toString(16)]);
    this.tables.storeEntry(address, entry, WHY);
    this.oracle.saturate();
  }

  /** A random access; what the model answers, with the #PF raised, and (if watched) what it may answer. */
  access(): { readonly request: Request; readonly legal: ReadonlySet<Answer>; readonly answer: Answer } {
    const kind = [READ, WRITE, FETCH, READ | WRITE][this.#random.below(4)]!;
    const speculative = this.#random.oneIn(4);
    const request = {
      page: this.page(),
      write: (kind & WRITE) !== 0,
      fetch: kind === FETCH,
      user: !this.#random.oneIn(4),
    };
    const legal = this.#watched ? this.oracle.answers(request, this.walksAgain) : NOT_WATCHED;
    const bits = kind | (request.user ? USER : 0) | (speculative ? SPECULATIVE : 0);
    const allowed = this.mmu.translate(vpn(request.page), bits, this.#result);
    const answer = allowed ? this.#result.frame.toString(16) : `#PF ${this.#result.errorCode.toString(16)}`;
    this.log.push([speculative ? 'speculative access' : 'access', request, answer]);
    if (allowed) this.onAnswer(request, this.#result.mayRepeat, this.#result.frame);
    else if (!speculative) {
      this.mmu.pageFault(vpnToVaddr(vpn(request.page)));
      this.oracle.pageFault(request.page);
    }
    return { request, legal, answer };
  }

  /** Told of every answer that is no fault. */
  onAnswer: (request: Request, mayRepeat: number, frame: Mfn) => void = () => {};

  set derived(cache: DerivedCache) {
    this.mmu.derived = cache;
  }

  page(): number {
    return PAGES[this.#random.below(PAGES.length)]!;
  }

  invlpg(page: number): void {
    this.log.push(['invlpg', page]);
    this.mmu.invalidatePage(vpnToVaddr(vpn(page)), WHY);
    this.oracle.invlpg(page);
  }

  loadCr3(): void {
    const root = mfn(FIRST_TABLE + this.#random.below(2));
    this.log.push(['cr3', root]);
    this.mmu.loadCr3(root, WHY);
    this.oracle.loadCr3(root);
  }

  flushAll(): void {
    this.log.push(['flush']);
    this.mmu.flushAll(WHY);
    this.oracle.flushAll();
  }

  oneIn(n: number): boolean {
    return this.#random.oneIn(n);
  }

  /** Lets time pass, and the model take its chances. */
  pass(): void {
    this.now += 1 + this.#random.below(50);
    if (this.mmu.nextChanceIn() === 0) this.mmu.chance();
  }

  /** Every byte that the model may change, and everything that it holds. */
  state(): string {
    const bytes = this.memory.frames.map((frame) => Array.from(this.memory.frameBytes(frame).subarray(0, 16)));
    return JSON.stringify([bytes, this.mmu.contents(), this.mmu.root, this.mmu.nextChanceIn()]);
  }

  /** What is held and must not be. */
  illegallyHeld(): readonly string[] {
    const rightsOf = (rights: number) => ({
      rw: (rights & RIGHT_WRITE) !== 0,
      us: (rights & RIGHT_USER) !== 0,
      x: (rights & RIGHT_EXECUTE) !== 0,
    });
    const { tlb, psc } = this.mmu.contents();
    return [
      ...tlb.filter(({ page, level, frame, rights, global }) => {
        const region = page / 512 ** (level - 1);
        return !this.oracle.mayHoldTranslation({ ...rightsOf(rights), level, region, frame, global });
      }),
      ...psc.filter(
        ({ page, level, table, rights }) =>
          !this.oracle.mayHoldTable(level, page / 512 ** (level - 1), { ...rightsOf(rights), table }),
      ),
    ].map((held) => JSON.stringify(held));
  }

  #entryAddress(which: number): Maddr {
    return (mfnToMaddr(mfn(FIRST_TABLE + (which >> 1))) + (which & 1) * 8) as Maddr;
  }

  #peek(address: Maddr): bigint | undefined {
    return this.memory.isRam(Math.floor(address / 4096)) ? this.memory.read64(address) : undefined;
  }

  /** Mostly present, mostly with all rights, mostly leading to a table; each exception now and then. */
  #entry(index: number): bigint {
    const pick = this.#random;
    if (pick.oneIn(8)) return 0n;
    const frame = FIRST_TABLE + pick.below(TABLES);
    const bit = (position: number, unless: number): bigint => (pick.oneIn(unless) ? 0n : 1n << BigInt(position));
    let entry = (BigInt(frame) << 12n) | 1n | bit(1, 4) | bit(2, 8);
    if (pick.oneIn(8)) entry |= 1n << 63n;
    if (pick.oneIn(3)) entry |= 0x20n;
    if (pick.oneIn(3)) entry |= 0x40n;
    if (this.#globals && pick.oneIn(4)) entry |= 0x100n;
    if (pick.oneIn(40)) entry |= 1n << 50n;
    // A large page, of whatever size its level makes it, or PS where it means nothing or is reserved.
    if (pick.oneIn(8))
      entry = (entry & ~0xf_ffff_f000n) | 0x80n | (BigInt(index) << 30n) | (pick.oneIn(2) ? 1n << 12n : 0n);
    return entry;
  }
}
