// Kernel images with nothing in them but kallsyms tables, written as scripts/kallsyms.c writes them, in both orders.

import { describe, expect, test } from 'vitest';
import { kallsymsSymbols } from '../../src/symbols/index.js';

interface Symbol {
  readonly name: string;
  readonly address: bigint;
}

const BASE = 0xffffffff81000000n;
const SYMBOLS: readonly Symbol[] = Array.from({ length: 3000 }, (_, n) => ({
  name: n === 7 ? `a_${'very_'.repeat(40)}long_name` : `sym_${n.toString().padStart(4, '0')}`,
  address: BASE + BigInt(n * 16),
}));

const align = (bytes: number[]): void => {
  while (bytes.length % 8 !== 0) bytes.push(0);
};
const word = (value: number, size: number): number[] =>
  Array.from({ length: size }, (_, byte) => Math.floor(value / 2 ** (8 * byte)) & 0xff);
const quad = (value: bigint): number[] => [...word(Number(value & 0xffffffffn), 4), ...word(Number(value >> 32n), 4)];

/** Each character its own token, but for a few that stand for more. */
const TOKENS = Array.from({ length: 256 }, (_, code) =>
  code === 1 ? 'sym_' : code === 2 ? 'very_' : code > 0x20 && code < 0x7f ? String.fromCharCode(code) : '',
);
const tokenised = (text: string): number[] =>
  [...text.replaceAll('sym_', '\u0001').replaceAll('very_', '\u0002')].map((letter) => letter.charCodeAt(0));

interface Layout {
  readonly newer: boolean;
  /** Offsets of ordinary symbols are negative, and those of per-CPU ones are not. */
  readonly perCpu: boolean;
  /** seqs_of_names between markers and tokens. */
  readonly sequences: boolean;
}

function image({ newer, perCpu, sequences }: Layout, symbols = SYMBOLS): Uint8Array {
  const bytes: number[] = Array.from({ length: 4096 }, (_, n) => (n * 7) & 0xff);
  const offsets = (): void => {
    align(bytes);
    for (const { address } of symbols) {
      const distance = Number(address - BASE);
      bytes.push(...word(perCpu ? 2 ** 32 - 1 - distance : distance, 4));
    }
    align(bytes);
    bytes.push(...quad(BASE));
  };
  if (!newer) offsets();
  align(bytes);
  bytes.push(...word(symbols.length, 4));
  align(bytes);
  const start = bytes.length;
  const markers: number[] = [];
  symbols.forEach(({ name }, index) => {
    if (index % 256 === 0) markers.push(bytes.length - start);
    const tokens = tokenised(`T${name}`);
    bytes.push(
      ...(tokens.length < 0x80 ? [tokens.length] : [(tokens.length & 0x7f) | 0x80, tokens.length >> 7]),
      ...tokens,
    );
  });
  align(bytes);
  for (const marker of markers) bytes.push(...word(marker, 4));
  align(bytes);
  if (sequences) {
    for (const index of symbols.keys()) bytes.push((index >> 16) & 0xff, (index >> 8) & 0xff, index & 0xff);
    align(bytes);
  }
  const table = bytes.length;
  const starts: number[] = [];
  for (const token of TOKENS) {
    starts.push(bytes.length - table);
    bytes.push(...[...token].map((letter) => letter.charCodeAt(0)), 0);
  }
  align(bytes);
  for (const offset of starts) bytes.push(...word(offset, 2));
  if (newer) offsets();
  align(bytes);
  return Uint8Array.from(bytes);
}

describe.each<[string, Layout]>([
  ['4.20 to 6.1', { newer: false, perCpu: true, sequences: false }],
  ['6.2 to 6.4', { newer: false, perCpu: true, sequences: true }],
  ['since 6.5', { newer: true, perCpu: true, sequences: true }],
  ['one CPU', { newer: false, perCpu: false, sequences: false }],
])('the tables of %s', (_, layout) => {
  const symbols = kallsymsSymbols(image(layout));

  test('every symbol is found', () => expect(symbols?.size).toBe(SYMBOLS.length));
  test.each([0, 1, 7, 255, 256, 2999])('symbol %i has its name and address', (index) => {
    const { name, address } = SYMBOLS[index] as Symbol;
    expect(symbols?.find(name)).toBe(address);
    expect(symbols?.format(address)).toBe(name);
  });
});

test.each([
  ['nothing', new Uint8Array()],
  ['zeros', new Uint8Array(10_000)],
  [
    'digits alone',
    new TextEncoder().encode('0\u00001\u00002\u00003\u00004\u00005\u00006\u00007\u00008\u00009\u0000'.repeat(9)),
  ],
  ['an image cut off in its tables', image({ newer: true, perCpu: true, sequences: true }).subarray(0, 40_000)],
])('%s holds no kallsyms', (_, bytes) => expect(kallsymsSymbols(bytes)).toBeUndefined());
