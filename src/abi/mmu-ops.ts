// The words of mmu_update, update_va_mapping, mmuext_op and multicall.
// Source: Xen 4.17 public/xen.h (MMU_*, MMUEXT_*, UVMF_*, struct multicall_entry).

// struct mmu_update: 16 bytes. The low two bits of ptr say what is asked for.
export const MMU_UPDATE_BYTES = 16;
export const MMU_UPDATE_ptr = 0;
export const MMU_UPDATE_val = 8;
export const MMU_NORMAL_PT_UPDATE = 0;
export const MMU_MACHPHYS_UPDATE = 1;
export const MMU_PT_UPDATE_PRESERVE_AD = 2;
export const MMU_PT_UPDATE_NO_TRANSLATE = 3;

// Flags of update_va_mapping: what to flush, and on which vCPUs. With MULTI the upper bits are a pointer to a bitmap.
export const UVMF_NONE = 0;
export const UVMF_TLB_FLUSH = 1;
export const UVMF_INVLPG = 2;
export const UVMF_FLUSHTYPE_MASK = 3;
export const UVMF_LOCAL = 0;
export const UVMF_ALL = 4;

// struct mmuext_op: 24 bytes.
export const MMUEXT_OP_BYTES = 24;
export const MMUEXT_OP_cmd = 0;
export const MMUEXT_OP_arg1 = 8;
export const MMUEXT_OP_arg2 = 16;
export const MMUEXT_PIN_L1_TABLE = 0;
export const MMUEXT_PIN_L2_TABLE = 1;
export const MMUEXT_PIN_L3_TABLE = 2;
export const MMUEXT_PIN_L4_TABLE = 3;
export const MMUEXT_UNPIN_TABLE = 4;
export const MMUEXT_NEW_BASEPTR = 5;
export const MMUEXT_TLB_FLUSH_LOCAL = 6;
export const MMUEXT_INVLPG_LOCAL = 7;
export const MMUEXT_TLB_FLUSH_MULTI = 8;
export const MMUEXT_INVLPG_MULTI = 9;
export const MMUEXT_TLB_FLUSH_ALL = 10;
export const MMUEXT_INVLPG_ALL = 11;
export const MMUEXT_FLUSH_CACHE = 12;
export const MMUEXT_SET_LDT = 13;
export const MMUEXT_NEW_USER_BASEPTR = 15;
export const MMUEXT_CLEAR_PAGE = 16;
export const MMUEXT_COPY_PAGE = 17;
export const MMUEXT_FLUSH_CACHE_GLOBAL = 18;
export const MMUEXT_MARK_SUPER = 19;
export const MMUEXT_UNMARK_SUPER = 20;

/** Bit 31 of count in mmu_update and mmuext_op: the call is one that Xen interrupted and continues. */
export const MMU_UPDATE_PREEMPTED = 0x8000_0000;

// struct multicall_entry: 64 bytes; op at 0, six words of arguments.
export const MULTICALL_ENTRY_BYTES = 64;
export const MULTICALL_op = 0;
export const MULTICALL_result = 8;
export const MULTICALL_args = 16;
