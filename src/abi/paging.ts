// Four-level paging: how an address is split, what an entry's bits mean, what a page fault's error code means.
// Source: SDM 3A "Paging > 4-Level Paging" (§4.5) and "Page-Fault Exceptions" (§4.7). Five-level paging, protection keys
// and PAE are not modelled.
//
//  63        48 47      39 38      30 29      21 20      12 11         0
// +------------+----------+----------+----------+----------+------------+
// | copy of 47 | L4 index | L3 index | L2 index | L1 index |   offset   |   a linear address
// +------------+----------+----------+----------+----------+------------+
//
//  63  62      52 51                       12 11   9 8 7 6 5 4   3   2  1  0
// +--+-----------+---------------------------+------+-+--+-+-+---+---+--+--+-+
// |XD| software  |  frame (mfn)              | soft |G|PS|D|A|PCD|PWT|US|RW|P|   an entry (bit 7 of an L1e is PAT)
// +--+-----------+---------------------------+------+-+--+-+-+---+---+--+--+-+

export type Level = 1 | 2 | 3 | 4;

export const PTE_P = 1n << 0n;
export const PTE_RW = 1n << 1n;
export const PTE_US = 1n << 2n;
export const PTE_PWT = 1n << 3n;
export const PTE_PCD = 1n << 4n;
export const PTE_A = 1n << 5n;
export const PTE_D = 1n << 6n;
/** In an L2e or L3e: the entry maps a 2 MiB or 1 GiB page. In an L1e the same bit selects the PAT. */
export const PTE_PS = 1n << 7n;
export const PTE_G = 1n << 8n;
/** Xen's software bit for a page of the guest's kernel: Xen 4.17 asm-x86/x86_64/page.h _PAGE_GUEST_KERNEL. */
export const PTE_GUEST_KERNEL = 1n << 52n;
export const PTE_NX = 1n << 63n;
/** MAXPHYADDR of the modelled CPU, as CPUID 80000008 gives it: bits 51 down to this one of an entry are reserved. */
export const PHYSICAL_ADDRESS_BITS = 46;
/** Bits 51:12. */
export const PTE_FRAME_MASK = 0x000f_ffff_ffff_f000n;

export const ENTRIES_PER_TABLE = 512;
export const TABLE_INDEX_MASK = 0x1ff;

/** The number of low address bits that one entry of this level covers: 12, 21, 30, 39. */
export const levelShift = (level: Level): number => 12 + 9 * (level - 1);

/** The index into a table of this level, 0..511. */
export const tableIndex = (address: bigint, level: Level): number =>
  Number((address >> BigInt(levelShift(level))) & 0x1ffn);

/** The frame number in an entry; the caller brands it. */
export const entryFrame = (entry: bigint): number => Number((entry & PTE_FRAME_MASK) >> 12n);

// The error code of #PF. SDM 3A "Page-Fault Exceptions > Page-Fault Error Code"; Xen calls the bits PFEC_*.
export const PFEC_page_present = 1 << 0;
export const PFEC_write_access = 1 << 1;
export const PFEC_user_mode = 1 << 2;
export const PFEC_reserved_bit = 1 << 3;
export const PFEC_insn_fetch = 1 << 4;
