// Hypercalls that do many things give the CPU back in between: they ask for the same SYSCALL to be executed again, with
// arguments that say what is left. So no guest can keep Xen busy at will, events and timers get their turn, and a run can be
// stopped at any instruction whatever counts a guest hands over.
// Source: Xen 4.1.3 and 4.17 arch/x86/domain.c and arch/x86/hypercall.c (hypercall_create_continuation), xen/sched.h
// (hypercall_preempt_check). DEVIATION: where Xen looks whether a timer has fired meanwhile, a count of work decides, so that
// the same run is cut at the same places every time. 4.1 may stop before the first item; here, as in 4.17, one is always done.
// Left out: stopping within one item; the longest, the audit of a tree of page tables, ends with the guest's frames.

import { R8, R9, R10, RAX, RDI, RDX, RSI } from '../abi/registers.js';
import type { XenVcpu } from './vcpu.js';

/** How many items (of a batch, or of several within a multicall) and audits of pages one execution of SYSCALL takes on. */
export const WORK_PER_SYSCALL = 1024;

/** Where a hypercall's arguments are, in their order. */
export const ARGUMENT_REGISTERS = [RDI, RSI, RDX, R10, R8, R9] as const;

const SYSCALL_BYTES = 2n;

/** What a hypercall returns that is not done yet: its first arguments for the next time; those behind them stay. */
export class Continuation {
  readonly args: readonly bigint[];

  constructor(...args: readonly (bigint | number)[]) {
    this.args = args.map((arg) => BigInt.asUintN(64, BigInt(arg)));
  }
}

/** What Xen has done since the guest's last SYSCALL. */
export class Work {
  #units = 0;

  /** To be called on each SYSCALL. */
  begin(): void {
    this.#units = 0;
  }

  /** One item of a batch, or one page (a table, or descriptors) that was audited or let go. */
  add(): void {
    this.#units++;
  }

  get isEnough(): boolean {
    return this.#units >= WORK_PER_SYSCALL;
  }
}

/** Lets the guest execute its SYSCALL again, with the arguments of the continuation. rip is behind it. */
export function executeAgain({ registers }: XenVcpu, number: bigint, { args }: Continuation): void {
  registers.rip = BigInt.asUintN(64, registers.rip - SYSCALL_BYTES);
  registers.writeGpr(RAX, number);
  args.forEach((arg, index) => {
    registers.writeGpr(ARGUMENT_REGISTERS[index]!, arg);
  });
}

/** How far a batch came. */
export interface Progress<Stop> {
  /** Items that are behind it; the one that stopped it is not among them. */
  readonly done: number;
  /** What the item said that stopped it. */
  readonly stop: Stop | undefined;
  /** It is to be continued with item `done`. */
  readonly isPreempted: boolean;
}

/**
 * Does items 0 … count - 1 of a batch until one stops it (returns something), or until it is time to give the CPU back. At
 * least one item is done each time, so that every batch comes to an end.
 */
export function eachItem<Stop>(vcpu: XenVcpu, count: number, act: (index: number) => Stop | undefined): Progress<Stop> {
  const { work } = vcpu.domain.hypervisor;
  for (let done = 0; done < count; done++) {
    if (done > 0 && (work.isEnough || isNeededElsewhere(vcpu))) return { done, stop: undefined, isPreempted: true };
    work.add();
    const stop = act(done);
    if (stop !== undefined) return { done, stop, isPreempted: false };
  }
  return { done: count, stop: undefined, isPreempted: false };
}

/** The guest is to take an event first, to sleep, or to run no more. */
const isNeededElsewhere = (vcpu: XenVcpu): boolean =>
  (vcpu.upcallPending && !vcpu.upcallMask) || vcpu.runState !== 'runnable' || vcpu.domain.ended !== undefined;
