// Writes a laid-out domain into its frames: kernel, initrd, p2m list, page tables, start_info, hypercall page.
// Sources: Xen's toolstack, 4.17 tools/libs/guest/xg_dom_x86.c (setup_pgtables_pv, start_info_x86_64), xg_dom_boot.c
// (setup_hypercall_page); 4.17 common/libelf/libelf-loader.c (elf_load_binary). The frames are zeroed when this begins.

import { hypercallPage } from '../abi/hypercalls.js';
import { levelShift, PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US, TABLE_INDEX_MASK } from '../abi/paging.js';
import * as X from '../abi/xen-layout.js';
import { type Maddr, type Mfn, maddr, mfnToMaddr, PAGE_BYTES } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import type { MachineMemory } from '../memory/index.js';
import { bsdSymtab } from './bsd-symtab.js';
import { viewOf } from './bytes.js';
import type { PvKernel } from './kernel.js';
import type { Layout, TablePage } from './layout.js';

/** A domain's frames seen as one run of bytes by pseudo-physical address. */
export class DomainFrames {
  readonly #memory: MachineMemory;
  readonly #p2m: readonly Mfn[];

  constructor(memory: MachineMemory, p2m: readonly Mfn[]) {
    this.#memory = memory;
    this.#p2m = p2m;
  }

  mfn(pfn: number): Mfn {
    const frame = this.#p2m[pfn];
    invariant(frame !== undefined, () => `the layout fits the domain (pfn ${pfn} of ${this.#p2m.length})`);
    return frame;
  }

  /** Stores bytes from pseudo-physical byte address `start` on. */
  write(start: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = start + done;
      const offset = at % PAGE_BYTES;
      const piece = Math.min(PAGE_BYTES - offset, bytes.length - done);
      this.#memory.copyIn(this.#maddr(at), bytes.subarray(done, done + piece));
      done += piece;
    }
  }

  write64(at: number, value: bigint): void {
    this.#memory.write64(this.#maddr(at), value);
  }

  #maddr(at: number): Maddr {
    return maddr(mfnToMaddr(this.mfn(Math.floor(at / PAGE_BYTES))) + (at % PAGE_BYTES));
  }
}

/** Loads the kernel's segments, its hypercall page, and the symbol table of a kernel that asks for one. */
export function writeKernel(frames: DomainFrames, kernel: PvKernel): void {
  const physical = (address: bigint): number => Number(address - kernel.virtBase);
  for (const { fileOffset, fileBytes, paddr } of kernel.elf.loads)
    frames.write(physical(paddr + kernel.virtOffset), kernel.elf.bytes.subarray(fileOffset, fileOffset + fileBytes));
  if (kernel.bsdSymtab)
    frames.write(physical(kernel.bsdSymtab.virtStart), bsdSymtab(kernel.elf.bytes, kernel.bsdSymtab.symbols));
  if (kernel.hypercallPage !== undefined)
    frames.write(Math.floor(physical(kernel.hypercallPage) / PAGE_BYTES) * PAGE_BYTES, hypercallPage());
}

/** The list of the domain's frames by pfn, as the guest reads it. */
export function writeP2m(frames: DomainFrames, layout: Layout, p2m: readonly Mfn[]): void {
  const list = new Uint8Array(p2m.length * 8);
  const view = viewOf(list);
  for (const [pfn, frame] of p2m.entries()) view.setBigUint64(pfn * 8, BigInt(frame), true);
  frames.write(layout.p2m.pfn * PAGE_BYTES, list);
}

// What the toolstack writes; Xen's validation then adds its own bits to the L1 entries (see xen/page-tables).
const UPPER_FLAGS = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;
const PAGE_FLAGS = PTE_P | PTE_RW | PTE_A;
const TABLE_PAGE_FLAGS = PTE_P | PTE_A;

/** The initial tables: all of the layout's mappings, page-table pages read-only. */
export function writeTables(frames: DomainFrames, layout: Layout): void {
  const byPlace = new Map(layout.tablePages.map((table) => [placeOf(table.level, table.base), table]));
  const tablePfns = new Set(layout.tablePages.map((table) => table.pfn));
  const slot = (level: TablePage['level'], address: bigint): number => {
    const table = byPlace.get(placeOf(level, address));
    invariant(table, 'every mapped address has its tables');
    return table.pfn * PAGE_BYTES + Number((address >> BigInt(levelShift(level))) & BigInt(TABLE_INDEX_MASK)) * 8;
  };
  for (const { level, base, pfn } of layout.tablePages)
    if (level !== 4) frames.write64(slot((level + 1) as TablePage['level'], base), entry(frames.mfn(pfn), UPPER_FLAGS));
  for (const { vaddr, pfn, pages } of layout.mappings) {
    let at = 0;
    for (let page = 0; page < pages; page++) {
      // Entries follow each other within a table: a new table is looked up only where one begins.
      at = page === 0 || at % PAGE_BYTES === PAGE_BYTES - 8 ? slot(1, vaddr + BigInt(page * PAGE_BYTES)) : at + 8;
      const flags = tablePfns.has(pfn + page) ? TABLE_PAGE_FLAGS : PAGE_FLAGS;
      frames.write64(at, entry(frames.mfn(pfn + page), flags));
    }
  }
}

/** Names a table by what it covers: the address without the bits that index into it. */
const placeOf = (level: TablePage['level'], address: bigint): string =>
  `${level}:${BigInt.asUintN(48, address) >> BigInt(levelShift(level) + 9)}`;

const entry = (frame: Mfn, flags: bigint): bigint => (BigInt(frame) << 12n) | flags;

/** What start_info says, field by field. */
export interface StartInfo {
  readonly pages: number;
  readonly sharedInfo: Mfn;
  readonly flags: number;
  readonly xenstore: { readonly mfn: Mfn; readonly port: number };
  readonly console: { readonly mfn: Mfn; readonly port: number };
  readonly ptBase: bigint;
  readonly ptFrames: number;
  readonly p2m: bigint;
  /** The initrd: its virtual address, or its pfn when flags say SIF_MOD_START_PFN. */
  readonly module: { readonly start: bigint; readonly lengthBytes: number } | undefined;
  /** Only when the kernel's INIT_P2M was honoured. */
  readonly p2mFrames: { readonly firstPfn: number; readonly count: number } | undefined;
  /** At most 1023 bytes. */
  readonly cmdline: Uint8Array;
}

/** struct start_info as the guest finds it. */
export function startInfoBytes(info: StartInfo): Uint8Array {
  const bytes = new Uint8Array(X.START_INFO_BYTES);
  const view = viewOf(bytes);
  bytes.set(new TextEncoder().encode(X.START_INFO_MAGIC), X.START_INFO_magic);
  bytes.set(info.cmdline, X.START_INFO_cmd_line);
  view.setUint32(X.START_INFO_flags, info.flags, true);
  view.setUint32(X.START_INFO_store_evtchn, info.xenstore.port, true);
  view.setUint32(X.START_INFO_console_evtchn, info.console.port, true);
  const words: readonly (readonly [number, bigint | number])[] = [
    [X.START_INFO_nr_pages, info.pages],
    [X.START_INFO_shared_info, mfnToMaddr(info.sharedInfo)],
    [X.START_INFO_store_mfn, info.xenstore.mfn],
    [X.START_INFO_console_mfn, info.console.mfn],
    [X.START_INFO_pt_base, info.ptBase],
    [X.START_INFO_nr_pt_frames, info.ptFrames],
    [X.START_INFO_mfn_list, info.p2m],
    [X.START_INFO_mod_start, info.module?.start ?? 0],
    [X.START_INFO_mod_len, info.module?.lengthBytes ?? 0],
    [X.START_INFO_first_p2m_pfn, info.p2mFrames?.firstPfn ?? 0],
    [X.START_INFO_nr_p2m_frames, info.p2mFrames?.count ?? 0],
  ];
  for (const [offset, value] of words) view.setBigUint64(offset, BigInt(value), true);
  return bytes;
}
