// CR0 and CR4: what a guest reads, what the hardware holds while the guest runs, and which of its wishes are granted.
// Sources: Xen 4.17 arch/x86/pv/domain.c (pv_fixup_guest_cr4, pv_make_cr4), pv/emul-priv-op.c (write_cr, read_cr), Xen 4.1.3
// asm-x86/domain.h (pv_guest_cr4_to_real_cr4). The modelled CPU has no VMX in use, SMEP or SMAP; CR4.DE stays off in hardware.
// Left out: what CR4.TSD, OSXSAVE and FSGSBASE then do to instructions.

import type { XenVcpu } from './vcpu.js';

const CR0_TS = 1n << 3n;
/** PE, MP, ET, NE, WP, AM, PG. */
const XEN_CR0 = 0x8005_0033n;

const CR4_TSD = 1n << 2n;
const CR4_DE = 1n << 3n;
const CR4_PSE = 1n << 4n;
const CR4_PGE = 1n << 7n;
const CR4_FSGSBASE = 1n << 16n;
const CR4_OSXSAVE = 1n << 18n;
/** PAE, MCE, OSFXSR, OSXMMEXCPT: always on, and always seen. */
const XEN_CR4 = 0x660n;
/** What a guest may turn on; 4.1 knows of no more than the first two. */
const GUEST_CR4 = { '4.1': CR4_TSD | CR4_DE, '4.17': CR4_TSD | CR4_DE | CR4_FSGSBASE | CR4_OSXSAVE } as const;

/** CR0 in hardware while this vCPU runs: 4.1 leaves TS set until the guest uses the FPU, which it does not do here. */
export const hardwareCr0 = (vcpu: XenVcpu): bigint =>
  guestCr0(vcpu) | (vcpu.domain.hypervisor.config.profile === '4.1' ? CR0_TS : 0n);

/** CR0 as a guest reads it: Xen's, with the guest's own TS. */
export const guestCr0 = (vcpu: XenVcpu): bigint => XEN_CR0 | (vcpu.taskSwitched ? CR0_TS : 0n);

/** A guest's write of CR0: it may change TS only. False when it tries to change more. */
export function writeGuestCr0(vcpu: XenVcpu, value: bigint): boolean {
  if (((value ^ guestCr0(vcpu)) & ~CR0_TS) !== 0n) return false;
  vcpu.taskSwitched = (value & CR0_TS) !== 0n;
  return true;
}

export const guestCr4 = (vcpu: XenVcpu): bigint => XEN_CR4 | vcpu.cr4;

/** A guest's write of CR4: bits that are not the guest's to choose are dropped without a word. */
export function writeGuestCr4(vcpu: XenVcpu, value: bigint): void {
  vcpu.cr4 = value & GUEST_CR4[vcpu.domain.hypervisor.config.profile];
}

/** CR4 in hardware while this vCPU runs. */
export function hardwareCr4(vcpu: XenVcpu): bigint {
  const { profile, flush } = vcpu.domain.hypervisor.config;
  const chosen = guestCr4(vcpu) & ~CR4_DE;
  if (profile === '4.1') return chosen | CR4_PGE | CR4_PSE;
  return flush.xpti ? chosen : chosen | CR4_PGE;
}
