// What a file is that somebody gave as a kernel and that is no ELF file: told by its first bytes, so that the refusal can
// say it. Sources: Linux Documentation/arch/arm64/booting.rst, and the formats' own specifications for their magic numbers.

import { hexBytes } from '../base/hex.js';
import { latin1 } from './bytes.js';
import { isBzImage } from './bz-image.js';
import { compressionOf } from './compression/index.js';

interface Magic {
  readonly bytes: readonly number[];
  readonly name: string;
}

const ascii = (text: string): number[] => Array.from(text, (char) => char.charCodeAt(0));

const OTHERS: readonly Magic[] = [
  { bytes: ascii('070701'), name: 'a cpio archive (an initrd rather than a kernel?)' },
  { bytes: ascii('!<arch>\n'), name: 'an ar archive (a Debian package or a static library?)' },
  { bytes: ascii('PK\x03\x04'), name: 'a zip archive' },
  { bytes: ascii('#!'), name: 'a script' },
  { bytes: [0xcf, 0xfa, 0xed, 0xfe], name: 'a Mach-O file' },
  { bytes: ascii('\0asm'), name: 'a WebAssembly module' },
  { bytes: ascii('hsqs'), name: 'a squashfs image' },
  { bytes: ascii('MZ'), name: 'a PE/COFF (Windows or EFI) program' },
];

const startsWith = (bytes: Uint8Array, magic: Magic): boolean => magic.bytes.every((byte, at) => bytes[at] === byte);

const isText = (bytes: Uint8Array): boolean =>
  bytes.length > 0 && bytes.every((byte) => byte >= 0x20 || (byte >= 9 && byte <= 13));

/** A phrase that completes "this is …" for a file that is no ELF file; says how it was told. */
export function describeImage(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'an empty file';
  if (isBzImage(bytes)) return 'a Linux bzImage; its ELF file was expected here';
  const packed = compressionOf(bytes);
  if (packed) return `${packed.name} data, which are read only inside a bzImage: unpack them first`;
  if (bytes.length > 0x3c && latin1(bytes.subarray(0x38, 0x3c)) === 'ARMd') return 'an arm64 Linux Image';
  const other = OTHERS.find((magic) => startsWith(bytes, magic));
  if (other) return other.name;
  const head = bytes.subarray(0, 512);
  if (isText(head)) {
    const line = (latin1(head).split(/[\r\n]/, 1)[0] as string).replaceAll(/[^ -~]/g, '?');
    return `text, beginning "${line.length > 40 ? `${line.slice(0, 40)}…` : line}"`;
  }
  return `a file that begins with ${hexBytes(bytes.subarray(0, 8))}`;
}
