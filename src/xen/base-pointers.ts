// Which L4 a vCPU runs on: the kernel's (CR3 in the guest's kernel, NEW_BASEPTR) and the user's (NEW_USER_BASEPTR).
// Source: Xen 4.1.3 and 4.17 arch/x86/mm.c new_guest_cr3, do_mmuext_op (MMUEXT_NEW_USER_BASEPTR).

import * as complaints from './complaints.js';
import { dropLdt } from './descriptors.js';
import { loadRoot } from './flush.js';
import { PGT_l4_page_table } from './page-info.js';
import { getPageAndType, putPageAndType, type Status } from './page-types.js';
import type { XenVcpu } from './vcpu.js';
import { hasVmAssist, VMASST_TYPE_m2p_strict } from './vm-assist.js';

/**
 * Makes a frame the L4 of the guest's kernel, and loads CR3. The old L4 is let go after the load: what it alone kept as
 * page tables gets the time stamp of that load. 0 or a negative errno.
 */
export function newGuestRoot(vcpu: XenVcpu, frame: bigint): Status {
  const { hypervisor } = vcpu.domain;
  const old = vcpu.kernelTable;
  if (hypervisor.config.profile === '4.17' && old && BigInt(old.mfn) === frame) {
    loadRoot(vcpu, hypervisor.why);
    return 0;
  }
  const table = getPageAndType(hypervisor, frame, vcpu.domain, PGT_l4_page_table);
  if (typeof table === 'number') {
    hypervisor.complain(complaints.badBasePointer(frame));
    return table;
  }
  dropLdt(vcpu);
  if (hypervisor.config.profile === '4.17' && !hasVmAssist(vcpu.domain, VMASST_TYPE_m2p_strict))
    hypervisor.slots.setM2p(table.mfn, true);
  vcpu.kernelTable = table;
  loadRoot(vcpu, hypervisor.why);
  if (old) putPageAndType(hypervisor, old);
  return 0;
}

/** Makes a frame the L4 of the guest's programs, from the next switch to them on; frame 0 takes the one there is away. */
export function newUserRoot(vcpu: XenVcpu, frame: bigint): Status {
  const { hypervisor } = vcpu.domain;
  const old = vcpu.userTable;
  if (hypervisor.config.profile === '4.17' && BigInt(old?.mfn ?? 0) === frame) return 0;
  if (frame === 0n) {
    vcpu.userTable = undefined;
  } else {
    const table = getPageAndType(hypervisor, frame, vcpu.domain, PGT_l4_page_table);
    if (typeof table === 'number') {
      hypervisor.complain(complaints.badUserBasePointer(frame, table));
      return table;
    }
    if (hasVmAssist(vcpu.domain, VMASST_TYPE_m2p_strict)) hypervisor.slots.setM2p(table.mfn, false);
    vcpu.userTable = table;
  }
  if (old) putPageAndType(hypervisor, old);
  return 0;
}
