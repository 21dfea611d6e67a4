// Into Xen and out of it: a guest's syscall or exception, what is delivered on the way back, and the return itself.
// Sources: Xen 4.1.3 and 4.17 arch/x86/x86_64/entry.S (syscall_enter / lstar_enter, switch_to_kernel, test_all_events,
// restore_all_guest, iret_exit_to_guest). Left out: softirqs, machine checks, 32-bit programs and their syscall and sysenter.

import { type CpuException, X86_EXC_GP, X86_EXC_NMI, X86_EXC_NP, X86_EXC_SS, X86_EXC_UD } from '../abi/exceptions.js';
import { CS, FLAT_RING3_CS64, FLAT_RING3_SS64, R11, RAX, RCX, RFLAGS_DF, SS } from '../abi/registers.js';
import { isCanonical } from '../base/addresses.js';
import { createBounceFrame } from './bounce.js';
import { ARGUMENT_REGISTERS, Continuation, executeAgain } from './continuation.js';
import { isPresentDescriptor, isUserCode64Descriptor, isUserStackDescriptor } from './descriptor.js';
import { readDescriptor } from './descriptors.js';
import { invoke } from './dispatch.js';
import type { HypercallArgs } from './hypercall.js';
import { deliver, type GuestException, handleException } from './traps.js';
import type { XenVcpu } from './vcpu.js';

const SYSCALL_BYTES = 2n;

/** The guest executed SYSCALL; rip is behind it. From its kernel that is a hypercall, from a program a system call. */
export function syscall(vcpu: XenVcpu): void {
  enterXen(vcpu);
  const { registers } = vcpu;
  registers.writeGpr(RCX, registers.rip);
  registers.writeGpr(R11, registers.rflags);
  // SYSCALL and SYSRET know no other selectors.
  registers.writeSelector(CS, FLAT_RING3_CS64);
  registers.writeSelector(SS, FLAT_RING3_SS64);
  vcpu.returnsBySysret = true;
  if (!vcpu.kernelMode) {
    bounceSyscall(vcpu);
    return;
  }
  hypercall(vcpu);
}

function hypercall(vcpu: XenVcpu): void {
  const { registers, domain } = vcpu;
  domain.hypervisor.work.begin();
  const number = registers.readGpr(RAX);
  const [rdi, rsi, rdx, r10, r8, r9] = ARGUMENT_REGISTERS;
  const args: HypercallArgs = [
    registers.readGpr(rdi),
    registers.readGpr(rsi),
    registers.readGpr(rdx),
    registers.readGpr(r10),
    registers.readGpr(r8),
    registers.readGpr(r9),
  ];
  const result = invoke(vcpu, number, args);
  if (domain.ended) return;
  if (result instanceof Continuation) executeAgain(vcpu, number, result);
  else registers.writeGpr(RAX, result);
}

/** The guest raised an exception. */
export function exception(vcpu: XenVcpu, raised: CpuException): void {
  enterXen(vcpu);
  vcpu.returnsBySysret = false;
  handleException(vcpu, raised);
}

/**
 * To be called before a runnable vCPU goes on: delivers a pending NMI or event, makes sure that it can return to where its
 * registers say, and leaves Xen. Afterwards the domain may have ended.
 */
export function beforeResume(vcpu: XenVcpu): void {
  while (!vcpu.domain.ended && (deliverPending(vcpu) || deliverReturnFault(vcpu)));
  if (vcpu.domain.ended || !vcpu.inXen) return;
  const { registers } = vcpu;
  if (vcpu.returnsBySysret) {
    registers.writeGpr(RCX, registers.rip);
    registers.writeGpr(R11, registers.rflags);
  }
  vcpu.returnsBySysret = false;
  rewriteCr3(vcpu, 'return to the guest');
  vcpu.inXen = false;
}

function enterXen(vcpu: XenVcpu): void {
  if (!vcpu.inXen) rewriteCr3(vcpu, 'entry to Xen');
  vcpu.inXen = true;
}

/** XPTI: CR3 is written. No PCID, and CR4.PGE is clear: nothing survives. The TLB clock does not tick. */
function rewriteCr3(vcpu: XenVcpu, when: string): void {
  if (vcpu.domain.hypervisor.config.flush.xpti) vcpu.mmu.flushAll({ what: `XPTI: CR3 rewritten on ${when}` });
}

/** A program's system call, for its kernel. */
function bounceSyscall(vcpu: XenVcpu): void {
  const { registers, domain } = vcpu;
  const { address, masksEvents } = vcpu.syscallCallback;
  if (address === 0n && domain.hypervisor.config.profile === '4.17') {
    registers.rip = BigInt.asUintN(64, registers.rip - SYSCALL_BYTES);
    deliver(vcpu, { vector: X86_EXC_UD });
    return;
  }
  createBounceFrame(vcpu, { what: 'syscall', address, masksEvents, isFault: false });
  registers.rflags &= ~BigInt(RFLAGS_DF);
}

/** Delivers an NMI or an event, if one is due; whether it did. */
function deliverPending(vcpu: XenVcpu): boolean {
  if (vcpu.nmiPending && !vcpu.nmiMasked) {
    vcpu.nmiPending = false;
    const { address, masksEvents } = vcpu.trapTable[X86_EXC_NMI]!;
    if (address === 0n) return true;
    enterXen(vcpu);
    vcpu.nmiMasked = true;
    createBounceFrame(vcpu, { what: 'nmi', address, masksEvents, isFault: false });
    return true;
  }
  if (!vcpu.upcallPending || vcpu.upcallMask) return false;
  enterXen(vcpu);
  const { address } = vcpu.eventCallback;
  createBounceFrame(vcpu, { what: 'event', address, masksEvents: true, isFault: false });
  return true;
}

/**
 * The return may fault: on a rip that is not canonical, or (IRET) on selectors that a guest gave. Then 4.1 calls the guest's
 * failsafe callback; 4.17 delivers the fault as the target's own. Whether it faulted.
 */
function deliverReturnFault(vcpu: XenVcpu): boolean {
  if (!vcpu.inXen) return false;
  const fault = returnFault(vcpu);
  if (!fault) return false;
  vcpu.returnsBySysret = false;
  if (vcpu.domain.hypervisor.config.profile === '4.17') {
    deliver(vcpu, fault);
  } else {
    const { address, masksEvents } = vcpu.failsafeCallback;
    createBounceFrame(vcpu, { what: 'failsafe', address, masksEvents, isFault: false });
  }
  return true;
}

function returnFault(vcpu: XenVcpu): GuestException | undefined {
  const { registers } = vcpu;
  if (!isCanonical(registers.rip)) return { vector: X86_EXC_GP, errorCode: 0 };
  if (vcpu.returnsBySysret) return undefined;
  const [cs, ss] = [registers.readSelector(CS), registers.readSelector(SS)];
  if (cs === FLAT_RING3_CS64 && ss === FLAT_RING3_SS64) return undefined;
  const code = readDescriptor(vcpu, cs);
  if (code === undefined || !isUserCode64Descriptor(code))
    return { vector: code && !isPresentDescriptor(code) ? X86_EXC_NP : X86_EXC_GP, errorCode: cs & ~3 };
  const stack = ss <= 3 ? undefined : readDescriptor(vcpu, ss);
  if (stack === undefined || !isUserStackDescriptor(stack))
    return { vector: stack && !isPresentDescriptor(stack) ? X86_EXC_SS : X86_EXC_GP, errorCode: ss & ~3 };
  return undefined;
}
