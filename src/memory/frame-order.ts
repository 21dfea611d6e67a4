// Which machine frames a domain gets: the toolstack asks Xen for memory in extents, and the order in which the host's
// allocator hands frames out shows in every machine address of a crash dump. It is therefore configuration.
// Fact behind it: the 2013 dumps have mfn + pfn constant within an extent, so that host gave frames in descending
// order. Not modelled: Xen's buddy allocator itself, NUMA nodes.

import type { Mfn, Pfn } from '../base/addresses.js';
import { InputError } from '../base/failures.js';
import { hex } from '../base/hex.js';
import type { MachineMemory } from './machine-memory.js';

/** `pfns` frames in a row: the first is `firstMfn`, each next one `step` away. */
export interface FrameExtent {
  readonly pfns: number;
  readonly firstMfn: number;
  readonly step: 1 | -1;
}

/** The domain's frames in pfn order, starting with pfn 0. */
export type FrameOrder = readonly FrameExtent[];

export const ascending = (pfns: number, firstMfn: number): FrameExtent => ({ pfns, firstMfn, step: 1 });
export const descending = (pfns: number, firstMfn: number): FrameExtent => ({ pfns, firstMfn, step: -1 });

/** How many frames the order gives. */
export const frameCount = (order: FrameOrder): number => order.reduce((sum, extent) => sum + extent.pfns, 0);

/** The machine frame that the domain's frame gets, or undefined beyond the last extent. */
export function orderedMfn(order: FrameOrder, frame: Pfn): Mfn | undefined {
  let first = 0;
  for (const extent of order) {
    if (frame < first + extent.pfns) return (extent.firstMfn + extent.step * (frame - first)) as Mfn;
    first += extent.pfns;
  }
  return undefined;
}

/**
 * Adds every frame of the order to the memory and returns them by pfn. InputError when the order names a frame twice,
 * one that is RAM already, one at or above maxMfn, or more frames than there is storage; then nothing has been added.
 */
export function addOrderedFrames(memory: MachineMemory, order: FrameOrder): readonly Mfn[] {
  const wanted = frameCount(order);
  if (wanted > memory.freeSlots)
    throw new InputError(`frame order: ${wanted} frames asked for, ${memory.freeSlots} can be stored`);
  const frames: Mfn[] = [];
  const seen = new Set<number>();
  for (const { pfns, firstMfn, step } of order) {
    for (let i = 0; i < pfns; i++) {
      const frame = firstMfn + step * i;
      if (!Number.isInteger(frame) || frame < 0 || frame >= memory.maxMfn)
        throw new InputError(`frame order: mfn ${hex(frame)} is outside 0..${hex(memory.maxMfn - 1)}`);
      if (seen.has(frame) || memory.isRam(frame))
        throw new InputError(`frame order: mfn ${hex(frame)} is given out twice`);
      seen.add(frame);
      frames.push(frame as Mfn);
    }
  }
  for (const frame of frames) memory.addFrame(frame);
  return frames;
}
