// What the builder says of a file that is no 64-bit PV kernel: the words are part of the product.

import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/failures.js';
import { viewOf } from '../../src/builder/bytes.js';
import { readElf, readKernel, symbolTable, writeElf } from '../../src/builder/index.js';
import { KERNEL_BASE, sample, sampleKernel, sampleNotes, withNotes } from './sample.js';

/** The message of the InputError that reading the bytes as a kernel gives; fails when there is none. */
function complaint(bytes: Uint8Array): string {
  try {
    readKernel(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as InputError).message;
  }
  return 'accepted';
}

/** A copy of the sample with the bytes at `offset` replaced by a little-endian number of `size` bytes. */
function patched(offset: number, size: 1 | 2 | 4 | 8, value: number | bigint): Uint8Array {
  const bytes = sampleKernel();
  const view = viewOf(bytes);
  if (size === 8) view.setBigUint64(offset, BigInt(value), true);
  else if (size === 4) view.setUint32(offset, Number(value), true);
  else if (size === 2) view.setUint16(offset, Number(value), true);
  else view.setUint8(offset, Number(value));
  return bytes;
}

const text = (content: string): Uint8Array => new TextEncoder().encode(content);

describe('files that are no ELF files', () => {
  test.each<[string, Uint8Array, string]>([
    ['an empty file', new Uint8Array(0), 'not an ELF file: this is an empty file'],
    ['a text file', text('Hello, world\nsecond line'), 'not an ELF file: this is text, beginning "Hello, world"'],
    ['a long line', text('x'.repeat(99)), `not an ELF file: this is text, beginning "${'x'.repeat(40)}…"`],
    ['text in UTF-8', text('grüße\n'), 'not an ELF file: this is text, beginning "gr????e"'],
    ['a script', text('#!/bin/sh\n'), 'not an ELF file: this is a script'],
    ['other bytes', Uint8Array.of(1, 2, 3), 'not an ELF file: this is a file that begins with 01 02 03'],
    [
      'zstd',
      Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd),
      'not an ELF file: this is Zstandard data, which are read only inside a bzImage: unpack them first',
    ],
    ['a cpio archive', text('070701000'), 'not an ELF file: this is a cpio archive (an initrd rather than a kernel?)'],
    [
      'a Debian package',
      text('!<arch>\ndebian'),
      'not an ELF file: this is an ar archive (a Debian package or a static library?)',
    ],
    ['a Windows program', text('MZ\0\0'), 'not an ELF file: this is a PE/COFF (Windows or EFI) program'],
  ])('%s', (_, bytes, expected) => {
    expect(complaint(bytes)).toBe(expected);
  });
});

describe('ELF files of the wrong kind', () => {
  test.each<[string, Uint8Array, string]>([
    ['32-bit', patched(4, 1, 1), 'a 32-bit ELF file (machine 62): only 64-bit x86 PV kernels are supported'],
    [
      '32-bit i386',
      (() => {
        const b = patched(4, 1, 1);
        b[18] = 3;
        return b;
      })(),
      'a 32-bit ELF file (Intel 80386): only 64-bit x86 PV kernels are supported',
    ],
    ['no class', patched(4, 1, 7), 'damaged ELF file: its class (byte 4) is 7, expected 2'],
    ['for Arm', patched(18, 2, 183), 'an ELF file for AArch64, expected x86-64 (machine 62, little-endian)'],
    [
      'a relocatable object',
      patched(16, 2, 1),
      'this ELF file is a relocatable object (.o or .ko), which is not linked to an address, expected an executable (type 2 or 3)',
    ],
    ['a core dump', patched(16, 2, 4), 'this ELF file is a core dump, expected an executable (type 2 or 3)'],
    ['no program headers', patched(56, 2, 0), 'this ELF file has no loadable segment (PT_LOAD): nothing to run'],
  ])('%s', (_, bytes, expected) => {
    expect(complaint(bytes)).toBe(expected);
  });
});

describe('truncated and damaged ELF files', () => {
  const whole = sampleKernel();

  test.each<[string, Uint8Array, string]>([
    [
      'cut inside the header',
      whole.subarray(0, 40),
      'truncated or damaged ELF file: the ELF header should be at bytes 0x0..0x40, but the file ends at 0x28 (40 bytes)',
    ],
    [
      'cut inside the program headers',
      whole.subarray(0, 100),
      'truncated or damaged ELF file: its program header table should be at bytes 0x40..0xe8, but the file ends at 0x64 (100 bytes)',
    ],
    [
      'cut inside a segment',
      whole.subarray(0, 0x2000),
      'truncated or damaged ELF file: segment 0 (PT_LOAD) should be at bytes 0x1000..0x2800, but the file ends at 0x2000 (8192 bytes)',
    ],
    [
      'entry size',
      patched(54, 2, 57),
      'damaged ELF file: an entry of its program header table has 57 bytes, expected 56',
    ],
    [
      '2^64 - 1 as table offset',
      patched(32, 8, 2n ** 64n - 1n),
      `truncated or damaged ELF file: its program header table should be at bytes 0xffffffffffffffff..0x100000000000000a7, but the file ends at 0x${whole.length.toString(16)} (${whole.length} bytes)`,
    ],
    [
      'more in the file than in memory',
      patched(64 + 40, 8, 5),
      'damaged ELF file: segment 0 has 0x1800 bytes in the file for 0x5 in memory',
    ],
    [
      'past the end of the address space',
      patched(64 + 24, 8, 2n ** 64n - 16n),
      'damaged ELF file: segment 0 runs past the end of the address space (0xfffffffffffffff0..0x100000000000017f0)',
    ],
    [
      'overlapping',
      patched(64 + 24, 8, 0x1000),
      'damaged ELF file: segments 0 (physical 0x1000..0x2800) and 1 (0x2040..0x6040) overlap',
    ],
    [
      'huge',
      patched(64 + 56 + 40, 8, 2n ** 60n),
      "this kernel's segments span 0x1000000000002040 bytes (physical 0x0..0x1000000000002040), at most 0x1000000000 are supported",
    ],
  ])('%s', (_, bytes, expected) => {
    expect(complaint(bytes)).toBe(expected);
  });

  test('cut anywhere at all, it is refused', () => {
    for (let length = 0; length < whole.length; length += 41)
      expect(complaint(whole.subarray(0, length))).not.toBe('accepted');
    expect(complaint(whole.subarray(0, whole.length - 1))).toContain('section header table');
    expect(complaint(whole)).toBe('accepted');
  });
});

describe('notes', () => {
  test.each<[string, Uint8Array, string]>([
    [
      'no LOADER, other GUEST_OS',
      withNotes({ loader: undefined }),
      'not a Xen PV kernel: LOADER is "" and GUEST_OS is "sample", expected LOADER "generic" or GUEST_OS "linux"',
    ],
    [
      'no XEN_VERSION',
      withNotes({ xenVersion: undefined }),
      'not a Xen PV kernel: the note XEN_VERSION is missing, expected "xen-3.0"',
    ],
    [
      'another XEN_VERSION',
      withNotes({ xenVersion: 'xen-2.0' }),
      'not a Xen PV kernel: the note XEN_VERSION is "xen-2.0", expected "xen-3.0"',
    ],
    [
      'PVH only',
      sampleKernel({ notes: { guestOs: 'unikraft', phys32Entry: 0x100n } }),
      'a PVH-only kernel: it has the note PHYS32_ENTRY but neither LOADER "generic" nor GUEST_OS "linux"; Paravane runs PV kernels (for Linux: built with CONFIG_XEN_PV)',
    ],
    [
      'PADDR_OFFSET alone',
      withNotes({ virtBase: undefined, paddrOffset: 0n }),
      'damaged Xen notes: PADDR_OFFSET is given without VIRT_BASE',
    ],
    [
      'a required unknown feature',
      withNotes({ features: 'writable_page_tables|!time_travel' }),
      'this kernel requires the unknown Xen feature "time_travel"',
    ],
    [
      'a required dom0',
      withNotes({ features: '!dom0' }),
      'this kernel requires the Xen feature "dom0", which a PV domU does not have',
    ],
    [
      'VIRT_BASE off a page',
      withNotes({ virtBase: KERNEL_BASE + 8n, paddrOffset: 8n }),
      'damaged Xen notes: VIRT_BASE is at 0xffffffff80000008, which is not on a page boundary',
    ],
    [
      'VIRT_BASE in the hole',
      withNotes({ virtBase: 0xffff_8000_0000_0000n, entry: 0xffff_8000_0000_0000n }),
      "damaged Xen notes: the kernel's range 0xffff800000000000..0xffff800000006040 is not the guest's to use (it must be canonical and outside Xen's 0xffff800000000000..0xffff880000000000)",
    ],
    [
      'VIRT_BASE not canonical',
      withNotes({ virtBase: 1n << 50n, entry: 1n << 50n }),
      "damaged Xen notes: the kernel's range 0x4000000000000..0x4000000006040 is not the guest's to use (it must be canonical and outside Xen's 0xffff800000000000..0xffff880000000000)",
    ],
    [
      'PADDR_OFFSET too large',
      withNotes({ paddrOffset: 0x1000n }),
      'damaged Xen notes: the kernel starts at 0xffffffff7ffff000, below VIRT_BASE 0xffffffff80000000',
    ],
    [
      'an entry elsewhere',
      withNotes({ entry: 0x1000n }),
      'damaged Xen notes: the entry point 0x1000 lies outside the kernel (0xffffffff80000000..0xffffffff80006040)',
    ],
  ])('%s', (_, bytes, expected) => {
    expect(complaint(bytes)).toBe(expected);
  });

  test('an ordinary program says what is missing', () => {
    const bytes = sampleKernel({ notes: {} });
    expect(complaint(bytes)).toBe(
      'not a Xen PV kernel: it has no ELF note of owner "Xen" (looked in PT_NOTE segments and SHT_NOTE sections) and no ' +
        '__xen_guest section; needed are at least the notes XEN_VERSION "xen-3.0" and LOADER "generic" or GUEST_OS "linux"',
    );
  });

  test.each(['segment', 'section', 'guest-string'] as const)('are found in a %s', (notesIn) => {
    const kernel = readKernel(
      sampleKernel({
        notesIn,
        notes: { ...sampleNotes, features: '!writable_page_tables|x', entry: KERNEL_BASE + 0x20n },
      }),
    );
    expect(kernel.notes).toMatchObject({
      source: { segment: 'PT_NOTE', section: 'SHT_NOTE', 'guest-string': '__xen_guest' }[notesIn],
      guestOs: 'sample',
      loader: 'generic',
      xenVersion: 'xen-3.0',
      virtBase: KERNEL_BASE,
      hypercallPage: KERNEL_BASE + 0x3000n,
      entry: KERNEL_BASE + 0x20n,
      requiredFeatures: ['writable_page_tables'],
    });
  });

  test('GUEST_OS linux stands in for LOADER generic', () => {
    expect(complaint(withNotes({ loader: undefined, guestOs: 'linux' }))).toBe('accepted');
  });

  test('in the __xen_guest string PADDR_OFFSET defaults to VIRT_BASE, in notes to 0', () => {
    const legacy = readKernel(sampleKernel({ notesIn: 'guest-string' }));
    expect(legacy.elf.physicalRange.start).toBe(KERNEL_BASE);
    expect(legacy.virtStart).toBe(KERNEL_BASE);
    expect(readKernel(sampleKernel()).virtStart).toBe(KERNEL_BASE);
  });

  test('a note that runs past its segment is refused with its place', () => {
    const bytes = sampleKernel();
    const note = readElf(bytes).noteSegments[0]?.fileOffset as number;
    viewOf(bytes).setUint32(note + 4, 0xffff_fff0, true);
    expect(complaint(bytes)).toMatch(
      /^damaged ELF file: the value of the note at byte 0x\w+ runs past the end of note segment 2 at 0x\w+$/,
    );
  });
});

describe('symbols', () => {
  test('the symbol table is found with its strings', () => {
    const symbols = symbolTable(readElf(sampleKernel()));
    expect(symbols?.entries).toHaveLength(3 * 24);
    expect(new TextDecoder('latin1').decode(symbols?.strings)).toBe('\0start\0table\0');
  });

  test('a stripped file has none', () => {
    const { symbols: _symbols, ...stripped } = sample;
    expect(readKernel(writeElf(stripped)).symbols).toBeUndefined();
  });
});
