// The bzImage: a Linux kernel as distributions ship it. A real-mode setup part with a header, then the 64-bit part, which
// contains the packed ELF file. Source: Linux Documentation/arch/x86/boot.rst "The Real-Mode Kernel Header", and
// arch/x86/boot/compressed/Makefile: behind the packed data stands their unpacked size in 32 bits (in gzip it is part of the format).
// What the header says is used; nothing is searched for.

import { InputError } from '../base/failures.js';
import { hex0x } from '../base/hex.js';
import { latin1, viewOf, within } from './bytes.js';
import { compressionOf, unpack } from './compression/index.js';

const SETUP_SECTS = 0x1f1;
const BOOT_FLAG = 0x1fe;
const HEADER_MAGIC = 0x202;
const PROTOCOL_VERSION = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SETUP_HEADER_END = 0x250;

const SECTOR_BYTES = 512;
/** What setup_sects = 0 means, for the sake of kernels from the nineties. */
const DEFAULT_SETUP_SECTORS = 4;
const FIRST_PROTOCOL_WITH_PAYLOAD = 0x208;
const SIZE_BYTES = 4;

const ELF_MAGIC = '\x7fELF';

/** Whether the file has a bzImage's setup header. */
export function isBzImage(bytes: Uint8Array): boolean {
  if (bytes.length < SETUP_HEADER_END) return false;
  return (
    viewOf(bytes).getUint16(BOOT_FLAG, true) === 0xaa55 &&
    latin1(bytes.subarray(HEADER_MAGIC, HEADER_MAGIC + 4)) === 'HdrS'
  );
}

/**
 * The ELF file inside what a user has as a kernel: a bzImage's payload or a gzip-packed vmlinux, unpacked; any other file is
 * returned as it is. Throws InputError where there is no payload, or one that cannot be unpacked.
 */
export function unpackedKernel(bytes: Uint8Array): Uint8Array {
  if (isBzImage(bytes)) return bzImagePayload(bytes);
  const compression = compressionOf(bytes);
  // Only gzip keeps the unpacked size where it can be found without a bzImage around it.
  return compression?.name === 'gzip' ? unpackSized(bytes, 0) : bytes;
}

function bzImagePayload(bytes: Uint8Array): Uint8Array {
  const view = viewOf(bytes);
  const protocol = view.getUint16(PROTOCOL_VERSION, true);
  const version = `boot protocol ${protocol >> 8}.${String(protocol & 0xff).padStart(2, '0')}`;
  if (protocol < FIRST_PROTOCOL_WITH_PAYLOAD)
    throw new InputError(
      `a Linux bzImage of ${version}, which does not say where its payload is (2.08 does): give the uncompressed vmlinux`,
    );
  const sectors = view.getUint8(SETUP_SECTS) || DEFAULT_SETUP_SECTORS;
  const start = (sectors + 1) * SECTOR_BYTES + view.getUint32(PAYLOAD_OFFSET, true);
  const length = view.getUint32(PAYLOAD_LENGTH, true);
  if (!within(start, length, bytes.length))
    throw new InputError(
      `truncated or damaged bzImage (${version}): its payload should be at bytes ${hex0x(start)}..${hex0x(start + length)}, ` +
        `but the file ends at ${hex0x(bytes.length)} (${bytes.length} bytes)`,
    );
  return unpackSized(bytes.subarray(start, start + length), start);
}

/** Unpacks data whose last four bytes are their unpacked size. */
function unpackSized(payload: Uint8Array, fileOffset: number): Uint8Array {
  if (latin1(payload.subarray(0, ELF_MAGIC.length)) === ELF_MAGIC) return payload;
  const compression = compressionOf(payload);
  if (!compression || payload.length < SIZE_BYTES)
    throw new InputError(
      `damaged kernel: its ${payload.length} bytes of payload at byte ${hex0x(fileOffset)} are neither packed in a known way nor an ELF file`,
    );
  const end = payload.length - SIZE_BYTES;
  const unpackedBytes = viewOf(payload).getUint32(end, true);
  const packed = compression.name === 'gzip' ? payload : payload.subarray(0, end);
  return unpack(packed, compression, unpackedBytes, fileOffset);
}
