// The laws of crash on seeded random input: reports of our own, real texts damaged and made hostile, and no text at all.
// `npm run fuzz:crash` runs the same ones for as long as it is told.

import { describe, test } from 'vitest';
import { LAWS } from '../../scripts/crash-laws.mjs';
import { random } from '../../src/base/random.js';
import * as crash from '../../src/crash/index.js';

/** Rounds of each law here; the ones that go through whole logs take longer. */
const ROUNDS = 250;

describe('law:', () => {
  test.each(Object.entries(LAWS))('%s', (name, law) => {
    const chance = random(2013).fork(name);
    for (let round = 0; round < ROUNDS; round++) law(crash, chance.fork(`${round}`), import.meta.dirname);
  });
});
