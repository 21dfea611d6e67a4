// The checksums that packed data carry. Sources: RFC 1952 §8 (CRC-32); the .xz file format §6 (both CRCs); RFC 8878 and
// the xxHash specification "XXH64 algorithm".

import { viewOf } from '../bytes.js';

/** Table k answers what a byte followed by k zero bytes adds to a reflected CRC-32: four bytes go in one step. */
const CRC32_TABLES: readonly Uint32Array[] = crc32Tables();

function crc32Tables(): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
  const tables = [first];
  for (let k = 1; k < 4; k++) {
    const previous = tables[k - 1] as Uint32Array;
    tables.push(previous.map((crc) => (crc >>> 8) ^ (first[crc & 255] as number)));
  }
  return tables;
}

export function crc32(bytes: Uint8Array): number {
  const [t0, t1, t2, t3] = CRC32_TABLES as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  const view = viewOf(bytes);
  let crc = -1;
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    const word = crc ^ view.getInt32(at, true);
    crc =
      (t3[word & 255] as number) ^
      (t2[(word >>> 8) & 255] as number) ^
      (t1[(word >>> 16) & 255] as number) ^
      (t0[word >>> 24] as number);
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[at] as number)) & 255] as number);
  return ~crc >>> 0;
}

const CRC64_POLYNOMIAL = 0xc96c5795d7870f42n;

/** The reflected CRC-64 of each byte, as halves: low at 2n, high at 2n+1. */
const CRC64_TABLE: Uint32Array = crc64Table();

function crc64Table(): Uint32Array {
  const table = new Uint32Array(512);
  for (let byte = 0; byte < 256; byte++) {
    let crc = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ CRC64_POLYNOMIAL : crc >> 1n;
    table[2 * byte] = Number(crc & 0xffff_ffffn);
    table[2 * byte + 1] = Number(crc >> 32n);
  }
  return table;
}

export function crc64(bytes: Uint8Array): bigint {
  let low = -1;
  let high = -1;
  for (let at = 0; at < bytes.length; at++) {
    const entry = ((low ^ (bytes[at] as number)) & 255) * 2;
    low = ((low >>> 8) | (high << 24)) ^ (CRC64_TABLE[entry] as number);
    high = (high >>> 8) ^ (CRC64_TABLE[entry + 1] as number);
  }
  return (BigInt(~high >>> 0) << 32n) | BigInt(~low >>> 0);
}

const MASK = (1n << 64n) - 1n;
const PRIME1 = 0x9e3779b185ebca87n;
const PRIME2 = 0xc2b2ae3d27d4eb4fn;
const PRIME3 = 0x165667b19e3779f9n;
const PRIME4 = 0x85ebca77c2b2ae63n;
const PRIME5 = 0x27d4eb2f165667c5n;
const STRIPE_BYTES = 32;

const rotate = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & MASK;
const round = (lane: bigint, input: bigint): bigint => (rotate((lane + input * PRIME2) & MASK, 31n) * PRIME1) & MASK;

/** XXH64 with seed 0. Stripes are taken by halves of 32 bits; only what is left at the end by `bigint`. */
export function xxh64(bytes: Uint8Array): bigint {
  const view = viewOf(bytes);
  let at = 0;
  let hash = PRIME5;
  if (bytes.length >= STRIPE_BYTES) {
    const lanes = [PRIME1 + PRIME2, PRIME2, 0n, -PRIME1].map((lane, index) => new Lane(lane & MASK, index * 8));
    for (; at + STRIPE_BYTES <= bytes.length; at += STRIPE_BYTES) for (const lane of lanes) lane.feed(view, at);
    const values = lanes.map((lane) => lane.value);
    hash = [1n, 7n, 12n, 18n].reduce((sum, by, index) => sum + rotate(values[index] as bigint, by), 0n) & MASK;
    for (const value of values) hash = ((hash ^ round(0n, value)) * PRIME1 + PRIME4) & MASK;
  }
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8)
    hash = (rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * PRIME1 + PRIME4) & MASK;
  for (; at + 4 <= bytes.length; at += 4)
    hash = (rotate(hash ^ ((BigInt(view.getUint32(at, true)) * PRIME1) & MASK), 23n) * PRIME2 + PRIME3) & MASK;
  for (; at < bytes.length; at++)
    hash = (rotate(hash ^ ((BigInt(bytes[at] as number) * PRIME5) & MASK), 11n) * PRIME1) & MASK;
  hash = ((hash ^ (hash >> 33n)) * PRIME2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * PRIME3) & MASK;
  return hash ^ (hash >> 32n);
}

const [PRIME1_LOW, PRIME1_HIGH] = [Number(PRIME1 & 0xffff_ffffn) | 0, Number(PRIME1 >> 32n) | 0];
const [PRIME2_LOW, PRIME2_HIGH] = [Number(PRIME2 & 0xffff_ffffn) | 0, Number(PRIME2 >> 32n) | 0];

/** The upper half of the product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const other = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(other / 65536)) | 0;
}

/** One of XXH64's four accumulators, as two signed 32-bit halves. */
class Lane {
  #low: number;
  #high: number;
  readonly #offset: number;

  constructor(value: bigint, offset: number) {
    this.#low = Number(value & 0xffff_ffffn) | 0;
    this.#high = Number(value >> 32n) | 0;
    this.#offset = offset;
  }

  get value(): bigint {
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0);
  }

  /** lane = rotate(lane + input * PRIME2, 31) * PRIME1 */
  feed(view: DataView, stripe: number): void {
    const inputLow = view.getInt32(stripe + this.#offset, true);
    const inputHigh = view.getInt32(stripe + this.#offset + 4, true);
    const productLow = Math.imul(inputLow, PRIME2_LOW);
    const productHigh =
      multiplyHigh(inputLow, PRIME2_LOW) + Math.imul(inputLow, PRIME2_HIGH) + Math.imul(inputHigh, PRIME2_LOW);
    const low = (this.#low + productLow) | 0;
    const carry = low >>> 0 < productLow >>> 0 ? 1 : 0;
    const high = (this.#high + productHigh + carry) | 0;
    const turnedLow = (low << 31) | (high >>> 1);
    const turnedHigh = (high << 31) | (low >>> 1);
    this.#low = Math.imul(turnedLow, PRIME1_LOW);
    this.#high =
      (multiplyHigh(turnedLow, PRIME1_LOW) + Math.imul(turnedLow, PRIME1_HIGH) + Math.imul(turnedHigh, PRIME1_LOW)) | 0;
  }
}
