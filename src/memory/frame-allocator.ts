// Machine frames for the hypervisor's own use (its tables, the M2P, shared_info pages): taken in ascending order from a
// range of frame numbers that no domain's FrameOrder touches, so that a domain's numbers never depend on Xen's needs.
// Not modelled: Xen's heaps and their zones.

import { type Mfn, mfn } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import { hex } from '../base/hex.js';
import type { MachineMemory } from './machine-memory.js';

export interface FrameAllocatorOptions {
  readonly memory: MachineMemory;
  /** The range [firstMfn, endMfn) that belongs to this allocator alone. */
  readonly firstMfn: number;
  readonly endMfn: number;
}

export class FrameAllocator {
  readonly #memory: MachineMemory;
  readonly #endMfn: number;
  #next: number;
  readonly #free: Mfn[] = [];
  readonly #lent = new Set<Mfn>();

  constructor({ memory, firstMfn, endMfn }: FrameAllocatorOptions) {
    invariant(firstMfn >= 0 && firstMfn <= endMfn && endMfn <= memory.maxMfn, 'the range lies below maxMfn');
    this.#memory = memory;
    this.#endMfn = endMfn;
    this.#next = firstMfn;
  }

  /**
   * One zeroed frame: the one freed last, else the next of the range; undefined when the range or storage is used up.
   */
  allocate(): Mfn | undefined {
    const reused = this.#free.pop();
    if (reused === undefined) return this.allocateRun(1, 1);
    this.#memory.fillFrame(reused, 0);
    this.#lent.add(reused);
    return reused;
  }

  /** `count` zeroed frames in a row, the first a multiple of `alignment`; undefined when there is no room for them. */
  allocateRun(count: number, alignment: number): Mfn | undefined {
    const first = Math.ceil(this.#next / alignment) * alignment;
    if (first + count > this.#endMfn || count > this.#memory.freeSlots) return undefined;
    for (let frame = first; frame < first + count; frame++) {
      this.#memory.addFrame(mfn(frame));
      this.#lent.add(mfn(frame));
    }
    this.#next = first + count;
    return mfn(first);
  }

  /** Takes back a frame that this allocator gave out. */
  free(frame: Mfn): void {
    invariant(this.#lent.delete(frame), () => `mfn ${hex(frame)} is freed by whom it was allocated to, once`);
    this.#free.push(frame);
  }
}
