// The seed's guest in assembly: what Linux's xen_setup_kernel_pagetable did in 2013, and just enough around it. It starts as
// Xen starts a PV kernel, moves to page tables of its own, recycles the three pages in which Xen had built the first ones,
// says so on its console and shuts down. One number tells the two builds apart: the flags of the update_va_mapping that
// makes a recycled page writable (0 as it was, UVMF_INVLPG as it was mended).
// Source: facts of Linux 3.x arch/x86/xen/mmu.c around commit b22227944b8f; the registers and code bytes of the dump.
// Leaves out: everything a kernel does that has no part in the bug. It registers no trap handlers: Linux had none yet either.

import {
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_mmuext_op,
  __HYPERVISOR_multicall,
  __HYPERVISOR_sched_op,
  __HYPERVISOR_update_va_mapping,
  HYPERCALL_STUB_BYTES,
} from '../../abi/hypercalls.js';
import * as abi from '../../abi/xen-layout.js';
import { hex0x } from '../../base/hex.js';
import {
  CLEAR_PAGE,
  DATA_START,
  HYPERCALL_PAGE,
  INIT_STACK,
  KERNEL_END,
  OWN_TABLES,
  START_KERNEL_MAP,
  TEXT_START,
} from './layout.js';

/** What the guest's own entries carry: P RW A D (Linux's _KERNPG_TABLE and PAGE_KERNEL), and the same without RW. */
const PAGE_RW = 0x63;
const PAGE_RO = 0x61;

/** Where the direct map of all memory begins: __va(0). L4 slot 272, the first behind Xen's. */
const PAGE_OFFSET = 0xffff_8800_0000_0000n;

const call = (number: number): string => `call ${hex0x(HYPERCALL_PAGE + BigInt(number * HYPERCALL_STUB_BYTES))}`;
const physical = (symbol: string): string => `${symbol} - ${hex0x(START_KERNEL_MAP)}`;

/** The source text; `flags` is what the recycling update_va_mapping asks for. */
export const seedSource = (flags: number): string => `
.org ${hex0x(TEXT_START)}
startup_xen:                                ; rsi = start_info
    cld
    mov rsp, init_thread_union + 8192
    mov [xen_start_info], rsi
    call xen_start_kernel
    ud2

.org ${hex0x(HYPERCALL_PAGE)}
hypercall_page:                             ; filled by the domain builder
    .zero 4096

xen_start_kernel:
    push rbp
    mov rbp, rsp
    sub rsp, 0x20
    mov rdi, text_hello
    call xen_puts
    mov rax, [xen_start_info]
    mov rdi, [rax + ${abi.START_INFO_pt_base}]
    call xen_setup_kernel_pagetable
    mov rdi, text_done
    call xen_puts
    mov dword ptr [shutdown_arg], ${abi.SHUTDOWN_poweroff}
    mov edi, ${abi.SCHEDOP_shutdown}
    mov rsi, shutdown_arg
    ${call(__HYPERVISOR_sched_op)}
    ud2

; The bug's function. rdi = the L4 that Xen built (pgd). addr[0..2] = pgd, l3, l2 lie at rsp; rbx walks them.
.align 16
xen_setup_kernel_pagetable:
    push rbp
    mov rbp, rsp
    push r15
    push r14
    push r13
    push r12
    push rbx
    sub rsp, 24
    mov [rsp], rdi
    mov rax, [xen_start_info]
    mov r12, rdi
    sub r12, -0x80000000
    shr r12, 12                             ; pt_base, the first table's pfn
    mov r13, [rax + ${abi.START_INFO_nr_pt_frames}]
    add r13, r12                            ; pt_end, exclusive

    ; Our tables: no identity map, and machine frames instead of pfns.
    mov qword ptr [init_level4_pgt], 0
    mov rdi, init_level4_pgt
    call convert_pfn_mfn
    mov rdi, level3_ident_pgt
    call convert_pfn_mfn
    mov rdi, level3_kernel_pgt
    call convert_pfn_mfn
    mov rdi, level2_fixmap_pgt
    call convert_pfn_mfn

    ; Xen's L3 and L2, read through its L4; both our L2s take over its L1s.
    mov rdi, [rsp]
    mov rdi, [rdi + 511*8]
    call m2v
    mov [rsp + 8], rax
    mov rdi, [rax + 510*8]
    call m2v
    mov [rsp + 16], rax
    mov rdi, level2_ident_pgt
    mov rsi, rax
    call copy_page
    mov rdi, level2_kernel_pgt
    mov rsi, [rsp + 16]
    call copy_page

    ; Page tables must not be writable: RW to RO, no flush.
    mov r14, own_tables
make_readonly:
    mov rdi, [r14]
    mov esi, ${PAGE_RO}
    xor edx, edx
    call set_page_prot_flags
    add r14, 8
    cmp r14, own_tables_end
    jne make_readonly

    mov rdi, init_level4_pgt
    mov esi, ${abi.MMUEXT_PIN_L4_TABLE}
    call mmuext
    mov rdi, [rsp]
    mov esi, ${abi.MMUEXT_UNPIN_TABLE}
    call mmuext
    call load_own_cr3

    ; Recycle Xen's tables: those at either end of the range it reserved for them.
    mov rbx, rsp
recycle:
    mov rdi, [rbx]
    mov rax, rdi
    sub rax, -0x80000000
    shr rax, 12
    cmp rax, r12
    je recycle_first
    cmp rax, r13
    jne recycle_next
    dec r13
    jmp recycle_page
recycle_first:
    inc r12
recycle_page:
    mov esi, ${PAGE_RW}
    mov edx, ${flags}                              ; the fix is UVMF_INVLPG here
    call set_page_prot_flags
    mov rdi, [rbx]
    call clear_page
recycle_next:
    add rbx, 8
    lea rax, [rsp + 24]
    cmp rbx, rax
    jne recycle

    mov rdi, text_recycled
    call xen_puts
    mov rdi, r12
    call xen_puthex
    mov rdi, text_to
    call xen_puts
    mov rdi, r13
    call xen_puthex
    mov rdi, text_newline
    call xen_puts

    ; xen_start_info = __va(__pa(xen_start_info)): from now on through the direct map.
    mov rax, [xen_start_info]
    sub rax, -0x80000000
    mov rcx, ${hex0x(PAGE_OFFSET)}
    add rax, rcx
    mov [xen_start_info], rax
    add rsp, 24
    pop rbx
    pop r12
    pop r13
    pop r14
    pop r15
    pop rbp
    ret

; int update_va_mapping(rdi = page, rsi = rights, rdx = UVMF flags), or BUG.
.align 16
set_page_prot_flags:
    mov rax, rdi
    sub rax, -0x80000000
    shr rax, 12
    mov rcx, [xen_start_info]
    mov rcx, [rcx + ${abi.START_INFO_mfn_list}]
    mov rax, [rcx + rax*8]
    shl rax, 12
    or rsi, rax
    ${call(__HYPERVISOR_update_va_mapping)}
    test rax, rax
    jnz bug
    ret

; One mmuext_op: esi = command, rdi = the table's address; DOMID_SELF. BUG if it fails.
.align 16
mmuext:
    call virt_to_mfn
    mov [mmuext_command], esi
    mov [mmuext_mfn], rax
    mov rdi, mmuext_command
    mov esi, 1
    xor edx, edx
    mov r10d, ${abi.DOMID_SELF}
    ${call(__HYPERVISOR_mmuext_op)}
    test rax, rax
    jnz bug
    ret

; The CR3 switch goes by multicall, as Linux's batching sends it.
.align 16
load_own_cr3:
    mov rdi, init_level4_pgt
    call virt_to_mfn
    mov dword ptr [mmuext_command], ${abi.MMUEXT_NEW_BASEPTR}
    mov [mmuext_mfn], rax
    mov qword ptr [multicall_entry], ${__HYPERVISOR_mmuext_op}
    mov qword ptr [multicall_entry + 16], mmuext_command
    mov qword ptr [multicall_entry + 24], 1
    mov qword ptr [multicall_entry + 32], 0
    mov qword ptr [multicall_entry + 40], ${abi.DOMID_SELF}
    mov rdi, multicall_entry
    mov esi, 1
    ${call(__HYPERVISOR_multicall)}
    or rax, [multicall_entry + 8]
    jnz bug
    ret

; rdi = kernel address -> rax = its machine frame.
.align 16
virt_to_mfn:
    sub rdi, -0x80000000
    shr rdi, 12
    mov rax, [xen_start_info]
    mov rax, [rax + ${abi.START_INFO_mfn_list}]
    mov rax, [rax + rdi*8]
    ret

; rdi = a page-table entry -> rax = the kernel address of the page it points to, by Xen's M2P.
.align 16
m2v:
    shl rdi, 12
    shr rdi, 24
    mov rax, ${hex0x(abi.MACH2PHYS_VIRT_START)}
    mov rax, [rax + rdi*8]
    shl rax, 12
    add rax, -0x80000000
    ret

; rdi = a table of ours: every present entry's pfn becomes its machine frame.
.align 16
convert_pfn_mfn:
    mov rsi, [xen_start_info]
    mov rsi, [rsi + ${abi.START_INFO_mfn_list}]
    xor ecx, ecx
convert_entry:
    mov rax, [rdi + rcx*8]
    test al, 1
    jz convert_next
    mov edx, eax
    and edx, 0xfff
    shr rax, 12
    mov rax, [rsi + rax*8]
    shl rax, 12
    or rax, rdx
    mov [rdi + rcx*8], rax
convert_next:
    inc ecx
    cmp ecx, 512
    jne convert_entry
    ret

; rdi = to, rsi = from.
.align 16
copy_page:
    mov ecx, 512
    rep movsq
    ret

bug:
    ud2

; rdi = text, ends with 0: to the console ring, then a nudge to dom0. Waits while the ring is full.
.align 16
xen_puts:
    push rbx
    push r12
    mov r12, rdi
    mov rax, [xen_start_info]
    mov rdi, [rax + ${abi.START_INFO_console_mfn}]
    shl rdi, 12
    call m2v
    mov rbx, rax
puts_byte:
    mov al, [r12]
    test al, al
    jz puts_done
    mov ecx, [rbx + ${abi.XENCONS_out_prod}]
    mov edx, ecx
    sub edx, [rbx + ${abi.XENCONS_out_cons}]
    cmp edx, ${abi.XENCONS_OUT_BYTES}
    je puts_wait
    mov edx, ecx
    and edx, ${abi.XENCONS_OUT_BYTES - 1}
    mov [rbx + rdx + ${abi.XENCONS_out}], al
    inc ecx
    mov [rbx + ${abi.XENCONS_out_prod}], ecx
    inc r12
    jmp puts_byte
puts_wait:
    call notify_console
    mov edi, ${abi.SCHEDOP_yield}
    xor esi, esi
    ${call(__HYPERVISOR_sched_op)}
    jmp puts_byte
puts_done:
    call notify_console
    pop r12
    pop rbx
    ret

notify_console:
    mov rax, [xen_start_info]
    mov eax, [rax + ${abi.START_INFO_console_evtchn}]
    mov [evtchn_send_port], eax
    mov edi, ${abi.EVTCHNOP_send}
    mov rsi, evtchn_send_port
    ${call(__HYPERVISOR_event_channel_op)}
    ret

; rdi = a number: to the console in hexadecimal.
.align 16
xen_puthex:
    mov rsi, hex_text_end
puthex_digit:
    dec rsi
    mov eax, edi
    and eax, 15
    mov al, [hex_digits + rax]
    mov [rsi], al
    shr rdi, 4
    jnz puthex_digit
    mov rdi, rsi
    call xen_puts
    ret

; Linux's clear_page (arch/x86/lib/clear_page_64.S has the same shape): 64 turns of 64 bytes. rdi = page.
.org ${hex0x(CLEAR_PAGE)}
clear_page:
    xor eax, eax
    mov ecx, 4096/64
.align 16
clear_turn:
    dec ecx
    mov [rdi], rax
    mov [rdi + 0x8], rax
    mov [rdi + 0x10], rax
    mov [rdi + 0x18], rax
    mov [rdi + 0x20], rax
    mov [rdi + 0x28], rax
    mov [rdi + 0x30], rax
    mov [rdi + 0x38], rax
    lea rdi, [rdi + 64]
    jnz clear_turn
    nop
    ret

.org ${hex0x(DATA_START)}
text_hello:
    .asciz "seed: hello from a PV kernel, recycling Xen's first page tables\\r\\n"
text_recycled:
    .asciz "seed: recycled; the boot tables still reserved are pfn "
text_to:
    .asciz " to "
text_newline:
    .asciz " (end)\\r\\n"
text_done:
    .asciz "seed: running on our own tables, shutting down\\r\\n"
hex_digits:
    .ascii "0123456789abcdef"
hex_text:
    .zero 16
hex_text_end:
    .zero 1
.align 8
own_tables:
    .quad init_level4_pgt, level3_ident_pgt, level3_kernel_pgt, level3_user_vsyscall
    .quad level2_ident_pgt, level2_kernel_pgt, level2_fixmap_pgt, level1_fixmap_pgt
own_tables_end:
xen_start_info:
    .quad 0
mmuext_command:                             ; struct mmuext_op: cmd, mfn, nothing
    .quad 0
mmuext_mfn:
    .quad 0, 0
multicall_entry:                            ; struct multicall_entry: op, result, args[6]
    .quad 0, 0, 0, 0, 0, 0, 0, 0
evtchn_send_port:
    .quad 0
shutdown_arg:
    .quad 0

.org ${hex0x(INIT_STACK)}
init_thread_union:
    .zero 8192

; In the order of Linux's head_64.S, with pfns: converted at run time.
.org ${hex0x(OWN_TABLES)}
init_level4_pgt:
    .quad ${physical('level3_ident_pgt')} + ${PAGE_RW}
    .zero ${271 * 8}
    .quad ${physical('level3_ident_pgt')} + ${PAGE_RW}
    .zero ${238 * 8}
    .quad ${physical('level3_kernel_pgt')} + ${PAGE_RW}
level3_ident_pgt:
    .quad ${physical('level2_ident_pgt')} + ${PAGE_RW}
    .zero ${511 * 8}
level3_kernel_pgt:
    .zero ${510 * 8}
    .quad ${physical('level2_kernel_pgt')} + ${PAGE_RW}
    .quad ${physical('level2_fixmap_pgt')} + ${PAGE_RW}
level2_fixmap_pgt:
    .zero ${506 * 8}
    .quad ${physical('level1_fixmap_pgt')} + ${PAGE_RW}
    .zero ${5 * 8}
level1_fixmap_pgt:
    .zero 4096
level2_ident_pgt:
    .zero 4096
level2_kernel_pgt:
    .zero 4096
level3_user_vsyscall:
    .zero 4096

.org ${hex0x(KERNEL_END)}
_end:
`;
