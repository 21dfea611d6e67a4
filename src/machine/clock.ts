// Virtual time: a function of the instructions retired and of the idle time skipped, so that a run's every timer fires at the
// same instruction each time. One instruction takes one nanosecond and one tick of the time stamp counter.
// Not modelled: how long instructions really take; a clock that follows the host's.

import type { Clock } from '../xen/index.js';

/** Ticks, and nanoseconds, in a second. */
const HZ = 1_000_000_000n;

export class VirtualClock implements Clock {
  readonly tscHz = HZ;
  readonly bootWallNs: bigint;
  #skippedNs = 0;
  readonly #retired: () => number;

  /** `retired` counts the machine's instructions; `bootWallNs` is the wall clock at instruction 0. */
  constructor(retired: () => number, bootWallNs: bigint) {
    this.#retired = retired;
    this.bootWallNs = bootWallNs;
  }

  nowNs(): bigint {
    return BigInt(this.#retired() + this.#skippedNs);
  }

  tsc(): bigint {
    return this.nowNs();
  }

  /** Lets time pass with no instruction: every vCPU waits until then. The past is no error, and changes nothing. */
  skipTo(timeNs: bigint): void {
    const ahead = timeNs - this.nowNs();
    if (ahead > 0n) this.#skippedNs += Number(ahead);
  }
}
