// A PV kernel as its file describes it: where it wants to lie, where it starts, what it asks of the builder.
// Source: Xen 4.17 common/libelf/libelf-dominfo.c (elf_xen_addr_calc_check): the kernel's pseudo-physical addresses are the
// program headers' p_paddr, shifted by VIRT_BASE - PADDR_OFFSET into virtual ones.

import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../abi/xen-layout.js';
import { isCanonical, PAGE_BYTES, type Vaddr, vaddr } from '../base/addresses.js';
import { InputError } from '../base/failures.js';
import { hex0x } from '../base/hex.js';
import { bsdSymtabBytes } from './bsd-symtab.js';
import { roundUpBig } from './bytes.js';
import { unpackedKernel } from './bz-image.js';
import { type ElfFile, type ElfSymbolTable, readElf, symbolTable } from './elf.js';
import { readXenNotes, type XenNotes } from './notes.js';

/** A kernel that Xen would start as a PV guest. Its addresses lie in the guest's part of the address space. */
export interface PvKernel {
  readonly elf: ElfFile;
  readonly notes: XenNotes;
  readonly symbols: ElfSymbolTable | undefined;
  /** Where pfn 0 is mapped. */
  readonly virtBase: bigint;
  /** Add it to a p_paddr to get a virtual address (modulo 2^64). */
  readonly virtOffset: bigint;
  /** The kernel's virtual range, BSD symbol table included. */
  readonly virtStart: bigint;
  readonly virtEnd: bigint;
  readonly entry: Vaddr;
  /** The address of the hypercall page, or undefined when the kernel makes its own calls. */
  readonly hypercallPage: Vaddr | undefined;
  /** Where the kernel wants its symbol table loaded, if it asks for that and has one. */
  readonly bsdSymtab: { readonly virtStart: bigint; readonly symbols: ElfSymbolTable } | undefined;
}

/** No 64-bit PV kernel comes near: bounds all later arithmetic on a hostile file's numbers. */
const MAX_KERNEL_BYTES = 1n << 36n;
const LOW_HALF_END = 1n << 47n;

/**
 * Reads a PV kernel's file: ELF, or a bzImage or gzip file with one inside. Throws InputError for anything that Xen's toolstack would
 * not start as a PV guest, and for packed data that are damaged or of a kind that is not supported.
 */
export function readKernel(bytes: Uint8Array): PvKernel {
  const elf = readElf(unpackedKernel(bytes));
  const notes = readXenNotes(elf);
  const symbols = symbolTable(elf);
  const { start, end } = elf.physicalRange;
  if (end - start > MAX_KERNEL_BYTES)
    throw new InputError(
      `this kernel's segments span ${hex0x(end - start)} bytes (physical ${hex0x(start)}..${hex0x(end)}), ` +
        `at most ${hex0x(MAX_KERNEL_BYTES)} are supported`,
    );
  const virtBase = notes.virtBase ?? 0n;
  const virtOffset = virtBase - (notes.paddrOffset ?? 0n);
  const virtStart = start + virtOffset;
  const imageEnd = end + virtOffset;
  const bsdSymtab = notes.bsdSymtab && symbols ? { virtStart: roundUpBig(end, 8n) + virtOffset, symbols } : undefined;
  const virtEnd = bsdSymtab ? bsdSymtab.virtStart + bsdSymtabBytes(bsdSymtab.symbols) : imageEnd;
  const entry = notes.entry ?? elf.entry;
  checkAddresses(virtBase, virtStart, virtEnd, entry);
  return {
    elf,
    notes,
    symbols,
    virtBase,
    virtOffset,
    virtStart,
    virtEnd,
    entry: vaddr(entry),
    hypercallPage: notes.hypercallPage === undefined ? undefined : vaddr(notes.hypercallPage),
    bsdSymtab,
  };
}

function checkAddresses(virtBase: bigint, virtStart: bigint, virtEnd: bigint, entry: bigint): void {
  const page = BigInt(PAGE_BYTES);
  for (const [name, address] of [
    ['VIRT_BASE', virtBase],
    ['the kernel', virtStart],
  ] as const)
    if (address % page !== 0n)
      throw new InputError(`damaged Xen notes: ${name} is at ${hex0x(address)}, which is not on a page boundary`);
  if (virtStart < virtBase)
    throw new InputError(
      `damaged Xen notes: the kernel starts at ${signedHex(virtStart)}, below VIRT_BASE ${hex0x(virtBase)}`,
    );
  if (!isGuestRange(virtBase, virtEnd))
    throw new InputError(
      `damaged Xen notes: the kernel's range ${hex0x(virtBase)}..${hex0x(virtEnd)} is not the guest's to use ` +
        `(it must be canonical and outside Xen's ${hex0x(HYPERVISOR_VIRT_START)}..${hex0x(HYPERVISOR_VIRT_END)})`,
    );
  if (entry < virtStart || entry > virtEnd)
    throw new InputError(
      `damaged Xen notes: the entry point ${hex0x(entry)} lies outside the kernel (${hex0x(virtStart)}..${hex0x(virtEnd)})`,
    );
}

/** Whether [start, end) lies wholly in one of the two halves of the address space that belong to a PV guest. */
export function isGuestRange(start: bigint, end: bigint): boolean {
  if (start >= end) return false;
  const inLow = start >= 0n && end <= LOW_HALF_END;
  return inLow || (start >= HYPERVISOR_VIRT_END && end <= 1n << 64n && isCanonical(start));
}

const signedHex = (value: bigint): string => (value < 0n ? `-${hex0x(-value)}` : hex0x(value));
