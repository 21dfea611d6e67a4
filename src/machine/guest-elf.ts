// Our own guests as ELF files, so that they take the same way into a machine as anybody's kernel.

import { type SegmentToWrite, type SymbolToWrite, writeElf } from '../builder/index.js';
import type { GuestImage } from '../guests/index.js';

/** The guest as a PV kernel's file: notes as Linux has them, a symbol for every label. */
export function guestElf(image: GuestImage): Uint8Array {
  const segments: SegmentToWrite[] = image.segments.map(({ vaddr, bytes }) => ({ vaddr, bytes }));
  const last = segments.at(-1);
  if (last) {
    const memoryBytes = Number(image.end - last.vaddr);
    segments[segments.length - 1] = { ...last, memoryBytes };
  }
  return writeElf({
    entry: image.entry,
    segments,
    notes: {
      guestOs: 'paravane',
      guestVersion: image.name,
      xenVersion: 'xen-3.0',
      loader: 'generic',
      entry: image.entry,
      hypercallPage: image.hypercallPage,
      virtBase: image.virtBase,
      paddrOffset: 0n,
    },
    symbols: [...image.symbols].map(
      ([name, { address, size }]): SymbolToWrite => ({
        name,
        address,
        sizeBytes: size,
        kind: size === 0 ? 'label' : 'function',
      }),
    ),
  });
}
