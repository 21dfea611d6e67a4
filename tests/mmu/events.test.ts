// What listeners are told: fills, stale hits, invalidations (see invalidation.test.ts) and table stores.

import { describe, expect, test } from 'vitest';
import { vpn } from '../../src/base/addresses.js';
import { FETCH, type MmuEvent, READ, translation, USER } from '../../src/mmu/index.js';
import { FIRST_TABLE, World } from './story.js';

/** The events of the last lines of a story, in a world in which the first ones have happened. */
function heard(options: string, before: string, story: string): readonly MmuEvent[] {
  const world = new World(options).tell(before);
  const events: MmuEvent[] = [];
  world.events.subscribe((event) => events.push(event));
  world.tell(story);
  return events;
}

const only = <Kind extends MmuEvent['kind']>(events: readonly MmuEvent[], kind: Kind) =>
  events.filter((event): event is Extract<MmuEvent, { kind: Kind }> => event.kind === kind);

describe('fills', () => {
  test('say what was loaded, from where, why and when', () => {
    const world = new World('').tell('set ffffffff80001000 -> 50 RW US G');
    const events: MmuEvent[] = [];
    world.events.subscribe((event) => events.push(event));
    world.tell('\n\nwrite ffffffff80001000 = 50');
    const fill = only(events, 'fill');
    expect(fill).toEqual([
      {
        kind: 'fill',
        vcpu: 0,
        at: 3,
        page: 0xffff80001,
        level: 1,
        frame: 0x50,
        rights: 7,
        dirty: true,
        global: true,
        cause: 'access',
        leaf: world.entryOf(0xffffffff80001000n, 1),
        startLevel: 4,
      },
    ]);
    // The two roots come first, then the tables of the story: L3, L2, L1.
    expect(only(events, 'psc-fill').map(({ level, table, rights, cause }) => [level, table, rights, cause])).toEqual([
      [4, FIRST_TABLE + 2, 7, 'access'],
      [3, FIRST_TABLE + 3, 7, 'access'],
      [2, FIRST_TABLE + 4, 7, 'access'],
    ]);
  });

  test.each([
    ['access', '--refill none', 'read 1000', 4],
    ['wrong-path', '--refill wrong-path', 'spec read 1000', 4],
    ['any', '--refill any', 'set 1000 -> none', 4],
    ['access', '--refill none', 'read 2000 = #PF 4\nspec read 2000\nread 1000', 1],
  ])('cause %s (%s: %s), walked from level %i', (cause, options, story, startLevel) => {
    const fills = only(heard(options, 'set 1000 -> 50 US', story), 'fill').filter(({ vcpu }) => vcpu === 0);
    expect(fills.map((fill) => [fill.cause, fill.startLevel])).toEqual([[cause, startLevel]]);
  });

  test('of tables there are none with --tlb coherent, which keeps no tables', () => {
    expect(only(heard('--tlb coherent', 'set 1000 -> 50 US', 'read 1000'), 'psc-fill')).toEqual([]);
  });

  test('of large pages name the frame of the page asked for', () => {
    const fills = only(heard('', 'set 200000 -> 400 2M US', 'read 234000'), 'fill');
    expect(fills.map(({ page, level, frame }) => ({ page, level, frame }))).toEqual([
      { page: 0x234, level: 2, frame: 0x434 },
    ]);
  });
});

describe('stale hits', () => {
  const RW = 'set 1000 -> 50 RW US\nwrite 1000';
  const RO = 'set 1000 -> 50 US\nread 1000';

  test.each([
    // held     changed to                  use               answer       consequence   what memory says
    ['another frame', RW, 'set 1000 -> 51 RW US', 'read 1000', [0x50, 7], 'served', [0x51, 7]],
    ['nothing there', RW, 'set 1000 -> none', 'read 1000', [0x50, 7], 'served', undefined],
    ['fewer rights', RW, 'set 1000 -> 50 US', 'write 1000', [0x50, 7], 'served', [0x50, 6]],
    ['more rights', RO, 'set 1000 -> 50 RW US', 'write 1000 = #PF 7', [0x50, 6], 'refused', [0x50, 7]],
    ['more rights, harmless', RO, 'set 1000 -> 50 RW US', 'read 1000', [0x50, 6], 'served', [0x50, 7]],
  ])('memory says %s', (_name, before, change, use, answer, consequence, fresh) => {
    const hits = only(heard('--cpu intel', `${before}\n${change}`, use), 'stale-hit');
    expect(hits).toHaveLength(1);
    const [hit] = hits;
    expect(hit).toMatchObject({ via: 'tlb', consequence, page: 1, filledAt: 1, cause: 'access' });
    expect(hit?.answer && [hit.answer.frame, hit.answer.rights]).toEqual(answer);
    expect(hit?.fresh.outcome === 'mapped' ? [hit.fresh.frame, hit.fresh.rights] : undefined).toEqual(fresh);
  });

  test('amd walks again instead of refusing', () => {
    const hits = only(heard('--cpu amd', `${RO}\nset 1000 -> 50 RW US`, 'write 1000 = 50'), 'stale-hit');
    expect(hits.map(({ consequence }) => consequence)).toEqual(['walked-again']);
  });

  test('D that memory no longer has counts for a write, not for a read', () => {
    const before = `${RW}\nset 1000 -> 50 RW US A`;
    expect(only(heard('', before, 'read 1000'), 'stale-hit')).toEqual([]);
    expect(only(heard('', before, 'write 1000'), 'stale-hit')).toMatchObject([{ consequence: 'served' }]);
  });

  test('a refusal that memory agrees with is none, nor is an entry that is as fresh as memory', () => {
    expect(only(heard('', RO, 'read 1000\nwrite 1000 = #PF 7'), 'stale-hit')).toEqual([]);
    // The write goes to memory for D, and so never uses what is stale.
    const clean = 'set 1000 -> 50 RW US\nread 1000\nset 1000 -> 51 RW US';
    expect(only(heard('', clean, 'write 1000 = 51'), 'stale-hit')).toEqual([]);
  });

  test('a walk that began at a stale paging-structure entry', () => {
    const before =
      'set 1000 -> 50 US\nset 2000 -> 51 US\nset 201000 -> 60 US\nread 1000\nset L2 1000 -> table of 201000';
    const hits = only(heard('', before, 'read 2000 = 51\nread 3000 = #PF 4'), 'stale-hit');
    expect(hits).toMatchObject([
      { via: 'psc', page: 2, answer: { frame: 0x51, rights: 6 }, consequence: 'served', filledAt: 3, cause: 'access' },
    ]);
    const nothing = only(heard('', `${before}\nset 203000 -> 63 US`, 'read 3000 = #PF 4\nread 3000 = 63'), 'stale-hit');
    expect(nothing).toMatchObject([{ via: 'psc', page: 3, answer: undefined, consequence: 'refused' }]);
  });

  test('while somebody listens, a store makes clients ask again; otherwise they need not', () => {
    for (const listening of [false, true]) {
      const world = new World('').tell('set 1000 -> 50 RW US\nset 2000 -> 51 RW US\nread 1000');
      if (listening) world.events.subscribe(() => {});
      let drops = 0;
      world.mmu.derived = { dropPage: () => {}, dropAll: () => drops++ };
      world.tell('set 2000 -> none');
      expect(drops).toBe(listening ? 1 : 0);
      world.tell('set 2000 -> 52 US'); // was absent, so nothing can have been derived from it
      expect(drops).toBe(listening ? 1 : 0);
    }
  });

  test('while somebody listens, a stale answer is not to be repeated without asking', () => {
    for (const [listening, mayRepeat] of [
      [false, READ | FETCH],
      [true, 0],
    ] as const) {
      const world = new World('').tell('set 1000 -> 50 US\nset 2000 -> 51 US\nset 201000 -> 60 US\nread 1000');
      world.tell('set 1000 -> 52 US\nset L2 1000 -> table of 201000');
      if (listening) world.events.subscribe(() => {});
      const result = translation();
      for (const page of [1, 2]) {
        // Page 1 comes from the TLB, page 2 by way of the PDE cache.
        expect(world.mmu.translate(vpn(page), READ | USER, result)).toBe(true);
        expect(result).toMatchObject({ frame: 0x4f + page, mayRepeat });
      }
    }
  });
});

describe('table stores', () => {
  test('say what was before and after, and who did it', () => {
    const events = heard('', 'set 1000 -> 50 US', 'set 1000 -> 51 RW US A');
    expect(only(events, 'table-store')).toMatchObject([
      { before: 0x50005n, after: 0x51027n, at: 1, why: { what: 'set 1000 -> 51 RW US A' } },
    ]);
  });

  test('A and D that the CPU sets are stores too', () => {
    const before = 'set 1000 -> 50 RW US\nxen read 1000\nflush';
    const stores = only(heard('', before, 'write 1000'), 'table-store');
    expect(stores).toMatchObject([{ before: 0x50027n, after: 0x50067n, why: { what: 'A/D update by the CPU' } }]);
  });

  test('compareAndStore stores nothing when the entry is another, and nothing can come in between', () => {
    const world = new World('--refill any').tell('set 1000 -> 50 US');
    const entry = world.entryOf(0x1000n, 1);
    const why = { what: 'cmpxchg' };
    // `any` loads the translation first, and so sets A: the comparison already sees it.
    expect(world.tables.compareAndStore(entry, 0x50005n, 0n, why)).toBe(0x50025n);
    expect(world.memory.read64(entry)).toBe(0x50025n);
    expect(world.tables.compareAndStore(entry, 0x50025n, 0n, why)).toBe(0x50025n);
    expect(world.memory.read64(entry)).toBe(0n);
  });
});

test('lookup says what is held for an address, and in what order it would be used', () => {
  const world = new World('').tell('set 1000 -> 50 RW US\nset 2000 -> 51 US\nread 1000\nread 2000\nset 1000 -> none');
  const { tlb, psc } = world.mmu.lookup(0x1fffn as Parameters<typeof world.mmu.lookup>[0]);
  expect(tlb).toEqual([
    {
      page: vpn(1),
      level: 1,
      frame: 0x50,
      rights: 7,
      dirty: false,
      global: false,
      filledAt: 2,
      cause: 'access',
      source: world.entryOf(0x1000n, 1),
    },
  ]);
  expect(psc.map(({ level }) => level)).toEqual([2, 3, 4]);
});
