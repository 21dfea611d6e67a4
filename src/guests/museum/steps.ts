// The words in which an exhibit's guest is written: one step is a few lines of assembly, mostly a call of kernel.ts.
// A page is named by its label (page_a … page_d are there for everyone, table_a and table_b to become page tables), a place by
// an address in the window: `at(0)`, `at(1)`…

import * as mmuOps from '../../abi/mmu-ops.js';
import { PAGE_BYTES } from '../../base/addresses.js';
import { hex0x } from '../../base/hex.js';

/** Rights of an entry, with A and D set as Linux has them. */
export const RW = 0x63;
export const RO = 0x61;
/** The same for a program's pages. */
export const USER_RW = 0x67;
export const USER_RO = 0x65;

export const { UVMF_NONE, UVMF_INVLPG, UVMF_TLB_FLUSH, UVMF_ALL } = mmuOps;

/** The window's pages, where nothing is mapped at first. */
export const at = (page: number): string => `window + ${hex0x(page * PAGE_BYTES)}`;

/** Maps `page` at `place` by update_va_mapping; UVMF_NONE: without a flush. Changes all registers but rbx, rbp, r12 to r15. */
export const map = (place: string, page: string, rights = RW, flush: number = UVMF_NONE): string => `
      mov rdi, ${place}
      mov rsi, ${page}
      mov edx, ${hex0x(rights)}
      mov ecx, ${flush}
      call set_page`;

/** Takes away what is mapped at `place`. */
export const unmap = (place: string, flush: number = UVMF_NONE): string => `
      mov rdi, ${place}
      xor esi, esi
      mov ecx, ${flush}
      call set_page`;

/** MMUEXT_INVLPG_LOCAL. */
export const flushPage = (place: string): string => `
      mov esi, ${mmuOps.MMUEXT_INVLPG_LOCAL}
      mov rdi, ${place}
      call mmuext`;

/** MMUEXT_INVLPG_ALL: on every vCPU of the domain. */
export const flushPageEverywhere = (place: string): string => `
      mov esi, ${mmuOps.MMUEXT_INVLPG_ALL}
      mov rdi, ${place}
      call mmuext`;

/** MMUEXT_TLB_FLUSH_LOCAL. */
export const flushAll = (): string => `
      mov esi, ${mmuOps.MMUEXT_TLB_FLUSH_LOCAL}
      xor edi, edi
      call mmuext`;

/** The flush that is missing before, and there after. */
export const only = (wanted: boolean, step: string): string => (wanted ? step : '');

export const store = (place: string, value: number): string => `
      mov qword ptr [${place}], ${hex0x(value)}`;

/** Loads from `place` into rax. */
export const load = (place: string): string => `
      mov rax, [${place}]`;

/** Loads, and is wrong unless it is `value`. */
export const expect = (place: string, value: number): string => `
      mov rax, [${place}]
      cmp rax, ${hex0x(value)}
      jne wrong`;

/** From here on a page fault goes on at `label` instead: the guest expects one. */
export const onFaultGoTo = (label: string): string => `
      mov qword ptr [fault_goes_to], ${label}
      mov qword ptr [fault_hook], go_elsewhere`;

/**
 * From here on a page fault calls this function: rdi the address, esi the error code, rdx the address of the saved rip. When
 * it returns the access is tried again.
 */
export const onFaultCall = (name: string): string => `
      mov qword ptr [fault_hook], ${name}`;

export const copyPage = (to: string, from: string): string => `
      mov rdi, ${to}
      mov rsi, ${from}
      mov ecx, ${PAGE_BYTES / 8}
      rep movsq`;

/** `table`, a page, becomes the L1 of a region: 0 is the window, 1 what lies behind it at next_region. */
export const hook = (region: number, table: string): string => `
      mov edi, ${region}
      mov rsi, ${table}
      call hook_table`;

/** The same with what is a table already, or was: no flush at all. */
export const hookAgain = (region: number, table: string): string => `
      mov edi, ${region}
      mov rsi, ${table}
      call hook_readonly_table`;

/** The region has no L1 any more; no flush. */
export const unhook = (region: number): string => `
      mov edi, ${region}
      call unhook_table`;

/** A hypercall of a multicall: its number, then its arguments: numbers, labels or registers. */
export type Call = readonly [number: number, ...args: readonly (number | string)[]];

/** Sends two hypercalls in one. */
export const multicall = (...calls: readonly [Call, Call]): string => `${calls
  .map(([number, ...args], i) => {
    const entry = `multicall_entries + ${i * mmuOps.MULTICALL_ENTRY_BYTES}`;
    const words = args.map(
      (arg, n) => `
      mov qword ptr [${entry} + ${mmuOps.MULTICALL_args + 8 * n}], ${arg}`,
    );
    return `
      mov qword ptr [${entry} + ${mmuOps.MULTICALL_op}], ${number}${words.join('')}`;
  })
  .join('')}
      mov rdi, multicall_entries
      mov esi, 2
      call hypercall_multicall
      mov rax, [multicall_entries + ${mmuOps.MULTICALL_result}]
      or rax, [multicall_entries + ${mmuOps.MULTICALL_ENTRY_BYTES + mmuOps.MULTICALL_result}]
      jnz bug`;

/** Lets the other vCPU go on, and waits until it passes the turn back. */
export const pass = (): string => `
      call pass_turn`;
