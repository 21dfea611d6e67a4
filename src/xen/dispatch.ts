// From a number and six words to a hypercall, carried out on behalf of a vCPU, with a label for whatever it changes.
// Source: Xen 4.17 arch/x86/pv/hypercall.c pv_hypercall. Left out: the poisoning of argument registers by debug builds.

import { ENOSYS } from '../abi/errno.js';
import { HYPERCALL_STUB_BYTES } from '../abi/hypercalls.js';
import { RSP } from '../abi/registers.js';
import { Continuation } from './continuation.js';
import { peekGuest64 } from './guest-memory.js';
import type { HypercallArgs } from './hypercall.js';
import { hypercallByNumber, hypercallName } from './hypercalls/index.js';
import type { XenVcpu } from './vcpu.js';
import type { CallInProgress } from './why.js';

/** Xen's table has this many places; higher numbers are counted together. */
const NR_HYPERCALLS = 64;
/** From the start of a stub to behind its syscall: push rcx, push r11, mov eax, syscall. */
const SYSCALL_END_IN_STUB = 10;

/**
 * Carries out hypercall `number` (any word) and returns what goes to rax, or how it is to be continued. `entry` is the place
 * in the multicall that it comes from. rip is behind the guest's syscall.
 */
export function invoke(vcpu: XenVcpu, number: bigint, args: HypercallArgs, entry?: number): bigint | Continuation {
  const { hypervisor } = vcpu.domain;
  const index = number < NR_HYPERCALLS ? Number(number) : NR_HYPERCALLS;
  const hypercall = hypercallByNumber(index);
  const call = callInProgress(vcpu, index, args, entry);
  if (!hypercall) {
    const { unknownHypercalls } = hypervisor;
    unknownHypercalls.set(index, (unknownHypercalls.get(index) ?? 0) + 1);
  }
  const result = hypercall ? hypervisor.onBehalfOf(vcpu, call, '', () => hypercall(vcpu, args)) : -ENOSYS;
  if (result instanceof Continuation) return result;
  const word = BigInt.asUintN(64, BigInt(result));
  if (hypervisor.events.active) hypervisor.events.emit({ kind: 'hypercall', vcpu, number: index, call, result: word });
  return word;
}

function callInProgress(vcpu: XenVcpu, number: number, args: HypercallArgs, entry: number | undefined): CallInProgress {
  const { hypervisor, id } = vcpu.domain;
  const name = hypercallName(number);
  const rip = BigInt.asUintN(64, vcpu.registers.rip - 2n);
  const within = entry === undefined ? undefined : { name: 'multicall', index: entry };
  // Only for those who listen: it takes a walk.
  const isHeard = hypervisor.events.active || hypervisor.tables.events.active;
  const returnsTo = isHeard ? stubReturnAddress(vcpu) : undefined;
  return { domain: id, vcpu: vcpu.id, name, args, rip, returnsTo, within };
}

/** Where a stub of a hypercall page returns to, if rip looks as if it were in one: above the rcx and r11 that it pushed. */
function stubReturnAddress(vcpu: XenVcpu): bigint | undefined {
  const { registers } = vcpu;
  if (Number(registers.rip % BigInt(HYPERCALL_STUB_BYTES)) !== SYSCALL_END_IN_STUB) return undefined;
  return peekGuest64(vcpu, BigInt.asUintN(64, registers.readGpr(RSP) + 16n));
}
