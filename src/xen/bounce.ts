// How Xen hands an exception, an event or a system call to a guest's kernel: it pushes a frame on the guest's kernel stack
// and goes on at the handler. Also the switch between the guest's kernel and its programs, which share CPL 3.
// Sources: Xen 4.1.3 and 4.17 arch/x86/x86_64/entry.S (create_bounce_frame), arch/x86/pv/domain.c toggle_guest_mode.
//
//   lowest address first:   rcx  r11  [ds es fs gs]  [error code]  rip  cs  rflags  rsp  ss
//                                     (failsafe)                       |   '-- IF says whether events were unmasked
//                                                                      '-- RPL 0 if the kernel was interrupted; bits 39:32
//                                                                          evtchn_upcall_mask as it was
// Handlers begin by popping rcx and r11: Xen returns by SYSRET, which overwrites both.
// Left out: 32-bit guests, shadow stacks.

import type { CrashCause } from '../abi/crash-report.js';
import {
  CS,
  DS,
  ES,
  FLAT_RING3_CS64,
  FLAT_RING3_SS64,
  FS,
  GS,
  R11,
  RCX,
  RFLAGS_AC,
  RFLAGS_IF,
  RFLAGS_IOPL,
  RFLAGS_NT,
  RFLAGS_RF,
  RFLAGS_TF,
  RFLAGS_VM,
  RSP,
  SS,
} from '../abi/registers.js';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../abi/xen-layout.js';
import { crashDomain, reportWalk, type WalkReport } from './crash.js';
import type { BounceEvent } from './events-of-xen.js';
import { writeGuest64 } from './guest-memory.js';
import type { XenVcpu } from './vcpu.js';
import { hasVmAssist, VMASST_TYPE_architectural_iopl } from './vm-assist.js';

/** A visit to the guest's kernel. */
export interface Bounce {
  readonly what: BounceEvent['what'];
  /** The handler; 0 crashes the domain, with `cause`, once the frame is pushed. */
  readonly address: bigint;
  readonly errorCode?: number;
  readonly masksEvents: boolean;
  /** A fault (not a trap or an interrupt): the CPU saves RFLAGS with RF set. */
  readonly isFault: boolean;
  /** #PF: where. */
  readonly vaddr?: bigint;
  /** What Xen has already printed, if there is no handler. */
  readonly cause?: CrashCause;
  readonly walk?: WalkReport;
}

const FROM_ENTRY: CrashCause = { kind: 'domain-crash', message: '', calledFrom: 'entry.S' };
const CLEARED_FOR_HANDLER = BigInt(RFLAGS_AC | RFLAGS_VM | RFLAGS_RF | RFLAGS_NT | RFLAGS_TF);
/** What the frame's rflags word says by itself: virtual IF and virtual IOPL. */
const VIRTUALISED = BigInt(RFLAGS_IF | RFLAGS_IOPL);

/** From the guest's kernel to its programs or back: the other CR3, the other GS base. Ticks no TLB clock. */
export function toggleGuestMode(vcpu: XenVcpu): void {
  const { registers } = vcpu;
  const { events } = vcpu.domain.hypervisor;
  vcpu.kernelMode = !vcpu.kernelMode;
  const base = registers.readSegmentBase(GS);
  registers.writeSegmentBase(GS, vcpu.inactiveGsBase);
  vcpu.inactiveGsBase = base;
  vcpu.mmu.loadCr3(vcpu.activeRoot, { what: vcpu.kernelMode ? 'switch to guest kernel' : 'switch to guest user' });
  if (events.active) events.emit({ kind: 'mode-switch', vcpu, toKernel: vcpu.kernelMode });
}

/** Pushes the frame and sets the vCPU off at the handler; or the domain has crashed. */
export function createBounceFrame(vcpu: XenVcpu, bounce: Bounce): void {
  const { registers, domain } = vcpu;
  const from = registers.rip;
  const interrupted = interruptedState(vcpu, bounce.isFault);
  const wasKernel = vcpu.kernelMode;
  if (!wasKernel) toggleGuestMode(vcpu);
  const top = (wasKernel ? interrupted.rsp : vcpu.kernelSp) & ~15n;
  if (top >= HYPERVISOR_VIRT_START && top < HYPERVISOR_VIRT_END + 60n) {
    crashDomain(vcpu, FROM_ENTRY);
    return;
  }

  const maskByte = vcpu.upcallMaskByte;
  const words = frameWords(vcpu, bounce, interrupted, wasKernel, maskByte);
  if (bounce.masksEvents) vcpu.upcallMask = true;
  let rsp = top;
  for (const word of words) {
    rsp = BigInt.asUintN(64, rsp - 8n);
    if (!writeGuest64(vcpu, rsp, word)) {
      const { profile } = domain.hypervisor.config;
      crashDomain(vcpu, FROM_ENTRY, profile === '4.1' ? undefined : reportWalk(vcpu, rsp));
      return;
    }
  }

  registers.rflags = interrupted.rflags & ~CLEARED_FOR_HANDLER;
  registers.writeSelector(SS, FLAT_RING3_SS64);
  registers.writeSelector(CS, FLAT_RING3_CS64);
  registers.writeGpr(RSP, rsp);
  if (bounce.address === 0n) {
    crashDomain(vcpu, bounce.cause ?? FROM_ENTRY, bounce.walk);
    return;
  }
  registers.rip = bounce.address;
  vcpu.returnsBySysret = true;
  const { events } = domain.hypervisor;
  if (events.active) {
    const { what, errorCode, vaddr, address } = bounce;
    events.emit({ kind: 'bounce', vcpu, what, errorCode, vaddr, from, to: address });
  }
}

interface Interrupted {
  readonly rip: bigint;
  readonly rsp: bigint;
  readonly rflags: bigint;
  readonly cs: number;
  readonly ss: number;
}

function interruptedState({ registers }: XenVcpu, isFault: boolean): Interrupted {
  return {
    rip: registers.rip,
    rsp: registers.readGpr(RSP),
    rflags: registers.rflags | (isFault ? BigInt(RFLAGS_RF) : 0n),
    cs: registers.readSelector(CS),
    ss: registers.readSelector(SS),
  };
}

/** The words in the order in which they are pushed: from the highest address down. */
function frameWords(
  vcpu: XenVcpu,
  bounce: Bounce,
  { rip, rsp, rflags, cs, ss }: Interrupted,
  wasKernel: boolean,
  maskByte: number,
): bigint[] {
  const { registers, domain } = vcpu;
  const virtualIf = maskByte === 0 ? BigInt(RFLAGS_IF) : 0n;
  const hasIopl = hasVmAssist(domain, VMASST_TYPE_architectural_iopl);
  const words = [
    BigInt(ss),
    rsp,
    (rflags & ~VIRTUALISED) | virtualIf | (hasIopl ? BigInt(vcpu.iopl) << 12n : 0n),
    (BigInt(maskByte) << 32n) | BigInt(wasKernel ? cs & ~3 : cs),
    rip,
  ];
  if (bounce.errorCode !== undefined) words.push(BigInt(bounce.errorCode >>> 0));
  if (bounce.what === 'failsafe')
    for (const segment of [GS, FS, ES, DS]) words.push(BigInt(registers.readSelector(segment)));
  words.push(registers.readGpr(R11), registers.readGpr(RCX));
  return words;
}
