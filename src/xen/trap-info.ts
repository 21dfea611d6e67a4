// struct trap_info, one entry of a guest's trap table. Source: Xen 4.17 public/arch-x86/xen.h.
//   vector u8 at 0 · flags u8 at 1 (DPL in bits 1:0, bit 2 masks events on entry) · cs u16 at 2 · address u64 at 8

import type { TrapEntry } from './vcpu.js';

export const TRAP_INFO_BYTES = 16;
export const TRAP_INFO_vector = 0;
const TRAP_INFO_flags = 1;
const TRAP_INFO_cs = 2;
export const TRAP_INFO_address = 8;
const MASKS_EVENTS = 4;

/** The entry at an offset of a guest's structure, with the selector's RPL raised to 3. */
export function readTrapInfo(words: DataView, offset: number): TrapEntry {
  const flags = words.getUint8(offset + TRAP_INFO_flags);
  return {
    address: words.getBigUint64(offset + TRAP_INFO_address, true),
    cs: words.getUint16(offset + TRAP_INFO_cs, true) | 3,
    dpl: flags & 3,
    masksEvents: (flags & MASKS_EVENTS) !== 0,
  };
}
