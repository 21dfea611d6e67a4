// What this machine does with an instruction against what a real processor did: every recorded vector.
import { describe, expect, test } from 'vitest';
import { undefinedParts } from './undefined-flags.js';
import { instructionOf, parseVector, readVectors, VectorMachine } from './vectors.js';

const { cpu, groups } = readVectors('integer.txt.gz');

describe(`recorded on ${cpu}`, () => {
  const machine = new VectorMachine();
  test.each(groups)('$title', ({ lines }) => {
    const complaints = lines.flatMap((line) => {
      const vector = parseVector(line);
      const { flags, registers } = undefinedParts(instructionOf(vector), vector);
      return machine.replay(vector, flags, registers).map((difference) => `${line}: ${difference}`);
    });
    expect(complaints).toEqual([]);
  });
});
