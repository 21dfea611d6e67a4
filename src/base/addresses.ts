// The kinds of address and frame number, each its own type, so that one can never be passed for another.
// Xen's words (xen/include/xen/mm.h): a PV guest numbers its frames itself (pfn), the machine numbers them otherwise
// (mfn), and page tables hold mfns. Only a p2m or m2p lookup gets from one to the other: there is no cast.
//
//   kind    what it is                           JavaScript value
//   Mfn     machine frame number, < 2^40         number
//   Pfn     pseudo-physical frame number, < 2^40 number
//   Maddr   machine address in bytes, < 2^52     number (exact: below 2^53)
//   Vaddr   virtual (SDM: linear) address, bytes bigint, 0 <= v < 2^64
//   Vpn     bits 47:12 of a Vaddr, < 2^36        number; what hot code uses in place of a Vaddr

declare const kind: unique symbol;
type Kind<Base, Name extends string> = Base & { readonly [kind]: Name };

export type Mfn = Kind<number, 'Mfn'>;
export type Pfn = Kind<number, 'Pfn'>;
export type Maddr = Kind<number, 'Maddr'>;
export type Vaddr = Kind<bigint, 'Vaddr'>;
export type Vpn = Kind<number, 'Vpn'>;

export const PAGE_SHIFT = 12;
export const PAGE_BYTES = 4096;
export const PAGE_OFFSET_MASK = 0xfff;

/** What Xen prints and stores for "no such frame" (INVALID_MFN, all ones) has no number here: lookups give undefined. */
export const mfn = (frame: number): Mfn => frame as Mfn;
export const pfn = (frame: number): Pfn => frame as Pfn;
export const maddr = (bytes: number): Maddr => bytes as Maddr;
/** The address modulo 2^64, so that negative and overflowing sums wrap as they do in the CPU. */
export const vaddr = (bytes: bigint): Vaddr => BigInt.asUintN(64, bytes) as Vaddr;
export const vpn = (page: number): Vpn => page as Vpn;

export const mfnToMaddr = (frame: Mfn): Maddr => (frame * PAGE_BYTES) as Maddr;
export const maddrToMfn = (address: Maddr): Mfn => Math.floor(address / PAGE_BYTES) as Mfn;

/** Bits 47:12 of the address: its page within the 256 TiB that four levels of tables translate. */
export const vaddrToVpn = (address: Vaddr): Vpn => Number((address >> 12n) & 0xf_ffff_ffffn) as Vpn;
/** The canonical address of the page's first byte: bit 47 is copied into bits 63:48. */
export const vpnToVaddr = (page: Vpn): Vaddr => vaddr(BigInt.asIntN(48, BigInt(page) << 12n));

/** Bits 63:47 all equal: SDM 1 "Canonical Addressing" (§3.3.7.1), four-level paging. */
export const isCanonical = (address: bigint): boolean =>
  BigInt.asUintN(64, BigInt.asIntN(48, address)) === BigInt.asUintN(64, address);
