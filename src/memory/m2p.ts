// The machine-to-phys table: for each machine frame, the pfn by which its owner knows it. A guest reads it directly, so
// it lies in real frames, in runs that a 2 MiB page can map; the hypervisor maps them (read-only) into every address
// space. Source: Xen 4.17 public/arch-x86/xen-x86_64.h "HYPERVISOR_VIRT_START / MACH2PHYS_VIRT_START" and asm-x86/mm.h
// INVALID_M2P_ENTRY. Only runs that describe RAM exist. Not modelled: the 32-bit table of compat guests.
//
//   entry of frame m: 8 bytes at table byte 8 * m        one run of 512 frames (2 MiB) = 262144 entries = 1 GiB of
//   frames

import { type Maddr, type Mfn, mfn, mfnToMaddr, type Pfn, pfn } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import { hex } from '../base/hex.js';
import type { FrameAllocator } from './frame-allocator.js';
import type { MachineMemory } from './machine-memory.js';

const ENTRY_BYTES = 8;
/** Frames of table in one run: what a 2 MiB page maps. */
export const M2P_RUN_FRAMES = 512;
/** Machine frames that one run describes. */
export const M2P_RUN_ENTRIES = (M2P_RUN_FRAMES * 4096) / ENTRY_BYTES;

/** What the table holds for a frame that no domain owns: all ones. */
export const INVALID_M2P_ENTRY = 0xffff_ffff_ffff_ffffn;

export interface M2pRun {
  /** The first machine frame that it describes: a multiple of M2P_RUN_ENTRIES. Its table bytes begin at 8 * first. */
  readonly first: Mfn;
  /** The first of the 512 frames that hold it: a multiple of 512. */
  readonly table: Mfn;
}

export class M2p {
  readonly #memory: MachineMemory;
  readonly #allocator: FrameAllocator;
  /** By run number (mfn / M2P_RUN_ENTRIES). */
  readonly #runs = new Map<number, M2pRun>();

  constructor(memory: MachineMemory, allocator: FrameAllocator) {
    this.#memory = memory;
    this.#allocator = allocator;
  }

  /** The runs there are, in the order of the frames they describe. */
  get runs(): readonly M2pRun[] {
    return [...this.#runs.values()].sort((a, b) => a.first - b.first);
  }

  /**
   * Makes sure that the frame has an entry (a new one is INVALID_M2P_ENTRY). False when there are no frames for the
   * run. Call it before `set` for every frame that is to be RAM of a domain, and before mapping `runs`.
   */
  cover(frame: Mfn): boolean {
    const number = Math.floor(frame / M2P_RUN_ENTRIES);
    if (this.#runs.has(number)) return true;
    const table = this.#allocator.allocateRun(M2P_RUN_FRAMES, M2P_RUN_FRAMES);
    if (table === undefined) return false;
    for (let i = 0; i < M2P_RUN_FRAMES; i++) this.#memory.fillFrame(mfn(table + i), 0xff);
    this.#runs.set(number, { first: mfn(number * M2P_RUN_ENTRIES), table });
    return true;
  }

  /** Records the owner's number for a covered frame; undefined for a frame that nobody owns. */
  set(frame: Mfn, owned: Pfn | undefined): void {
    const entry = this.#entry(frame);
    invariant(entry !== undefined, () => `the M2P covers mfn ${hex(frame)}`);
    this.#memory.write64(entry, owned === undefined ? INVALID_M2P_ENTRY : BigInt(owned));
  }

  /** The pfn by which the frame's owner knows it; undefined for a frame that nobody owns or that is not covered. */
  lookup(frame: Mfn): Pfn | undefined {
    const entry = this.#entry(frame);
    const value = entry === undefined ? INVALID_M2P_ENTRY : this.#memory.read64(entry);
    return value === INVALID_M2P_ENTRY ? undefined : pfn(Number(value));
  }

  #entry(frame: Mfn): Maddr | undefined {
    const run = this.#runs.get(Math.floor(frame / M2P_RUN_ENTRIES));
    return run && ((mfnToMaddr(run.table) + (frame - run.first) * ENTRY_BYTES) as Maddr);
  }
}
