// What Xen does for its guests, for whoever wants to know. Nothing is built while nobody listens.

import type { XenVcpu } from './vcpu.js';
import type { CallInProgress } from './why.js';

/** A hypercall has returned; one that is to be continued has not. */
export interface HypercallEvent {
  readonly kind: 'hypercall';
  readonly vcpu: XenVcpu;
  readonly number: number;
  readonly call: CallInProgress;
  /** What goes to rax, as a signed number or a word. */
  readonly result: bigint;
}

/** An exception or an event was delivered to the guest's kernel. */
export interface BounceEvent {
  readonly kind: 'bounce';
  readonly vcpu: XenVcpu;
  /** 'event' for the event callback, 'failsafe' and 'syscall' likewise, otherwise the vector. */
  readonly what: number | 'event' | 'failsafe' | 'syscall' | 'nmi';
  readonly errorCode: number | undefined;
  /** #PF: the address. */
  readonly vaddr: bigint | undefined;
  /** Where the guest was, and where it goes on. */
  readonly from: bigint;
  readonly to: bigint;
}

/** The guest went from its kernel to a program, or back: CR3 was loaded. */
export interface ModeSwitchEvent {
  readonly kind: 'mode-switch';
  readonly vcpu: XenVcpu;
  readonly toKernel: boolean;
}

export type XenEvent = HypercallEvent | BounceEvent | ModeSwitchEvent;
