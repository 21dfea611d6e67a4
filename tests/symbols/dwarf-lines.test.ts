// Line programs as gcc 12 wrote them for a file of 14 lines, linked at ffffffff81000000, in DWARF 2 and DWARF 5; held against
// what GNU addr2line said of the same addresses.

import { describe, expect, test } from 'vitest';
import { random } from '../../src/base/random.js';
import { dwarfLines } from '../../src/symbols/index.js';

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const NONE = new Uint8Array();

const DWARF2 = {
  line: bytes(
    '7600000003001a0000000101fb0e0d00010101010000000100000100612e630000000000050100090200000081ffffffff180502131305' +
      '0701051401050606c70503065a050c03770105021405070619051a062d05140106740501150506380502065b0509060105100630051201' +
      '0519060105219e0201000101',
  ),
  lineStrings: NONE,
  strings: NONE,
};
const DWARF5 = {
  line: bytes(
    '88000000050008002a000000010101fb0e0d00010101010000000100000101011f010000000002011f020f020800000000080000000005' +
      '0100090200000081ffffffff1805021313050701051401050606c70503065a050c03770105021405070619051a062d0514010674050115' +
      '0506380502065b05090601051006300512010519060105219e0201000101',
  ),
  lineStrings: bytes('2f746d702f637700612e6300'),
  strings: NONE,
};

describe.each([
  ['DWARF 2', DWARF2],
  ['DWARF 5', DWARF5],
])('%s', (_, sections) => {
  const lineOf = dwarfLines(sections);

  test.each([
    [0x00n, 9],
    [0x0dn, 8],
    [0x12n, 10],
    [0x14n, 9],
    [0x1bn, 12],
    [0x1en, 8],
    [0x23n, 11],
    [0x25n, 13],
    [0x2an, 13],
  ])('offset %i', (offset, line) => {
    expect(lineOf(0xffffffff81000000n + offset)).toEqual({ file: 'a.c', line });
  });

  test.each([-1n, 0x100000n])('nothing covers offset %i', (offset) => {
    expect(lineOf(0xffffffff81000000n + offset)).toBeUndefined();
  });
});

test('no section, no lines', () => {
  expect(dwarfLines({ line: NONE, lineStrings: NONE, strings: NONE })(0xffffffff81000000n)).toBeUndefined();
});

test('law: damaged sections give wrong lines or none, and never an exception or a hang', () => {
  const chance = random(3);
  for (let round = 0; round < 2000; round++) {
    const { line, lineStrings } = chance.oneIn(2) ? DWARF2 : DWARF5;
    const damaged = Uint8Array.from(line.subarray(0, chance.oneIn(3) ? chance.below(line.length) : line.length));
    for (let hit = 0; hit < 4 && damaged.length > 0; hit++) damaged[chance.below(damaged.length)] = chance.below(256);
    const found = dwarfLines({ line: damaged, lineStrings, strings: NONE })(0xffffffff81000010n);
    if (found !== undefined) expect(typeof found.file).toBe('string');
  }
});
