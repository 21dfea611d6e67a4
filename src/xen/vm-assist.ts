// What a guest may turn on with vm_assist, by version.
// Source: Xen 4.17 public/xen.h VMASST_TYPE_*, arch/x86/include/asm/config.h (PV_VM_ASSIST_VALID), Xen 4.1.3 common/kernel.c.

import type { Domain } from './domain.js';

export const VMASST_TYPE_4gb_segments = 0;
export const VMASST_TYPE_4gb_segments_notify = 1;
export const VMASST_TYPE_writable_pagetables = 2;
export const VMASST_TYPE_pae_extended_cr3 = 3;
export const VMASST_TYPE_architectural_iopl = 4;
export const VMASST_TYPE_runstate_update_flag = 5;
export const VMASST_TYPE_m2p_strict = 32;

const OLD_TYPES = [
  VMASST_TYPE_4gb_segments,
  VMASST_TYPE_4gb_segments_notify,
  VMASST_TYPE_writable_pagetables,
  VMASST_TYPE_pae_extended_cr3,
];

/** The types that a 64-bit guest may turn on. */
export const VM_ASSIST_TYPES: Readonly<Record<'4.1' | '4.17', readonly number[]>> = {
  '4.1': OLD_TYPES,
  '4.17': [...OLD_TYPES, VMASST_TYPE_architectural_iopl, VMASST_TYPE_runstate_update_flag, VMASST_TYPE_m2p_strict],
};

export const hasVmAssist = (domain: Domain, type: number): boolean => (domain.vmAssist & (1n << BigInt(type))) !== 0n;
