// The xenstore daemon's side of a guest's xenstore page: messages are put together from the ring, carried out, and answered.
// Source: Xen 4.17 public/io/xs_wire.h, docs/misc/xenstore-ring.txt, tools/xenstore/xenstored_core.c (handle_input,
// ignore_connection), xenstored_domain.c. A guest that breaks the protocol is ignored from then on, and finds the reason in
// its page. Left out: reconnecting by the guest, the features field.
//
//   0       4        8        12      16              a message may be split over the ring at any byte
//   +-------+--------+--------+-------+-- … --+
//   | type  | req_id | tx_id  | len   | payload, at most 4096 bytes
//   +-------+--------+--------+-------+-- … --+

import * as R from '../abi/rings.js';
import { type Mfn, maddr, mfnToMaddr } from '../base/addresses.js';
import type { MachineMemory } from '../memory/index.js';
import type { BackendPort, EventChannels } from '../xen/events.js';
import { SharedRing } from './shared-ring.js';
import type { Store } from './store.js';
import { XenstoreSession } from './xenstore-session.js';

/** Which guest's page, and which store it sees. */
export interface XenstoreOptions {
  readonly memory: MachineMemory;
  readonly page: Mfn;
  readonly events: EventChannels;
  /** The guest's port, which waits for dom0. */
  readonly port: number;
  readonly store: Store;
  readonly domain: number;
}

/** No request is taken while more than this waits to be read by the guest. */
const MAX_UNREAD_BYTES = 65536;
/** Events beyond this are dropped: they may come late and spuriously, so a guest that does not read can miss some. */
const MAX_UNREAD_EVENTS = 1 << 20;

/** xenstored for one guest. */
export class XenstoreBackend {
  readonly #memory: MachineMemory;
  readonly #page: Mfn;
  readonly #requests: SharedRing;
  readonly #replies: SharedRing;
  readonly #port: BackendPort | undefined;
  readonly #session: XenstoreSession;
  /** The beginning of a message whose rest has not come yet. */
  #partial = new Uint8Array(0);
  /** Whole messages for the guest; the first may be partly sent. */
  #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  #ignored = false;

  constructor({ memory, page, events, port, store, domain }: XenstoreOptions) {
    this.#memory = memory;
    this.#page = page;
    this.#requests = new SharedRing({
      memory,
      page,
      data: R.XENSTORE_req,
      consumer: R.XENSTORE_req_cons,
      producer: R.XENSTORE_req_prod,
      sizeBytes: R.XENSTORE_RING_BYTES,
    });
    this.#replies = new SharedRing({
      memory,
      page,
      data: R.XENSTORE_rsp,
      consumer: R.XENSTORE_rsp_cons,
      producer: R.XENSTORE_rsp_prod,
      sizeBytes: R.XENSTORE_RING_BYTES,
    });
    this.#session = new XenstoreSession(store, domain, (payload) => this.#event(payload));
    this.#port = events.bindBackend(port, () => this.service());
  }

  /** True once the guest has broken the protocol: nothing it writes is looked at any more. */
  get ignored(): boolean {
    return this.#ignored;
  }

  /** Takes what requests there are, and sends what fits. Happens whenever the guest notifies. */
  service(): void {
    if (this.#ignored) return;
    let moved = this.#send();
    while (!this.#ignored && this.#unreadBytes <= MAX_UNREAD_BYTES && this.#takeMessage()) moved = true;
    if (this.#send() || moved) this.#port?.notify();
  }

  /** Reads on towards one whole message and carries it out; false when there is nothing to read. */
  #takeMessage(): boolean {
    if (this.#requests.used === undefined) return this.#ignore(R.XENSTORE_ERROR_RINGIDX);
    const wanted = this.#messageBytes();
    if (wanted === undefined) return this.#ignore(R.XENSTORE_ERROR_PROTO);
    const bytes = this.#requests.take(wanted - this.#partial.length);
    if (bytes.length === 0 && wanted !== this.#partial.length) return false;
    const message = new Uint8Array(this.#partial.length + bytes.length);
    message.set(this.#partial);
    message.set(bytes, this.#partial.length);
    this.#partial = message;
    // A header alone is a whole message only if it says so.
    if (message.length < R.XSD_HEADER_BYTES || message.length !== this.#messageBytes()) return true;
    this.#partial = new Uint8Array(0);
    this.#answer(message);
    return true;
  }

  /** How long the message is that has begun, as far as that is known; undefined when it is longer than allowed. */
  #messageBytes(): number | undefined {
    if (this.#partial.length < R.XSD_HEADER_BYTES) return R.XSD_HEADER_BYTES;
    const payload = headerOf(this.#partial).getUint32(12, true);
    return payload <= R.XENSTORE_PAYLOAD_MAX ? R.XSD_HEADER_BYTES + payload : undefined;
  }

  #answer(message: Uint8Array): void {
    const header = headerOf(message);
    const [type, request, transaction] = [0, 4, 8].map((at) => header.getUint32(at, true)) as [number, number, number];
    const reply = this.#session.request(type, transaction, message.subarray(R.XSD_HEADER_BYTES));
    this.#queue(reply.type, request, transaction, reply.payload);
  }

  #event(payload: Uint8Array): void {
    if (this.#unreadBytes > MAX_UNREAD_EVENTS) return;
    this.#queue(R.XS_WATCH_EVENT, 0, 0, payload);
    if (this.#send()) this.#port?.notify();
  }

  #queue(type: number, request: number, transaction: number, payload: Uint8Array): void {
    const message = new Uint8Array(R.XSD_HEADER_BYTES + payload.length);
    const header = headerOf(message);
    for (const [index, word] of [type, request, transaction, payload.length].entries())
      header.setUint32(index * 4, word, true);
    message.set(payload, R.XSD_HEADER_BYTES);
    this.#unread.push(message);
    this.#unreadBytes += message.length;
  }

  /** Puts waiting messages into the ring; true when any byte went. */
  #send(): boolean {
    let moved = false;
    for (let first = this.#unread[0]; first !== undefined; first = this.#unread[0]) {
      if (this.#replies.used === undefined) return this.#ignore(R.XENSTORE_ERROR_RINGIDX);
      const count = this.#replies.put(first);
      if (count === 0) break;
      moved = true;
      this.#unreadBytes -= count;
      if (count === first.length) this.#unread.shift();
      else this.#unread[0] = first.subarray(count);
    }
    return moved;
  }

  /** Gives the guest up. False, for whoever wants to say that nothing was done. */
  #ignore(reason: number): false {
    this.#ignored = true;
    this.#memory.write32(maddr(mfnToMaddr(this.#page) + R.XENSTORE_error), reason);
    this.#session.close();
    this.#partial = new Uint8Array(0);
    this.#unread = [];
    this.#unreadBytes = 0;
    return false;
  }
}

const headerOf = (message: Uint8Array): DataView =>
  new DataView(message.buffer, message.byteOffset, message.byteLength);
