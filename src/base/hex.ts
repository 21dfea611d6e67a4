// Hexadecimal text as the field writes it: lower case, no prefix unless asked for, padded to a fixed width.

/** `value` in lower-case hex, zero-padded to at least `digits`. */
export const hex = (value: bigint | number, digits = 0): string => value.toString(16).padStart(digits, '0');
/** Sixteen digits, as C's %016lx prints a 64-bit word. */
export const hex64 = (value: bigint | number): string => hex(value, 16);
/** With `0x` in front, unpadded: for messages and tables. */
export const hex0x = (value: bigint | number): string => `0x${value.toString(16)}`;
/** Bytes as two digits each, separated by single spaces. */
export const hexBytes = (bytes: Iterable<number>): string => Array.from(bytes, (byte) => hex(byte, 2)).join(' ');
