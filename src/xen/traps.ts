// Exceptions of a PV guest: what Xen handles itself, and what the guest's kernel gets to see.
// Sources: Xen 4.1.3 and 4.17 arch/x86/traps.c (do_page_fault, fixup_page_fault, do_general_protection, do_invalid_op,
// do_device_not_available, do_debug), arch/x86/pv/traps.c pv_inject_event, arch/x86/x86_64/entry.S (int80_direct_trap).
// A page fault is given to the guest also when memory allows the access: Xen walks again only for faults of its own.
// Left out: machine checks, hardware breakpoints, memory hotplug, 4.1's extra dump for reserved-bit faults.

import type { CrashCause } from '../abi/crash-report.js';
import { type CpuException, X86_EXC_DB, X86_EXC_GP, X86_EXC_NM, X86_EXC_PF, X86_EXC_UD } from '../abi/exceptions.js';
import {
  PFEC_insn_fetch,
  PFEC_page_present,
  PFEC_reserved_bit,
  PFEC_user_mode,
  PFEC_write_access,
} from '../abi/paging.js';
import { RFLAGS_TF } from '../abi/registers.js';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../abi/xen-layout.js';
import { createBounceFrame } from './bounce.js';
import { reportWalk } from './crash.js';
import { emulateForcedInvalid, emulatePrivileged } from './emulate.js';
import { writePageTable } from './ptwr.js';
import type { XenVcpu } from './vcpu.js';
import { hasVmAssist, VMASST_TYPE_writable_pagetables } from './vm-assist.js';

/** Bits of a #GP's error code: an entry of the interrupt table is named, and not by an instruction. */
const EC_IDT = 2;
const EC_EXTERNAL = 1;
const LEGACY_SYSCALL_VECTOR = 0x80;
/** What Xen takes any INT n to be long. */
const INT_N_BYTES = 2n;
const DR6_SINGLE_STEP = 1n << 14n;

/** Handles an exception that the guest's code raised; Xen has just been entered. */
export function handleException(vcpu: XenVcpu, exception: CpuException): void {
  const { vector } = exception;
  const errorCode = exception.errorCode ?? 0;
  if (exception.software) {
    openGate(vcpu, vector);
  } else if (vector === X86_EXC_PF) {
    pageFault(vcpu, exception.vaddr ?? 0n, errorCode);
  } else if (vector === X86_EXC_GP) {
    generalProtection(vcpu, errorCode);
  } else if (vector === X86_EXC_UD) {
    if (!emulateForcedInvalid(vcpu)) deliver(vcpu, { vector });
  } else if (vector === X86_EXC_NM) {
    // Xen's own lazy switching is not modelled: without the guest's TS there is nothing to do.
    if (!vcpu.taskSwitched) return;
    deliver(vcpu, { vector });
    vcpu.taskSwitched = false;
  } else {
    deliver(vcpu, exception.errorCode === undefined ? { vector } : { vector, errorCode });
  }
}

/** An exception for the guest's kernel; `isFault` false for those that are reported behind the instruction. */
export interface GuestException {
  readonly vector: number;
  readonly errorCode?: number;
  readonly vaddr?: bigint;
  readonly isFault?: boolean;
}

/** Delivers an exception to the guest's kernel, or crashes its domain when it has no handler. */
export function deliver(vcpu: XenVcpu, exception: GuestException): void {
  const { vector, vaddr } = exception;
  let { errorCode } = exception;
  if (vector === X86_EXC_DB) recordDebugTrap(vcpu);
  if (vector === X86_EXC_PF && vaddr !== undefined) {
    vcpu.setCr2(vaddr);
    // All of a PV guest runs at CPL 3: the U bit is made to mean the guest's own user mode.
    errorCode = ((errorCode ?? 0) & ~PFEC_user_mode) | (vcpu.kernelMode ? 0 : PFEC_user_mode);
  }
  const { address, masksEvents } = vcpu.trapTable[vector & 0xff]!;
  const cause: CrashCause = { kind: 'unhandled', vector, errorCode };
  createBounceFrame(vcpu, {
    what: vector,
    address,
    masksEvents,
    isFault: exception.isFault ?? vector !== X86_EXC_DB,
    ...(errorCode === undefined ? {} : { errorCode }),
    ...(vaddr === undefined ? {} : { vaddr }),
    // Printed before the frame is pushed: of the tables in use when the fault was.
    ...(address === 0n ? { cause } : {}),
    ...(address === 0n && vaddr !== undefined ? { walk: reportWalk(vcpu, vaddr) } : {}),
  });
}

function pageFault(vcpu: XenVcpu, vaddr: bigint, errorCode: number): void {
  if (isPageTableWrite(vcpu, vaddr, errorCode) && writePageTable(vcpu, vaddr)) return;
  deliver(vcpu, { vector: X86_EXC_PF, errorCode, vaddr });
}

/** Whether the fault is of the kind that writable page tables (vm_assist) are about. */
function isPageTableWrite(vcpu: XenVcpu, vaddr: bigint, errorCode: number): boolean {
  const kind = PFEC_write_access | PFEC_page_present | PFEC_reserved_bit | PFEC_insn_fetch;
  return (
    vcpu.kernelMode &&
    (errorCode & kind) === (PFEC_write_access | PFEC_page_present) &&
    (vaddr < HYPERVISOR_VIRT_START || vaddr >= HYPERVISOR_VIRT_END) &&
    hasVmAssist(vcpu.domain, VMASST_TYPE_writable_pagetables)
  );
}

/** Merges what the CPU says about a #DB into the DR6 that the guest reads. */
function recordDebugTrap(vcpu: XenVcpu): void {
  const isStep = (vcpu.registers.rflags & BigInt(RFLAGS_TF)) !== 0n;
  vcpu.debugRegisters[6] = (vcpu.debugRegisters[6] ?? 0n) | (isStep ? DR6_SINGLE_STEP : 0n);
}

/** #GP: of an INT n through a gate that is closed to CPL 3, of an instruction that Xen emulates, or the guest's own. */
function generalProtection(vcpu: XenVcpu, errorCode: number): void {
  if ((errorCode & (EC_IDT | EC_EXTERNAL)) === EC_IDT) {
    const vector = (errorCode >> 3) & 0xff;
    // The guest's trap table says who may: its kernel (which counts as ring 1), or its programs too.
    if (vcpu.trapTable[vector]!.dpl >= (vcpu.kernelMode ? 1 : 3)) {
      vcpu.registers.rip = BigInt.asUintN(64, vcpu.registers.rip + INT_N_BYTES);
      deliver(vcpu, { vector, isFault: false });
      return;
    }
  } else if (errorCode === 0 && emulatePrivileged(vcpu)) return;
  deliver(vcpu, { vector: X86_EXC_GP, errorCode });
}

/** INT3, INTO, INT1, INT 0x80: the gates that CPL 3 may use; rip is behind the instruction. */
function openGate(vcpu: XenVcpu, vector: number): void {
  if (vector === LEGACY_SYSCALL_VECTOR && vcpu.trapTable[vector]!.address === 0n) {
    vcpu.registers.rip = BigInt.asUintN(64, vcpu.registers.rip - INT_N_BYTES);
    deliver(vcpu, { vector: X86_EXC_GP, errorCode: (vector << 3) | EC_IDT });
    return;
  }
  deliver(vcpu, { vector, isFault: false });
}
