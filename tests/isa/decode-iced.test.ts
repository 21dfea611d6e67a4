// Our decoder against iced-x86: every opcode with every ModRM byte under many prefixes, every row in many forms, then
// seeded random bytes. "not yet" are instructions of sets that have no rows (iced.ts lists those that have): we must
// refuse them.

import { describe, expect, test } from 'vitest';
import { random } from '../../src/base/random.js';
import { rows } from '../../src/isa/index.js';
import { randomEncoding } from './generate.js';
import { compare, type Verdict } from './iced.js';

interface Tally {
  readonly counts: Record<string, number>;
  /** The first example of each kind of difference. */
  readonly differences: Map<string, string>;
}

const tally = (): Tally => ({ counts: {}, differences: new Map() });

function count(into: Tally, verdict: Verdict): void {
  const key = typeof verdict === 'string' ? verdict : 'different';
  into.counts[key] = (into.counts[key] ?? 0) + 1;
  if (typeof verdict !== 'string' && !into.differences.has(verdict.kind))
    into.differences.set(verdict.kind, verdict.example);
}

function report(what: string, { counts, differences }: Tally): void {
  console.info(
    `${what}: ${Object.entries(counts)
      .map(([key, n]) => `${n.toLocaleString('en')} ${key}`)
      .join(', ')}`,
  );
  expect([...differences.values()]).toEqual([]);
}

const MAPS = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as const;
const PREFIX_SETS = [
  [],
  [0x66],
  [0xf2],
  [0xf3],
  [0x67],
  [0xf0],
  [0x48],
  [0x66, 0xf3, 0x41],
  [0xf2, 0x64, 0x4c],
  [0x65, 0x66, 0x4a],
] as const;
const TAIL = [0x94, 0x80, 0x7f, 0x81, 0xfe, 0x01, 0x92, 0x03, 0x44, 0x55, 0x66, 0x77];

describe('the decoder agrees with iced-x86', () => {
  test('every opcode, every ModRM byte', () => {
    const result = tally();
    for (const map of MAPS)
      for (let opcode = 0; opcode < 256; opcode++)
        for (let modrm = 0; modrm < 256; modrm++)
          for (const prefixes of PREFIX_SETS)
            count(result, compare(Uint8Array.of(...prefixes, ...map, opcode, modrm, ...TAIL)));
    report('every opcode', result);
  });

  test('every row in its addressing forms, sizes and prefixes', () => {
    const result = tally();
    for (const row of rows) {
      const dice = random(0x90).fork(`${row.mnemonic} ${row.encodingText} ${row.operandText}`);
      for (let round = 0; round < 1000; round++) count(result, compare(randomEncoding(row, dice)));
    }
    report('every row', result);
  });

  test('random prefixes, opcodes, addressing forms and immediates', () => {
    const result = tally();
    const dice = random(0x15a);
    const PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
    const bytes = new Uint8Array(24);
    for (let round = 0; round < 3_000_000; round++) {
      for (let i = 0; i < bytes.length; i += 4) {
        const word = dice.next32();
        for (let j = 0; j < 4; j++) bytes[i + j] = word >>> (8 * j);
      }
      let at = 0;
      while (dice.oneIn(2) && at < 18) bytes[at++] = PREFIXES[dice.below(PREFIXES.length)] as number;
      if (dice.oneIn(2)) bytes[at++] = 0x40 | dice.below(16);
      if (dice.oneIn(3)) bytes[at++] = 0x0f;
      count(result, compare(bytes));
    }
    report('random encodings', result);
  });
});
