// What this machine does with SSE and MMX instructions against what a real processor did: every recorded vector.
import { describe, expect, test } from 'vitest';
import { readSseVectors, SseMachine } from './sse-vectors.js';

const { cpu, groups, pool } = readSseVectors();

describe(`recorded on ${cpu}`, () => {
  const machine = new SseMachine(pool);
  test.each(groups)('$title', ({ lines }) => {
    const complaints = lines.flatMap((line) => machine.replay(line).map((difference) => `${line}: ${difference}`));
    expect(complaints).toEqual([]);
  });
});
