// Small hypercalls about the calling vCPU's own state: kernel stack, segment bases, TS, debug registers, vm_assist.
// Source: Xen 4.1.3 arch/x86/domain.c, arch/x86/traps.c, arch/x86/x86_64/mm.c, common/domain.c; Xen 4.17
// arch/x86/pv/misc-hypercalls.c, common/domain.c.

import { EFAULT, EINVAL, ENODEV, ENOSYS } from '../../abi/errno.js';
import { FS, GS } from '../../abi/registers.js';
import { isCanonical } from '../../base/addresses.js';
import { readDebugRegister, setDebugRegister } from '../debug-registers.js';
import { isUserDataDescriptor, segmentBase } from '../descriptor.js';
import { readDescriptor } from '../descriptors.js';
import type { Hypercall } from '../hypercall.js';
import { VM_ASSIST_TYPES } from '../vm-assist.js';

/** (ss, rsp): where Xen pushes when a program is interrupted. */
export const stack_switch: Hypercall = (vcpu, [ss, rsp]) => {
  vcpu.kernelSs = Number(ss & 0xffffn) | 3;
  vcpu.kernelSp = rsp;
  return 0;
};

const SEGBASE_FS = 0n;
const SEGBASE_GS_USER = 1n;
const SEGBASE_GS_KERNEL = 2n;
const SEGBASE_GS_USER_SEL = 3n;

/** (which, base): the base of FS, of the kernel's or the user's GS; or the user's GS as a selector says. */
export const set_segment_base: Hypercall = (vcpu, [which, base]) => {
  const { registers, domain } = vcpu;
  const isBase = BigInt.asUintN(32, which) < SEGBASE_GS_USER_SEL;
  if (isBase && !isCanonical(base)) return domain.hypervisor.config.profile === '4.1' ? -EFAULT : -EINVAL;
  switch (BigInt.asUintN(32, which)) {
    case SEGBASE_FS:
      registers.writeSegmentBase(FS, base);
      return 0;
    case SEGBASE_GS_USER:
      vcpu.inactiveGsBase = base;
      return 0;
    case SEGBASE_GS_KERNEL:
      registers.writeSegmentBase(GS, base);
      return 0;
    case SEGBASE_GS_USER_SEL: {
      const selector = Number(base & 0xffffn);
      const descriptor = readDescriptor(vcpu, selector);
      const isUsable = descriptor !== undefined && isUserDataDescriptor(descriptor);
      registers.writeSelector(GS, isUsable ? selector : 0);
      vcpu.inactiveGsBase = isUsable ? segmentBase(descriptor) : 0n;
      return 0;
    }
    default:
      return -EINVAL;
  }
};

/** (set): whether the next FPU instruction raises #NM. */
export const fpu_taskswitch: Hypercall = (vcpu, [set]) => {
  vcpu.taskSwitched = BigInt.asUintN(32, set) !== 0n;
  return 0;
};

/** (register, value) */
export const set_debugreg: Hypercall = (vcpu, [register, value]) =>
  setDebugRegister(vcpu, Number(BigInt.asUintN(32, register)), value);

/** (register): its value, or a negative errno that looks like one. */
export const get_debugreg: Hypercall = (vcpu, [register]) =>
  readDebugRegister(vcpu, Number(BigInt.asUintN(32, register))) ??
  (vcpu.domain.hypervisor.config.profile === '4.1' ? -EINVAL : -ENODEV);

const VMASST_CMD_enable = 0n;
const VMASST_CMD_disable = 1n;

/** (command, type) */
export const vm_assist: Hypercall = (vcpu, [command, typeWord]) => {
  const { domain } = vcpu;
  const type = Number(BigInt.asUintN(32, typeWord));
  if (!VM_ASSIST_TYPES[domain.hypervisor.config.profile].includes(type)) return -EINVAL;
  switch (BigInt.asUintN(32, command)) {
    case VMASST_CMD_enable:
      domain.vmAssist |= 1n << BigInt(type);
      return 0;
    case VMASST_CMD_disable:
      domain.vmAssist &= ~(1n << BigInt(type));
      return 0;
    default:
      return -ENOSYS;
  }
};
