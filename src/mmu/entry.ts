// One page-table entry as two signed 32-bit halves, as the hot code holds it. The bits are drawn in abi/paging.ts.
// Source of the reserved bits: SDM 3A "Paging > 4-Level Paging", tables 4-14 to 4-19, with EFER.NXE = 1.

import { type Level, PHYSICAL_ADDRESS_BITS, PTE_A, PTE_D, PTE_G, PTE_P, PTE_PS } from '../abi/paging.js';
import { RIGHT_EXECUTE, RIGHT_USER, RIGHT_WRITE } from './access.js';

const LOW_P = Number(PTE_P);
const LOW_PS = Number(PTE_PS);
export const LOW_A = Number(PTE_A);
export const LOW_D = Number(PTE_D);
export const LOW_G = Number(PTE_G);

/** Bits 51:MAXPHYADDR, in the high half. */
const RESERVED_HIGH = ((1 << 20) - 1) & ~((1 << (PHYSICAL_ADDRESS_BITS - 32)) - 1);
/** Address bits below a large page's frame, except bit 12 (PAT), by level: 20:13 of an L2e, 29:13 of an L3e. */
const RESERVED_LOW_OF_LARGE: readonly number[] = [0, 0, 0x1f_e000, 0x3fff_e000, 0];

export const isPresent = (low: number): boolean => (low & LOW_P) !== 0;

/** Whether a present entry of level 2 or 3 maps a page itself. */
export const isLargeLeaf = (low: number, level: Level): boolean => (low & LOW_PS) !== 0 && (level === 2 || level === 3);

/** Whether a present entry of this level has a bit set that must be zero. */
export const hasReservedBit = (low: number, high: number, level: Level): boolean =>
  (high & RESERVED_HIGH) !== 0 ||
  (level === 4 && (low & LOW_PS) !== 0) ||
  (isLargeLeaf(low, level) && (low & RESERVED_LOW_OF_LARGE[level]!) !== 0);

/** Bits 51:12 as a frame number. */
export const frameOf = (low: number, high: number): number => (high & 0xf_ffff) * 0x10_0000 + (low >>> 12);

/** What this one entry allows, as RIGHT_ bits; a walk ANDs them. */
export const rightsOf = (low: number, high: number): number =>
  // RW and US are bits 1 and 2 of an entry, RIGHT_WRITE and RIGHT_USER bits 0 and 1.
  ((low >>> 1) & (RIGHT_WRITE | RIGHT_USER)) | (high < 0 ? 0 : RIGHT_EXECUTE);
