// The bits of a page-table entry by name. Sources: SDM 3A "4-Level Paging" (tables 4-15 to 4-20); Xen 4.17
// asm-x86/x86_64/page.h (_PAGE_GUEST_KERNEL, _PAGE_GNTTAB); Linux arch/x86/include/asm/pgtable_types.h (software bits).

import {
  PTE_A,
  PTE_D,
  PTE_FRAME_MASK,
  PTE_G,
  PTE_GUEST_KERNEL,
  PTE_NX,
  PTE_P,
  PTE_PCD,
  PTE_PS,
  PTE_PWT,
  PTE_RW,
  PTE_US,
} from '../../abi/paging.js';
import type { CrashSystem, WalkLevel } from '../facts.js';

export interface EntryFlag {
  /** Bit number, 0..63. */
  readonly bit: number;
  /** "RW", "NX", "bit 52". */
  readonly name: string;
  readonly meaning: string;
}

/** An entry is a leaf at level 1, and above it where bit 7 says so. */
export const isLarge = (level: WalkLevel, entry: bigint): boolean =>
  (level === 2 || level === 3) && (entry & PTE_PS) !== 0n && (entry & PTE_P) !== 0n;
export const isPresent = (entry: bigint): boolean => (entry & PTE_P) !== 0n;
export const frameOf = (entry: bigint): bigint => (entry & PTE_FRAME_MASK) >> 12n;

interface NamedBit {
  readonly mask: bigint;
  readonly name: string;
  readonly meaning: string;
}

const COMMON: readonly NamedBit[] = [
  { mask: PTE_P, name: 'P', meaning: 'present' },
  { mask: PTE_RW, name: 'RW', meaning: 'writable' },
  { mask: PTE_US, name: 'US', meaning: 'accessible from user mode (CPL 3)' },
  { mask: PTE_PWT, name: 'PWT', meaning: 'write-through' },
  { mask: PTE_PCD, name: 'PCD', meaning: 'cache disabled' },
  { mask: PTE_A, name: 'A', meaning: 'accessed: a walk has used the entry' },
];
const LEAF: readonly NamedBit[] = [
  { mask: PTE_D, name: 'D', meaning: 'dirty: the page has been written' },
  { mask: PTE_G, name: 'G', meaning: 'global: survives a CR3 load in the TLB' },
];
const NX: NamedBit = { mask: PTE_NX, name: 'NX', meaning: 'no execute' };

const XEN_BITS: readonly NamedBit[] = [
  { mask: PTE_GUEST_KERNEL, name: 'bit 52', meaning: "Xen's mark for a page of the guest's kernel" },
  { mask: 1n << 62n, name: 'bit 62', meaning: "Xen's mark for a granted page" },
];

/** Flags that are set in an entry, from bit 0 up. Bits of the frame are none. */
export function entryFlags(level: WalkLevel, entry: bigint, system: CrashSystem | undefined): readonly EntryFlag[] {
  const leaf = level === 1 || isLarge(level, entry);
  const named: NamedBit[] = [...COMMON, NX];
  if (leaf) named.push(...LEAF);
  else named.push({ mask: PTE_D, name: 'D', meaning: 'ignored at this level: D as the kernel installs its tables' });
  if (level === 1) named.push({ mask: PTE_PS, name: 'PAT', meaning: 'memory type by PAT' });
  else named.push({ mask: PTE_PS, name: 'PS', meaning: level === 4 ? 'reserved at this level' : 'maps a large page' });
  if (!leaf) named.push({ mask: PTE_G, name: 'G', meaning: 'ignored at this level' });
  if (system === 'xen-guest' || system === 'xen') named.push(...XEN_BITS);
  const flags: EntryFlag[] = [];
  for (let bit = 0; bit < 64; bit++) {
    const mask = 1n << BigInt(bit);
    if ((entry & mask) === 0n || (mask & PTE_FRAME_MASK) !== 0n) continue;
    const known = named.find((candidate) => candidate.mask === mask);
    flags.push(known ? { bit, name: known.name, meaning: known.meaning } : { bit, name: `bit ${bit}`, meaning: FREE });
  }
  return flags;
}

/** The flags as one string: "P RW US A D bit 52"; runs of nameless bits are drawn together: "bits 53-62". */
export function flagNames(flags: readonly EntryFlag[]): string {
  const words: string[] = [];
  for (let at = 0; at < flags.length; ) {
    let end = at + 1;
    while (isFree(flags[at]) && isFree(flags[end]) && flags[end]?.bit === (flags[end - 1]?.bit ?? 0) + 1) end++;
    const [first, last] = [flags[at], flags[end - 1]];
    words.push(first === last ? (first?.name ?? '') : `bits ${first?.bit}-${last?.bit}`);
    at = end;
  }
  return words.join(' ') || 'no flags';
}

const FREE = 'free for software';
const isFree = (flag: EntryFlag | undefined): boolean => flag?.meaning === FREE;
