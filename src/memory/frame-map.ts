// Machine frame number -> storage slot, sparse: frames come in clusters anywhere below maxMfn (a host's RAM above 4
// GiB, say), so the map is a table of chunks, and all chunks without a frame are one and the same chunk of NO_SLOTs.

import type { Mfn } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import { hex } from '../base/hex.js';

/** What `slot` answers for a frame number that is no RAM. */
export const NO_SLOT = -1;

const CHUNK_SHIFT = 10;
const CHUNK_FRAMES = 1 << CHUNK_SHIFT;
const CHUNK_MASK = CHUNK_FRAMES - 1;
/** Shared by every range without a frame, and never written. */
const EMPTY_CHUNK = new Int32Array(CHUNK_FRAMES).fill(NO_SLOT);

export class FrameMap {
  readonly #maxMfn: number;
  readonly #chunks: Int32Array[];

  constructor(maxMfn: number) {
    invariant(maxMfn > 0 && maxMfn <= 2 ** 30, 'the frame map reaches to at most frame number 2^30');
    this.#maxMfn = maxMfn;
    this.#chunks = new Array<Int32Array>((maxMfn + CHUNK_MASK) >>> CHUNK_SHIFT).fill(EMPTY_CHUNK);
  }

  /** The slot of the frame, or NO_SLOT. Any number may be asked for. */
  slot(frame: number): number {
    if (!(frame >= 0 && frame < this.#maxMfn)) return NO_SLOT;
    return this.#chunks[frame >>> CHUNK_SHIFT]![frame & CHUNK_MASK]!;
  }

  /** Gives the frame a slot; it must be a whole number below maxMfn and have none yet. */
  add(frame: Mfn, slot: number): void {
    invariant(Number.isInteger(frame) && frame >= 0 && frame < this.#maxMfn, () => `mfn ${hex(frame)} is below maxMfn`);
    invariant(this.slot(frame) === NO_SLOT, () => `mfn ${hex(frame)} is added once`);
    const index = frame >>> CHUNK_SHIFT;
    let chunk = this.#chunks[index]!;
    if (chunk === EMPTY_CHUNK) {
      chunk = EMPTY_CHUNK.slice();
      this.#chunks[index] = chunk;
    }
    chunk[frame & CHUNK_MASK] = slot;
  }
}
