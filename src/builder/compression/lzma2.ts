// LZMA2: chunks of LZMA or of plain bytes, up to an end marker; and LZMA itself, decoded by a range coder whose probabilities
// learn as they go. Sources: XZ Embedded linux/lib/xz/xz_dec_lzma2.c; the LZMA specification (7-zip.org, lzma-specification.txt).
// What has been unpacked so far is the dictionary: there is no second copy of it.

import type { Source } from './source.js';
import { copyMatch } from './source.js';

const MAX_POSITION_STATES = 16;
const STATES = 12;
const LITERAL_PROBABILITIES = 0x300;

// A length: choice, second choice, then three trees of 3 (by position), 3 (by position) and 8 bits.
const LENGTH_CHOICE = 0;
const LENGTH_LOW = 2;
const LENGTH_MIDDLE = LENGTH_LOW + MAX_POSITION_STATES * 8;
const LENGTH_HIGH = LENGTH_MIDDLE + MAX_POSITION_STATES * 8;
const LENGTH_PROBABILITIES = LENGTH_HIGH + 256;

// Where each kind of probability begins in the one array of them.
const IS_MATCH = 0;
const IS_REPEATED = IS_MATCH + STATES * MAX_POSITION_STATES;
const IS_OLDER_THAN_0 = IS_REPEATED + STATES;
const IS_LONG_0 = IS_OLDER_THAN_0 + STATES;
const IS_OLDER_THAN_1 = IS_LONG_0 + STATES * MAX_POSITION_STATES;
const IS_OLDER_THAN_2 = IS_OLDER_THAN_1 + STATES;
const DISTANCE_SLOT = IS_OLDER_THAN_2 + STATES;
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64;
const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128;
const MATCH_LENGTH = DISTANCE_ALIGN + 16;
const REPEATED_LENGTH = MATCH_LENGTH + LENGTH_PROBABILITIES;
const LITERALS = REPEATED_LENGTH + LENGTH_PROBABILITIES;
const MAX_LITERAL_BITS = 4;
const PROBABILITIES = LITERALS + (LITERAL_PROBABILITIES << MAX_LITERAL_BITS);

const EVEN_CHANCE = 1024;
const MIN_MATCH = 2;
/** From state 7 on the last thing decoded was a match, and a literal is told with the byte that the match would go on with. */
const FIRST_STATE_AFTER_MATCH = 7;

/** One LZMA2 stream on its way into `output`. */
export class Lzma2 {
  readonly #source: Source;
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  readonly #probabilities = new Uint16Array(PROBABILITIES);
  #filled = 0;
  /** Where the dictionary begins in the output; undefined until the first chunk has reset it. */
  #dictionaryStart: number | undefined;
  #propertiesKnown = false;
  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;
  #state = 0;
  /** The last four distances, each less one, the latest first. */
  readonly #distances = new Uint32Array(4);
  /** The range coder's range and code: 32-bit unsigned, which is why they do not live in fields. */
  readonly #coder = new Uint32Array(2);
  #chunkEnd = 0;

  constructor(source: Source, output: Uint8Array) {
    this.#source = source;
    this.#input = source.bytes;
    this.#output = output;
  }

  /** Unpacks up to the end marker; returns how many bytes of the output are filled. Throws InputError. */
  unpack(): number {
    for (;;) {
      const start = this.#source.position;
      const control = this.#source.u8();
      if (control === 0) return this.#filled;
      if (control === 1 || control >= 0xe0) this.#dictionaryStart = this.#filled;
      if (this.#dictionaryStart === undefined)
        this.#source.fail('the first chunk does not reset the dictionary', start);
      if (control >= 0x80) this.#compressedChunk(control, start);
      else if (control <= 2) this.#plainChunk();
      else this.#source.fail(`a chunk of type ${control}, which does not exist`, start);
    }
  }

  #plainChunk(): void {
    const length = this.#bigEndian16() + 1;
    this.#reserve(length);
    this.#output.set(this.#source.take(length), this.#filled);
    this.#filled += length;
  }

  #compressedChunk(control: number, start: number): void {
    const unpackedBytes = ((control & 0x1f) << 16) + this.#bigEndian16() + 1;
    const packedBytes = this.#bigEndian16() + 1;
    const reset = (control >> 5) & 3;
    if (reset >= 2) this.#readProperties();
    if (reset >= 1) this.#resetState();
    if (!this.#propertiesKnown) this.#source.fail('a chunk without properties', start);
    this.#reserve(unpackedBytes);
    const dataStart = this.#source.skip(packedBytes);
    this.#chunkEnd = this.#source.position;
    this.#source.position = dataStart;
    this.#startCoder();
    this.#decode(this.#filled + unpackedBytes);
    this.#normalize();
    if (this.#source.position !== this.#chunkEnd || this.#coder[1] !== 0)
      this.#source.fail('a chunk that does not end where it says', start);
  }

  #bigEndian16(): number {
    return (this.#source.u8() << 8) | this.#source.u8();
  }

  #reserve(length: number): void {
    if (this.#filled + length > this.#output.length) this.#source.fail('it unpacks to more bytes than it says');
  }

  /** One byte: (pb * 5 + lp) * 9 + lc. */
  #readProperties(): void {
    const byte = this.#source.u8();
    const [lc, lp, pb] = [byte % 9, Math.floor(byte / 9) % 5, Math.floor(byte / 45)];
    if (byte >= 225 || lc + lp > MAX_LITERAL_BITS) this.#source.fail(`properties ${byte}, which do not exist`);
    this.#literalContextBits = lc;
    this.#literalPositionMask = (1 << lp) - 1;
    this.#positionMask = (1 << pb) - 1;
    this.#propertiesKnown = true;
  }

  #resetState(): void {
    this.#probabilities.fill(EVEN_CHANCE);
    this.#distances.fill(0);
    this.#state = 0;
  }

  // ---- the range coder

  #startCoder(): void {
    if (this.#chunkEnd - this.#source.position < 5) this.#source.fail('a chunk too short to be one');
    if (this.#source.u8() !== 0) this.#source.fail("a chunk's first byte is not zero", this.#source.position - 1);
    const [a, b, c, d] = [this.#source.u8(), this.#source.u8(), this.#source.u8(), this.#source.u8()];
    this.#coder[0] = 0xffff_ffff;
    this.#coder[1] = (a << 24) | (b << 16) | (c << 8) | d;
  }

  /** Whether the next bytes are of this chunk is checked once at its end: until then zeros stand behind the data. */
  #normalize(): void {
    const coder = this.#coder;
    const range = coder[0] as number;
    if (range >= 0x100_0000) return;
    coder[0] = range << 8;
    coder[1] = ((coder[1] as number) << 8) | (this.#input[this.#source.position++] ?? 0);
  }

  #bit(index: number): number {
    this.#normalize();
    const coder = this.#coder;
    const probability = this.#probabilities[index] as number;
    const bound = Math.imul((coder[0] as number) >>> 11, probability) >>> 0;
    if ((coder[1] as number) < bound) {
      coder[0] = bound;
      this.#probabilities[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    coder[0] = (coder[0] as number) - bound;
    coder[1] = (coder[1] as number) - bound;
    this.#probabilities[index] = probability - (probability >> 5);
    return 1;
  }

  /**
   * `bits` bits, the highest first, each with the chance that those before it select. Most of the time is spent here: it is
   * #bit in a loop, written out so that range and code stay in local variables.
   */
  #tree(base: number, bits: number): number {
    const coder = this.#coder;
    const probabilities = this.#probabilities;
    let range = coder[0] as number;
    let code = coder[1] as number;
    let node = 1;
    for (let bit = 0; bit < bits; bit++) {
      if (range < 0x100_0000) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | (this.#input[this.#source.position++] ?? 0)) >>> 0;
      }
      const probability = probabilities[base + node] as number;
      const bound = Math.imul(range >>> 11, probability) >>> 0;
      if (code < bound) {
        range = bound;
        probabilities[base + node] = probability + ((2048 - probability) >> 5);
        node <<= 1;
      } else {
        range = (range - bound) >>> 0;
        code = (code - bound) >>> 0;
        probabilities[base + node] = probability - (probability >> 5);
        node = (node << 1) | 1;
      }
    }
    coder[0] = range;
    coder[1] = code;
    return node - (1 << bits);
  }

  /** As #tree, the lowest bit first. */
  #reverseTree(base: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let bit = 0; bit < bits; bit++) {
      const next = this.#bit(base + node);
      node = (node << 1) | next;
      value |= next << bit;
    }
    return value;
  }

  /** Bits whose chances are even and stay so. */
  #direct(bits: number): number {
    const coder = this.#coder;
    let value = 0;
    for (let bit = 0; bit < bits; bit++) {
      this.#normalize();
      const half = (coder[0] as number) >>> 1;
      coder[0] = half;
      const one = (coder[1] as number) >= half;
      if (one) coder[1] = (coder[1] as number) - half;
      value = (value << 1) | (one ? 1 : 0);
    }
    return value;
  }

  // ---- what the bits mean

  #decode(end: number): void {
    const distances = this.#distances;
    while (this.#filled < end) {
      const positionState = (this.#filled - (this.#dictionaryStart as number)) & this.#positionMask;
      const state = this.#state;
      const contextual = state * MAX_POSITION_STATES + positionState;
      if (this.#bit(IS_MATCH + contextual) === 0) this.#literal();
      else if (this.#bit(IS_REPEATED + state) === 0) {
        distances.copyWithin(1, 0, 3);
        const length = this.#length(MATCH_LENGTH, positionState);
        this.#state = state < FIRST_STATE_AFTER_MATCH ? 7 : 10;
        distances[0] = this.#distance(length);
        this.#copy(length, end);
      } else {
        const latest = this.#bit(IS_OLDER_THAN_0 + state) === 0;
        if (latest && this.#bit(IS_LONG_0 + contextual) === 0) {
          this.#state = state < FIRST_STATE_AFTER_MATCH ? 9 : 11;
          this.#copy(1, end);
          continue;
        }
        if (!latest) this.#recall(state);
        const length = this.#length(REPEATED_LENGTH, positionState);
        this.#state = state < FIRST_STATE_AFTER_MATCH ? 8 : 11;
        this.#copy(length, end);
      }
      if (this.#source.position > this.#chunkEnd) this.#source.fail('a chunk that runs beyond its end', this.#chunkEnd);
    }
  }

  /** Makes one of the three older distances the latest. */
  #recall(state: number): void {
    const distances = this.#distances;
    const which = this.#bit(IS_OLDER_THAN_1 + state) === 0 ? 1 : 2 + this.#bit(IS_OLDER_THAN_2 + state);
    const distance = distances[which] as number;
    distances.copyWithin(1, 0, which);
    distances[0] = distance;
  }

  #literal(): void {
    const output = this.#output;
    const filled = this.#filled;
    const position = filled - (this.#dictionaryStart as number);
    const before = position > 0 ? (output[filled - 1] as number) : 0;
    const context =
      ((position & this.#literalPositionMask) << this.#literalContextBits) + (before >> (8 - this.#literalContextBits));
    const base = LITERALS + context * LITERAL_PROBABILITIES;
    const state = this.#state;
    output[filled] =
      state < FIRST_STATE_AFTER_MATCH ? this.#tree(base, 8) : this.#literalAfterMatch(base, this.#expected(position));
    this.#filled = filled + 1;
    this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  /** The byte that the last match would go on with. */
  #expected(position: number): number {
    const back = (this.#distances[0] as number) + 1;
    if (back > position) this.#source.fail(`a copy from ${back} bytes back, where there are ${position}`);
    return this.#output[this.#filled - back] as number;
  }

  /** As long as the bits are those of the expected byte, it chooses among further probabilities. */
  #literalAfterMatch(base: number, expected: number): number {
    let node = 1;
    for (let bit = 7; bit >= 0; bit--) {
      const guess = (expected >> bit) & 1;
      const actual = this.#bit(base + ((1 + guess) << 8) + node);
      node = (node << 1) | actual;
      if (actual === guess) continue;
      while (node < 0x100) node = (node << 1) | this.#bit(base + node);
      break;
    }
    return node & 0xff;
  }

  #length(base: number, positionState: number): number {
    if (this.#bit(base + LENGTH_CHOICE) === 0) return MIN_MATCH + this.#tree(base + LENGTH_LOW + positionState * 8, 3);
    if (this.#bit(base + LENGTH_CHOICE + 1) === 0)
      return MIN_MATCH + 8 + this.#tree(base + LENGTH_MIDDLE + positionState * 8, 3);
    return MIN_MATCH + 16 + this.#tree(base + LENGTH_HIGH, 8);
  }

  /** A distance less one: a slot of 6 bits gives its two highest bits and how many follow. */
  #distance(length: number): number {
    const slot = this.#tree(DISTANCE_SLOT + Math.min(length - MIN_MATCH, 3) * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const high = (2 | (slot & 1)) << bits;
    if (slot < 14) return high + this.#reverseTree(DISTANCE_SPECIAL + high - slot, bits);
    return (high >>> 0) + this.#direct(bits - 4) * 16 + this.#reverseTree(DISTANCE_ALIGN, 4);
  }

  #copy(length: number, end: number): void {
    const distance = (this.#distances[0] as number) + 1;
    const known = this.#filled - (this.#dictionaryStart as number);
    if (distance > known) this.#source.fail(`a copy from ${distance} bytes back, where there are ${known}`);
    if (this.#filled + length > end) this.#source.fail('a copy that runs beyond its chunk');
    copyMatch(this.#output, this.#filled, distance, length);
    this.#filled += length;
  }
}
