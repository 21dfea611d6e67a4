// Whose pages a request is about: the foreigndom argument of mmu_update, mmuext_op and update_va_mapping_otherdomain.
// Source: Xen 4.1.3 arch/x86/mm.c get_pg_owner, Xen 4.17 common/page_alloc.c get_pg_owner with xsm/dummy.h.
// Left out: privileged domains, which may name others.

import { EPERM, ESRCH } from '../abi/errno.js';
import { DOMID_IO, DOMID_SELF, DOMID_XEN } from '../abi/xen-layout.js';
import * as complaints from './complaints.js';
import type { Domain } from './domain.js';
import type { PageOwner } from './validate.js';
import type { XenVcpu } from './vcpu.js';

/** The owner meant by a domain number (`owner` undefined: DOMID_IO), or a negative errno. */
export function foreignOwner(vcpu: XenVcpu, id: number): { readonly owner: PageOwner } | number {
  const { domain } = vcpu;
  const { hypervisor } = domain;
  if (id === DOMID_SELF) return { owner: domain };
  if (id === domain.id) {
    hypervisor.complain(complaints.foreignIsSelf());
    return -ESRCH;
  }
  if (id === DOMID_IO) return { owner: undefined };
  if (id !== DOMID_XEN && !hypervisor.domains.has(id)) {
    hypervisor.complain(complaints.foreignUnknown(id));
    return -ESRCH;
  }
  if (hypervisor.config.profile === '4.17') return -EPERM;
  hypervisor.complain(complaints.foreignRefused());
  return -ESRCH;
}

/** Whether the owner is the calling domain itself. */
export const isSelf = (vcpu: XenVcpu, owner: PageOwner): owner is Domain => owner === vcpu.domain;
