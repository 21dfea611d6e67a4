// Laws that hold for every policy, refill and CPU, at random play. A failure names the seed and what was done.

import { describe, expect, test } from 'vitest';
import { type Mfn, vpn, vpnToVaddr } from '../../src/base/addresses.js';
import { FETCH, READ, translation, USER, WRITE } from '../../src/mmu/index.js';
import { Play, type PlayOptions } from './play.js';

const TLBS = ['coherent', 'demand', 'hoarding', 'random'];
const REFILLS = ['none', 'wrong-path', 'any'];
const COMBINATIONS = TLBS.flatMap((tlb) =>
  REFILLS.flatMap((refill) => ['intel', 'amd'].map((cpu) => `--tlb ${tlb} --refill ${refill} --cpu ${cpu}`)),
);
const SEEDS = [1, 2, 3, 4, 5];
const STEPS = 300;

type Access = ReturnType<Play['access']>;

/** Plays with each seed, and on failure says how to get there. */
function forSeeds(options: string, play: (game: Play, seed: number) => void, rules: PlayOptions = {}): void {
  for (const seed of SEEDS) {
    const game = new Play(options, seed, rules);
    try {
      play(game, seed);
    } catch (failure) {
      throw new Error(
        `${options}, seed ${seed}, after:\n${game.log
          .slice(-30)
          .map((entry) => JSON.stringify(entry))
          .join('\n')}`,
        { cause: failure },
      );
    }
  }
}

/** Anything may happen at any time: nobody flushes as they should. */
function anything(game: Play): Access | undefined {
  game.pass();
  if (game.oneIn(4)) game.store();
  else if (game.oneIn(12)) game.invlpg(game.page());
  else if (game.oneIn(24)) game.loadCr3();
  else if (game.oneIn(48)) game.flushAll();
  else return game.access();
  return undefined;
}

describe.each(COMBINATIONS)('%s', (options) => {
  test('every answer is one that the architecture allows, and so is all that is held', () => {
    forSeeds(
      options,
      (game) => {
        for (let step = 0; step < STEPS; step++) {
          const done = anything(game);
          if (done && !done.legal.has(done.answer)) expect([...done.legal]).toContain(done.answer);
          const illegal = game.illegallyHeld();
          if (illegal.length > 0) expect(illegal).toEqual([]);
        }
      },
      { watched: true },
    );
  });

  test('a TLB that is flushed at every change of a table behaves as no TLB', () => {
    forSeeds(options, (game) => {
      for (let step = 0; step < STEPS; step++) {
        game.pass();
        if (game.oneIn(4)) {
          game.store();
          game.flushAll();
        } else if (game.oneIn(8)) {
          game.loadCr3();
          game.flushAll();
        } else expectFresh(game);
      }
    });
  });

  test('the invalidations that the manual asks for are enough, and more change nothing', () => {
    // SDM §4.10.4.2: INVLPG for each page whose walk uses the entry; if there is none, still one. No globals, so that a
    // load of CR3 may be relied on to drop what another root gave.
    const careful = (game: Play, extra: boolean): void => {
      for (let step = 0; step < STEPS; step++) {
        game.pass();
        if (game.oneIn(4)) {
          let pages: readonly number[] = [];
          game.store((address) => {
            pages = game.oracle.pagesThrough(address);
          });
          for (const page of pages.length > 0 ? pages : [0]) game.invlpg(page);
        } else if (game.oneIn(16)) game.loadCr3();
        else expectFresh(game);
        if (extra && step % 3 === 0) game.invlpg(0);
        if (extra && step % 7 === 0) game.flushAll();
      }
    };
    forSeeds(options, (game) => careful(game, false), { globals: false });
    forSeeds(options, (game) => careful(game, true), { globals: false });
  });

  test('looking changes nothing', () => {
    forSeeds(options, (game, seed) => {
      const unseen = new Play(options, seed);
      for (let step = 0; step < STEPS; step++) {
        const address = vpnToVaddr(vpn(game.page()));
        unseen.page();
        const before = step % 8 === 0 ? game.state() : undefined;
        game.mmu.lookup(address);
        game.mmu.contents();
        game.mmu.walk(address);
        if (before !== undefined) expect(game.state()).toBe(before);
        expectSame(anything(game), anything(unseen));
      }
      expect(game.state()).toBe(unseen.state());
    });
  });

  test('listening changes nothing', () => {
    forSeeds(options, (game, seed) => {
      const unheard = new Play(options, seed);
      game.events.subscribe(() => {});
      for (let step = 0; step < STEPS; step++) expectSame(anything(game), anything(unheard));
      expect(game.state()).toBe(unheard.state());
    });
  });

  test('what a client derived, and was not told to drop, is still the answer', () => {
    forSeeds(options, (game) => {
      const client = new Map<string, { page: number; access: number; frame: Mfn }>();
      game.derived = {
        dropPage(page) {
          for (const [key, entry] of client) if (entry.page === page) client.delete(key);
        },
        dropAll: () => client.clear(),
      };
      game.onAnswer = ({ page, user }, mayRepeat, frame) => {
        for (const kind of [READ, WRITE, FETCH])
          if ((mayRepeat & kind) !== 0) {
            const access = kind | (user ? USER : 0);
            client.set(`${page} ${access}`, { page, access, frame });
          }
      };
      const result = translation();
      let checked = 0;
      for (let step = 0; step < STEPS; step++) {
        anything(game);
        const before = step % 8 === 0 ? game.state() : undefined;
        for (const { page, access, frame } of [...client.values()]) {
          const still = game.mmu.translate(vpn(page), access, result) && result.frame === frame;
          if (!still) expect(`page ${page}, access ${access}`).toBe(`still frame ${frame}`);
          checked++;
        }
        if (before !== undefined) expect(game.state()).toBe(before);
      }
      expect(checked).toBeGreaterThan(0);
    });
  });

  test('the same seed is the same run', () => {
    forSeeds(options, (game, seed) => {
      const again = new Play(options, seed);
      for (let step = 0; step < STEPS; step++) expectSame(anything(game), anything(again));
      expect(game.state()).toBe(again.state());
    });
  });
});

describe.each(REFILLS)('--tlb coherent --refill %s', (refill) => {
  test.each(['intel', 'amd'])('equals a fresh walk always (%s)', (cpu) => {
    forSeeds(`--tlb coherent --refill ${refill} --cpu ${cpu}`, (game) => {
      for (let step = 0; step < STEPS; step++) {
        game.pass();
        if (game.oneIn(4)) game.store();
        else if (game.oneIn(12)) game.loadCr3();
        else expectFresh(game);
      }
    });
  });
});

test('the play is not too tame: every kind of staleness shows', () => {
  const stale = { frame: 0, fault: 0, served: 0 };
  for (const seed of SEEDS) {
    const game = new Play('--tlb hoarding --refill none --cpu intel', seed);
    for (let step = 0; step < STEPS; step++) {
      const done = anything(game);
      if (!done) continue;
      const fresh = game.oracle.fresh(done.request);
      if (done.answer === fresh) continue;
      if (done.answer.startsWith('#')) stale.fault++;
      else if (fresh.startsWith('#')) stale.served++;
      else stale.frame++;
    }
  }
  expect(Math.min(stale.frame, stale.fault, stale.served)).toBeGreaterThan(10);
});

// `expect` is slow, so it is asked only to tell of a failure.

function expectFresh(game: Play): void {
  const { request, answer } = game.access();
  const fresh = game.oracle.fresh(request);
  if (answer !== fresh) expect(answer).toBe(fresh);
}

function expectSame(one: Access | undefined, other: Access | undefined): void {
  if (one?.answer !== other?.answer) expect(one?.answer).toBe(other?.answer);
}
