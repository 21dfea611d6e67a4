// Hypercalls of the toolstack, as a domU finds them: refused, but in the way that each of them refuses.
// Source: Xen 4.17 and 4.1.3 common/domctl.c, common/sysctl.c, arch/x86/platform_hypercall.c (the interface version is
// looked at first), common/kexec.c, arch/x86/cpu/vpmu.c (do_xenpmu_op), arch/x86/hvm/hvm.c (do_hvm_op), xsm/dummy.h.

import { EACCES, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM } from '../../abi/errno.js';
import { readGuestStruct } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import type { VersionProfile } from '../hypervisor.js';

/** The interface's version as each Xen expects it, in the second word of the structure. */
type InterfaceVersions = Readonly<Record<VersionProfile, number>>;

const DOMCTL_VERSIONS: InterfaceVersions = { '4.1': 0x7, '4.17': 0x15 };
const SYSCTL_VERSIONS: InterfaceVersions = { '4.1': 0x8, '4.17': 0x15 };
const PLATFORM_VERSIONS: InterfaceVersions = { '4.1': 0x0300_0001, '4.17': 0x0300_0001 };

/** -EACCES for the wrong interface version, which every caller learns, then -EPERM. */
const forToolstacks =
  (versions: InterfaceVersions): Hypercall =>
  (vcpu, [arg]) => {
    const request = readGuestStruct(vcpu, arg, 8);
    if (!request) return -EFAULT;
    const expected = versions[vcpu.domain.hypervisor.config.profile];
    return request.getUint32(4, true) === expected ? -EPERM : -EACCES;
  };

/** The three that manage domains, the host and its platform. */
export const domctl = forToolstacks(DOMCTL_VERSIONS);
export const sysctl = forToolstacks(SYSCTL_VERSIONS);
export const platform_op = forToolstacks(PLATFORM_VERSIONS);

/** Only dom0 may load another kernel. */
export const kexec_op: Hypercall = () => -EPERM;

/** Performance counters are off unless the host's administrator turns them on; 4.1 did not know the call. */
export const xenpmu_op: Hypercall = (vcpu) => (vcpu.domain.hypervisor.config.profile === '4.1' ? -ENOSYS : -EOPNOTSUPP);

const HVMOP_set_param = 0;
const HVMOP_get_param = 1;

/** A PV domain has no HVM parameters. */
export const hvm_op: Hypercall = (_vcpu, [op]) => {
  const cmd = Number(BigInt.asUintN(32, op));
  return cmd === HVMOP_set_param || cmd === HVMOP_get_param ? -EINVAL : -ENOSYS;
};
