// --tlb random: keeps, drops and refills by chance, always within the rules. Each seed is another CPU with other
// habits, drawn once, so that two hundred seeds try forgetful and stubborn ones, hasty and slow ones:
//   - how much it drops: at a chance, each entry with probability 1/2 … 1/256; one chance in 64 drops everything
//   - how fast it notices a wrong path: 0 … 7 of 8 wrong paths end before they have executed anything; the others after
//     1 … N instructions, all equally likely
// What all seeds share: one loaded translation in 16 is not kept, one proposal of --refill any in 2 is taken, and
// chances come 16 … 32768 retired instructions apart, each power of two equally likely. With --refill any a chance may
// also load a page near one that was loaded lately, as the next-page prefetchers of real CPUs do.

import { type Vpn, vpn } from '../../base/addresses.js';
import type { Random } from '../../base/random.js';
import { hoarding } from './hoarding.js';
import type { ChanceDeeds, TlbPolicy } from './policy.js';

const REMEMBERED_PAGES = 64;
const PREFETCH_DISTANCE = 4;
const LAST_PAGE = 2 ** 36 - 1;

export function randomPolicy(random: Random): TlbPolicy {
  const dropOneIn = 2 ** (1 + random.below(8));
  const noticedAtOnceOf8 = random.below(8);
  const recent = new Array<number | undefined>(REMEMBERED_PAGES);

  const prefetch = (deeds: ChanceDeeds): void => {
    const near = recent[random.below(REMEMBERED_PAGES)];
    const distance = random.below(2 * PREFETCH_DISTANCE + 1) - PREFETCH_DISTANCE;
    if (near !== undefined) deeds.load(vpn(Math.min(Math.max(near + distance, 0), LAST_PAGE)));
  };

  return {
    tlb: hoarding.tlb,
    psc: hoarding.psc,
    coherent: false,
    keepsFill(page: Vpn) {
      recent[random.below(REMEMBERED_PAGES)] = page;
      return !random.oneIn(16);
    },
    acceptsOffer: () => random.oneIn(2),
    cutShort: (instructions) =>
      random.below(8) < noticedAtOnceOf8 || instructions === 0 ? 0 : 1 + random.below(instructions),
    chanceInterval: () => 2 ** (4 + random.below(12)),
    chance(deeds) {
      if (random.oneIn(64)) deeds.dropAll();
      else deeds.dropWhere(() => random.oneIn(dropOneIn));
      prefetch(deeds);
    },
  };
}
