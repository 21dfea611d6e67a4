// LZ4 in its legacy frame, which is what Linux packs kernels with: blocks of 8 MiB, each by itself, no checksum.
// Sources: lz4 doc/lz4_Frame_format.md "Legacy frame", doc/lz4_Block_format.md.

import { copyLiterals, copyMatch, type Source } from './source.js';

const LEGACY_MAGIC_BYTES = 4;
const BLOCK_BYTES = 8 << 20;
const MIN_MATCH = 4;

/** Unpacks into all of `output`. Throws InputError for damaged data, and for data that unpack to another length. */
export function unpackLz4(source: Source, output: Uint8Array): void {
  source.skip(LEGACY_MAGIC_BYTES);
  for (let start = 0; start < output.length; start += BLOCK_BYTES) {
    const packed = source.u32();
    if (packed > source.left)
      source.fail(`a block of ${packed} bytes, where ${source.left} are left`, source.position - 4);
    unpackBlock(source, source.position + packed, output.subarray(start, start + BLOCK_BYTES));
  }
  if (source.left > 0) source.fail(`it unpacks to more than the ${output.length} bytes that it says`);
}

/**
 * A block is sequences of: token (literals' length << 4 | match length - 4), literals, distance back. A length nibble of 15
 * is continued by bytes up to one below 255. The last sequence ends after its literals.
 */
function unpackBlock(source: Source, blockEnd: number, output: Uint8Array): void {
  let filled = 0;
  const reserve = (length: number): void => {
    if (filled + length > output.length) source.fail(`a block unpacks to more than ${output.length} bytes`);
  };
  for (;;) {
    const token = source.u8();
    const literals = readLength(source, token >> 4);
    reserve(literals);
    copyLiterals(source.bytes, source.skip(literals), output, filled, literals);
    filled += literals;
    if (source.position >= blockEnd) break;
    const distance = source.u16();
    const length = readLength(source, token & 15) + MIN_MATCH;
    if (distance === 0 || distance > filled)
      source.fail(`a copy from ${distance} bytes back, where there are ${filled}`);
    reserve(length);
    copyMatch(output, filled, distance, length);
    filled += length;
  }
  if (source.position !== blockEnd) source.fail('a block runs beyond its end');
  if (filled !== output.length) source.fail(`a block unpacks to ${filled} bytes, ${output.length} were expected`);
}

function readLength(source: Source, nibble: number): number {
  let length = nibble;
  if (nibble !== 15) return length;
  for (;;) {
    const more = source.u8();
    length += more;
    if (more !== 255) return length;
  }
}
