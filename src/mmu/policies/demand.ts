// --tlb demand: a finite TLB that is filled when it misses, with the sizes and associativity of a real one.
//
// Sizes: the second-level TLB of Intel's Skylake for 4 KiB pages (1536 entries, 12 ways) and its data TLB for the large
// ones (32 entries for 2 MiB, 16 for 1 GiB, 4 ways each): Intel 64 Optimization Reference Manual, "Cache Hierarchy" of
// the Skylake client microarchitecture. The paging-structure caches' sizes are not published: 32 PDEs and 4 PDPTEs are what
// "Reverse Engineering Hardware Page Table Caches" (van Schaik and others, 2017) reports for such CPUs; 4 PML4Es are a guess.
// UNVERIFIED: those three sizes. Replacement is FIFO in each set (entry-cache.ts says why not LRU).
// How long a stale entry stays is thus decided by how many other pages of its set are touched, as on hardware.

import { STEADY, type TlbPolicy } from './policy.js';

export const demand: TlbPolicy = {
  ...STEADY,
  coherent: false,
  tlb: [
    { sets: 128, ways: 12 },
    { sets: 8, ways: 4 },
    { sets: 4, ways: 4 },
  ],
  psc: [
    { sets: 8, ways: 4 },
    { sets: 1, ways: 4 },
    { sets: 1, ways: 4 },
  ],
};
