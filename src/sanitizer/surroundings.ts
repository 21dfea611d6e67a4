// What the sanitizer asks of the machine that it watches. It sees translation events, and not who runs, what a label means or
// what a frame is used for.

import type { Level } from '../abi/paging.js';
import type { Mfn } from '../base/addresses.js';
import type { Why } from '../mmu/events.js';
import type { ReadEntry } from './entries.js';
import type { Call, FlushCause, Place } from './finding.js';

export interface Surroundings {
  /** Eight bytes of machine memory, without effect. */
  readonly readEntry: ReadEntry;
  /** The level of the page table in this frame; undefined when it is none. */
  levelOf(table: Mfn): Level | undefined;
  /** Where a vCPU is now. Called at each change of a translation: `stack` should cost nothing until it is read. */
  place(vcpu: number): Place;
  /** The vCPU that runs now, or that Xen acts for. */
  running(): number;
  /** The hypercall behind a label. */
  callOf(why: Why): Call | undefined;
  /** Why an invalidation with this label happened. */
  flushCause(why: Why): FlushCause;
  /** Whether the vCPU's guest has registered a handler for page faults. */
  handlesFaults(vcpu: number): boolean;
  /** Who has a frame and as what: "d1 writable". Frames whose text differs have been given a new use in between. */
  frameUse(frame: Mfn): string | undefined;
  /** "clear_page+0x12"; undefined where no symbol covers the address. */
  symbolOf(address: bigint): string | undefined;
}
