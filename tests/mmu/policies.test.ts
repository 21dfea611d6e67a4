// The options as text, the habits of --tlb random, and how far a wrong path goes.

import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/failures.js';
import { random } from '../../src/base/random.js';
import { type MmuEvent, parseRefill, parseStaleness, printStaleness } from '../../src/mmu/index.js';
import { Play } from './play.js';
import { World } from './story.js';

describe('options', () => {
  test.each([
    [{}, '--tlb demand --refill wrong-path --cpu intel'],
    [{ tlb: 'hoarding', refill: 'any', cpu: 'amd' }, '--tlb hoarding --refill any --cpu amd'],
    [{ refill: 'wrong-path:64' }, '--tlb demand --refill wrong-path --cpu intel'],
    [{ tlb: 'random', refill: 'wrong-path:5' }, '--tlb random --refill wrong-path:5 --cpu intel'],
    [{ tlb: 'coherent', refill: 'none' }, '--tlb coherent --refill none --cpu intel'],
  ])('%o is %s, and back', (texts, printed) => {
    const staleness = parseStaleness(texts);
    expect(printStaleness(staleness)).toBe(printed);
    const [, tlb, refill, cpu] = /--tlb (\S+) --refill (\S+) --cpu (\S+)/.exec(printed) ?? [];
    expect(parseStaleness({ tlb, refill, cpu })).toEqual(staleness);
  });

  test.each([
    [{ tlb: 'lazy' }, '--tlb lazy: expected one of coherent, demand, hoarding, random'],
    [{ cpu: 'via' }, '--cpu via: expected one of intel, amd'],
    [{ refill: 'some' }, '--refill some: expected none, wrong-path, wrong-path:N or any'],
    [{ refill: 'wrong-path:' }, '--refill wrong-path:: expected none, wrong-path, wrong-path:N or any'],
    [{ refill: 'wrong-path:0' }, '--refill wrong-path:0: N is a number of instructions from 1 to 4096'],
    [{ refill: 'wrong-path:4097' }, '--refill wrong-path:4097: N is a number of instructions from 1 to 4096'],
    [{ tlb: 'constructor' }, '--tlb constructor: expected one of coherent, demand, hoarding, random'],
  ])('%o is refused', (texts, message) => {
    expect(() => parseStaleness(texts)).toThrow(new InputError(message));
  });
});

describe('speculationBudget', () => {
  test.each([
    ['none', 0],
    ['wrong-path', 64],
    ['wrong-path:7', 7],
    ['any', 0],
  ])('--refill %s: %i, always', (refill, instructions) => {
    for (const tlb of ['coherent', 'demand', 'hoarding'])
      expect(new World(`--tlb ${tlb} --refill ${refill}`).mmu.speculationBudget()).toBe(instructions);
  });

  test('--tlb random cuts wrong paths short by chance, some seeds more than others', () => {
    const budgets = (seed: number): readonly number[] => {
      const { mmu } = new World('--tlb random --refill wrong-path:9', seed);
      return Array.from({ length: 400 }, () => mmu.speculationBudget());
    };
    const all = Array.from({ length: 20 }, (_, seed) => budgets(seed));
    expect(new Set(all.flat())).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    const cutAtOnce = all.map((drawn) => drawn.filter((budget) => budget === 0).length / drawn.length);
    expect(Math.min(...cutAtOnce)).toBeLessThan(0.1);
    expect(Math.max(...cutAtOnce)).toBeGreaterThan(0.6);
    expect(budgets(3)).toEqual(all[3]);
  });
});

describe('chances', () => {
  test.each(['coherent', 'demand', 'hoarding'])('--tlb %s takes none', (tlb) => {
    expect(new World(`--tlb ${tlb}`).mmu.nextChanceIn()).toBe(Number.POSITIVE_INFINITY);
  });

  test('--tlb random: 16 to 32768 instructions apart, counted by the clock', () => {
    const world = new World('--tlb random');
    const intervals = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const interval = world.mmu.nextChanceIn();
      intervals.add(interval);
      world.now += interval - 1;
      expect(world.mmu.nextChanceIn()).toBe(1);
      world.now += 1;
      expect(world.mmu.nextChanceIn()).toBe(0);
      world.mmu.chance();
    }
    expect([...intervals].sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => 2 ** (i + 4)));
  });

  test('a translation is dropped sooner or later, and refilled by chance only under --refill any', () => {
    for (const refill of ['none', 'wrong-path', 'any']) {
      const causes = new Set<string>();
      let dropped = 0;
      for (let seed = 0; seed < 10; seed++) {
        const world = new World(`--tlb random --refill ${refill}`, seed);
        const note = (event: MmuEvent): void => {
          if (event.kind === 'fill') causes.add(event.cause);
        };
        world.events.subscribe(note);
        world.tell('set 1000 -> 50 US\nset 2000 -> 51 US\nread 1000 = 50\nread 1000 = 50\nread 1000 = 50');
        for (let i = 0; i < 2000; i++) {
          const before = world.mmu.contents().tlb.length;
          world.mmu.chance();
          if (world.mmu.contents().tlb.length < before) dropped++;
        }
      }
      expect(dropped).toBeGreaterThan(5);
      expect([...causes].sort()).toEqual(refill === 'any' ? ['access', 'chance'] : ['access']);
    }
  });

  test('staleness comes and goes with the seed', () => {
    const stale = Array.from({ length: 60 }, (_, seed) => {
      const world = new World('--tlb random --refill wrong-path --cpu intel', seed);
      world.tell('set 1000 -> 50 US\nspec write 1000\nset 1000 -> 50 RW US');
      const draw = random(seed).below(4);
      for (let i = 0; i < draw; i++) world.mmu.chance();
      return world.mmu.contents().tlb.length;
    });
    expect(new Set(stale)).toEqual(new Set([0, 1]));
  });
});

test('two vCPUs with one seed have habits of their own', () => {
  const world = new World('--tlb random --refill wrong-path');
  const draws = world.mmus.map((mmu) => Array.from({ length: 20 }, () => mmu.speculationBudget()));
  expect(draws[0]).not.toEqual(draws[1]);
});

test('parseRefill keeps its number', () => {
  expect(parseRefill('wrong-path:4096')).toEqual({ kind: 'wrong-path', instructions: 4096 });
});

test('a finite TLB stays finite under play', () => {
  const game = new Play('--tlb demand --refill any', 1);
  for (let step = 0; step < 500; step++) {
    game.pass();
    if (game.oneIn(4)) game.store();
    else game.access();
  }
  expect(game.mmu.contents().psc.filter(({ level }) => level === 4).length).toBeLessThanOrEqual(4);
});
