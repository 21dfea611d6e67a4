// What a file is that somebody gave as a kernel and that is no ELF file: told by its first bytes, so that the refusal can
// say it. Sources: Linux Documentation/arch/x86/boot.rst (bzImage header), Documentation/arch/arm64/booting.rst, and the
// formats' own specifications for their magic numbers. Nothing is unpacked here.

import { hex0x, hexBytes } from '../base/hex.js';
import { latin1, viewOf, within } from './bytes.js';

interface Magic {
  readonly bytes: readonly number[];
  readonly name: string;
  readonly compressed?: boolean;
}

const ascii = (text: string): number[] => Array.from(text, (char) => char.charCodeAt(0));

const COMPRESSIONS: readonly Magic[] = [
  { bytes: [0x1f, 0x8b], name: 'gzip' },
  { bytes: ascii('BZh'), name: 'bzip2' },
  { bytes: [0xfd, ...ascii('7zXZ'), 0], name: 'XZ' },
  { bytes: [0x5d, 0, 0], name: 'LZMA' },
  { bytes: [0x89, ...ascii('LZO')], name: 'LZO' },
  { bytes: [0x02, 0x21, 0x4c, 0x18], name: 'LZ4 (legacy frame)' },
  { bytes: [0x04, 0x22, 0x4d, 0x18], name: 'LZ4' },
  { bytes: [0x28, 0xb5, 0x2f, 0xfd], name: 'Zstandard' },
];

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

const compressionOf = (bytes: Uint8Array): string | undefined =>
  COMPRESSIONS.find((magic) => startsWith(bytes, magic))?.name;

// bzImage: the boot sector's signature, then "HdrS" and the boot protocol's version.
const SETUP_SECTS = 0x1f1;
const BOOT_FLAG = 0x1fe;
const HEADER_MAGIC = 0x202;
const PROTOCOL_VERSION = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SETUP_HEADER_END = 0x250;

function bzImage(bytes: Uint8Array): string | undefined {
  if (bytes.length < SETUP_HEADER_END) return undefined;
  const view = viewOf(bytes);
  const magic = latin1(bytes.subarray(HEADER_MAGIC, HEADER_MAGIC + 4));
  if (view.getUint16(BOOT_FLAG, true) !== 0xaa55 || magic !== 'HdrS') return undefined;
  const protocol = view.getUint16(PROTOCOL_VERSION, true);
  const version = `${protocol >> 8}.${String(protocol & 0xff).padStart(2, '0')}`;
  const sectors = view.getUint8(SETUP_SECTS) || 4;
  const payload = (sectors + 1) * 512 + view.getUint32(PAYLOAD_OFFSET, true);
  const length = view.getUint32(PAYLOAD_LENGTH, true);
  const known = protocol >= 0x208 && within(payload, length, bytes.length);
  const packed = known ? compressionOf(bytes.subarray(payload, payload + length)) : undefined;
  const inside = packed ? `, ${packed} payload at ${hex0x(payload)}` : '';
  return `a Linux bzImage (boot protocol ${version}${inside})`;
}

const isText = (bytes: Uint8Array): boolean =>
  bytes.length > 0 && bytes.every((byte) => byte >= 0x20 || (byte >= 9 && byte <= 13));

/** A phrase that completes "this is …" for a file that is no ELF file; says how it was told. */
export function describeImage(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'an empty file';
  const kernel = bzImage(bytes);
  if (kernel) return `${kernel}; compressed kernels are not read yet, give the uncompressed vmlinux`;
  const packed = compressionOf(bytes);
  if (packed) return `${packed} data; compressed kernels are not read yet, give the uncompressed ELF file`;
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
