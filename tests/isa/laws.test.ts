// What must hold for every row: it can be reached, written back, printed and read; no two rows claim the same bytes.

import { describe, expect, test } from 'vitest';
import { hexBytes } from '../../src/base/hex.js';
import { random } from '../../src/base/random.js';
import { assembleText, decode, encode, type Instruction, printIntel, type Row, rows } from '../../src/isa/index.js';
import { particularity } from '../../src/isa/table.js';
import { randomEncoding } from './generate.js';

/** Seeded encodings of every row, decoded: `rounds` of each, with the bytes they were decoded from. */
function* everyRow(seed: number, rounds: number): Generator<{ instruction: Instruction; bytes: Uint8Array }> {
  for (const row of rows) {
    const dice = random(seed).fork(`${row.mnemonic} ${row.encodingText} ${row.operandText}`);
    for (let round = 0; round < rounds; round++) {
      const bytes = randomEncoding(row, dice);
      const instruction = decode(bytes, 0, bytes.length);
      if (typeof instruction !== 'string') yield { instruction, bytes: bytes.subarray(0, instruction.length) };
    }
  }
}

const asText = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? part.toString() : part));

/** Everything that makes a difference when it runs. */
const effect = (instruction: Instruction | string): string => {
  if (typeof instruction === 'string') return instruction;
  const { row, length, operandSize, addressSize, lock, repeat } = instruction;
  // A branch goes to the same place when it is shorter by as much as it is farther away.
  const operands = instruction.operands.map((operand) =>
    operand.kind === 'relative' ? { target: operand.displacement + length } : operand,
  );
  return asText([row.mnemonic, operandSize, addressSize, lock, repeat, operands]);
};

const decodeAll = (bytes: Uint8Array): Instruction | string => decode(bytes, 0, bytes.length);

/**
 * As `effect`; a branch keeps its displacement, as the same row has the same length but for prefixes without effect.
 */
const effectByTheSameRow = (instruction: Instruction | string): string =>
  typeof instruction === 'string'
    ? instruction
    : asText([instruction.row.index, instruction.operands, effect({ ...instruction, length: 0 })]);

/**
 * 66 REX.W 0F 1C /0: only its 66, which has no effect beside REX.W, tells this from CLDEMOTE, and `encode` writes no
 * such prefix.
 */
const isCldemoteWith66 = ({ row, operandSize }: Instruction): boolean =>
  row.mnemonic === 'RESERVEDNOP' && row.encodingText === '0F 1C /r' && operandSize === 8;

describe('every row', () => {
  test('is reached by some bytes', () => {
    const reached = new Set<Row>();
    for (const { instruction } of everyRow(1, 60)) reached.add(instruction.row);
    expect(rows.filter((row) => !reached.has(row)).map((row) => `${row.mnemonic} ${row.encodingText}`)).toEqual([]);
  });

  test('has a meaning', () => {
    expect(rows.filter((row) => typeof row.means !== 'function').map((row) => row.mnemonic)).toEqual([]);
  });

  test('is the only one for its bytes, or asks for more than the others that fit them', () => {
    const undecided = rows.flatMap((row) =>
      rivalsOf(row)
        .filter((rival) => particularity(rival.encoding) === particularity(row.encoding) && !areDisjoint(row, rival))
        .map((rival) => `${row.mnemonic} ${row.encodingText} and ${rival.mnemonic} ${rival.encodingText}`),
    );
    expect(undecided).toEqual([]);
  });
});

/** The other rows that share an opcode with this one. */
const rivalsOf = ({ index, encoding }: Row): readonly Row[] =>
  rows.filter(
    (other) => other.index !== index && other.encoding.map === encoding.map && opcodesOverlap(other.encoding, encoding),
  );

const opcodesOverlap = (a: Row['encoding'], b: Row['encoding']): boolean =>
  a.opcode <= b.opcode + (b.opcodeRegister ? 7 : 0) && b.opcode <= a.opcode + (a.opcodeRegister ? 7 : 0);

const PREFIX_STATES = {
  any: ['none', '66', 'F2', 'F3'],
  NP: ['none'],
  NFx: ['none', '66'],
  '66': ['66'],
  F2: ['F2'],
  F3: ['F3'],
} as const;

/** No bytes fit both. */
function areDisjoint({ encoding: a }: Row, { encoding: b }: Row): boolean {
  const states: readonly string[] = PREFIX_STATES[b.mandatory];
  return (
    ((a.modrmValue ^ b.modrmValue) & a.modrmMask & b.modrmMask) !== 0 ||
    (a.form === 'register' && b.form === 'memory') ||
    (a.form === 'memory' && b.form === 'register') ||
    !PREFIX_STATES[a.mandatory].some((state) => states.includes(state)) ||
    (a.operandSize !== 0 && b.operandSize !== 0 && a.operandSize !== b.operandSize) ||
    (a.addressSize !== 0 && b.addressSize !== 0 && a.addressSize !== b.addressSize)
  );
}

describe('bytes → instruction → bytes → instruction changes nothing', () => {
  test('by the same row', () => {
    const wrong: string[] = [];
    let count = 0;
    for (const { instruction, bytes } of everyRow(3, 120)) {
      count++;
      const again = encode(instruction);
      const back = again && decodeAll(again);
      const same = back && effectByTheSameRow(back) === effectByTheSameRow(instruction) && again.length <= bytes.length;
      if (!same && !isCldemoteWith66(instruction))
        wrong.push(`${hexBytes(bytes)} (${instruction.row.encodingText}) → ${again ? hexBytes(again) : 'nothing'}`);
    }
    console.info(`written back: ${count.toLocaleString('en')} encodings`);
    expect(wrong.slice(0, 20)).toEqual([]);
  });

  test('by way of Intel text', () => {
    const wrong: string[] = [];
    let count = 0;
    const address = 0xffffffff81000000n;
    for (const { instruction } of everyRow(4, 25)) {
      // Without prefixes that have no effect: they would bring a short branch's target out of its reach.
      const bytes = encode(instruction) ?? new Uint8Array();
      const plain = decodeAll(bytes);
      if (typeof plain === 'string') continue;
      count++;
      const text = printIntel(plain, { address });
      const back = readBack(text, address);
      if (effect(back) !== effect(plain)) wrong.push(`${hexBytes(bytes)} = ${text} → ${effect(back)}`);
    }
    console.info(`printed and read: ${count.toLocaleString('en')} instructions`);
    expect(wrong.slice(0, 20)).toEqual([]);
  });
});

function readBack(text: string, address: bigint): Instruction | string {
  try {
    return decodeAll(assembleText(text, address));
  } catch (error) {
    return String(error);
  }
}

describe('the end of the bytes', () => {
  test('every beginning of an instruction is truncated, and nothing behind it is read', () => {
    const wrong: string[] = [];
    for (const { instruction, bytes } of everyRow(5, 12)) {
      for (let length = 0; length < bytes.length; length++)
        if (decode(bytes, 0, length) !== 'truncated') wrong.push(`${hexBytes(bytes)} cut to ${length}`);
      if (effect(decodeAll(bytes)) !== effect(instruction)) wrong.push(`${hexBytes(bytes)} without its tail`);
    }
    expect(wrong.slice(0, 20)).toEqual([]);
  });

  test.each([
    ['14 prefixes and one byte', [...new Uint8Array(14).fill(0x66), 0x90], 'NOP'],
    ['15 prefixes', [...new Uint8Array(15).fill(0x66), 0x90], 'too-long'],
    ['14 prefixes and two bytes', [...new Uint8Array(14).fill(0x66), 0xff, 0xc0], 'too-long'],
    ['14 prefixes and no more', [...new Uint8Array(14).fill(0x66)], 'truncated'],
    ['an immediate across the 15th byte', [...new Uint8Array(11).fill(0x2e), 0xb8, 1, 2, 3, 4], 'too-long'],
    ['nothing', [], 'truncated'],
  ])('%s', (_, bytes, expected) => {
    const result = decodeAll(Uint8Array.from(bytes));
    expect(typeof result === 'string' ? result : result.row.mnemonic).toBe(expected);
  });

  test('an offset and a limit inside a larger array', () => {
    const bytes = Uint8Array.of(0xcc, 0x48, 0x89, 0x07, 0xcc);
    expect(decode(bytes, 1, 4)).toMatchObject({ length: 3 });
    expect(decode(bytes, 1, 3)).toBe('truncated');
  });
});
