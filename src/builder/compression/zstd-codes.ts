// Zstandard's two entropy codes as tables, and the bit streams that they are read from. Source: RFC 8878 §4 "Entropy Encoding".

import type { Source } from './source.js';

/** Bits of a byte range in the order in which FSE's table descriptions are read: the lowest bit of the first byte first. */
class ForwardBits {
  readonly #bytes: Uint8Array;
  #bit = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next bits without stepping over them; zeros stand behind the last one. */
  peek(count: number): number {
    let value = 0;
    for (let at = 0; at < count; at++) {
      const bit = this.#bit + at;
      value |= (((this.#bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1) << at;
    }
    return value;
  }

  skip(count: number): void {
    this.#bit += count;
  }

  get bytesUsed(): number {
    return (this.#bit + 7) >> 3;
  }
}

/**
 * Bits read from the end of a byte range towards its beginning, below the last byte's highest set bit. Reading beyond the
 * beginning gives zeros; `overrun` tells by how many bits.
 */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  /** Bits not yet read: the next one is number `#left - 1`. */
  #left: number;

  constructor(source: Source, bytes: Uint8Array) {
    const last = bytes[bytes.length - 1] ?? 0;
    if (last === 0) source.fail('a bit stream without an end mark');
    this.#bytes = bytes;
    this.#left = bytes.length * 8 - Math.clz32(last) + 23;
  }

  /** At most 24 bits, as an unsigned number. */
  peek(count: number): number {
    const from = this.#left - count;
    if (from < 0) return this.#left <= 0 ? 0 : this.#window(0, this.#left) << -from;
    return this.#window(from, count);
  }

  skip(count: number): void {
    this.#left -= count;
  }

  /** At most 31 bits: an offset's. */
  take(count: number): number {
    if (count > 24) {
      const high = this.take(count - 16);
      return high * 65536 + this.take(16);
    }
    const value = this.peek(count);
    this.#left -= count;
    return value;
  }

  /** How many bits have been read that were not there; negative while some are left. */
  get overrun(): number {
    return -this.#left;
  }

  #window(from: number, count: number): number {
    const bytes = this.#bytes;
    const first = from >> 3;
    const word =
      (bytes[first] as number) |
      ((bytes[first + 1] ?? 0) << 8) |
      ((bytes[first + 2] ?? 0) << 16) |
      ((bytes[first + 3] ?? 0) << 24);
    return (word >>> (from & 7)) & ((1 << count) - 1);
  }
}

/** A finite-state code: what each state stands for, and how to get to the next one. */
export interface FseTable {
  readonly accuracyBits: number;
  readonly symbols: Uint8Array;
  /** next state = base + the next `bits` bits */
  readonly bits: Uint8Array;
  readonly base: Uint16Array;
}

/** Reads a table's description: the symbols' shares of 1 << accuracy, each in as few bits as the rest allows. */
export function readFseTable(source: Source, maxAccuracy: number, maxSymbol: number): FseTable {
  const start = source.position;
  const bits = new ForwardBits(source.bytes.subarray(start));
  const accuracyBits = bits.peek(4) + 5;
  bits.skip(4);
  if (accuracyBits > maxAccuracy) source.fail(`a code with an accuracy of ${accuracyBits} bits`);
  const shares: number[] = [];
  let left = 1 << accuracyBits;
  while (left > 0) {
    if (shares.length > maxSymbol) source.fail('a code with too many symbols');
    const share = readShare(bits, left) - 1;
    shares.push(share);
    left -= Math.abs(share);
    if (share === 0) {
      for (let repeat = 3; repeat === 3; ) {
        repeat = bits.peek(2);
        bits.skip(2);
        for (let count = 0; count < repeat; count++) shares.push(0);
        if (shares.length > maxSymbol) source.fail('a code with too many symbols');
      }
    }
  }
  if (shares.length > maxSymbol + 1) source.fail('a code with too many symbols');
  source.skip(bits.bytesUsed);
  return fseTable(shares, accuracyBits);
}

/** A number in [0, left + 1]: the small ones take a bit less, where the width leaves values over. */
function readShare(bits: ForwardBits, left: number): number {
  const width = 32 - Math.clz32(left + 1);
  const spare = (1 << width) - 1 - (left + 1);
  const short = bits.peek(width - 1);
  if (short < spare) {
    bits.skip(width - 1);
    return short;
  }
  const value = bits.peek(width);
  bits.skip(width);
  return value >= 1 << (width - 1) ? value - spare : value;
}

/** The table for shares (-1: "less than one", which takes one state at the end). */
export function fseTable(shares: readonly number[], accuracyBits: number): FseTable {
  const size = 1 << accuracyBits;
  const symbols = new Uint8Array(size);
  const next = shares.map((share) => Math.abs(share));
  let high = size - 1;
  for (const [symbol, share] of shares.entries()) if (share === -1) symbols[high--] = symbol;
  const step = (size >> 1) + (size >> 3) + 3;
  let position = 0;
  for (const [symbol, share] of shares.entries())
    for (let count = 0; count < share; count++) {
      symbols[position] = symbol;
      do position = (position + step) & (size - 1);
      while (position > high);
    }
  const bits = new Uint8Array(size);
  const base = new Uint16Array(size);
  for (const [state, symbol] of symbols.entries()) {
    const number = next[symbol] as number;
    next[symbol] = number + 1;
    const width = accuracyBits - (31 - Math.clz32(number));
    bits[state] = width;
    base[state] = (number << width) - size;
  }
  return { accuracyBits, symbols, bits, base };
}

/** The code of one symbol that takes no bits. */
export const singleSymbol = (symbol: number): FseTable => ({
  accuracyBits: 0,
  symbols: Uint8Array.of(symbol),
  bits: Uint8Array.of(0),
  base: Uint16Array.of(0),
});

/** A prefix code: indexed by the next `bits` bits, symbol << 4 | length of its code. */
export interface HuffmanTable {
  readonly bits: number;
  readonly table: Uint16Array;
}

const MAX_HUFFMAN_BITS = 11;
const MAX_WEIGHT_ACCURACY = 6;

/** Reads a Huffman code's description: weights, plain or FSE-coded; the last weight follows from the others. */
export function readHuffmanTable(source: Source): HuffmanTable {
  const header = source.u8();
  const weights = header >= 128 ? plainWeights(source, header - 127) : codedWeights(source, header);
  const sum = weights.reduce((total, weight) => total + (weight > 0 ? 1 << (weight - 1) : 0), 0);
  if (sum === 0) source.fail('a prefix code without symbols');
  const bits = 32 - Math.clz32(sum);
  const rest = (1 << bits) - sum;
  if (bits > MAX_HUFFMAN_BITS || (rest & (rest - 1)) !== 0) source.fail('weights that do not make up a prefix code');
  weights.push(32 - Math.clz32(rest));
  const table = new Uint16Array(1 << bits);
  let at = 0;
  for (let weight = 1; weight <= bits; weight++)
    for (const [symbol, own] of weights.entries())
      if (own === weight) {
        const states = 1 << (weight - 1);
        table.fill((symbol << 4) | (bits + 1 - weight), at, at + states);
        at += states;
      }
  return { bits, table };
}

function plainWeights(source: Source, count: number): number[] {
  const bytes = source.take((count + 1) >> 1);
  return Array.from({ length: count }, (_, at) => ((bytes[at >> 1] as number) >> (at & 1 ? 0 : 4)) & 15);
}

/** Two interleaved states take turns until the bits run out. */
function codedWeights(source: Source, length: number): number[] {
  const end = source.position + length;
  const fse = readFseTable(source, MAX_WEIGHT_ACCURACY, 15);
  if (source.position >= end) source.fail('weights that are longer than they say');
  const bits = new BackwardBits(source, source.take(end - source.position));
  const states = [bits.take(fse.accuracyBits), bits.take(fse.accuracyBits)];
  const weights: number[] = [];
  for (let turn = 0; ; turn ^= 1) {
    const state = states[turn] as number;
    weights.push(fse.symbols[state] as number);
    if (weights.length > 255) source.fail('more weights than there are symbols');
    states[turn] = (fse.base[state] as number) + bits.take(fse.bits[state] as number);
    if (bits.overrun <= 0) continue;
    weights.push(fse.symbols[states[turn ^ 1] as number] as number);
    return weights;
  }
}

/** Decodes a stream of prefix codes that fills `output` and uses up its bits exactly. */
export function decodeHuffman(
  source: Source,
  { bits: width, table }: HuffmanTable,
  packed: Uint8Array,
  output: Uint8Array,
): void {
  const bits = new BackwardBits(source, packed);
  for (let at = 0; at < output.length; at++) {
    const entry = table[bits.peek(width)] as number;
    output[at] = entry >> 4;
    bits.skip(entry & 15);
  }
  if (bits.overrun !== 0) source.fail('a stream of literals that does not end where it says');
}
