// Xen's CPUID leaves. Source: Xen 4.17 public/arch-x86/cpuid.h.

/** The first of Xen's leaves; also the number of the hypercall page's MSR. */
export const XEN_CPUID_BASE = 0x4000_0000;

/** "XenVMMXenVMM" in ebx, ecx, edx. */
export const CPUID_SIGNATURE = { ebx: 0x566e_6558, ecx: 0x6558_4d4d, edx: 0x4d4d_566e } as const;
