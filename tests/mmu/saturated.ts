// The oracle of the laws: everything that the architecture allows to be held. Written from the SDM alone (§4.5, §4.10)
// and sharing no code with src/mmu. Where a real TLB holds some of what it could, this one holds all: each translation
// and each paging-structure cache entry that could have been loaded since it was last invalidated ("saturated", as in
// Syeda and Klein, "Formal Reasoning under Cached Address Translation"). Whatever a CPU answers must be among its
// answers.

import type { Maddr } from '../../src/base/addresses.js';

export interface Request {
  readonly page: number;
  readonly write: boolean;
  readonly fetch: boolean;
  readonly user: boolean;
}

/** `50` (a frame, hex) or `#PF 7`. */
export type Answer = string;

interface Rights {
  readonly rw: boolean;
  readonly us: boolean;
  readonly x: boolean;
}
/** What a walk goes on with: a table of this level, and the rights of what is above it. */
interface Start extends Rights {
  readonly level: number;
  readonly table: number;
}
interface Translation extends Rights {
  readonly level: number;
  readonly region: number;
  readonly frame: number;
  readonly global: boolean;
}
type Step = { readonly next: Start } | { readonly leaf: Translation } | { readonly fault: 0 | 9 };

const pagesIn = (level: number): number => 2 ** (9 * (level - 1));
const regionOf = (page: number, level: number): number => Math.floor(page / pagesIn(level));

/** Reads one entry, as memory holds it; undefined when the frame is no RAM. */
export type ReadEntry = (address: Maddr) => bigint | undefined;

export class SaturatedTlb {
  readonly #read: ReadEntry;
  readonly #pages: readonly number[];
  #root: number;
  readonly #translations = new Map<string, Translation>();
  /** By the level of the entry and the region, then by what it holds. */
  readonly #starts = new Map<string, Map<string, Start>>();

  readonly #dry: boolean;

  /** Only these pages are ever asked about. A dry one holds nothing, and is good for what memory says now. */
  constructor(read: ReadEntry, pages: readonly number[], root: number, dry: boolean) {
    this.#read = read;
    this.#pages = pages;
    this.#root = root;
    this.#dry = dry;
    this.saturate();
  }

  /** To be called after every store. */
  saturate(): void {
    if (this.#dry) return;
    for (const page of this.#pages)
      for (let level = 4; level >= 1; level--)
        for (const start of this.#startsAt(page, level)) {
          const step = this.#step(start, page);
          if ('leaf' in step) this.#translations.set(JSON.stringify(step.leaf), step.leaf);
          else if ('next' in step) this.#remember(page, level, step.next);
        }
  }

  loadCr3(root: number): void {
    this.#root = root;
    for (const [key, { global }] of this.#translations) if (!global) this.#translations.delete(key);
    this.#starts.clear();
    this.saturate();
  }

  flushAll(): void {
    this.#translations.clear();
    this.#starts.clear();
    this.saturate();
  }

  invlpg(page: number): void {
    this.#dropTranslations(page);
    this.#starts.clear();
    this.saturate();
  }

  pageFault(page: number): void {
    this.#dropTranslations(page);
    for (let level = 2; level <= 4; level++) this.#starts.delete(`${level} ${regionOf(page, level)}`);
    this.saturate();
  }

  /** All answers that the architecture allows now, with a CPU that faults on stale rights or one that walks again. */
  answers(request: Request, walksAgain: boolean): ReadonlySet<Answer> {
    const answers = new Set<Answer>();
    const fresh = this.fresh(request);
    const rightsFault = `#PF ${(1 + errorBits(request)).toString(16)}`;
    for (const translation of this.#translations.values())
      if (regionOf(request.page, translation.level) === translation.region) answers.add(decide(translation, request));
    for (let level = 4; level >= 1; level--)
      for (const start of this.#startsAt(request.page, level)) {
        const step = this.#step(start, request.page);
        if ('fault' in step) answers.add(`#PF ${(step.fault + errorBits(request)).toString(16)}`);
      }
    if (walksAgain && fresh !== rightsFault) answers.delete(rightsFault);
    return answers;
  }

  /** What the tables say now, from CR3. */
  fresh(request: Request): Answer {
    let start: Start = { level: 4, table: this.#root, rw: true, us: true, x: true };
    for (;;) {
      const step = this.#step(start, request.page);
      if ('fault' in step) return `#PF ${(step.fault + errorBits(request)).toString(16)}`;
      if ('leaf' in step) return decide(step.leaf, request);
      start = step.next;
    }
  }

  /** The pages asked about whose walk from CR3 reads the entry at this address now. */
  pagesThrough(address: number): readonly number[] {
    return this.#pages.filter((page) => {
      let start: Start = { level: 4, table: this.#root, rw: true, us: true, x: true };
      for (;;) {
        if (entryAddress(start, page) === address) return true;
        const step = this.#step(start, page);
        if (!('next' in step)) return false;
        start = step.next;
      }
    });
  }

  mayHoldTranslation(held: { readonly [Key in keyof Translation]: Translation[Key] }): boolean {
    const { rw, us, x, level, region, frame, global } = held;
    return this.#translations.has(JSON.stringify({ rw, us, x, level, region, frame, global }));
  }

  mayHoldTable(level: number, region: number, { rw, us, x, table }: Rights & { readonly table: number }): boolean {
    return this.#starts.get(`${level} ${region}`)?.has(JSON.stringify({ rw, us, x, level: level - 1, table })) ?? false;
  }

  #startsAt(page: number, level: number): readonly Start[] {
    if (level === 4) return [{ level: 4, table: this.#root, rw: true, us: true, x: true }];
    return [...(this.#starts.get(`${level + 1} ${regionOf(page, level + 1)}`)?.values() ?? [])];
  }

  #remember(page: number, level: number, start: Start): void {
    const place = `${level} ${regionOf(page, level)}`;
    const known = this.#starts.get(place) ?? new Map<string, Start>();
    this.#starts.set(place, known);
    known.set(JSON.stringify(start), start);
  }

  #step(start: Start, page: number): Step {
    const { level } = start;
    const entry = this.#read(entryAddress(start, page)) ?? 0xffff_ffff_ffff_ffffn;
    if ((entry & 1n) === 0n) return { fault: 0 };
    const size = (entry & 0x80n) !== 0n;
    const frame = (entry >> 12n) & 0xff_ffff_ffffn;
    const large = size && (level === 2 || level === 3);
    const lowBits = large ? (frame & (BigInt(pagesIn(level)) - 1n)) >> 1n : 0n;
    if (frame >> 34n !== 0n || (size && level === 4) || lowBits !== 0n) return { fault: 9 };
    const rights = {
      rw: start.rw && (entry & 2n) !== 0n,
      us: start.us && (entry & 4n) !== 0n,
      x: start.x && entry >> 63n === 0n,
    };
    if (level > 1 && !large) return { next: { ...rights, level: level - 1, table: Number(frame) } };
    const first = Number(frame) - (Number(frame) % pagesIn(level));
    return { leaf: { ...rights, level, region: regionOf(page, level), frame: first, global: (entry & 0x100n) !== 0n } };
  }

  #dropTranslations(page: number): void {
    for (const [key, { level, region }] of this.#translations)
      if (regionOf(page, level) === region) this.#translations.delete(key);
  }
}

const entryAddress = ({ table, level }: Start, page: number): Maddr =>
  (table * 4096 + (regionOf(page, level) % 512) * 8) as Maddr;

const errorBits = ({ write, user, fetch }: Request): number => (write ? 2 : 0) + (user ? 4 : 0) + (fetch ? 16 : 0);

function decide(translation: Translation, request: Request): Answer {
  const refused =
    (request.user && !translation.us) || (request.write && !translation.rw) || (request.fetch && !translation.x);
  if (refused) return `#PF ${(1 + errorBits(request)).toString(16)}`;
  return (translation.frame + (request.page % pagesIn(translation.level))).toString(16);
}
