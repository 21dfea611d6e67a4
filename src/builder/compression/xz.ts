// XZ: one stream of blocks, each LZMA2 alone or behind the x86 filter, as Linux packs its kernels.
// Source: The .xz File Format 1.1 (tukaani.org). Left out: other filters, SHA-256 as a check, several streams.
//
//   header | block … | index | footer         block: header | LZMA2 data | padding to 4 | check of the unpacked data

import { hex0x } from '../../base/hex.js';
import { crc32, crc64 } from './checksums.js';
import { Lzma2 } from './lzma2.js';
import type { Source } from './source.js';
import { unfilterX86 } from './x86-bcj.js';

const FILTER_X86 = 4;
const FILTER_LZMA2 = 0x21;
const MAGIC_BYTES = 6;
const INDEX_INDICATOR = 0;

interface Check {
  readonly name: string;
  readonly bytes: number;
  /** As the check's bytes would be read little-endian. */
  readonly of?: (unpacked: Uint8Array) => bigint;
}

const CHECKS: Readonly<Record<number, Check>> = {
  0: { name: 'none', bytes: 0 },
  1: { name: 'CRC-32', bytes: 4, of: (unpacked) => BigInt(crc32(unpacked)) },
  4: { name: 'CRC-64', bytes: 8, of: crc64 },
};

interface BlockRecord {
  readonly unpaddedBytes: number;
  readonly unpackedBytes: number;
}

/** Unpacks into all of `output`. Throws InputError for damaged data, and for data that unpack to another length. */
export function unpackXz(source: Source, output: Uint8Array): void {
  const flags = readStreamHeader(source);
  const check = CHECKS[flags >> 8];
  if (!check) source.refuse(`integrity check ${flags >> 8}`);
  const blocks: BlockRecord[] = [];
  let filled = 0;
  while (source.bytes[source.position] !== INDEX_INDICATOR) {
    const block = readBlock(source, check, output.subarray(filled));
    filled += block.unpackedBytes;
    blocks.push(block);
  }
  const indexBytes = readIndex(source, blocks);
  readFooter(source, flags, indexBytes);
  if (filled !== output.length) source.fail(`it unpacks to ${filled} bytes, but says ${output.length}`);
}

/** Returns the two bytes of stream flags as a word: the check's number in the upper one. */
function readStreamHeader(source: Source): number {
  source.skip(MAGIC_BYTES);
  const start = source.position;
  const flags = source.u16();
  verifyHeader(source, start, "the stream header's");
  if (flags & 0xf0ff) source.refuse(`stream flags ${hex0x(flags)}`);
  return flags;
}

/** Reads a CRC-32 of all from `start` to here. */
function verifyHeader(source: Source, start: number, whose: string): void {
  const actual = crc32(source.bytes.subarray(start, source.position));
  const expected = source.u32();
  if (actual !== expected) source.fail(`${whose} CRC-32 is ${hex0x(actual)}, but should be ${hex0x(expected)}`, start);
}

function readBlock(source: Source, check: Check, output: Uint8Array): BlockRecord {
  const start = source.position;
  const { x86, packedBytes, unpackedBytes } = readBlockHeader(source);
  const dataStart = source.position;
  const filled = new Lzma2(source, output).unpack();
  const unpacked = output.subarray(0, filled);
  if (packedBytes !== undefined && packedBytes !== source.position - dataStart)
    source.fail(
      `the block's data have ${source.position - dataStart} bytes, but its header says ${packedBytes}`,
      start,
    );
  if (unpackedBytes !== undefined && unpackedBytes !== filled)
    source.fail(`the block unpacks to ${filled} bytes, but its header says ${unpackedBytes}`, start);
  if (x86) unfilterX86(unpacked);
  const unpaddedBytes = source.position - start + check.bytes;
  while (source.position % 4 !== 0) if (source.u8() !== 0) source.fail('padding that is not zero', source.position - 1);
  const expected = check.bytes === 0 ? undefined : check.bytes === 4 ? BigInt(source.u32()) : source.u64();
  const actual = check.of?.(unpacked);
  if (actual !== undefined && expected !== undefined && actual !== expected)
    source.fail(
      `the unpacked block's ${check.name} is ${hex0x(actual)}, but should be ${hex0x(expected)}`,
      source.position - check.bytes,
    );
  return { unpaddedBytes, unpackedBytes: filled };
}

interface BlockHeader {
  readonly x86: boolean;
  readonly packedBytes: number | undefined;
  readonly unpackedBytes: number | undefined;
}

function readBlockHeader(source: Source): BlockHeader {
  const start = source.position;
  const end = start + source.u8() * 4;
  source.skip(end - source.position);
  verifyHeader(source, start, "the block header's");
  const dataStart = source.position;
  source.position = start + 1;
  const flags = source.u8();
  if (flags & 0x3c) source.refuse(`block flags ${hex0x(flags)}`);
  const packedBytes = flags & 0x40 ? readNumber(source) : undefined;
  const unpackedBytes = flags & 0x80 ? readNumber(source) : undefined;
  const filters = Array.from({ length: (flags & 3) + 1 }, () => readFilter(source));
  const last = filters.pop();
  if (last !== FILTER_LZMA2) source.refuse(`filter ${hex0x(last ?? 0)} where LZMA2 was expected`);
  const other = filters.find((filter) => filter !== FILTER_X86);
  if (other !== undefined || filters.length > 1) source.refuse(`filter ${hex0x(other ?? FILTER_X86)} in this place`);
  if (source.position > end) source.fail("the block's header is longer than it says", start);
  source.position = dataStart;
  return { x86: filters.length === 1, packedBytes, unpackedBytes };
}

/** A filter's number; of the properties only the x86 filter's start is looked at, which must be the default. */
function readFilter(source: Source): number {
  const filter = readNumber(source);
  const properties = source.take(readNumber(source));
  if (filter === FILTER_X86 && properties.some((byte) => byte !== 0))
    source.refuse('an x86 filter that starts elsewhere');
  return filter;
}

/** Seven bits a byte, the lowest first; the highest bit says that there are more. */
function readNumber(source: Source): number {
  const start = source.position;
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = source.u8();
    value += (byte & 127) * scale;
    if (value > Number.MAX_SAFE_INTEGER) source.fail('a number too large for any file', start);
    if (byte < 128) return value;
  }
}

/** Compares the index with the blocks that were met; returns its length. */
function readIndex(source: Source, blocks: readonly BlockRecord[]): number {
  const start = source.position;
  source.skip(1);
  const count = readNumber(source);
  if (count !== blocks.length) source.fail(`the index lists ${count} blocks, there are ${blocks.length}`, start);
  for (const block of blocks)
    if (readNumber(source) !== block.unpaddedBytes || readNumber(source) !== block.unpackedBytes)
      source.fail('the index lists a block of another size', start);
  while (source.position % 4 !== 0) if (source.u8() !== 0) source.fail('padding that is not zero', source.position - 1);
  verifyHeader(source, start, "the index's");
  return source.position - start;
}

function readFooter(source: Source, flags: number, indexBytes: number): void {
  const expected = source.u32();
  const start = source.position;
  const backward = (source.u32() + 1) * 4;
  const repeated = source.u16();
  const actual = crc32(source.bytes.subarray(start, source.position));
  if (actual !== expected)
    source.fail(`the footer's CRC-32 is ${hex0x(actual)}, but should be ${hex0x(expected)}`, start);
  if (backward !== indexBytes || repeated !== flags)
    source.fail('the footer and the rest of the stream disagree', start);
  if (source.u8() !== 0x59 || source.u8() !== 0x5a) source.fail('the footer does not end in "YZ"', source.position - 2);
}
