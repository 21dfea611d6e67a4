// Zstandard: one frame without a dictionary. Source: RFC 8878. Left out: dictionaries, skippable frames, several frames.
//
//   frame: header | block … | XXH64's low half, if the header says so
//   block: literals (plain, repeated, or a prefix code), then sequences: "n literals, then a copy of m bytes from d back"

import { hex0x } from '../../base/hex.js';
import { xxh64 } from './checksums.js';
import { copyLiterals, copyMatch, type Source } from './source.js';
import {
  BackwardBits,
  decodeHuffman,
  type FseTable,
  fseTable,
  type HuffmanTable,
  readFseTable,
  readHuffmanTable,
  singleSymbol,
} from './zstd-codes.js';

const MAGIC_BYTES = 4;
const MAX_BLOCK_BYTES = 128 << 10;

/** Unpacks into all of `output`. Throws InputError for damaged data, and for data that unpack to another length. */
export function unpackZstd(source: Source, output: Uint8Array): void {
  source.skip(MAGIC_BYTES);
  const hasChecksum = readFrameHeader(source, output.length);
  const frame = new Frame(source, output);
  while (!frame.block());
  if (frame.filled !== output.length) source.fail(`it unpacks to ${frame.filled} bytes, but says ${output.length}`);
  if (!hasChecksum) return;
  const expected = source.u32();
  const actual = Number(xxh64(output) & 0xffff_ffffn);
  if (actual !== expected)
    source.fail(
      `the unpacked data's XXH64 ends in ${hex0x(actual)}, but should in ${hex0x(expected)}`,
      source.position - 4,
    );
}

/** Returns whether a checksum follows the blocks. The window's size does not matter: all output is in reach. */
function readFrameHeader(source: Source, outputBytes: number): boolean {
  const start = source.position;
  const descriptor = source.u8();
  const singleSegment = (descriptor & 0x20) !== 0;
  if (descriptor & 8) source.fail('a reserved bit is set', start);
  if (descriptor & 3) source.refuse('a dictionary');
  if (!singleSegment) source.skip(1);
  const sizeField = descriptor >> 6;
  let size: number | bigint = outputBytes;
  if (sizeField === 0 && singleSegment) size = source.u8();
  else if (sizeField === 1) size = source.u16() + 256;
  else if (sizeField === 2) size = source.u32();
  else if (sizeField === 3) size = source.u64();
  if (BigInt(size) !== BigInt(outputBytes))
    source.fail(`the frame says that it unpacks to ${size} bytes, not ${outputBytes}`, start);
  return (descriptor & 4) !== 0;
}

/** How one of a sequence's three numbers is coded: symbols stand for a least value and further bits. */
interface NumberCode {
  readonly maxAccuracy: number;
  readonly standard: FseTable;
  readonly base: readonly number[];
  readonly extra: readonly number[];
}

const ascendingFrom = (first: number, extra: readonly number[]): number[] => {
  let value = first;
  return extra.map((bits) => {
    const own = value;
    value += 2 ** bits;
    return own;
  });
};

const zeros = (count: number): number[] => new Array<number>(count).fill(0);

const LITERAL_EXTRA = [...zeros(16), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_EXTRA = [...zeros(32), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const OFFSET_EXTRA = Array.from({ length: 32 }, (_, bits) => bits);

const LITERAL_LENGTHS: NumberCode = {
  maxAccuracy: 9,
  standard: fseTable(
    [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1],
    6,
  ),
  base: ascendingFrom(0, LITERAL_EXTRA),
  extra: LITERAL_EXTRA,
};

const MATCH_LENGTHS: NumberCode = {
  maxAccuracy: 9,
  standard: fseTable(
    [
      1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
    6,
  ),
  base: ascendingFrom(3, MATCH_EXTRA),
  extra: MATCH_EXTRA,
};

const OFFSETS: NumberCode = {
  maxAccuracy: 8,
  standard: fseTable([1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1], 5),
  base: OFFSET_EXTRA.map((bits) => 2 ** bits),
  extra: OFFSET_EXTRA,
};

/** A frame on its way into `output`: what one block leaves for the next. */
class Frame {
  filled = 0;
  readonly #source: Source;
  readonly #output: Uint8Array;
  #huffman: HuffmanTable | undefined;
  readonly #tables = new Map<NumberCode, FseTable>();
  /** The last three offsets, the latest first. */
  #offsets: [number, number, number] = [1, 4, 8];

  constructor(source: Source, output: Uint8Array) {
    this.#source = source;
    this.#output = output;
  }

  /** Unpacks one block; true when it was the last. */
  block(): boolean {
    const source: Source = this.#source;
    const header = source.u8() | (source.u16() << 8);
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === 3) source.fail('a block of type 3, which does not exist', source.position - 3);
    if (type !== 1 && size > MAX_BLOCK_BYTES) source.fail(`a block of ${size} bytes`, source.position - 3);
    if (type === 2) this.#compressed(size);
    else {
      this.#reserve(size);
      if (type === 0) this.#output.set(source.take(size), this.filled);
      else this.#output.fill(source.u8(), this.filled, this.filled + size);
      this.filled += size;
    }
    return (header & 1) === 1;
  }

  #reserve(length: number): void {
    if (this.filled + length > this.#output.length)
      this.#source.fail(`it unpacks to more than the ${this.#output.length} bytes that it says`);
  }

  #compressed(size: number): void {
    const source: Source = this.#source;
    if (size > source.left) source.fail(`a block of ${size} bytes, where ${source.left} are left`);
    const end = source.position + size;
    const literals = this.#literals();
    const used = source.position <= end ? this.#sequences(literals, end) : 0;
    if (source.position !== end) source.fail('a block that does not end where it says');
    this.#append(literals, used, literals.length - used);
  }

  #append(literals: Uint8Array, from: number, length: number): void {
    this.#reserve(length);
    copyLiterals(literals, from, this.#output, this.filled, length);
    this.filled += length;
  }

  // ---- literals

  #literals(): Uint8Array {
    const source: Source = this.#source;
    const start = source.position;
    const first = source.u8();
    const type = first & 3;
    const format = (first >> 2) & 3;
    if (type < 2) {
      const further = format === 1 ? source.u8() << 4 : format === 3 ? source.u16() << 4 : 0;
      const length = (format & 1 ? first >> 4 : first >> 3) + further;
      if (length > MAX_BLOCK_BYTES) source.fail(`${length} literals in one block`, start);
      return type === 0 ? source.take(length) : new Uint8Array(length).fill(source.u8());
    }
    // Two sizes of 10, 10, 14 or 18 bits each, after the four bits of type and format.
    const width = [10, 10, 14, 18][format] as number;
    let header = BigInt(first) >> 4n;
    for (let shift = 4n; shift < 2 * width; shift += 8n) header |= BigInt(source.u8()) << shift;
    const length = Number(header & ((1n << BigInt(width)) - 1n));
    const packed = Number(header >> BigInt(width));
    if (length > MAX_BLOCK_BYTES) source.fail(`${length} literals in one block`, start);
    const end = source.position + packed;
    if (packed > source.left) source.fail('literals that run beyond the data', start);
    if (type === 2) this.#huffman = readHuffmanTable(source);
    if (!this.#huffman) source.fail('literals in the code of an earlier block, where there is none', start);
    if (source.position > end) source.fail('literals that do not end where they say', start);
    const output = new Uint8Array(length);
    const streams = source.take(end - source.position);
    if (format === 0) decodeHuffman(source, this.#huffman, streams, output);
    else this.#fourStreams(this.#huffman, streams, output);
    return output;
  }

  /** The lengths of the first three stand in front, in 16 bits each. */
  #fourStreams(huffman: HuffmanTable, streams: Uint8Array, output: Uint8Array): void {
    const quarter = (output.length + 3) >> 2;
    const length = (index: number): number => (streams[2 * index] ?? 0) | ((streams[2 * index + 1] ?? 0) << 8);
    const ends = [6 + length(0), 6 + length(0) + length(1), 6 + length(0) + length(1) + length(2), streams.length];
    if ((ends[2] as number) >= streams.length || 3 * quarter > output.length)
      this.#source.fail('four streams of literals that do not fit');
    let start = 6;
    for (const [index, end] of ends.entries()) {
      const part = output.subarray(index * quarter, index === 3 ? output.length : (index + 1) * quarter);
      decodeHuffman(this.#source, huffman, streams.subarray(start, end), part);
      start = end;
    }
  }

  // ---- sequences

  /** Carries out the block's sequences; returns how many literals they used. */
  #sequences(literals: Uint8Array, end: number): number {
    const source: Source = this.#source;
    const count = this.#sequenceCount();
    if (count === 0) return 0;
    const modes = source.u8();
    const lengths = this.#table(LITERAL_LENGTHS, modes >> 6);
    const offsets = this.#table(OFFSETS, (modes >> 4) & 3);
    const matches = this.#table(MATCH_LENGTHS, (modes >> 2) & 3);
    if (source.position >= end) source.fail('a block without bits for its sequences');
    const bits = new BackwardBits(source, source.take(end - source.position));
    let lengthState = bits.take(lengths.accuracyBits);
    let offsetState = bits.take(offsets.accuracyBits);
    let matchState = bits.take(matches.accuracyBits);
    let used = 0;
    for (let left = count; left > 0; left--) {
      const offsetValue = numberFor(OFFSETS, offsets.symbols[offsetState] as number, bits);
      const matchLength = numberFor(MATCH_LENGTHS, matches.symbols[matchState] as number, bits);
      const literalLength = numberFor(LITERAL_LENGTHS, lengths.symbols[lengthState] as number, bits);
      if (left > 1) {
        lengthState = (lengths.base[lengthState] as number) + bits.take(lengths.bits[lengthState] as number);
        matchState = (matches.base[matchState] as number) + bits.take(matches.bits[matchState] as number);
        offsetState = (offsets.base[offsetState] as number) + bits.take(offsets.bits[offsetState] as number);
      }
      if (bits.overrun > 0) source.fail('sequences that run beyond their bits');
      if (used + literalLength > literals.length) source.fail('sequences that use more literals than there are');
      this.#append(literals, used, literalLength);
      used += literalLength;
      this.#copy(this.#offset(offsetValue, literalLength), matchLength);
    }
    if (bits.overrun !== 0) source.fail('sequences that do not end where they say');
    return used;
  }

  #sequenceCount(): number {
    const first = this.#source.u8();
    if (first < 128) return first;
    if (first < 255) return ((first - 128) << 8) + this.#source.u8();
    return this.#source.u16() + 0x7f00;
  }

  /** The code that a block uses: the standard one, one symbol only, a new one, or the block's before. */
  #table(code: NumberCode, mode: number): FseTable {
    const source: Source = this.#source;
    let table: FseTable | undefined;
    if (mode === 0) table = code.standard;
    else if (mode === 1) table = singleSymbol(source.u8());
    else if (mode === 2) table = readFseTable(source, code.maxAccuracy, code.extra.length - 1);
    else table = this.#tables.get(code);
    if (!table) source.fail('a code of an earlier block, where there is none');
    if (table.symbols.some((symbol) => symbol >= code.extra.length))
      source.fail('a code for symbols that do not exist');
    this.#tables.set(code, table);
    return table;
  }

  /** Values up to 3 name one of the last offsets; after no literals the one before last is meant, and so on. */
  #offset(value: number, literalLength: number): number {
    const [latest, second, third] = this.#offsets;
    if (value > 3) {
      this.#offsets = [value - 3, latest, second];
      return value - 3;
    }
    const which = literalLength === 0 ? value + 1 : value;
    if (which === 1) return latest;
    if (which === 2) this.#offsets = [second, latest, third];
    else this.#offsets = [which === 3 ? third : latest - 1, latest, second];
    return this.#offsets[0];
  }

  #copy(offset: number, length: number): void {
    if (offset === 0 || offset > this.filled)
      this.#source.fail(`a copy from ${offset} bytes back, where there are ${this.filled}`);
    this.#reserve(length);
    copyMatch(this.#output, this.filled, offset, length);
    this.filled += length;
  }
}

function numberFor({ base, extra }: NumberCode, symbol: number, bits: BackwardBits): number {
  return (base[symbol] as number) + bits.take(extra[symbol] as number);
}
