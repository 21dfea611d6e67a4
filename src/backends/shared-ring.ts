// One direction of a ring in a page that a guest shares with a backend: bytes, and two free-running 32-bit counters of which
// each side writes one. The guest can write anything into the page at any moment, so its counters are checked on each use.
// Source: Xen 4.17 public/io/console.h, public/io/xs_wire.h (MASK_…_IDX); tools/xenstore/xenstored_domain.c (check_indexes).

import { type Maddr, type Mfn, maddr, mfnToMaddr } from '../base/addresses.js';
import type { MachineMemory } from '../memory/index.js';

/** Where a ring lies. */
export interface RingPlace {
  readonly memory: MachineMemory;
  readonly page: Mfn;
  /** Offsets within the page. */
  readonly data: number;
  readonly consumer: number;
  readonly producer: number;
  /** A power of two. */
  readonly sizeBytes: number;
}

/** A ring as a backend sees it: `take` from those that the guest fills, `put` into the others. */
export class SharedRing {
  readonly #place: RingPlace;

  constructor(place: RingPlace) {
    this.#place = place;
  }

  /** How many bytes wait in it, or undefined when the counters make no sense. */
  get used(): number | undefined {
    const { memory, consumer, producer, sizeBytes } = this.#place;
    const used = (memory.read32(this.#at(producer)) - memory.read32(this.#at(consumer))) >>> 0;
    return used <= sizeBytes ? used : undefined;
  }

  /** Takes at most `limit` bytes; none when the counters make no sense. */
  take(limit: number): Uint8Array {
    const { memory, consumer } = this.#place;
    const count = Math.min(this.used ?? 0, limit);
    const from = memory.read32(this.#at(consumer));
    const bytes = new Uint8Array(count);
    this.#pieces(from, count, (offset, done, piece) => {
      bytes.set(memory.copyOut(this.#at(this.#place.data + offset), piece), done);
    });
    if (count > 0) memory.write32(this.#at(consumer), (from + count) >>> 0);
    return bytes;
  }

  /** Puts as many of the bytes in as there is room for; says how many. None when the counters make no sense. */
  put(bytes: Uint8Array): number {
    const { memory, producer, sizeBytes } = this.#place;
    const count = Math.min(sizeBytes - (this.used ?? sizeBytes), bytes.length);
    const from = memory.read32(this.#at(producer));
    this.#pieces(from, count, (offset, done, piece) => {
      memory.copyIn(this.#at(this.#place.data + offset), bytes.subarray(done, done + piece));
    });
    if (count > 0) memory.write32(this.#at(producer), (from + count) >>> 0);
    return count;
  }

  #at(offset: number): Maddr {
    return maddr(mfnToMaddr(this.#place.page) + offset);
  }

  /** The runs of `count` bytes from counter value `from` on: two when they wrap round the ring's end. */
  #pieces(from: number, count: number, use: (offset: number, done: number, piece: number) => void): void {
    const { sizeBytes } = this.#place;
    for (let done = 0; done < count; ) {
      const offset = (from + done) & (sizeBytes - 1);
      const piece = Math.min(count - done, sizeBytes - offset);
      use(offset, done, piece);
      done += piece;
    }
  }
}
