// A guest's debug registers: it may set them, within limits. Nothing breaks on them: the engine has no breakpoints.
// Source: Xen 4.1.3 arch/x86/traps.c set_debugreg, do_get_debugreg; Xen 4.17 arch/x86/pv/misc-hypercalls.c set_debugreg,
// arch/x86/x86_emulate.c x86emul_read_dr. Left out: what the registers do.

import { EINVAL, ENODEV, EPERM } from '../abi/errno.js';
import { isGuestAddress } from './guest-memory.js';
import type { XenVcpu } from './vcpu.js';

const CR4_DE = 1n << 3n;
const DR6_ONES = 0xffff_0ff0n;
const DR6_ZEROES = 0x1000n;
const DR7_ONES = 0x400n;
const DR7_ZEROES = 0xd800n;
const DR7_GENERAL_DETECT = 1n << 13n;
/** L0 to G3: any breakpoint on. */
const DR7_ACTIVE = 0xffn;
/** A breakpoint's kind: I/O. */
const RW_IO = 2n;

/** 0, or why the guest may not set the register so. */
export function setDebugRegister(vcpu: XenVcpu, register: number, value: bigint): number {
  const isOld = vcpu.domain.hypervisor.config.profile === '4.1';
  const hasDe = (vcpu.cr4 & CR4_DE) !== 0n;
  switch (register) {
    case 0:
    case 1:
    case 2:
    case 3:
      if (!isGuestAddress(value)) return -EPERM;
      vcpu.debugRegisters[register] = value;
      return 0;
    case 4:
    case 5:
      // The old names of dr6 and dr7, unless CR4.DE makes them invalid.
      if (isOld) return -EINVAL;
      return hasDe ? -ENODEV : setDebugRegister(vcpu, register + 2, value);
    case 6:
      if (!isOld && value > 0xffff_ffffn) return -EINVAL;
      vcpu.debugRegisters[6] = (value & 0xffff_ffffn & ~DR6_ZEROES) | DR6_ONES;
      return 0;
    case 7:
      if (!isOld && value > 0xffff_ffffn) return -EINVAL;
      return setControl(vcpu, (value & 0xffff_ffffn & ~DR7_ZEROES) | DR7_ONES, hasDe);
    default:
      return isOld ? -EINVAL : -ENODEV;
  }
}

function setControl(vcpu: XenVcpu, value: bigint, hasDe: boolean): number {
  if ((value & DR7_GENERAL_DETECT) !== 0n) return -EPERM;
  if ((value & DR7_ACTIVE) !== 0n && !hasDe)
    for (let breakpoint = 0n; breakpoint < 4n; breakpoint++)
      if (((value >> (16n + 4n * breakpoint)) & 3n) === RW_IO) return -EPERM;
  vcpu.debugRegisters[7] = value;
  return 0;
}

/** The register's value, or undefined where there is none of that number. */
export function readDebugRegister(vcpu: XenVcpu, register: number): bigint | undefined {
  if (register === 4 || register === 5) {
    const isOld = vcpu.domain.hypervisor.config.profile === '4.1';
    const hasDe = (vcpu.cr4 & CR4_DE) !== 0n;
    // The two versions read CR4.DE the other way round.
    if (hasDe === isOld) return vcpu.debugRegisters[register + 2];
    return isOld ? 0n : undefined;
  }
  return vcpu.debugRegisters[register];
}
