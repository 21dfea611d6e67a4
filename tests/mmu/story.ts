// Page tables, accesses and invalidations in one line each, so that tests of the mmu read as tables.
//
//   set 1000 -> 50 RW US            the 4 KiB page at 1000 is frame 50 (hex); flags RW US XD A D G; tables come by
//   themselves set 200000 -> 200 2M RW US      a large page (2M or 1G)
//   set 1000 -> none                clears the leaf
//   set L2 1000 -> US               gives the L2e above 1000 other flags, and the same table
//   set L2 1000 -> table of 200000  lets it lead to the L1 table of 200000, with RW US
//   set L2 1000 -> none
//   read 1000 = 50                  the access goes to frame 50; kinds: read, write, fetch, update (read and write)
//   write 1000 = #PF 7              … or faults with this error code (hex), and the #PF is raised
//   xen read 1000 = 50              not at CPL 3
//   spec write 1000                 on a wrong path; `= 50` or `= no` may be said
//   invlpg 1000 · cr3 · cr3 other · flush     other: a second root, which shares what hangs below L4 slots 0..255
//   tlb = 1000->50 RW US D | 200000->200 2M RW US       what the TLB holds, in order of addresses
//   psc = L2 0 RW US | L3 0 RW US                        what the paging-structure caches hold
//   leaf 1000 = 50 RW US A          what memory holds
//   vcpu 1                          the following lines are this vCPU's
//
// `#` begins a comment. Every table entry is stored through PageTables; upper-level entries get RW US.

import { expect } from 'vitest';
import type { Level } from '../../src/abi/paging.js';
import { PTE_A, PTE_D, PTE_FRAME_MASK, PTE_G, PTE_NX, PTE_P, PTE_PS, PTE_RW, PTE_US } from '../../src/abi/paging.js';
import { type Maddr, type Mfn, mfn, mfnToMaddr, vaddr, vaddrToVpn, vpnToVaddr } from '../../src/base/addresses.js';
import { channel } from '../../src/base/events.js';
import { random } from '../../src/base/random.js';
import { FrameAllocator, MachineMemory } from '../../src/memory/index.js';
import {
  entryAddress,
  FETCH,
  type HeldTable,
  type HeldTranslation,
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

const FLAGS: Readonly<Record<string, bigint>> = { RW: PTE_RW, US: PTE_US, XD: PTE_NX, A: PTE_A, D: PTE_D, G: PTE_G };
const SIZES: Readonly<Record<string, Level>> = { '2M': 2, '1G': 3 };
const ACCESSES: Readonly<Record<string, number>> = { read: READ, write: WRITE, fetch: FETCH, update: READ | WRITE };
export const FIRST_TABLE = 0x1000;

/** A machine with page tables and two vCPUs' Mmus, and no CPU. */
export class World {
  readonly memory: MachineMemory;
  readonly events = channel<MmuEvent>();
  readonly tables: PageTables;
  readonly mmus: readonly Mmu[];
  readonly roots: readonly [Mfn, Mfn];
  now = 0;
  readonly #allocator: FrameAllocator;
  readonly #result = translation();
  #current = 0;

  /** `options` as on the command line: `--tlb demand --refill none --cpu intel`, each of them optional. */
  constructor(options: string, seed = 1) {
    const texts = Object.fromEntries([...options.matchAll(/--(\w+) (\S+)/g)].map(([, name, text]) => [name, text]));
    this.memory = new MachineMemory({
      memory: new WebAssembly.Memory({ initial: 64 }),
      storageOffset: 4096,
      storageFrames: 256,
      maxMfn: 2 ** 24,
    });
    this.#allocator = new FrameAllocator({ memory: this.memory, firstMfn: FIRST_TABLE, endMfn: FIRST_TABLE + 256 });
    this.tables = new PageTables({ memory: this.memory, events: this.events, clock: () => this.now });
    const staleness = parseStaleness({ refill: 'none', ...texts });
    this.mmus = [0, 1].map((vcpu) => new Mmu({ tables: this.tables, staleness, random: random(seed), vcpu }));
    this.roots = [this.table(), this.table()];
    for (const mmu of this.mmus) mmu.loadCr3(this.roots[0], { what: 'start' });
  }

  get mmu(): Mmu {
    return this.mmus[this.#current]!;
  }

  table(): Mfn {
    const frame = this.#allocator.allocate();
    if (frame === undefined) throw new Error('the story needs more tables');
    return frame;
  }

  /** Runs a story line by line, checking what its lines say. */
  tell(story: string): this {
    for (const line of story.split('\n')) {
      const text = line.replace(/#(?!PF).*/, '').trim();
      if (text !== '') this.#line(text);
      this.now++;
    }
    return this;
  }

  #line(text: string): void {
    const [said = '', expected] = text.split(/\s+=\s*/, 2);
    const answer = this.#does(said);
    if (expected !== undefined || answer.mustSay)
      expect(`${said} = ${answer.text}`).toBe(`${said} = ${expected ?? ''}`);
  }

  #does(said: string): { readonly text: string; readonly mustSay?: boolean } {
    const words = said.split(/\s+/);
    const [verb = '', first = ''] = words;
    const why = { what: said };
    if (verb === 'set') this.#set(said.slice(4));
    else if (verb === 'invlpg') this.mmu.invalidatePage(address(first), why);
    else if (verb === 'cr3') this.mmu.loadCr3(this.roots[first === 'other' ? 1 : 0], why);
    else if (verb === 'flush') this.mmu.flushAll(why);
    else if (verb === 'vcpu') this.#current = Number(first);
    else if (verb === 'tlb') return { text: printTlb(this.mmu.contents().tlb), mustSay: true };
    else if (verb === 'psc') return { text: printPsc(this.mmu.contents().psc), mustSay: true };
    else if (verb === 'leaf') return { text: this.#printLeaf(first), mustSay: true };
    else return this.#access(words);
    return { text: '' };
  }

  #access(words: readonly string[]): { readonly text: string; readonly mustSay?: boolean } {
    const bits = words.slice(0, -1).reduce((sum, word) => {
      if (word === 'xen') return sum & ~USER;
      if (word === 'spec') return sum | SPECULATIVE;
      const access = ACCESSES[word];
      if (access === undefined) throw new Error(`a story cannot ${words.join(' ')}`);
      return sum | access;
    }, USER);
    const at = address(words.at(-1) ?? '');
    if (this.mmu.translate(vaddrToVpn(at), bits, this.#result)) return { text: this.#result.frame.toString(16) };
    if ((bits & SPECULATIVE) !== 0) return { text: 'no' };
    this.mmu.pageFault(at);
    return { text: `#PF ${this.#result.errorCode.toString(16)}`, mustSay: true };
  }

  #set(said: string): void {
    const [place = '', content = ''] = said.split(/\s*->\s*/);
    const upper = /^L([234]) (\w+)$/.exec(place);
    const why = { what: `set ${said}` };
    if (!upper) {
      const { value, level } = parseLeaf(content);
      this.tables.storeEntry(this.entryOf(address(place), level), value, why);
      return;
    }
    const level = Number(upper[1]) as Level;
    const entry = this.entryOf(address(upper[2] ?? ''), level);
    const other = /^table of (\w+)$/.exec(content);
    const kept = this.memory.read64(entry) & PTE_FRAME_MASK;
    const value = other
      ? (BigInt(this.entryOf(address(other[1] ?? ''), (level - 1) as Level)) & PTE_FRAME_MASK) | PTE_P | PTE_RW | PTE_US
      : content === 'none'
        ? 0n
        : kept | PTE_P | parseFlags(content.split(/\s+/));
    this.tables.storeEntry(entry, value, why);
  }

  /** Where the entry of this level for an address lies; missing tables above it are made. */
  entryOf(at: bigint, level: Level): Maddr {
    let table = this.roots[0];
    for (let above: Level = 4; above > level; above = (above - 1) as Level) {
      const entry = entryAddress(table, vaddrToVpn(vaddr(at)), above);
      if ((this.memory.read64(entry) & PTE_P) === 0n) {
        const value = BigInt(mfnToMaddr(this.table())) | PTE_P | PTE_RW | PTE_US;
        this.tables.storeEntry(entry, value, { what: 'table' });
        if (above === 4 && entry < mfnToMaddr(this.roots[0]) + 256 * 8) {
          const inOther = (entry - mfnToMaddr(this.roots[0]) + mfnToMaddr(this.roots[1])) as Maddr;
          this.tables.storeEntry(inOther, value, { what: 'table' });
        }
      }
      table = mfn(Number((this.memory.read64(entry) & PTE_FRAME_MASK) >> 12n));
    }
    return entryAddress(table, vaddrToVpn(vaddr(at)), level);
  }

  #printLeaf(place: string): string {
    const { steps, level } = this.mmu.walk(address(place));
    const entry = steps.at(-1)?.entry ?? 0n;
    if ((entry & PTE_P) === 0n) return 'none';
    const flags = Object.entries(FLAGS).flatMap(([name, bit]) => ((entry & bit) === 0n ? [] : [name]));
    const size = Object.entries(SIZES).flatMap(([name, at]) => (at === level ? [name] : []));
    return [((entry & PTE_FRAME_MASK) >> 12n).toString(16), ...size, ...flags].join(' ');
  }
}

/** Runs a story in a world of its own, with the options given. */
export const tell = (options: string, story: string): World => new World(options).tell(story);

const address = (text: string) => vaddr(BigInt(`0x${text}`));

function parseFlags(words: readonly string[]): bigint {
  return words.reduce((sum, word) => {
    const bit = FLAGS[word];
    if (bit === undefined) throw new Error(`no flag is called ${word}`);
    return sum | bit;
  }, 0n);
}

function parseLeaf(content: string): { readonly value: bigint; readonly level: Level } {
  const [frame = '', ...words] = content.split(/\s+/);
  if (frame === 'none') return { value: 0n, level: 1 };
  const level = SIZES[words[0] ?? ''] ?? 1;
  const large = level > 1 ? PTE_PS : 0n;
  const flags = parseFlags(level > 1 ? words.slice(1) : words);
  return { value: (BigInt(`0x${frame}`) << 12n) | PTE_P | large | flags, level };
}

const printRights = (rights: number): string[] => [
  ...((rights & RIGHT_WRITE) !== 0 ? ['RW'] : []),
  ...((rights & RIGHT_USER) !== 0 ? ['US'] : []),
  ...((rights & RIGHT_EXECUTE) === 0 ? ['XD'] : []),
];

const inOrder = <Entry extends { readonly page: number }>(entries: readonly Entry[]): readonly Entry[] =>
  [...entries].sort((a, b) => a.page - b.page);

export const printTlb = (entries: readonly HeldTranslation[]): string =>
  inOrder(entries)
    .map(({ page, level, frame, rights, dirty, global }) =>
      [
        `${vpnToVaddr(page).toString(16)}->${frame.toString(16)}`,
        ...(level === 2 ? ['2M'] : level === 3 ? ['1G'] : []),
        ...printRights(rights),
        ...(dirty ? ['D'] : []),
        ...(global ? ['G'] : []),
      ].join(' '),
    )
    .join(' | ');

export const printPsc = (entries: readonly HeldTable[]): string =>
  entries
    .map(({ page, level, rights }) => [`L${level} ${vpnToVaddr(page).toString(16)}`, ...printRights(rights)].join(' '))
    .sort()
    .join(' | ');
