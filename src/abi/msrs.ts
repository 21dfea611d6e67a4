// Model-specific registers by number. Sources: SDM 4 "Model-Specific Registers"; Xen 4.17 asm/msr-index.h.

export const MSR_IA32_TSC = 0x10;
export const MSR_IA32_PLATFORM_ID = 0x17;
export const MSR_APIC_BASE = 0x1b;
export const MSR_IA32_UCODE_REV = 0x8b;
export const MSR_INTEL_PLATFORM_INFO = 0xce;
export const MSR_MTRRcap = 0xfe;
export const MSR_MISC_FEATURES_ENABLES = 0x140;
export const MSR_IA32_SYSENTER_CS = 0x174;
export const MSR_IA32_SYSENTER_ESP = 0x175;
export const MSR_IA32_SYSENTER_EIP = 0x176;
export const MSR_IA32_MCG_CAP = 0x179;
export const MSR_IA32_MCG_STATUS = 0x17a;
export const MSR_IA32_MISC_ENABLE = 0x1a0;
export const MSR_IA32_CR_PAT = 0x277;
export const MSR_MTRRdefType = 0x2ff;
export const MSR_IA32_MC0_CTL = 0x400;
export const MSR_EFER = 0xc000_0080;
export const MSR_STAR = 0xc000_0081;
export const MSR_LSTAR = 0xc000_0082;
export const MSR_CSTAR = 0xc000_0083;
export const MSR_SYSCALL_MASK = 0xc000_0084;
export const MSR_FS_BASE = 0xc000_0100;
export const MSR_GS_BASE = 0xc000_0101;
export const MSR_SHADOW_GS_BASE = 0xc000_0102;
export const MSR_TSC_AUX = 0xc000_0103;
