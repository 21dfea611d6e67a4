// Packed kernels: what each tool has packed comes out as it went in, and whatever is damaged is refused in one line.

import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/failures.js';
import { type Random, random } from '../../src/base/random.js';
import { crc32, crc64, xxh64 } from '../../src/builder/compression/checksums.js';
import { readElf, readKernel, unpackedKernel } from '../../src/builder/index.js';
import { bzImage, PACKED_FILES, packedFile, packedProgram, withSize } from './packed.js';
import { sampleKernel } from './sample.js';

const program = packedProgram();
const payloadOf = (name: string): Uint8Array => withSize(name, packedFile(name), program.length);

/** The one line of an InputError; anything else that is thrown, or nothing, fails the test. */
function complaint(bytes: Uint8Array): string {
  try {
    unpackedKernel(bytes);
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

test.each(PACKED_FILES)('%s unpacks to what was packed', (name) => {
  expect(unpackedKernel(bzImage(payloadOf(name)))).toEqual(program);
});

test('an ELF file passes as it is, also as a payload; a gzip file needs no bzImage', () => {
  const elf = sampleKernel();
  expect(unpackedKernel(elf)).toBe(elf);
  expect(readKernel(bzImage(elf)).entry).toBe(readKernel(elf).entry);
  expect(unpackedKernel(packedFile('gzip.gz'))).toEqual(program);
});

test('a reader of ELF files says what it was given', () => {
  expect(() => readElf(bzImage([]))).toThrow(
    'not an ELF file: this is a Linux bzImage; its ELF file was expected here',
  );
});

// The check values that the specifications give for these nine digits; for XXH64, of xxHash's own tool.
test('checksums', () => {
  const digits = new TextEncoder().encode('123456789');
  expect(crc32(digits)).toBe(0xcbf43926);
  expect(crc64(digits)).toBe(0x995dc9bbdf1939fan);
  expect(xxh64(new Uint8Array())).toBe(0xef46db3751d8e999n);
  expect(xxh64(digits)).toBe(0x8cb841db40e6ae83n);
});

describe('what is refused, and how', () => {
  const changed = (bytes: Uint8Array, at: number, value: number): Uint8Array => bytes.with(at, value);
  const xz = bzImage(payloadOf('crc64.xz'));
  const gzip = packedFile('gzip.gz');
  test.each<[string, Uint8Array, RegExp]>([
    ...(
      [
        ['bzip2', [0x42, 0x5a, 0x68]],
        ['LZMA', [0x5d, 0, 0]],
        ['LZO', [0x89, 0x4c, 0x5a, 0x4f]],
        ['LZ4 \\(frame format\\)', [4, 0x22, 0x4d, 0x18]],
      ] as const
    ).map(([name, magic]): [string, Uint8Array, RegExp] => [
      name,
      bzImage([...magic, 0, 0, 0, 0]),
      new RegExp(`^this kernel is packed with ${name}, which is not supported`),
    ]),
    ['an unknown payload', bzImage([1, 2, 3, 4, 5]), /payload at byte 0x500 are neither packed in a known way/],
    ['a payload beyond the end', xz.subarray(0, 0x600), /^truncated or damaged bzImage .*0x500\.\..*ends at 0x600/],
    ['an old boot protocol', changed(xz, 0x206, 7), /boot protocol 2\.07, which does not say where its payload is/],
    ['an immense size', changed(xz, xz.length - 1, 0xff), /say that they unpack to 0xff00.* at most 0x20000000/],
    ['a wrong size', changed(xz, xz.length - 4, program.length ^ 1), /unpacks to/],
    ['a bit in the XZ block header', changed(xz, 0x500 + 13, 0x22), /^damaged XZ data at byte 0x50c of the file: /],
    ['an XZ check of another kind', changed(xz, 0x507, 10), /^(damaged XZ|XZ data with)/],
    ['a gzip checksum', changed(gzip, gzip.length - 8, 0), /the unpacked data's CRC-32 is 0x\w+, but should be 0x\w+$/],
    ['an empty gzip file', Uint8Array.of(0x1f, 0x8b), /2 bytes of payload at byte 0x0/],
  ])('%s', (_, bytes, expected) => {
    expect(complaint(bytes)).toMatch(expected);
    expect(complaint(bytes)).not.toContain('\n');
  });
});

/** Flips a few bits, or overwrites a few bytes, or cuts the end off; the size behind the data stays. */
function mutate(packed: Uint8Array, chance: Random): Uint8Array {
  if (chance.oneIn(5)) return packed.subarray(0, 8 + chance.below(packed.length - 8));
  const copy = packed.slice();
  // The headers decide most, so they are hit as often as all the rest.
  const reach = chance.oneIn(2) ? 40 : copy.length;
  for (let count = 1 + chance.below(3); count > 0; count--) {
    const at = 4 + chance.below(reach - 4);
    copy[at] = chance.oneIn(2) ? (copy[at] as number) ^ (1 << chance.below(8)) : chance.below(256);
  }
  return copy;
}

describe('damaged data end in an InputError, or do no harm', () => {
  test.each(PACKED_FILES)('700 mutations of %s', (name) => {
    const packed = packedFile(name);
    const chance = random(2013).fork(name);
    const checked = name !== 'legacy.lz4' && name !== 'fast.zst';
    let refused = 0;
    for (let round = 0; round < 700; round++) {
      const bytes = bzImage(withSize(name, mutate(packed, chance), program.length));
      try {
        const unpacked = unpackedKernel(bytes);
        // What is accepted has the size that was promised and, where the format has a checksum, the very contents.
        expect(unpacked.length).toBe(program.length);
        if (checked) expect(unpacked.every((b, i) => b === program[i])).toBe(true);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(300);
  });
});
