// Packed data to test with: one made-up program, packed by each tool (the files in packed/), and bzImages around them.
// Made with: gzip -9n; xz --check=crc32 --x86 --lzma2; xz --check=crc64; lz4 -l -9; zstd -19 --check; zstd --fast=3 --no-check.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { random } from '../../src/base/random.js';
import { viewOf } from '../../src/builder/bytes.js';

/** Words, calls to a few places (the x86 filter's food), a run of zeros, and noise that does not pack. */
export function packedProgram(): Uint8Array {
  const chance = random(4).fork('packed program');
  const bytes: number[] = [];
  const words = ['mov', 'push', 'clear_page', 'xen', 'lock', 'pte'].map((word) => [...new TextEncoder().encode(word)]);
  while (bytes.length < 12_000) {
    if (chance.oneIn(3)) {
      const distance = 0x4000 * chance.below(6) - bytes.length - 5;
      bytes.push(0xe8 + chance.below(2), ...[0, 8, 16, 24].map((shift) => (distance >> shift) & 0xff));
    } else bytes.push(...(words[chance.below(words.length)] as number[]));
    if (chance.oneIn(40)) bytes.push(0xe8, 0xe8, 0, 0xe9, 0xff, 0xff);
  }
  bytes.push(...new Array<number>(3000).fill(0));
  for (let count = 0; count < 600; count++) bytes.push(chance.below(256));
  return Uint8Array.from(bytes);
}

export const PACKED_FILES = ['gzip.gz', 'x86-crc32.xz', 'crc64.xz', 'legacy.lz4', 'checked.zst', 'fast.zst'] as const;

export const packedFile = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(join(import.meta.dirname, 'packed', name)));

/** The payload as Linux's build makes it: with the unpacked size behind it, unless that is part of the format. */
export function withSize(name: string, packed: Uint8Array, unpackedBytes: number): Uint8Array {
  if (name.endsWith('.gz')) return packed;
  const sized = new Uint8Array(packed.length + 4);
  sized.set(packed);
  viewOf(sized).setUint32(packed.length, unpackedBytes, true);
  return sized;
}

/** A bzImage of boot protocol 2.15 with this payload at byte 0x500. */
export function bzImage(payload: Iterable<number>): Uint8Array {
  const content = Uint8Array.from(payload);
  const bytes = new Uint8Array(0x500 + content.length);
  const view = viewOf(bytes);
  bytes.set(new TextEncoder().encode('MZ'));
  bytes.set(new TextEncoder().encode('HdrS'), 0x202);
  view.setUint8(0x1f1, 1);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint16(0x206, 0x20f, true);
  view.setUint32(0x248, 0x100, true);
  view.setUint32(0x24c, content.length, true);
  bytes.set(content, 0x500);
  return bytes;
}
