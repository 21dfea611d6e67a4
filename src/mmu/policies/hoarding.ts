// --tlb hoarding: whatever was loaded stays until an operation must remove it, however long that takes. No real CPU is
// so large, but the rules allow it: an entry may be kept for ever and unmodified (SDM 3A "Paging > Caching Translation
// Information", §4.10.2.3 and §4.10.3.1), and elapsed time proves nothing to software.

import { STEADY, type TlbPolicy } from './policy.js';

/** The number of sets only decides how long the chains to search are. */
const UNLIMITED = { sets: 4096, ways: Number.POSITIVE_INFINITY };
const UNLIMITED_FEW = { sets: 256, ways: Number.POSITIVE_INFINITY };

export const hoarding: TlbPolicy = {
  ...STEADY,
  coherent: false,
  tlb: [UNLIMITED, UNLIMITED_FEW, UNLIMITED_FEW],
  psc: [UNLIMITED_FEW, UNLIMITED_FEW, UNLIMITED_FEW],
};
