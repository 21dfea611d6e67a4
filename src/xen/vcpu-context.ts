// Giving a vCPU the state from which it starts: struct vcpu_guest_context, as VCPUOP_initialise brings it.
// Source: Xen 4.17 arch/x86/domain.c (arch_set_info_guest), public/arch-x86/xen.h, Linux's use of it (arch/x86/xen/smp_pv.c).
// Left out: the FPU image, breakpoints, 32-bit contexts, setting the state of a vCPU that runs already.

import { EINVAL } from '../abi/errno.js';
import {
  CS,
  DS,
  ES,
  FLAT_RING3_CS64,
  FLAT_RING3_SS64,
  FS,
  GPR_COUNT,
  GS,
  RFLAGS_IF,
  RFLAGS_IOPL,
  SS,
} from '../abi/registers.js';
import * as X from '../abi/xen-layout.js';
import { isCanonical, PAGE_BYTES } from '../base/addresses.js';
import { MAX_LDT_ENTRIES, setGdt } from './descriptors.js';
import { loadRoot } from './flush.js';
import { isGuestAddress } from './guest-memory.js';
import { type PageInfo, PGT_l4_page_table } from './page-info.js';
import { getPageAndType, putPageAndType, type Status } from './page-types.js';
import type { XenVcpu } from './vcpu.js';

const TRAPS = 256;
const TRAP_BYTES = 16;
const MAX_GDT_FRAMES = 16;
const GDT_ENTRIES_PER_FRAME = 512;
const CR = (index: number): number => X.CONTEXT_ctrlreg + 8 * index;
const CR0_TS = 1n << 3n;

/** Addresses that must be canonical, by offset. */
const CANONICAL_FIELDS = [
  X.CONTEXT_user_regs + X.USER_REGS_rip,
  X.CONTEXT_user_regs + X.USER_REGS_rsp,
  X.CONTEXT_kernel_sp,
  X.CONTEXT_fs_base,
  X.CONTEXT_gs_base_kernel,
  X.CONTEXT_gs_base_user,
  X.CONTEXT_event_callback_eip,
  X.CONTEXT_syscall_callback_eip,
  X.CONTEXT_failsafe_callback_eip,
];

/** Sets a vCPU that has never run up to run; 0 or -EINVAL, and then it is as before. `context` has 5168 bytes. */
export function initialiseVcpu(vcpu: XenVcpu, context: DataView): Status {
  const word = (offset: number): bigint => context.getBigUint64(offset, true);
  const [ldtBase, ldtEntries, gdtEntries] = [
    word(X.CONTEXT_ldt_base),
    word(X.CONTEXT_ldt_ents),
    word(X.CONTEXT_gdt_ents),
  ];
  const inKernel = (context.getUint32(X.CONTEXT_flags, true) & X.VGCF_in_kernel) !== 0;
  const [kernelRoot, userRoot] = [word(CR(3)) >> 12n, word(CR(1)) >> 12n];
  if (!CANONICAL_FIELDS.every((offset) => isCanonical(word(offset)))) return -EINVAL;
  if (!isGuestAddress(ldtBase) || ldtBase % BigInt(PAGE_BYTES) !== 0n || ldtEntries > MAX_LDT_ENTRIES) return -EINVAL;
  if (!inKernel && userRoot === 0n) return -EINVAL;
  const gdtFrames = gdtEntries / BigInt(GDT_ENTRIES_PER_FRAME) + (gdtEntries % BigInt(GDT_ENTRIES_PER_FRAME) ? 1n : 0n);
  if (gdtFrames > MAX_GDT_FRAMES) return -EINVAL;
  const traps = readTraps(context);
  if (!traps.every(({ address }) => isCanonical(address))) return -EINVAL;

  const { domain } = vcpu;
  const { hypervisor } = domain;
  const frames = Array.from({ length: Number(gdtFrames) }, (_, index) => word(X.CONTEXT_gdt_frames + 8 * index));
  const status = setGdt(vcpu, frames, Number(gdtEntries));
  if (status !== 0) return status;
  const kernel = getPageAndType(hypervisor, kernelRoot, domain, PGT_l4_page_table);
  const user = userRoot === 0n ? undefined : getPageAndType(hypervisor, userRoot, domain, PGT_l4_page_table);
  if (typeof kernel === 'number' || typeof user === 'number') {
    for (const page of [kernel, user]) if (typeof page === 'object') putPageAndType(hypervisor, page);
    setGdt(vcpu, [], 0);
    return typeof kernel === 'number' ? kernel : (user as Status);
  }
  setTables(vcpu, kernel, user, inKernel);
  vcpu.ldtBase = ldtBase;
  vcpu.ldtEntries = Number(ldtEntries);
  vcpu.kernelSs = Number(word(X.CONTEXT_kernel_ss)) | 3;
  vcpu.kernelSp = word(X.CONTEXT_kernel_sp);
  vcpu.taskSwitched = (word(CR(0)) & CR0_TS) !== 0n;
  for (const [vector, trap] of traps.entries()) vcpu.trapTable[vector] = trap;
  const flags = context.getUint32(X.CONTEXT_flags, true);
  const callback = (offset: number, masksEvents: boolean) => ({ address: word(offset), masksEvents });
  vcpu.eventCallback = callback(X.CONTEXT_event_callback_eip, true);
  vcpu.failsafeCallback = callback(X.CONTEXT_failsafe_callback_eip, (flags & X.VGCF_failsafe_disables_events) !== 0);
  vcpu.syscallCallback = callback(X.CONTEXT_syscall_callback_eip, (flags & X.VGCF_syscall_disables_events) !== 0);
  setRegisters(vcpu, context, inKernel);
  vcpu.initialised = true;
  if ((flags & X.VGCF_online) !== 0) vcpu.time.setRunState('runnable');
  return 0;
}

function readTraps(context: DataView): XenVcpu['trapTable'] {
  return Array.from({ length: TRAPS }, (_, vector) => {
    const at = X.CONTEXT_trap_ctxt + vector * TRAP_BYTES;
    const flags = context.getUint8(at + 1);
    return {
      address: context.getBigUint64(at + 8, true),
      cs: context.getUint16(at + 2, true) | 3,
      dpl: flags & 3,
      masksEvents: (flags & 4) !== 0,
    };
  });
}

function setTables(vcpu: XenVcpu, kernel: PageInfo, user: PageInfo | undefined, inKernel: boolean): void {
  vcpu.kernelTable = kernel;
  vcpu.userTable = user;
  vcpu.kernelMode = inKernel;
  vcpu.dirty = true;
  loadRoot(vcpu, vcpu.domain.hypervisor.why);
}

function setRegisters(vcpu: XenVcpu, context: DataView, inKernel: boolean): void {
  const { registers } = vcpu;
  const user = (offset: number): bigint => context.getBigUint64(X.CONTEXT_user_regs + offset, true);
  const selector = (offset: number): number => context.getUint16(X.CONTEXT_user_regs + offset, true);
  for (let index = 0; index < GPR_COUNT; index++) registers.writeGpr(index, user(X.USER_REGS_gpr[index] as number));
  registers.rip = user(X.USER_REGS_rip);
  registers.rflags = (user(X.USER_REGS_rflags) & ~BigInt(RFLAGS_IOPL)) | BigInt(RFLAGS_IF);
  vcpu.iopl = Number((user(X.USER_REGS_rflags) >> 12n) & 3n);
  registers.writeSelector(CS, selector(X.USER_REGS_cs) === 0 ? FLAT_RING3_CS64 : selector(X.USER_REGS_cs) | 3);
  registers.writeSelector(SS, selector(X.USER_REGS_ss) === 0 ? FLAT_RING3_SS64 : selector(X.USER_REGS_ss) | 3);
  registers.writeSelector(DS, selector(X.USER_REGS_ds));
  registers.writeSelector(ES, selector(X.USER_REGS_es));
  registers.writeSelector(FS, selector(X.USER_REGS_fs));
  registers.writeSelector(GS, selector(X.USER_REGS_gs));
  const bases = [X.CONTEXT_gs_base_kernel, X.CONTEXT_gs_base_user].map((offset) => context.getBigUint64(offset, true));
  const [active, inactive] = inKernel ? bases : bases.reverse();
  registers.writeSegmentBase(FS, context.getBigUint64(X.CONTEXT_fs_base, true));
  registers.writeSegmentBase(GS, active as bigint);
  vcpu.inactiveGsBase = inactive as bigint;
}
