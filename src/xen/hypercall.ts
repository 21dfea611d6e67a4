// The form of a hypercall: one function under its ABI name, from a vCPU and six argument words to what goes to rax.
// Source: Xen 4.17 public/arch-x86/xen-x86_64.h ("Hypercall interface"): rdi rsi rdx r10 r8 r9.

import type { Continuation } from './continuation.js';
import type { XenVcpu } from './vcpu.js';

/** The argument registers' words in order; a hypercall with fewer parameters ignores the rest. */
export type HypercallArgs = readonly [bigint, bigint, bigint, bigint, bigint, bigint];

/**
 * What the caller finds in rax: a negative errno, or what the call's documentation says; or that the call is to be made
 * again for the rest. A number is sign-extended to 64 bits. A call that blocks returns its value and sets the vCPU's run
 * state; one that ends the domain sets domain.ended.
 */
export type HypercallResult = number | bigint | Continuation;

export type Hypercall = (vcpu: XenVcpu, args: HypercallArgs) => HypercallResult;
