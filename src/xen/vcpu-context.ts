// The state from which a vCPU starts: struct vcpu_guest_context as VCPUOP_initialise (and, for vCPU 0, the toolstack) gives it.
// Source: Xen 4.1.3 and 4.17 arch/x86/domain.c arch_set_info_guest, public/arch-x86/xen.h. Left out: FPU contents, the
// domain-wide vm_assist (it counts for vCPU 0 only, which the toolstack starts with none).

import { EINVAL } from '../abi/errno.js';
import {
  CS,
  DS,
  ES,
  FS,
  GS,
  RFLAGS_AC,
  RFLAGS_DF,
  RFLAGS_FIXED,
  RFLAGS_ID,
  RFLAGS_IF,
  RFLAGS_NT,
  RFLAGS_TF,
  SS,
} from '../abi/registers.js';
import * as X from '../abi/xen-layout.js';
import { isCanonical, PAGE_OFFSET_MASK } from '../base/addresses.js';
import { STATUS_FLAGS } from '../isa/meaning/flags.js';
import { newUserRoot } from './base-pointers.js';
import { writeGuestCr4 } from './control-registers.js';
import { setDebugRegister } from './debug-registers.js';
import { MAX_LDT_ENTRIES, setGdt } from './descriptors.js';
import { loadRoot } from './flush.js';
import { isGuestAddress } from './guest-memory.js';
import type { VersionProfile } from './hypervisor.js';
import { PGT_l4_page_table } from './page-info.js';
import { getPageAndType, putPageAndType, type Status } from './page-types.js';
import { readTrapInfo, TRAP_INFO_address, TRAP_INFO_BYTES } from './trap-info.js';
import type { Callback, XenVcpu } from './vcpu.js';

const GDT_ENTRIES_PER_FRAME = 512;
const GDT_FRAMES = 14;
const TRAP_VECTORS = 256;
const CR0_TS = 8n;
const LOADABLE_FLAGS = STATUS_FLAGS | BigInt(RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID);

/**
 * Gives a vCPU that is down its first state; 0, or -EINVAL for a context that makes no sense (a bad L4, GDT, LDT or address),
 * and then it is as it was.
 */
export function initialiseVcpu(vcpu: XenVcpu, context: DataView): Status {
  const { hypervisor } = vcpu.domain;
  const word = (offset: number): bigint => context.getBigUint64(offset, true);
  const control = (register: number): bigint => word(X.CONTEXT_ctrlreg + 8 * register);
  const inKernel = (context.getUint32(X.CONTEXT_flags, true) & X.VGCF_in_kernel) !== 0;
  // The user's L4 stands where CR1 would.
  const [kernelFrame, userFrame] = [control(3) >> 12n, control(1) >> 12n];
  if (!hasUsableAddresses(context, hypervisor.config.profile) || (!inKernel && userFrame === 0n)) return -EINVAL;

  const table = getPageAndType(hypervisor, kernelFrame, vcpu.domain, PGT_l4_page_table);
  if (typeof table === 'number') return -EINVAL;
  if (newUserRoot(vcpu, userFrame) !== 0 || takeGdt(vcpu, context) !== 0) {
    newUserRoot(vcpu, 0n);
    putPageAndType(hypervisor, table);
    return -EINVAL;
  }
  vcpu.kernelTable = table;
  vcpu.kernelMode = inKernel;
  vcpu.taskSwitched = (control(0) & CR0_TS) !== 0n;
  writeGuestCr4(vcpu, control(4));
  setRegisters(vcpu, context);
  setTables(vcpu, context);
  setCallbacks(vcpu, context);
  startOnCpu(vcpu);
  return 0;
}

/** The vCPU's CPU begins to run it: its L4 is loaded. */
export function startOnCpu(vcpu: XenVcpu): void {
  vcpu.initialised = true;
  vcpu.dirty = true;
  loadRoot(vcpu, vcpu.domain.hypervisor.why);
}

/** Where the context has the entry of a vector's trap handler. */
const trapAt = (vector: number): number => X.CONTEXT_trap_ctxt + TRAP_INFO_BYTES * vector;

const CANONICAL_FIELDS = [
  X.CONTEXT_event_callback_eip,
  X.CONTEXT_failsafe_callback_eip,
  X.CONTEXT_syscall_callback_eip,
  X.CONTEXT_fs_base,
  X.CONTEXT_gs_base_kernel,
  X.CONTEXT_gs_base_user,
  X.CONTEXT_user_regs + X.USER_REGS_rip,
];

/** 4.1 finds out when it comes to use them. */
const CANONICAL_SINCE_4_17 = [
  X.CONTEXT_user_regs + X.USER_REGS_rsp,
  X.CONTEXT_kernel_sp,
  ...Array.from({ length: TRAP_VECTORS }, (_, vector) => trapAt(vector) + TRAP_INFO_address),
];

function hasUsableAddresses(context: DataView, profile: VersionProfile): boolean {
  const word = (offset: number): bigint => context.getBigUint64(offset, true);
  const [ldt, entries] = [word(X.CONTEXT_ldt_base), word(X.CONTEXT_ldt_ents)];
  const isLdtFine =
    entries === 0n || (entries <= MAX_LDT_ENTRIES && (ldt & BigInt(PAGE_OFFSET_MASK)) === 0n && isGuestAddress(ldt));
  const fields = profile === '4.17' ? [...CANONICAL_FIELDS, ...CANONICAL_SINCE_4_17] : CANONICAL_FIELDS;
  return isLdtFine && fields.every((field) => isCanonical(word(field)));
}

function takeGdt(vcpu: XenVcpu, context: DataView): Status {
  const entries = Number(context.getBigUint64(X.CONTEXT_gdt_ents, true));
  const count = Math.min(Math.ceil(entries / GDT_ENTRIES_PER_FRAME), GDT_FRAMES);
  const frames = Array.from({ length: count }, (_, index) =>
    context.getBigUint64(X.CONTEXT_gdt_frames + 8 * index, true),
  );
  return setGdt(vcpu, frames, entries);
}

function setRegisters(vcpu: XenVcpu, context: DataView): void {
  const { registers } = vcpu;
  const word = (offset: number): bigint => context.getBigUint64(X.CONTEXT_user_regs + offset, true);
  const selector = (offset: number): number => context.getUint16(X.CONTEXT_user_regs + offset, true);
  X.USER_REGS_gpr.forEach((offset, index) => {
    registers.writeGpr(index, word(offset));
  });
  registers.rip = word(X.USER_REGS_rip);
  registers.rflags = (word(X.USER_REGS_rflags) & LOADABLE_FLAGS) | BigInt(RFLAGS_FIXED | RFLAGS_IF);
  registers.writeSelector(CS, selector(X.USER_REGS_cs) | 3);
  registers.writeSelector(SS, selector(X.USER_REGS_ss) | 3);
  registers.writeSelector(DS, selector(X.USER_REGS_ds));
  registers.writeSelector(ES, selector(X.USER_REGS_es));
  registers.writeSelector(FS, selector(X.USER_REGS_fs));
  registers.writeSelector(GS, selector(X.USER_REGS_gs));
  const [kernelGs, userGs] = [
    context.getBigUint64(X.CONTEXT_gs_base_kernel, true),
    context.getBigUint64(X.CONTEXT_gs_base_user, true),
  ];
  registers.writeSegmentBase(FS, context.getBigUint64(X.CONTEXT_fs_base, true));
  registers.writeSegmentBase(GS, vcpu.kernelMode ? kernelGs : userGs);
  vcpu.inactiveGsBase = vcpu.kernelMode ? userGs : kernelGs;
  vcpu.kernelSs = Number(context.getBigUint64(X.CONTEXT_kernel_ss, true) & 0xffffn) | 3;
  vcpu.kernelSp = context.getBigUint64(X.CONTEXT_kernel_sp, true);
  for (let register = 0; register < 8; register++)
    setDebugRegister(vcpu, register, context.getBigUint64(X.CONTEXT_debugreg + 8 * register, true));
}

function setTables(vcpu: XenVcpu, context: DataView): void {
  for (let vector = 0; vector < TRAP_VECTORS; vector++) vcpu.trapTable[vector] = readTrapInfo(context, trapAt(vector));
  vcpu.ldtBase = context.getBigUint64(X.CONTEXT_ldt_base, true);
  vcpu.ldtEntries = Number(context.getBigUint64(X.CONTEXT_ldt_ents, true));
}

function setCallbacks(vcpu: XenVcpu, context: DataView): void {
  const flags = context.getUint32(X.CONTEXT_flags, true);
  const callback = (offset: number, masks: number): Callback => ({
    address: context.getBigUint64(offset, true),
    masksEvents: (flags & masks) !== 0,
  });
  vcpu.eventCallback = callback(X.CONTEXT_event_callback_eip, 0);
  vcpu.failsafeCallback = callback(X.CONTEXT_failsafe_callback_eip, X.VGCF_failsafe_disables_events);
  vcpu.syscallCallback = callback(X.CONTEXT_syscall_callback_eip, X.VGCF_syscall_disables_events);
}
