// The other end of a guest's console: takes what the guest writes, and feeds it what somebody types.
// Source: Xen 4.17 public/io/console.h, tools/console/daemon/io.c. Left out: rate limits, several consoles, logging.

import * as R from '../abi/rings.js';
import type { Mfn } from '../base/addresses.js';
import type { MachineMemory } from '../memory/index.js';
import type { BackendPort, EventChannels } from '../xen/events.js';
import { SharedRing } from './shared-ring.js';

/** Which guest's console, and who hears it. */
export interface ConsoleOptions {
  readonly memory: MachineMemory;
  readonly page: Mfn;
  readonly events: EventChannels;
  /** The guest's port, which waits for dom0. */
  readonly port: number;
  /** Gets the guest's output as it comes, in pieces of at most 2048 bytes. */
  readonly onOutput: (bytes: Uint8Array) => void;
}

/** xenconsoled for one guest: bytes out of one ring, bytes into the other. A guest's nonsense makes it wait, no more. */
export class ConsoleBackend {
  readonly #output: SharedRing;
  readonly #input: SharedRing;
  readonly #port: BackendPort | undefined;
  readonly #onOutput: (bytes: Uint8Array) => void;
  /** Typed, and not yet in the ring. */
  #waiting = new Uint8Array(0);

  constructor({ memory, page, events, port, onOutput }: ConsoleOptions) {
    this.#output = new SharedRing({
      memory,
      page,
      data: R.XENCONS_out,
      consumer: R.XENCONS_out_cons,
      producer: R.XENCONS_out_prod,
      sizeBytes: R.XENCONS_OUT_BYTES,
    });
    this.#input = new SharedRing({
      memory,
      page,
      data: R.XENCONS_in,
      consumer: R.XENCONS_in_cons,
      producer: R.XENCONS_in_prod,
      sizeBytes: R.XENCONS_IN_BYTES,
    });
    this.#onOutput = onOutput;
    this.#port = events.bindBackend(port, () => this.service());
  }

  /** Input that the guest has not yet taken from here, in bytes; what is in the ring does not count. */
  get waitingBytes(): number {
    return this.#waiting.length;
  }

  /** Types: puts bytes into the guest's ring, and what does not fit later, as the guest makes room. */
  type(bytes: Uint8Array): void {
    const all = new Uint8Array(this.#waiting.length + bytes.length);
    all.set(this.#waiting);
    all.set(bytes, this.#waiting.length);
    this.#waiting = all;
    this.service();
  }

  /**
   * Takes the output that waits and gives the input that fits. Happens whenever the guest notifies; to be called now and then
   * besides, as a guest need not say that it has taken input. A ring whose counters make no sense is left alone.
   */
  service(): void {
    const bytes = this.#output.take(R.XENCONS_OUT_BYTES);
    if (bytes.length > 0) this.#onOutput(bytes);
    const given = this.#input.put(this.#waiting);
    if (given > 0) this.#waiting = this.#waiting.slice(given);
    if (bytes.length > 0 || given > 0) this.#port?.notify();
  }
}
