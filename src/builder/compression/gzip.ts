// gzip: a member's header and trailer, and DEFLATE inside. Sources: RFC 1952 (gzip), RFC 1951 (DEFLATE).
// Left out: several members in a row.

import { hex0x } from '../../base/hex.js';
import { crc32 } from './checksums.js';
import { copyMatch, type Source } from './source.js';

const FHCRC = 2;
const FEXTRA = 4;
const FNAME = 8;
const FCOMMENT = 16;
const RESERVED = 0xe0;

/** Unpacks into all of `output`. Throws InputError for damaged data, and for data that unpack to another length. */
export function gunzip(source: Source, output: Uint8Array): void {
  readHeader(source);
  const inflater = new Inflater(source, output);
  while (!inflater.block());
  inflater.alignToByte();
  if (inflater.filled !== output.length)
    source.fail(`it unpacks to ${inflater.filled} bytes, but says ${output.length}`);
  const expected = source.u32();
  const actual = crc32(output);
  if (actual !== expected)
    source.fail(
      `the unpacked data's CRC-32 is ${hex0x(actual)}, but should be ${hex0x(expected)}`,
      source.position - 4,
    );
  const length = source.u32();
  if (length !== output.length)
    source.fail(`the length at the end is ${length}, not ${output.length}`, source.position - 4);
}

function readHeader(source: Source): void {
  source.skip(2);
  if (source.u8() !== 8) source.fail('the method is not DEFLATE', source.position - 1);
  const flags = source.u8();
  if (flags & RESERVED) source.fail(`reserved flags are set (${hex0x(flags)})`, source.position - 1);
  source.skip(6);
  if (flags & FEXTRA) source.skip(source.u16());
  if (flags & FNAME) while (source.u8() !== 0);
  if (flags & FCOMMENT) while (source.u8() !== 0);
  if (flags & FHCRC) source.skip(2);
}

const END_OF_BLOCK = 256;
const FIRST_LENGTH = 257;

// Length symbols from 257 on and distance symbols from 0 on: the least value, and how many further bits are added.
const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
/** In which order the lengths of the code for code lengths are written. */
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A prefix code as a table: indexed by the next `bits` bits, symbol << 4 | length of its code; 0 where there is none. */
interface PrefixCode {
  readonly bits: number;
  readonly table: Uint16Array;
}

class Inflater {
  /** Bytes of the output so far. */
  filled = 0;
  readonly #source: Source;
  readonly #output: Uint8Array;
  /** Bits read and not yet used, the next one lowest. */
  #bits = 0;
  #bitCount = 0;

  constructor(source: Source, output: Uint8Array) {
    this.#source = source;
    this.#output = output;
  }

  /** Unpacks one block; true when it was the last. */
  block(): boolean {
    const last = this.#take(1) === 1;
    const type = this.#take(2);
    if (type === 0) this.#stored();
    else if (type === 1) this.#compressed(FIXED_LITERALS, FIXED_DISTANCES);
    else if (type === 2) this.#dynamic();
    else this.#source.fail('a block of type 3, which does not exist');
    return last;
  }

  /** Gives back whole bytes that were read ahead and drops the rest of the last one. */
  alignToByte(): void {
    this.#source.position -= this.#bitCount >> 3;
    this.#bits = 0;
    this.#bitCount = 0;
  }

  #stored(): void {
    this.alignToByte();
    const length = this.#source.u16();
    if (this.#source.u16() !== (~length & 0xffff)) this.#source.fail('the two lengths of a stored block disagree');
    this.#reserve(length);
    this.#output.set(this.#source.take(length), this.filled);
    this.filled += length;
  }

  #dynamic(): void {
    const literals = this.#take(5) + 257;
    const distances = this.#take(5) + 1;
    const codeLengths = new Uint8Array(CODE_LENGTH_ORDER.length);
    for (let count = this.#take(4) + 4, at = 0; at < count; at++)
      codeLengths[CODE_LENGTH_ORDER[at] as number] = this.#take(3);
    const code = this.#prefixCode(codeLengths);
    const lengths = new Uint8Array(literals + distances);
    for (let at = 0; at < lengths.length; ) {
      const symbol = this.#symbol(code);
      if (symbol < 16) {
        lengths[at++] = symbol;
        continue;
      }
      if (symbol === 16 && at === 0) this.#source.fail('a code length is repeated before there is one');
      const value = symbol === 16 ? (lengths[at - 1] as number) : 0;
      const count = symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (at + count > lengths.length) this.#source.fail('there are more code lengths than codes');
      lengths.fill(value, at, at + count);
      at += count;
    }
    this.#compressed(this.#prefixCode(lengths.subarray(0, literals)), this.#prefixCode(lengths.subarray(literals)));
  }

  #compressed(literals: PrefixCode, distances: PrefixCode): void {
    const output = this.#output;
    for (;;) {
      const symbol = this.#symbol(literals);
      if (symbol < END_OF_BLOCK) {
        if (this.filled >= output.length) this.#reserve(1);
        output[this.filled++] = symbol;
        continue;
      }
      if (symbol === END_OF_BLOCK) return;
      const lengthBase = LENGTH_BASE[symbol - FIRST_LENGTH];
      if (lengthBase === undefined) this.#source.fail(`a length of symbol ${symbol}, which does not exist`);
      const length = lengthBase + this.#take(LENGTH_EXTRA[symbol - FIRST_LENGTH] as number);
      const place = this.#symbol(distances);
      const distanceBase = DISTANCE_BASE[place];
      if (distanceBase === undefined) this.#source.fail(`a distance of symbol ${place}, which does not exist`);
      const distance = distanceBase + this.#take(DISTANCE_EXTRA[place] as number);
      if (distance > this.filled)
        this.#source.fail(`a copy from ${distance} bytes back, where there are ${this.filled}`);
      this.#reserve(length);
      copyMatch(output, this.filled, distance, length);
      this.filled += length;
    }
  }

  #reserve(length: number): void {
    if (this.filled + length > this.#output.length)
      this.#source.fail(`it unpacks to more than the ${this.#output.length} bytes that it says`);
  }

  #fill(count: number): void {
    while (this.#bitCount < count) {
      this.#bits |= this.#source.u8() << this.#bitCount;
      this.#bitCount += 8;
    }
  }

  #take(count: number): number {
    this.#fill(count);
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#bitCount -= count;
    return value;
  }

  /** Reads ahead as far as the longest code: the trailer's 8 bytes stand behind the last one. */
  #symbol({ bits, table }: PrefixCode): number {
    this.#fill(bits);
    const entry = table[this.#bits & ((1 << bits) - 1)] as number;
    if (entry === 0) this.#source.fail('a code that stands for nothing');
    this.#bits >>>= entry & 15;
    this.#bitCount -= entry & 15;
    return entry >> 4;
  }

  #prefixCode(lengths: Uint8Array): PrefixCode {
    const code = prefixCode(lengths);
    return code ?? this.#source.fail('code lengths that ask for more codes than there are');
  }
}

/** The canonical code with these lengths, or undefined when they do not leave room for each other. */
function prefixCode(lengths: Uint8Array): PrefixCode | undefined {
  const bits = Math.max(1, ...lengths);
  const table = new Uint16Array(1 << bits);
  let code = 0;
  for (let length = 1; length <= bits; length++) {
    for (const [symbol, own] of lengths.entries()) {
      if (own !== length) continue;
      if (code >= 1 << length) return undefined;
      for (let at = reversed(code, length); at < table.length; at += 1 << length) table[at] = (symbol << 4) | length;
      code++;
    }
    code <<= 1;
  }
  return { bits, table };
}

/** DEFLATE sends codes from their highest bit on, everything else from the lowest. */
function reversed(code: number, length: number): number {
  let result = 0;
  for (let bit = 0; bit < length; bit++) result |= ((code >> bit) & 1) << (length - 1 - bit);
  return result;
}

const FIXED_LITERALS = prefixCode(
  Uint8Array.from({ length: 288 }, (_, symbol) => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8)),
) as PrefixCode;
const FIXED_DISTANCES = prefixCode(new Uint8Array(30).fill(5)) as PrefixCode;
