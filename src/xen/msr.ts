// RDMSR and WRMSR of a PV guest's kernel.
// Sources: Xen 4.17 arch/x86/pv/emul-priv-op.c (read_msr, write_msr), arch/x86/msr.c (guest_rdmsr, guest_wrmsr),
// arch/x86/traps.c guest_wrmsr_xen; Xen 4.1.3 arch/x86/traps.c emulate_privileged_op.
// The modelled processor has no more MSRs than are named here; those without state of their own read as 0.
// Left out: performance counters, power management, machine-check banks beyond the two that Xen shows.

import { X86_EXC_GP } from '../abi/exceptions.js';
import { hypercallPage } from '../abi/hypercalls.js';
import * as msr from '../abi/msrs.js';
import { FS, GS } from '../abi/registers.js';
import { XEN_CPUID_BASE } from '../abi/xen-cpuid.js';
import { isCanonical, mfnToMaddr } from '../base/addresses.js';
import { hex } from '../base/hex.js';
import { PGT_writable_page } from './page-info.js';
import { getPageAndType, putPageAndType } from './page-types.js';
import type { XenVcpu } from './vcpu.js';

/** SCE, LME, LMA, NXE. */
const GUEST_EFER = 0xd01n;
/** Enabled, at its usual place. */
const APIC_BASE_VALUE = 0xfee0_0800n;
const APIC_BASE_BSP = 0x100n;
/** Xen's own: WB WT UC- UC WC WP UC UC. */
const XEN_PAT = 0x0000_0501_0007_0406n;
/** Software error recovery, threshold-based error status, two banks. */
const GUEST_MCG_CAP = 0x0100_0802n;
const GUEST_MC_BANKS = 2;
/** BTS and PEBS unavailable, xTPR messages disabled. */
const GUEST_MISC_ENABLE = (1n << 11n) | (1n << 12n) | (1n << 23n);
const XEN_MSR_COUNT = 0x200;

/** MSRs of the processor that a 4.1 guest may read, and a later one (without a #GP handler) reads as 0. */
const PHYSICAL: ReadonlySet<number> = new Set([
  msr.MSR_IA32_PLATFORM_ID,
  msr.MSR_MTRRcap,
  msr.MSR_IA32_SYSENTER_CS,
  msr.MSR_IA32_SYSENTER_ESP,
  msr.MSR_IA32_SYSENTER_EIP,
  msr.MSR_MTRRdefType,
  msr.MSR_STAR,
  msr.MSR_LSTAR,
  msr.MSR_CSTAR,
  msr.MSR_SYSCALL_MASK,
  msr.MSR_TSC_AUX,
]);

/** The value, or undefined: the guest gets #GP(0). */
export function readMsr(vcpu: XenVcpu, index: number): bigint | undefined {
  const known = knownMsr(vcpu, index);
  if (known !== undefined) return known;
  const { config, console } = vcpu.domain.hypervisor;
  if (PHYSICAL.has(index)) {
    if (config.profile === '4.1') return 0n;
    if (vcpu.trapTable[X86_EXC_GP]!.address === 0n) {
      console.print(`d${vcpu.domain.id}v${vcpu.id} faking RDMSR 0x${hex(index, 8)}`);
      return 0n;
    }
  }
  if (config.profile === '4.17' && config.debug)
    console.print(
      `arch/x86/pv/emul-priv-op.c:1027:d${vcpu.domain.id}v${vcpu.id} RDMSR 0x${hex(index, 8)} unimplemented`,
    );
  return undefined;
}

function knownMsr(vcpu: XenVcpu, index: number): bigint | undefined {
  const { registers } = vcpu;
  switch (index) {
    case msr.MSR_IA32_TSC:
      return vcpu.domain.hypervisor.clock.tsc();
    case msr.MSR_APIC_BASE:
      return APIC_BASE_VALUE | (vcpu.id === 0 ? APIC_BASE_BSP : 0n);
    case msr.MSR_EFER:
      return GUEST_EFER;
    case msr.MSR_FS_BASE:
      return registers.readSegmentBase(FS);
    case msr.MSR_GS_BASE:
      return registers.readSegmentBase(GS);
    case msr.MSR_SHADOW_GS_BASE:
      return vcpu.inactiveGsBase;
    case msr.MSR_IA32_CR_PAT:
      return XEN_PAT;
    case msr.MSR_IA32_MISC_ENABLE:
      return GUEST_MISC_ENABLE;
    case msr.MSR_IA32_MCG_CAP:
      return GUEST_MCG_CAP;
    case msr.MSR_IA32_UCODE_REV:
    case msr.MSR_INTEL_PLATFORM_INFO:
    case msr.MSR_MISC_FEATURES_ENABLES:
    case msr.MSR_IA32_MCG_STATUS:
      return 0n;
    default:
      return isMachineCheckBank(index) || isXenMsr(index) ? 0n : undefined;
  }
}

const isMachineCheckBank = (index: number): boolean =>
  index >= msr.MSR_IA32_MC0_CTL && index < msr.MSR_IA32_MC0_CTL + 4 * GUEST_MC_BANKS;
const isXenMsr = (index: number): boolean => index >= XEN_CPUID_BASE && index < XEN_CPUID_BASE + XEN_MSR_COUNT;

/** True when the write was carried out or is ignored; false: the guest gets #GP(0). */
export function writeMsr(vcpu: XenVcpu, index: number, value: bigint): boolean {
  const { registers } = vcpu;
  switch (index) {
    case msr.MSR_FS_BASE:
    case msr.MSR_GS_BASE:
      if (!isCanonical(value)) return false;
      registers.writeSegmentBase(index === msr.MSR_FS_BASE ? FS : GS, value);
      return true;
    case msr.MSR_SHADOW_GS_BASE:
      if (!isCanonical(value)) return false;
      vcpu.inactiveGsBase = value;
      return true;
    case msr.MSR_EFER:
      if (value === GUEST_EFER) return true;
      break;
    case msr.MSR_IA32_MISC_ENABLE:
    case msr.MSR_IA32_UCODE_REV:
    case msr.MSR_MISC_FEATURES_ENABLES:
      return true;
    default:
      if (index === XEN_CPUID_BASE) return writeHypercallPage(vcpu, value);
      if (isXenMsr(index) || isMachineCheckBank(index)) return true;
  }
  const { config, console } = vcpu.domain.hypervisor;
  const text = `0x${hex(index, 8)} val 0x${hex(value, 16)}`;
  if (config.profile === '4.1') {
    const change = `from 0x${hex(0, 16)} to 0x${hex(value, 16)}`;
    console.print(`traps.c:2486:d${vcpu.domain.id} Domain attempted WRMSR ${hex(index, 16)} ${change}.`);
    return true;
  }
  if (config.debug)
    console.print(`arch/x86/pv/emul-priv-op.c:1185:d${vcpu.domain.id}v${vcpu.id} WRMSR ${text} unimplemented`);
  return false;
}

/** WRMSR 0x40000000: fills the frame that the value names with hypercall stubs; its low 12 bits must be 0. */
function writeHypercallPage(vcpu: XenVcpu, value: bigint): boolean {
  const { hypervisor } = vcpu.domain;
  if ((value & 0xfffn) !== 0n) return false;
  const page = getPageAndType(hypervisor, value >> 12n, vcpu.domain, PGT_writable_page);
  if (typeof page === 'number') return false;
  hypervisor.memory.copyIn(mfnToMaddr(page.mfn), hypercallPage());
  putPageAndType(hypervisor, page);
  return true;
}
