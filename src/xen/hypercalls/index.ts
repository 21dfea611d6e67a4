// Every hypercall that Paravane implements, by number. What is not here returns -ENOSYS.

import * as number from '../../abi/hypercalls.js';
import type { Hypercall } from '../hypercall.js';
import { callback_op, set_callbacks } from './callbacks.js';
import { console_io } from './console_io.js';
import { set_gdt, update_descriptor } from './descriptor_tables.js';
import { event_channel_op, event_channel_op_compat } from './event_channel_op.js';
import { grant_table_op } from './grant_table_op.js';
import { iret } from './iret.js';
import { memory_op } from './memory_op.js';
import { mmu_update } from './mmu_update.js';
import { mmuext_op } from './mmuext_op.js';
import { multicall } from './multicall.js';
import { nmi_op } from './nmi_op.js';
import { physdev_op, physdev_op_compat } from './physdev_op.js';
import { domctl, hvm_op, kexec_op, platform_op, sysctl, xenpmu_op } from './privileged.js';
import { sched_op, sched_op_compat } from './sched_op.js';
import { set_timer_op } from './set_timer_op.js';
import { set_trap_table } from './set_trap_table.js';
import { update_va_mapping, update_va_mapping_otherdomain } from './update_va_mapping.js';
import { vcpu_op } from './vcpu_op.js';
import { fpu_taskswitch, get_debugreg, set_debugreg, set_segment_base, stack_switch, vm_assist } from './vcpu_state.js';
import { xen_version } from './xen_version.js';

/** Made on first use: multicall, which is in it, looks other calls up here. */
let table: ReadonlyMap<number, Hypercall> | undefined;

const makeTable = (): ReadonlyMap<number, Hypercall> =>
  new Map<number, Hypercall>([
    [number.__HYPERVISOR_set_trap_table, set_trap_table],
    [number.__HYPERVISOR_mmu_update, mmu_update],
    [number.__HYPERVISOR_set_gdt, set_gdt],
    [number.__HYPERVISOR_stack_switch, stack_switch],
    [number.__HYPERVISOR_set_callbacks, set_callbacks],
    [number.__HYPERVISOR_fpu_taskswitch, fpu_taskswitch],
    [number.__HYPERVISOR_sched_op_compat, sched_op_compat],
    [number.__HYPERVISOR_platform_op, platform_op],
    [number.__HYPERVISOR_set_debugreg, set_debugreg],
    [number.__HYPERVISOR_get_debugreg, get_debugreg],
    [number.__HYPERVISOR_update_descriptor, update_descriptor],
    [number.__HYPERVISOR_memory_op, memory_op],
    [number.__HYPERVISOR_multicall, multicall],
    [number.__HYPERVISOR_update_va_mapping, update_va_mapping],
    [number.__HYPERVISOR_set_timer_op, set_timer_op],
    [number.__HYPERVISOR_event_channel_op_compat, event_channel_op_compat],
    [number.__HYPERVISOR_xen_version, xen_version],
    [number.__HYPERVISOR_console_io, console_io],
    [number.__HYPERVISOR_physdev_op_compat, physdev_op_compat],
    [number.__HYPERVISOR_grant_table_op, grant_table_op],
    [number.__HYPERVISOR_vm_assist, vm_assist],
    [number.__HYPERVISOR_update_va_mapping_otherdomain, update_va_mapping_otherdomain],
    [number.__HYPERVISOR_iret, iret],
    [number.__HYPERVISOR_vcpu_op, vcpu_op],
    [number.__HYPERVISOR_set_segment_base, set_segment_base],
    [number.__HYPERVISOR_mmuext_op, mmuext_op],
    [number.__HYPERVISOR_nmi_op, nmi_op],
    [number.__HYPERVISOR_sched_op, sched_op],
    [number.__HYPERVISOR_callback_op, callback_op],
    [number.__HYPERVISOR_event_channel_op, event_channel_op],
    [number.__HYPERVISOR_physdev_op, physdev_op],
    [number.__HYPERVISOR_hvm_op, hvm_op],
    [number.__HYPERVISOR_sysctl, sysctl],
    [number.__HYPERVISOR_domctl, domctl],
    [number.__HYPERVISOR_kexec_op, kexec_op],
    [number.__HYPERVISOR_xenpmu_op, xenpmu_op],
  ]);

/** The hypercall of this number, or undefined when Paravane has none. */
export function hypercallByNumber(index: number): Hypercall | undefined {
  table ??= makeTable();
  return table.get(index);
}

/** Its name in the ABI, or its number for those that have none. */
export const hypercallName = (index: number): string => number.HYPERCALL_NAMES[index] ?? `hypercall ${index}`;
