// A small PV kernel written with the ELF writer, and a machine memory to build it into.

import { mfn } from '../../src/base/addresses.js';
import { type ElfToWrite, type NotesToWrite, writeElf } from '../../src/builder/index.js';
import { ascending, type FrameOrder, MachineMemory } from '../../src/memory/index.js';

export const KERNEL_BASE = 0xffff_ffff_8000_0000n;

export const sampleNotes: NotesToWrite = {
  guestOs: 'sample',
  loader: 'generic',
  xenVersion: 'xen-3.0',
  virtBase: KERNEL_BASE,
  hypercallPage: KERNEL_BASE + 0x3000n,
};

/** Two segments (code, data with bss) of recognisable bytes, a hypercall page at +0x3000, two symbols. */
export const sample: ElfToWrite = {
  entry: KERNEL_BASE + 0x10n,
  segments: [
    { vaddr: KERNEL_BASE, bytes: Uint8Array.from({ length: 0x1800 }, (_, at) => at * 7), memoryBytes: 0x1800 },
    { vaddr: KERNEL_BASE + 0x2040n, bytes: Uint8Array.from({ length: 0x100 }, (_, at) => at), memoryBytes: 0x4000 },
  ],
  notes: sampleNotes,
  symbols: [
    { name: 'start', address: KERNEL_BASE + 0x10n, sizeBytes: 0x20, kind: 'function' },
    { name: 'table', address: KERNEL_BASE + 0x2040n, sizeBytes: 0x100, kind: 'object' },
  ],
};

export const sampleKernel = (changes: Partial<ElfToWrite> = {}): Uint8Array => writeElf({ ...sample, ...changes });

/** The sample with other notes, its segments' physical addresses unmoved; a note given as undefined is left out. */
export const withNotes = (notes: { [Key in keyof NotesToWrite]: NotesToWrite[Key] | undefined }): Uint8Array => {
  const all = Object.entries({ ...sampleNotes, ...notes }).filter(([, value]) => value !== undefined);
  const segments = sample.segments.map((segment) => ({ ...segment, paddr: segment.vaddr - KERNEL_BASE }));
  return sampleKernel({ notes: Object.fromEntries(all) as NotesToWrite, segments });
};

export const SHARED_INFO = mfn(0x10);

/** A WebAssembly memory with room for `pages` frames. */
export const storageFor = (pages: number): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: Math.ceil(pages / 16) });

/** Room for `pages` frames below mfn 0x400000. */
export const memoryFor = (pages: number, memory = storageFor(pages)): MachineMemory =>
  new MachineMemory({ memory, storageOffset: 0, storageFrames: pages, maxMfn: 0x40_0000 });

/** The default order: mfn 0x100000 and up. */
export const orderFor = (pages: number): FrameOrder => [ascending(pages, 0x10_0000)];
