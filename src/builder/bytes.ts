// Little-endian fields of a byte array. Reading outside it is a bug of the caller, who has checked the range first: a file
// never gets to choose an offset that reaches these functions unchecked.

import { invariant } from '../base/failures.js';

/** A view of `bytes` for typed reads and writes, whatever part of a larger buffer they are. */
export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** True when `length` bytes at `offset` lie within `total`; any of them may be a huge or negative number. */
export const within = (offset: bigint | number, length: bigint | number, total: number): boolean =>
  BigInt(offset) >= 0n && BigInt(length) >= 0n && BigInt(offset) + BigInt(length) <= BigInt(total);

/** The text up to the first NUL at or after `start`, or up to the end; each byte is one character (Latin-1). */
export function cString(bytes: Uint8Array, start: number): string {
  invariant(start >= 0 && start <= bytes.length, 'a string starts inside its bytes');
  const end = bytes.indexOf(0, start);
  return latin1(bytes.subarray(start, end < 0 ? bytes.length : end));
}

/** Each byte as the character of the same number. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}

/** `value` rounded up to a multiple of `unit`, a power of two. */
export const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;

/** As roundUp, for addresses. */
export const roundUpBig = (value: bigint, unit: bigint): bigint => ((value + unit - 1n) / unit) * unit;
