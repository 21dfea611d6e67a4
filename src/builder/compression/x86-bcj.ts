// XZ's x86 filter, undone. Before compressing, the filter made the relative targets of CALL (E8) and JMP (E9) absolute, so that
// calls of one function look alike. Source: the .xz file format §5.3.2 and XZ Embedded's linux/lib/xz/xz_dec_bcj.c, which
// defines by its behaviour what counts as a call: filter and undoing must guess alike, whatever the bytes really are.

import { viewOf } from '../bytes.js';

/** A target's highest byte is believed only if it is a sign extension: a call reaches ±16 MiB. */
const isSign = (byte: number): boolean => byte === 0 || byte === 0xff;

/**
 * `recent` has a bit for each of the three bytes before an opcode: bit n is set when the byte n+1 before it was an opcode that
 * was left alone, whose operand overlaps this one's. These patterns are never converted.
 */
const AMBIGUOUS = [false, false, false, true, false, true, true, true] as const;
/** For the other patterns: how many bytes of this operand belong to the earlier opcode's as well. */
const SHARED_BYTES = [0, 1, 2, 2, 3, 3, 3, 3] as const;

const OPERAND_BYTES = 4;

/** Undoes the filter in place; `bytes` are a whole block, which starts at position 0. */
export function unfilterX86(bytes: Uint8Array): void {
  const view = viewOf(bytes);
  const end = bytes.length - OPERAND_BYTES;
  let recent = 0;
  let previous = -1;
  for (let at = 0; at < end; at++) {
    if (((bytes[at] as number) & 0xfe) !== 0xe8) continue;
    const distance = at - previous;
    previous = at;
    recent = distance > 3 ? 0 : (recent << (distance - 1)) & 7;
    const shared = SHARED_BYTES[recent] as number;
    const leaveAlone =
      (recent !== 0 && (AMBIGUOUS[recent] || isSign(bytes[at + OPERAND_BYTES - shared] as number))) ||
      !isSign(bytes[at + OPERAND_BYTES] as number);
    if (leaveAlone) {
      recent = (recent << 1) | 1;
      continue;
    }
    view.setUint32(at + 1, relative(view.getInt32(at + 1, true), at + 1 + OPERAND_BYTES, recent), true);
    at += OPERAND_BYTES;
  }
}

/** The relative target for an absolute one. Where the filter had to try again to stay unambiguous, so must this. */
function relative(absolute: number, next: number, recent: number): number {
  let target = (absolute - next) | 0;
  if (recent !== 0) {
    const bits = 8 * (SHARED_BYTES[recent] as number);
    if (isSign((target >>> (24 - bits)) & 0xff)) target = ((target ^ ((1 << (32 - bits)) - 1)) - next) | 0;
  }
  return (target << 7) >> 7;
}
