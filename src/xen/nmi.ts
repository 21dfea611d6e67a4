// A guest's handler for NMIs: an entry of its trap table that masks events, set by callback_op or nmi_op.
// Source: Xen 4.1.3 arch/x86/traps.c and 4.17 arch/x86/pv/callback.c, register_guest_nmi_callback.

import { X86_EXC_NMI } from '../abi/exceptions.js';
import { FLAT_RING3_CS64 } from '../abi/registers.js';
import { NO_TRAP, type XenVcpu } from './vcpu.js';

/** `address` is canonical. */
export function registerNmiHandler(vcpu: XenVcpu, address: bigint): void {
  vcpu.trapTable[X86_EXC_NMI] = { address, cs: FLAT_RING3_CS64, dpl: 0, masksEvents: true };
}

export function unregisterNmiHandler(vcpu: XenVcpu): void {
  vcpu.trapTable[X86_EXC_NMI] = NO_TRAP;
}
