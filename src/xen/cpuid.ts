// CPUID as Xen answers it: the processor's features less those that a PV guest cannot have, and Xen's own leaves. A guest
// asks Xen by `ud2; .ascii "xen"; cpuid`; a plain CPUID runs on the processor, unless Xen makes it fault or masks it.
// Sources: Xen 4.17 arch/x86/traps.c cpuid_hypervisor_leaves, arch/x86/cpuid.c guest_cpuid, public/arch-x86/cpuid.h,
// public/arch-x86/cpufeatureset.h; Xen 4.1.3 arch/x86/traps.c pv_cpuid. Left out: leaf 40000004 (HVM), per-domain policies.

import { CPUID_SIGNATURE, XEN_CPUID_BASE } from '../abi/xen-cpuid.js';
import type { XenVcpu } from './vcpu.js';

export interface CpuidResult {
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

/** What the processor itself answers to (leaf, subleaf). */
export type HardwareCpuid = (leaf: number, subleaf: number) => CpuidResult;

const NOTHING: CpuidResult = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

const bits = (...positions: readonly number[]): number => positions.reduce((mask, bit) => mask | (1 << bit), 0);

// What a PV guest does not get, by register of a leaf.
/** DTES64, MONITOR, DS_CPL, VMX, SMX, EIST, TM2, XTPR, PDCM, PCID, DCA, X2APIC, TSC_DEADLINE, OSXSAVE. */
const LEAF1_ECX_HIDDEN = bits(2, 3, 4, 5, 6, 7, 8, 14, 15, 17, 18, 21, 24, 27);
/** VME, PSE, MTRR, PGE, PSE36, DS, ACPI, TM1, PBE. */
const LEAF1_EDX_HIDDEN = bits(1, 3, 12, 13, 17, 21, 22, 29, 31);
/** SMEP, INVPCID, PQM, MPX, PQE, SMAP. */
const LEAF7_EBX_HIDDEN = bits(7, 10, 12, 14, 15, 20);
/** UMIP, PKU, OSPKE. */
const LEAF7_ECX_HIDDEN = bits(2, 3, 4);
/** SVM, EXTAPIC. */
const EXT1_ECX_HIDDEN = bits(2, 3);
/** VME, PSE, MTRR, PGE, PSE36, PAGE1GB. */
const EXT1_EDX_HIDDEN = bits(1, 3, 12, 13, 17, 26);
const HYPERVISOR = 1 << 31;
const OSXSAVE = 1 << 27;
const CR4_OSXSAVE = 1n << 18n;
const MMU_PT_UPDATE_PRESERVE_AD = 1;

/** Xen's answer to a guest. */
export function policyCpuid(vcpu: XenVcpu, leaf: number, subleaf: number): CpuidResult {
  const index = (leaf - XEN_CPUID_BASE) >>> 0;
  if (index < 0x100) return hypervisorLeaf(vcpu, index, subleaf);
  const native = vcpu.domain.hypervisor.cpuid(leaf, subleaf);
  switch (leaf >>> 0) {
    case 1: {
      const osxsave = (vcpu.cr4 & CR4_OSXSAVE) === 0n ? 0 : OSXSAVE;
      const ecx = (native.ecx & ~LEAF1_ECX_HIDDEN) | HYPERVISOR | osxsave;
      return { ...native, ebx: native.ebx & 0xff_ffff, ecx: ecx >>> 0, edx: (native.edx & ~LEAF1_EDX_HIDDEN) >>> 0 };
    }
    case 7:
      if (subleaf !== 0) return native;
      return {
        ...native,
        ebx: (native.ebx & ~LEAF7_EBX_HIDDEN) >>> 0,
        ecx: (native.ecx & ~LEAF7_ECX_HIDDEN) >>> 0,
      };
    case 0x8000_0001:
      return {
        ...native,
        ecx: (native.ecx & ~EXT1_ECX_HIDDEN) >>> 0,
        edx: (native.edx & ~EXT1_EDX_HIDDEN) >>> 0,
      };
    default:
      return native;
  }
}

function hypervisorLeaf(vcpu: XenVcpu, index: number, subleaf: number): CpuidResult {
  const { config, memory, clock } = vcpu.domain.hypervisor;
  const isOld = config.profile === '4.1';
  const last = isOld ? 2 : 5;
  if (index > last) return NOTHING;
  switch (index) {
    case 0:
      return { eax: XEN_CPUID_BASE + last, ...CPUID_SIGNATURE };
    case 1:
      return { ...NOTHING, eax: (4 << 16) | (isOld ? 1 : 17) };
    case 2:
      // One hypercall page, its MSR, and the one feature.
      return { eax: 1, ebx: XEN_CPUID_BASE, ecx: MMU_PT_UPDATE_PRESERVE_AD, edx: 0 };
    case 3: {
      const khz = Number(clock.tscHz / 1000n);
      // Host TSC is safe, RDTSCP exists; mode 0 is native.
      if (subleaf === 0) return { eax: 0b110, ebx: 0, ecx: khz, edx: 0 };
      return subleaf === 2 ? { ...NOTHING, eax: khz } : NOTHING;
    }
    case 5:
      return { ...NOTHING, ebx: 12 + Math.ceil(Math.log2(memory.maxMfn)) };
    default:
      return NOTHING;
  }
}
