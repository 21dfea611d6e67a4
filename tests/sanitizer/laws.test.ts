// Laws of the findings, at random programs of stores, flushes and accesses on sixteen pages whose tables overlap.

import { describe, expect, test } from 'vitest';
import { type Maddr, type Mfn, maddr, mfn, mfnToMaddr, vpn, vpnToVaddr } from '../../src/base/addresses.js';
import { channel } from '../../src/base/events.js';
import { random } from '../../src/base/random.js';
import { MachineMemory } from '../../src/memory/index.js';
import { Mmu, type MmuEvent, PageTables, parseStaleness, READ, translation, USER, WRITE } from '../../src/mmu/index.js';
import { type Finding, parseSuppressions, Sanitizer, suppress } from '../../src/sanitizer/index.js';
import { QUIET } from './surroundings.js';

const SEEDS = Array.from({ length: 40 }, (_, index) => index + 1);
const PAGES = 8;
const FRAMES = 4;
const FIRST = 0x100;
const USED = 0x67n;

type Step =
  | { readonly do: 'store'; readonly page: number; readonly entry: bigint; readonly flush: boolean }
  | { readonly do: 'access'; readonly page: number; readonly access: number }
  | { readonly do: 'flush'; readonly page: number };

/** A program that flushes after each store that takes something away, with an access to each page after each store. */
function program(seed: number): readonly Step[] {
  const pick = random(seed);
  return Array.from({ length: 30 }, (): Step[] => {
    const page = pick.below(PAGES);
    const frame = BigInt(FIRST + 8 + pick.below(FRAMES)) << 12n;
    const entry = pick.oneIn(4) ? 0n : frame | (pick.oneIn(2) ? USED : USED & ~2n);
    const access = READ | USER | (pick.oneIn(2) ? WRITE : 0);
    return [
      { do: 'store', page, entry, flush: true },
      { do: 'access', page, access },
    ];
  }).flat();
}

/** The findings of a program; with one call site for each step, so that each store has a title of its own. */
function findingsOf(steps: readonly Step[]): readonly Finding[] {
  const memory = new MachineMemory({
    memory: new WebAssembly.Memory({ initial: 2 }),
    storageOffset: 0,
    storageFrames: 16,
    maxMfn: 2 ** 20,
  });
  for (let frame = 0; frame < 16; frame++) memory.addFrame(mfn(FIRST + frame));
  const table = (level: number): Mfn => mfn(FIRST + 4 - level);
  for (const level of [4, 3, 2]) memory.write64(mfnToMaddr(table(level)), (BigInt(table(level - 1)) << 12n) | USED);
  const events = channel<MmuEvent>();
  let now = 0;
  const tables = new PageTables({ memory, events, clock: () => now });
  const mmu = new Mmu({
    tables,
    staleness: parseStaleness({ tlb: 'coherent', refill: 'none' }),
    random: random(1),
    vcpu: 0,
  });
  mmu.loadCr3(table(4), { what: 'start' });
  const sanitizer = new Sanitizer({
    ...QUIET,
    readEntry: (address: Maddr) => (memory.isRam(Math.floor(address / 4096)) ? memory.read64(address) : undefined),
    place: (vcpu) => ({ vcpu, rip: BigInt(now), stack: [] }),
  });
  sanitizer.addVcpu(0, mmu.root);
  events.subscribe((event) => sanitizer.heard(event));
  tables.watcher = sanitizer;
  const result = translation();
  for (const step of steps) {
    now++;
    const address = vpnToVaddr(vpn(step.page));
    if (step.do === 'store') {
      tables.storeEntry(maddr(mfnToMaddr(table(1)) + step.page * 8), step.entry, { what: 'store' });
      if (step.flush) mmu.invalidatePage(address, { what: 'flush' });
    } else if (step.do === 'flush') mmu.invalidatePage(address, { what: 'flush' });
    else if (!mmu.translate(vpn(step.page), step.access, result)) mmu.pageFault(address);
  }
  return sanitizer.findings;
}

const without = (steps: readonly Step[], at: number): readonly Step[] =>
  steps.map((step, index) => (index === at && step.do === 'store' ? { ...step, flush: false } : step));

describe.each(SEEDS)('program %i', (seed) => {
  const steps = program(seed);

  test('well flushed: nothing is found', () => {
    expect(findingsOf(steps)).toEqual([]);
  });

  test('a flush left out is found exactly when the next access can tell', () => {
    const held = new Map<number, bigint>();
    for (const [at, step] of steps.entries()) {
      if (step.do !== 'store') continue;
      const before = held.get(step.page) ?? 0n;
      held.set(step.page, step.entry);
      const use = steps[at + 1];
      const writes = use?.do === 'access' && (use.access & WRITE) !== 0;
      const served = (entry: bigint): bigint | undefined =>
        (entry & 1n) === 0n || (writes && (entry & 2n) === 0n) ? undefined : entry >> 12n;
      const differs = (before & 1n) !== 0n && served(before) !== served(step.entry);
      expect(findingsOf(without(steps, at)).some(({ change }) => change.at === at + 1)).toBe(differs);
    }
  });

  test('extra flushes never add findings', () => {
    const careless = steps.map((step, at) => (step.do === 'store' && at % 3 === 0 ? { ...step, flush: false } : step));
    const extra = careless.flatMap((step, at): Step[] =>
      at % 5 === 0 ? [{ do: 'flush', page: at % PAGES }, step] : [step],
    );
    const places = (findings: readonly Finding[]): number => findings.reduce((sum, { count }) => sum + count, 0);
    expect(places(findingsOf(extra))).toBeLessThanOrEqual(places(findingsOf(careless)));
  });

  test('suppressions and deduplication hide no other title', () => {
    const all = findingsOf(steps.map((step) => (step.do === 'store' ? { ...step, flush: false } : step)));
    expect(new Set(all.map(({ title }) => title)).size).toBe(all.length);
    const first = all[0];
    if (!first) return;
    const { shown, hidden } = suppress(all, parseSuppressions(`title:${first.title}`), () => undefined);
    expect(hidden.map(({ title }) => title)).toEqual([first.title]);
    expect([...hidden, ...shown].map(({ title }) => title).sort()).toEqual(all.map(({ title }) => title).sort());
  });
});

describe('suppressions', () => {
  test.each([
    ['kind:nothing', 'no kind is called nothing'],
    ['frame:12', 'does not begin with one of'],
    ['use:', 'wants a text'],
    ['grade:fatal nonsense', 'has a blank in it'],
  ])('%s is refused with its line', (rule, words) => {
    expect(() => parseSuppressions(`# first\n${rule}`)).toThrow(new RegExp(`suppressions, line 2: .*${words}`));
  });
});
