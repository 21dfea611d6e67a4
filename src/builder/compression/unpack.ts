// Which compression packed data have, by their first bytes, and the way to its decoder.
// Source for the choice: Linux arch/x86/boot/compressed/Makefile, lib/decompress.c.

import { InputError } from '../../base/failures.js';
import { hex0x } from '../../base/hex.js';
import { gunzip } from './gzip.js';
import { unpackLz4 } from './lz4.js';
import { Source } from './source.js';
import { unpackXz } from './xz.js';
import { unpackZstd } from './zstd.js';

/** A way of packing that has a name; only some are read. */
export interface Compression {
  readonly name: string;
  readonly magic: readonly number[];
  /** Unpacks into all of `output`, or throws InputError. Absent where the format is not supported. */
  readonly decode?: (source: Source, output: Uint8Array) => void;
}

const ascii = (text: string): number[] => Array.from(text, (char) => char.charCodeAt(0));

const COMPRESSIONS: readonly Compression[] = [
  { magic: [0x1f, 0x8b], name: 'gzip', decode: gunzip },
  { magic: [0xfd, ...ascii('7zXZ'), 0], name: 'XZ', decode: unpackXz },
  { magic: [0x02, 0x21, 0x4c, 0x18], name: 'LZ4', decode: unpackLz4 },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], name: 'Zstandard', decode: unpackZstd },
  { magic: ascii('BZh'), name: 'bzip2' },
  { magic: [0x5d, 0, 0], name: 'LZMA' },
  { magic: [0x89, ...ascii('LZO')], name: 'LZO' },
  { magic: [0x04, 0x22, 0x4d, 0x18], name: 'LZ4 (frame format)' },
];

export const compressionOf = (bytes: Uint8Array): Compression | undefined =>
  COMPRESSIONS.find(({ magic }) => magic.every((byte, at) => bytes[at] === byte));

/** Larger kernels do not exist: bounds what a hostile size can make Paravane allocate. */
export const MAX_UNPACKED_BYTES = 512 << 20;

/**
 * Unpacks data that are known to unpack to `unpackedBytes`. `fileOffset` is where they begin in the user's file. Throws
 * InputError for a format that is not supported, damaged data, and data that unpack to another length.
 */
export function unpack(
  packed: Uint8Array,
  compression: Compression,
  unpackedBytes: number,
  fileOffset: number,
): Uint8Array {
  const { name, decode } = compression;
  if (!decode)
    throw new InputError(
      `this kernel is packed with ${name}, which is not supported (gzip, XZ, LZ4 legacy and Zstandard are)`,
    );
  if (unpackedBytes > MAX_UNPACKED_BYTES)
    throw new InputError(
      `damaged ${name} data: they say that they unpack to ${hex0x(unpackedBytes)} bytes, at most ${hex0x(MAX_UNPACKED_BYTES)} are supported`,
    );
  const output = new Uint8Array(unpackedBytes);
  decode(new Source(name, packed, fileOffset), output);
  return output;
}
