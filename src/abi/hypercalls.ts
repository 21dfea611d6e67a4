// Hypercalls by number and name, and the hypercall page that the domain builder fills for a guest.
// Sources: Xen 4.17 public/xen.h (__HYPERVISOR_*), Xen 4.17 arch/x86/pv/hypercall.c pv_ring3_init_hypercall_page.
// Number 11 has no use; 43 to 47 and everything from 56 on are free.

export const __HYPERVISOR_set_trap_table = 0;
export const __HYPERVISOR_mmu_update = 1;
export const __HYPERVISOR_set_gdt = 2;
export const __HYPERVISOR_stack_switch = 3;
export const __HYPERVISOR_set_callbacks = 4;
export const __HYPERVISOR_fpu_taskswitch = 5;
export const __HYPERVISOR_sched_op_compat = 6;
export const __HYPERVISOR_platform_op = 7;
export const __HYPERVISOR_set_debugreg = 8;
export const __HYPERVISOR_get_debugreg = 9;
export const __HYPERVISOR_update_descriptor = 10;
export const __HYPERVISOR_memory_op = 12;
export const __HYPERVISOR_multicall = 13;
export const __HYPERVISOR_update_va_mapping = 14;
export const __HYPERVISOR_set_timer_op = 15;
export const __HYPERVISOR_event_channel_op_compat = 16;
export const __HYPERVISOR_xen_version = 17;
export const __HYPERVISOR_console_io = 18;
export const __HYPERVISOR_physdev_op_compat = 19;
export const __HYPERVISOR_grant_table_op = 20;
export const __HYPERVISOR_vm_assist = 21;
export const __HYPERVISOR_update_va_mapping_otherdomain = 22;
export const __HYPERVISOR_iret = 23;
export const __HYPERVISOR_vcpu_op = 24;
export const __HYPERVISOR_set_segment_base = 25;
export const __HYPERVISOR_mmuext_op = 26;
export const __HYPERVISOR_xsm_op = 27;
export const __HYPERVISOR_nmi_op = 28;
export const __HYPERVISOR_sched_op = 29;
export const __HYPERVISOR_callback_op = 30;
export const __HYPERVISOR_xenoprof_op = 31;
export const __HYPERVISOR_event_channel_op = 32;
export const __HYPERVISOR_physdev_op = 33;
export const __HYPERVISOR_hvm_op = 34;
export const __HYPERVISOR_sysctl = 35;
export const __HYPERVISOR_domctl = 36;
export const __HYPERVISOR_kexec_op = 37;
export const __HYPERVISOR_xenpmu_op = 40;

/** The ABI's names of all numbers that have one, whether or not Paravane implements them. */
export const HYPERCALL_NAMES: Readonly<Record<number, string>> = {
  [__HYPERVISOR_set_trap_table]: 'set_trap_table',
  [__HYPERVISOR_mmu_update]: 'mmu_update',
  [__HYPERVISOR_set_gdt]: 'set_gdt',
  [__HYPERVISOR_stack_switch]: 'stack_switch',
  [__HYPERVISOR_set_callbacks]: 'set_callbacks',
  [__HYPERVISOR_fpu_taskswitch]: 'fpu_taskswitch',
  [__HYPERVISOR_sched_op_compat]: 'sched_op_compat',
  [__HYPERVISOR_platform_op]: 'platform_op',
  [__HYPERVISOR_set_debugreg]: 'set_debugreg',
  [__HYPERVISOR_get_debugreg]: 'get_debugreg',
  [__HYPERVISOR_update_descriptor]: 'update_descriptor',
  [__HYPERVISOR_memory_op]: 'memory_op',
  [__HYPERVISOR_multicall]: 'multicall',
  [__HYPERVISOR_update_va_mapping]: 'update_va_mapping',
  [__HYPERVISOR_set_timer_op]: 'set_timer_op',
  [__HYPERVISOR_event_channel_op_compat]: 'event_channel_op_compat',
  [__HYPERVISOR_xen_version]: 'xen_version',
  [__HYPERVISOR_console_io]: 'console_io',
  [__HYPERVISOR_physdev_op_compat]: 'physdev_op_compat',
  [__HYPERVISOR_grant_table_op]: 'grant_table_op',
  [__HYPERVISOR_vm_assist]: 'vm_assist',
  [__HYPERVISOR_update_va_mapping_otherdomain]: 'update_va_mapping_otherdomain',
  [__HYPERVISOR_iret]: 'iret',
  [__HYPERVISOR_vcpu_op]: 'vcpu_op',
  [__HYPERVISOR_set_segment_base]: 'set_segment_base',
  [__HYPERVISOR_mmuext_op]: 'mmuext_op',
  [__HYPERVISOR_xsm_op]: 'xsm_op',
  [__HYPERVISOR_nmi_op]: 'nmi_op',
  [__HYPERVISOR_sched_op]: 'sched_op',
  [__HYPERVISOR_callback_op]: 'callback_op',
  [__HYPERVISOR_xenoprof_op]: 'xenoprof_op',
  [__HYPERVISOR_event_channel_op]: 'event_channel_op',
  [__HYPERVISOR_physdev_op]: 'physdev_op',
  [__HYPERVISOR_hvm_op]: 'hvm_op',
  [__HYPERVISOR_sysctl]: 'sysctl',
  [__HYPERVISOR_domctl]: 'domctl',
  [__HYPERVISOR_kexec_op]: 'kexec_op',
  38: 'tmem_op',
  39: 'argo_op',
  [__HYPERVISOR_xenpmu_op]: 'xenpmu_op',
  41: 'dm_op',
  42: 'hypfs_op',
  48: 'mca',
  49: 'arch_1',
  50: 'arch_2',
  51: 'arch_3',
  52: 'arch_4',
  53: 'arch_5',
  54: 'arch_6',
  55: 'arch_7',
};

/** The stubs' size, and how many of them make a page. */
export const HYPERCALL_STUB_BYTES = 32;
export const HYPERCALL_STUBS = 128;

/**
 * The 4096 bytes of a 64-bit PV guest's hypercall page: stub i calls hypercall i. Stub 23 (iret) is jumped to and never
 * returns: it leaves rax, r11 and rcx on the stack for Xen to take.
 */
export function hypercallPage(): Uint8Array {
  const page = new Uint8Array(HYPERCALL_STUBS * HYPERCALL_STUB_BYTES);
  for (let number = 0; number < HYPERCALL_STUBS; number++) {
    const load = [0xb8, number, 0, 0, 0]; // mov eax, number
    const stub =
      number === __HYPERVISOR_iret
        ? [0x51, 0x41, 0x53, 0x50, ...load, 0x0f, 0x05] // push rcx; push r11; push rax; …; syscall
        : [0x51, 0x41, 0x53, ...load, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3]; // … syscall; pop r11; pop rcx; ret
    page.set(stub, number * HYPERCALL_STUB_BYTES);
  }
  return page;
}
