// What lies at an address: the areas of the address spaces that Linux, Xen and Xen's PV guests lay out, and values that are
// no addresses at all but the marks of freed or uninitialised memory.
// Sources: Linux Documentation/arch/x86/x86_64/mm.rst (four-level layouts of 2.6.32, 4.19 and since 4.20), include/linux/
// poison.h, arch/x86/include/asm/kasan.h; Xen arch/x86/include/asm/config.h (memory map), public/arch-x86/xen-x86_64.h.
// Leaves out KASLR's shifted bases: with it an address above ffff888000000000 may be of the next area below.

import { GDT_LDT_VIRT_START, HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../../abi/xen-layout.js';
import { isCanonical } from '../../base/addresses.js';
import type { CrashSystem } from '../facts.js';

export type PlaceName =
  | 'null-page'
  | 'user'
  | 'non-canonical'
  | 'xen-m2p'
  | 'xen-descriptors'
  | 'xen-private'
  | 'xen-image'
  | 'xen-directmap'
  | 'kernel-image'
  | 'kernel-modules'
  | 'kernel-directmap'
  | 'kernel-vmalloc'
  | 'kernel-vmemmap'
  | 'kasan-shadow'
  | 'kernel-cpu-entry'
  | 'kernel-fixmap'
  | 'error-pointer'
  | 'kernel';

export interface Place {
  readonly name: PlaceName;
  /** Completes "… lies in": "the kernel's image". */
  readonly words: string;
}

interface Area {
  readonly from: bigint;
  /** Exclusive. */
  readonly to: bigint;
  readonly name: PlaceName;
  readonly words: string;
}

const area = (from: bigint, to: bigint, name: PlaceName, words: string): Area => ({ from, to, name, words });

const TOP = 1n << 64n;
/** Below this an address is an offset from a null pointer: mmap_min_addr's default. */
const NULL_AREA_END = 0x1_0000n;
const ERROR_POINTERS = TOP - 4095n;

const LOW: readonly Area[] = [
  area(0n, NULL_AREA_END, 'null-page', 'the first 64 KiB, where nothing is ever mapped: an offset from a null pointer'),
  area(NULL_AREA_END, 0x8000_0000_0000n, 'user', "a program's half of the address space"),
];

const LINUX: readonly Area[] = [
  area(0xffff_8800_0000_0000n, 0xffff_c800_0000_0000n, 'kernel-directmap', "the kernel's direct map of all memory"),
  area(
    0xffff_c900_0000_0000n,
    0xffff_e900_0000_0000n,
    'kernel-vmalloc',
    "the vmalloc area (stacks, modules' data, ioremap)",
  ),
  area(0xffff_ea00_0000_0000n, 0xffff_eb00_0000_0000n, 'kernel-vmemmap', 'the vmemmap area (the array of struct page)'),
  area(0xffff_ec00_0000_0000n, 0xffff_fc00_0000_0000n, 'kasan-shadow', "KASAN's shadow memory"),
  area(
    0xffff_fe00_0000_0000n,
    0xffff_fe80_0000_0000n,
    'kernel-cpu-entry',
    'the per-CPU entry area (entry stacks, IDT)',
  ),
  area(0xffff_ffff_8000_0000n, 0xffff_ffff_a000_0000n, 'kernel-image', "the kernel's image mapping"),
  area(0xffff_ffff_a000_0000n, 0xffff_ffff_ff00_0000n, 'kernel-modules', 'the area of kernel modules'),
  area(0xffff_ffff_ff00_0000n, ERROR_POINTERS, 'kernel-fixmap', 'the fixmap area'),
  area(ERROR_POINTERS, TOP, 'error-pointer', 'the last page: a negative error number used as a pointer'),
];

const PV_HOLE: readonly Area[] = [
  area(
    HYPERVISOR_VIRT_START,
    0xffff_8040_0000_0000n,
    'xen-m2p',
    "Xen's machine-to-physical table, which guests may only read",
  ),
  area(
    GDT_LDT_VIRT_START,
    GDT_LDT_VIRT_START + 0x80_0000_0000n,
    'xen-descriptors',
    "the window through which a PV guest's GDT and LDT are seen",
  ),
  area(
    HYPERVISOR_VIRT_START,
    HYPERVISOR_VIRT_END,
    'xen-private',
    'the part of the address space that Xen keeps for itself',
  ),
];

const XEN: readonly Area[] = [
  area(0xffff_82d0_0000_0000n, 0xffff_82d0_8000_0000n, 'xen-image', "Xen's own image"),
  area(0xffff_82c4_0000_0000n, 0xffff_82c5_0000_0000n, 'xen-image', "Xen's own image (before 4.4)"),
  area(0xffff_8300_0000_0000n, 0xffff_8800_0000_0000n, 'xen-directmap', "Xen's direct map of memory"),
];

/** The area in which `address` lies, as the system that crashed lays out its addresses. */
export function placeOf(address: bigint, system: CrashSystem | undefined): Place {
  if (!isCanonical(address))
    return { name: 'non-canonical', words: 'no address at all: bits 63 to 47 are not all equal' };
  const areas = [...LOW, ...(system === 'xen' ? XEN : []), ...(system === 'linux' ? [] : PV_HOLE), ...LINUX];
  const found = areas.find(({ from, to }) => address >= from && address < to);
  return found ?? { name: 'kernel', words: "the kernel's half of the address space, in no area known here" };
}

/** KASAN keeps one byte for each eight at (address >> 3) + this offset (arch/x86 KASAN_SHADOW_OFFSET). */
const KASAN_OFFSET = 0xdfff_fc00_0000_0000n;

/** The address whose shadow byte lies at `shadow`. */
export const shadowed = (shadow: bigint): bigint => BigInt.asUintN(64, (shadow - KASAN_OFFSET) << 3n);

interface Poison {
  readonly test: (value: bigint) => boolean;
  readonly words: string;
}

const repeats = (byte: bigint): ((value: bigint) => boolean) => {
  const pattern = Array.from({ length: 8 }).reduce<bigint>((sum) => (sum << 8n) | byte, 0n);
  // A member's offset may have been added: all but the low 12 bits must be the pattern's.
  return (value) => value >> 12n === pattern >> 12n;
};
const near =
  (base: bigint): ((value: bigint) => boolean) =>
  (value) =>
    value >= base && value < base + 0x100n;

const POISONS: readonly Poison[] = [
  // LIST_POISON1 and 2 were 00100100 and 00200200 to 4.0, then 100 and 200, and 122 for the second since 4.18.
  { test: near(0xdead_0000_0010_0100n), words: 'LIST_POISON1: the next pointer of a list entry that was deleted' },
  { test: near(0xdead_0000_0020_0200n), words: 'LIST_POISON2: the previous pointer of a list entry that was deleted' },
  { test: near(0xdead_0000_0000_0100n), words: 'LIST_POISON1 or 2: a pointer of a list entry that was deleted' },
  { test: near(0xdead_0000_0000_0200n), words: 'LIST_POISON2: the previous pointer of a list entry that was deleted' },
  { test: repeats(0x6bn), words: 'POISON_FREE (6b): memory of a slab object that was freed' },
  { test: repeats(0x5an), words: 'POISON_INUSE (5a): slab memory that was never initialised' },
  { test: repeats(0xaan), words: 'PAGE_POISON (aa): a page that was freed' },
  { test: repeats(0xccn), words: 'POISON_FREE_INITMEM (cc): init memory that was freed, or breakpoint filling' },
  { test: repeats(0xa5n), words: 'POISON_END or debug filling (a5)' },
];

/** What a value that was used as a pointer gives away, if it is one of the kernel's marks. */
export const poisonOf = (value: bigint): string | undefined => POISONS.find(({ test }) => test(value))?.words;

interface LinearMap {
  readonly base: bigint;
  readonly words: string;
  /** Where a domain's initial area begins when its VIRT_BASE is this. */
  readonly bootBase: boolean;
}

/** Where systems map physical memory in order: address = base + pfn * 4096. */
const LINEAR_MAPS: readonly LinearMap[] = [
  { base: 0xffff_ffff_8000_0000n, words: 'where Linux maps its image (__START_KERNEL_map)', bootBase: true },
  { base: 0xffff_8800_0000_0000n, words: "where Linux's direct map begins (PAGE_OFFSET, to 4.19)", bootBase: false },
  { base: 0xffff_8880_0000_0000n, words: "where Linux's direct map begins (PAGE_OFFSET, since 4.20)", bootBase: false },
  { base: 0n, words: 'where Mini-OS and GRUB map their memory', bootBase: true },
];

export interface LinearMapping {
  readonly base: bigint;
  readonly words: string;
  readonly bootBase: boolean;
}

/** The known linear map in which the page of `address` is `pfn`; undefined when it is in none. */
export function linearMapOf(address: bigint, pfn: bigint): LinearMapping | undefined {
  const base = (address & ~0xfffn) - (pfn << 12n);
  return LINEAR_MAPS.find((map) => map.base === base);
}
