// --tlb demand: a finite TLB that is filled when it misses, with the sizes and associativity of a real one.
//
// Sizes: of a Skylake-class Intel CPU, its second-level TLB for 4 KiB pages (1536 entries) and its first-level one for
// large pages (32 entries for 2 MiB); Intel 64 Optimization Reference Manual, TLB parameters of the Skylake client
// microarchitecture. Those of the paging-structure caches are not published.
// UNVERIFIED: the associativity (manual and CPUID are quoted with different figures), the 1 GiB entries, and 32 PDEs,
// 4 PDPTEs and 4 PML4Es, which have the magnitude that measurements of such CPUs found.
// Replacement is FIFO in each set (entry-cache.ts says why not LRU).
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
