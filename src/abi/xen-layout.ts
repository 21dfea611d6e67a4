// The address space that a 64-bit PV guest shares with Xen, the structures both read, and the numbers of domains.
// Source: Xen 4.17 public/xen.h, public/arch-x86/xen.h, public/arch-x86/xen-x86_64.h. Offsets are bytes from the start of
// the structure; they were computed by a C compiler from the public headers.

// --- Address space -------------------------------------------------------------------------------------------------
/** Xen's hole: [start, end). L4 slots 256 to 271. Nothing in it is the guest's, but the M2P below may be read. */
export const HYPERVISOR_VIRT_START = 0xffff_8000_0000_0000n;
export const HYPERVISOR_VIRT_END = 0xffff_8800_0000_0000n;
export const ROOT_PAGETABLE_FIRST_XEN_SLOT = 256;
export const ROOT_PAGETABLE_LAST_XEN_SLOT = 271;
/** The read-only machine-to-physical table: one u64 per mfn. */
export const MACH2PHYS_VIRT_START = 0xffff_8000_0000_0000n;
export const MACH2PHYS_VIRT_END = 0xffff_8040_0000_0000n;
/** Where a guest sees its GDT and LDT (sgdt), one 128 KiB window per vCPU; GDT first, LDT in the second half. */
export const GDT_LDT_VIRT_START = 0xffff_8200_0000_0000n;
export const GDT_LDT_VCPU_BYTES = 0x2_0000n;

// --- Domains -------------------------------------------------------------------------------------------------------
export const DOMID_FIRST_RESERVED = 0x7ff0;
export const DOMID_SELF = 0x7ff0;
export const DOMID_IO = 0x7ff1;
export const DOMID_XEN = 0x7ff2;
export const DOMID_INVALID = 0x7ff4;

export const SHUTDOWN_poweroff = 0;
export const SHUTDOWN_reboot = 1;
export const SHUTDOWN_suspend = 2;
export const SHUTDOWN_crash = 3;
export const SHUTDOWN_watchdog = 4;
export const SHUTDOWN_soft_reset = 5;

// --- struct shared_info (0xc40 bytes) ------------------------------------------------------------------------------
export const XEN_LEGACY_MAX_VCPUS = 32;
export const SHARED_INFO_vcpu_info = 0;
export const SHARED_INFO_evtchn_pending = 0x800;
export const SHARED_INFO_evtchn_mask = 0xa00;
export const SHARED_INFO_wc_version = 0xc00;
export const SHARED_INFO_wc_sec = 0xc04;
export const SHARED_INFO_wc_nsec = 0xc08;
export const SHARED_INFO_wc_sec_hi = 0xc0c;
export const SHARED_INFO_arch_max_pfn = 0xc10;
export const SHARED_INFO_arch_pfn_to_mfn_frame_list_list = 0xc18;
export const SHARED_INFO_arch_nmi_reason = 0xc20;
export const SHARED_INFO_arch_p2m_cr3 = 0xc28;
export const SHARED_INFO_arch_p2m_vaddr = 0xc30;
export const SHARED_INFO_arch_p2m_generation = 0xc38;

// --- struct vcpu_info (64 bytes) -----------------------------------------------------------------------------------
export const VCPU_INFO_BYTES = 64;
export const VCPU_INFO_evtchn_upcall_pending = 0;
export const VCPU_INFO_evtchn_upcall_mask = 1;
export const VCPU_INFO_evtchn_pending_sel = 8;
export const VCPU_INFO_arch_cr2 = 0x10;
export const VCPU_INFO_time = 0x20;

// --- struct vcpu_time_info (32 bytes) ------------------------------------------------------------------------------
export const VCPU_TIME_INFO_BYTES = 32;
export const VCPU_TIME_version = 0;
export const VCPU_TIME_tsc_timestamp = 8;
export const VCPU_TIME_system_time = 0x10;
export const VCPU_TIME_tsc_to_system_mul = 0x18;
export const VCPU_TIME_tsc_shift = 0x1c;
export const VCPU_TIME_flags = 0x1d;

// --- struct start_info (1168 bytes) --------------------------------------------------------------------------------
export const START_INFO_BYTES = 1168;
export const START_INFO_MAGIC = 'xen-3.0-x86_64';
export const START_INFO_magic = 0;
export const START_INFO_nr_pages = 0x20;
/** A machine address. */
export const START_INFO_shared_info = 0x28;
export const START_INFO_flags = 0x30;
export const START_INFO_store_mfn = 0x38;
export const START_INFO_store_evtchn = 0x40;
export const START_INFO_console_mfn = 0x48;
export const START_INFO_console_evtchn = 0x50;
export const START_INFO_pt_base = 0x58;
export const START_INFO_nr_pt_frames = 0x60;
export const START_INFO_mfn_list = 0x68;
export const START_INFO_mod_start = 0x70;
export const START_INFO_mod_len = 0x78;
export const START_INFO_cmd_line = 0x80;
export const START_INFO_cmd_line_BYTES = 1024;
export const START_INFO_first_p2m_pfn = 0x480;
export const START_INFO_nr_p2m_frames = 0x488;

export const SIF_PRIVILEGED = 1 << 0;
export const SIF_INITDOMAIN = 1 << 1;
export const SIF_MULTIBOOT_MOD = 1 << 2;
export const SIF_MOD_START_PFN = 1 << 3;
export const SIF_VIRT_P2M_4TOOLS = 1 << 4;

// --- struct vcpu_guest_context (5168 bytes), what VCPUOP_initialise takes --------------------------------------------
export const VCPU_GUEST_CONTEXT_BYTES = 5168;
export const CONTEXT_flags = 0x200;
export const CONTEXT_user_regs = 0x208;
export const CONTEXT_trap_ctxt = 0x2d0;
export const CONTEXT_ldt_base = 0x12d0;
export const CONTEXT_ldt_ents = 0x12d8;
export const CONTEXT_gdt_frames = 0x12e0;
export const CONTEXT_gdt_ents = 0x1360;
export const CONTEXT_kernel_ss = 0x1368;
export const CONTEXT_kernel_sp = 0x1370;
export const CONTEXT_ctrlreg = 0x1378;
export const CONTEXT_debugreg = 0x13b8;
export const CONTEXT_event_callback_eip = 0x13f8;
export const CONTEXT_failsafe_callback_eip = 0x1400;
export const CONTEXT_syscall_callback_eip = 0x1408;
export const CONTEXT_vm_assist = 0x1410;
export const CONTEXT_fs_base = 0x1418;
export const CONTEXT_gs_base_kernel = 0x1420;
export const CONTEXT_gs_base_user = 0x1428;

/** Within user_regs: byte offsets; the general registers by encoding number (rax rcx rdx rbx rsp rbp rsi rdi r8…r15). */
export const USER_REGS_gpr = [
  0x50, 0x58, 0x60, 0x28, 0x98, 0x20, 0x68, 0x70, 0x48, 0x40, 0x38, 0x30, 0x18, 0x10, 0x08, 0x00,
] as const;
export const USER_REGS_rip = 0x80;
export const USER_REGS_cs = 0x88;
export const USER_REGS_rflags = 0x90;
export const USER_REGS_rsp = 0x98;
export const USER_REGS_ss = 0xa0;
export const USER_REGS_es = 0xa8;
export const USER_REGS_ds = 0xb0;
export const USER_REGS_fs = 0xb8;
export const USER_REGS_gs = 0xc0;

export const VGCF_in_kernel = 1 << 2;
export const VGCF_failsafe_disables_events = 1 << 3;
export const VGCF_syscall_disables_events = 1 << 4;
export const VGCF_online = 1 << 5;
/** In the iret frame's flags: return as SYSRET does. */
export const VGCF_in_syscall = 1 << 8;
