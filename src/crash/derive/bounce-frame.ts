// The exception frame that Xen pushes on a PV guest's kernel stack before it finds that nobody will handle it: the first
// words of "Guest stack trace". It tells the mode the guest was in and the stack pointer before Xen pushed.
// Source: Xen arch/x86/x86_64/entry.S create_bounce_frame: rcx, r11, [error code], rip, cs, rflags, rsp, ss, from rsp up.
//
//   cs word   63        40 39            32 31   16 15          0
//            +------------+----------------+-------+-------------+
//            |     0      | saved EM       |   0   | cs, RPL 0   |   RPL is cleared when the guest's kernel was interrupted
//            +------------+----------------+-------+-------------+

import type { Facts } from '../facts.js';

export interface BounceFrame {
  readonly rip: bigint;
  readonly cs: number;
  readonly rflags: bigint;
  /** rsp before the push. */
  readonly rsp: bigint;
  readonly errorCode: number | undefined;
  /** The guest's kernel was running, as the cleared RPL says. */
  readonly kernelMode: boolean;
}

const GUEST_SELECTORS: readonly number[] = [0xe030, 0xe033];

/** The frame at the top of the guest's stack, if its words are one for this rip. */
export function bounceFrame({ stack, registers }: Facts): BounceFrame | undefined {
  const rip = registers?.rip;
  if (stack === undefined || rip === undefined) return undefined;
  return frameAt(stack, rip, 3) ?? frameAt(stack, rip, 2);
}

function frameAt(stack: readonly bigint[], rip: bigint, ripIndex: number): BounceFrame | undefined {
  const [statedRip, csWord, rflags, rsp] = stack.slice(ripIndex, ripIndex + 4);
  if (statedRip !== rip || csWord === undefined || rflags === undefined || rsp === undefined) return undefined;
  const cs = Number(csWord & 0xffffn);
  if (!GUEST_SELECTORS.includes(cs)) return undefined;
  const errorCode = ripIndex === 3 ? Number((stack[2] as bigint) & 0xffffn) : undefined;
  return { rip, cs, rflags, rsp, errorCode, kernelMode: (cs & 3) === 0 };
}
