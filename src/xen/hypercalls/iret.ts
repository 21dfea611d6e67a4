// iret: the guest's kernel returns to where a frame on its stack says, in its kernel or in a program.
// Source: Xen 4.1.3 arch/x86/x86_64/traps.c do_iret, Xen 4.17 arch/x86/pv/iret.c.
//
//   at rsp:  rax  r11  rcx  flags  rip  cs  rflags  rsp  ss    (the hypercall page's stub pushed the first three)

import {
  CS,
  R11,
  RCX,
  RFLAGS_AC,
  RFLAGS_DF,
  RFLAGS_FIXED,
  RFLAGS_ID,
  RFLAGS_IF,
  RFLAGS_IOPL,
  RFLAGS_NT,
  RFLAGS_TF,
  RSP,
  SS,
} from '../../abi/registers.js';
import { VGCF_in_syscall } from '../../abi/xen-layout.js';
import { toggleGuestMode } from '../bounce.js';
import { crashDomain } from '../crash.js';
import { readGuestStruct } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import type { XenVcpu } from '../vcpu.js';
import { hasVmAssist, VMASST_TYPE_architectural_iopl } from '../vm-assist.js';

const FRAME_BYTES = 0x48;
const FRAME_WORDS = FRAME_BYTES / 8;
const STATUS_FLAGS = 0x8d5;
/** What a return may set: RF is spent with the return itself. */
const LOADED = BigInt(STATUS_FLAGS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID);

/** No arguments; what it returns is the frame's rax. */
export const iret: Hypercall = (vcpu) => {
  const { registers, domain } = vcpu;
  const frame = readGuestStruct(vcpu, registers.readGpr(RSP), FRAME_BYTES);
  if (!frame) return fail(vcpu, 'Fault while reading IRET context from guest stack');
  const [rax, r11, rcx, flags, rip, cs, rflags, rsp, ss] = Array.from({ length: FRAME_WORDS }, (_, index) =>
    frame.getBigUint64(8 * index, true),
  ) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];
  if ((cs & 3n) === 3n) {
    if (!vcpu.userTable) return fail(vcpu, 'Guest switching to user mode with no user page tables');
    toggleGuestMode(vcpu);
  }
  if (hasVmAssist(domain, VMASST_TYPE_architectural_iopl)) vcpu.iopl = Number((rflags & BigInt(RFLAGS_IOPL)) >> 12n);

  registers.rip = rip;
  registers.rflags = (rflags & LOADED) | BigInt(RFLAGS_IF | RFLAGS_FIXED);
  registers.writeGpr(RSP, rsp);
  if ((flags & BigInt(VGCF_in_syscall)) === 0n) {
    registers.writeSelector(CS, Number(cs & 0xffffn) | 3);
    registers.writeSelector(SS, Number(ss & 0xffffn) | 3);
    registers.writeGpr(R11, r11);
    registers.writeGpr(RCX, rcx);
    vcpu.returnsBySysret = false;
  }
  vcpu.upcallMask = (rflags & BigInt(RFLAGS_IF)) === 0n;
  vcpu.nmiMasked = false;
  return rax;
};

function fail(vcpu: XenVcpu, message: string): number {
  const calledFrom = vcpu.domain.hypervisor.config.profile === '4.1' ? 'traps.c:318' : 'arch/x86/pv/iret.c:104';
  crashDomain(vcpu, { kind: 'domain-crash', message, calledFrom });
  return 0;
}
