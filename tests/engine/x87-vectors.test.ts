// What this machine's x87 does against what a real processor did: every recorded vector, every bit of all registers and words.
// Sines, logarithms and their like are computed here to the last bit, and by processors nearly so: they may differ by one unit
// in the last place, and then in C1, which tells how the last place was rounded.

import { describe, expect, test } from 'vitest';
import { readVectors } from './vectors.js';
import { approximates, differences, parseX87Vector, X87Machine } from './x87-vectors.js';

const { cpu, groups } = readVectors('x87.txt.gz');
const TRANSCENDENTAL = /^(F2XM1|FYL2X|FYL2XP1|FPTAN|FPATAN|FSIN|FCOS|FSINCOS) /;

describe(`recorded on ${cpu}`, () => {
  const machine = new X87Machine();
  test.each(groups)('$title', ({ title, lines }) => {
    const complaints = lines.flatMap((line) => {
      const { after, ...vector } = parseX87Vector(line);
      const found = machine.run({ after, ...vector });
      const expected = TRANSCENDENTAL.test(title) && approximates(found, after) ? found : after;
      return differences(found, expected).map((difference) => `${line}: ${difference}`);
    });
    expect(complaints).toEqual([]);
  });
});
