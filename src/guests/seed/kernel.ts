// The seed's guest in assembly: what Linux's xen_setup_kernel_pagetable did in 2013, and just enough around it. It starts as
// Xen starts a PV kernel, moves to page tables of its own, recycles the three pages in which Xen had built the first ones,
// says so on its console and shuts down. One number tells the two builds apart: the flags of the update_va_mapping that
// makes a recycled page writable (0 as it was, UVMF_INVLPG as it was mended).
// Source: facts of Linux 3.x arch/x86/xen/mmu.c around commit b22227944b8f; the registers and code bytes of the dump.
// Leaves out: everything a kernel does that has no part in the bug. It registers no trap handlers: Linux had none yet either.

import * as mmuOps from '../../abi/mmu-ops.js';
import * as abi from '../../abi/xen-layout.js';
import { PAGE_BYTES } from '../../base/addresses.js';
import { hex0x } from '../../base/hex.js';
import { Assembler, symbol } from '../../isa/index.js';
import type { GuestImage } from '../image.js';
import * as pv from '../pv-runtime.js';
import { KERNEL_MAP_IMMEDIATE, START_KERNEL_MAP } from '../pv-runtime.js';
import { type KernelLayout, LAYOUT_2013 } from './layout.js';

/** What the guest's own entries carry: P RW A D (Linux's _KERNPG_TABLE and PAGE_KERNEL), and the same without RW. */
const PAGE_RW = 0x63;
const PAGE_RO = 0x61;

/** __va(0), where the direct map of all memory begins: L4 slot 272, the first behind Xen's. */
const PAGE_OFFSET = 0xffff_8800_0000_0000n;
const DIRECT_MAP_SLOT = 272;
/** START_KERNEL_MAP's own slots in L4 and L3. */
const KERNEL_L4_SLOT = 511;
const KERNEL_L3_SLOT = 510;
const FIXMAP_L3_SLOT = 511;
const FIXMAP_L2_SLOT = 506;

const STACK_BYTES = 8192;
const TURN_BYTES = 64;

/** The kernel; `fixed` is the build that asks for UVMF_INVLPG. Linked elsewhere it dies with other, and the right, numbers. */
export function seedImage(fixed: boolean, layout: KernelLayout = LAYOUT_2013): GuestImage {
  const asm = new Assembler();
  pv.nameHypercalls(asm, layout.hypercallPage);
  asm.section('.head', { address: layout.text });
  startup(asm);
  asm.section('.text', { address: layout.hypercallPage + BigInt(PAGE_BYTES) });
  startKernel(asm);
  setupKernelPagetable(asm, fixed ? mmuOps.UVMF_INVLPG : mmuOps.UVMF_NONE);
  pagetableCalls(asm);
  pv.virtToMfn(asm);
  pv.machineToVirt(asm);
  pv.bug(asm);
  pv.console(asm);
  pv.shutdown(asm);
  asm.section('.text.clear_page', { address: layout.clearPage });
  clearPage(asm);
  asm.section('.data', { address: layout.data });
  data(asm);
  asm.section('.data.init_task', { address: layout.initStack });
  asm.define('init_thread_union', () => asm.zero(STACK_BYTES));
  asm.section('.data.page_tables', { address: layout.ownTables });
  pageTables(asm);
  const { sections, symbols } = asm.assemble();
  return {
    name: fixed ? 'seed (fixed)' : 'seed (unfixed)',
    entry: layout.text,
    virtBase: START_KERNEL_MAP,
    hypercallPage: layout.hypercallPage,
    segments: sections.map(({ address, bytes }) => ({ vaddr: address, bytes })),
    end: layout.end,
    symbols,
  };
}

function startup(asm: Assembler): void {
  asm.define('startup_xen', () =>
    asm.code(`
      cld
      mov rsp, init_thread_union + ${STACK_BYTES}
      mov [xen_start_info], rsi
      call xen_start_kernel
      ud2
    `),
  );
}

function startKernel(asm: Assembler): void {
  asm.define('xen_start_kernel', () =>
    asm.code(`
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
      mov edi, ${abi.SHUTDOWN_poweroff}
      jmp xen_shutdown
    `),
  );
}

/** rdi = the L4 that Xen built. addr[0..2] (pgd, l3, l2) lie at rsp, and rbx walks them: the dump's rbx is &addr[1]. */
function setupKernelPagetable(asm: Assembler, flags: number): void {
  asm.define('xen_setup_kernel_pagetable', () =>
    asm.code(`
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
      sub r12, ${KERNEL_MAP_IMMEDIATE}
      shr r12, 12                     ; pt_base: the first table's pfn
      mov r13, [rax + ${abi.START_INFO_nr_pt_frames}]
      add r13, r12                    ; pt_end, exclusive

      ; Our tables: no identity map at 0, and machine frames instead of pfns.
      mov qword ptr [init_level4_pgt], 0
      mov rdi, init_level4_pgt
      call convert_pfn_mfn
      mov rdi, level3_ident_pgt
      call convert_pfn_mfn
      mov rdi, level3_kernel_pgt
      call convert_pfn_mfn
      mov rdi, level2_fixmap_pgt
      call convert_pfn_mfn

      ; Xen's L3 and L2, found through its L4. Both our L2s take over its L1s.
      mov rdi, [rsp]
      mov rdi, [rdi + ${8 * KERNEL_L4_SLOT}]
      call m2v
      mov [rsp + 8], rax
      mov rdi, [rax + ${8 * KERNEL_L3_SLOT}]
      call m2v
      mov [rsp + 16], rax
      mov rdi, level2_ident_pgt
      mov rsi, rax
      call copy_page
      mov rdi, level2_kernel_pgt
      mov rsi, [rsp + 16]
      call copy_page

      ; A page table must not be writable: RW to RO, with no flush.
      mov r14, own_tables
    .make_readonly:
      mov rdi, [r14]
      mov esi, ${PAGE_RO}
      mov edx, ${mmuOps.UVMF_NONE}
      call set_page_prot_flags
      add r14, 8
      cmp r14, own_tables_end
      jne .make_readonly

      mov rdi, init_level4_pgt
      mov esi, ${mmuOps.MMUEXT_PIN_L4_TABLE}
      call mmuext_op
      mov rdi, [rsp]
      mov esi, ${mmuOps.MMUEXT_UNPIN_TABLE}
      call mmuext_op
      call load_own_cr3

      ; Recycle the three, where they lie at either end of the range that is reserved for Xen's tables.
      mov rbx, rsp
    .check_pt_base:
      mov rdi, [rbx]
      mov rax, rdi
      sub rax, ${KERNEL_MAP_IMMEDIATE}
      shr rax, 12
      cmp rax, r12
      je .first
      cmp rax, r13
      jne .next
      dec r13
      jmp .recycle
    .first:
      inc r12
    .recycle:
      mov esi, ${PAGE_RW}
      mov edx, ${flags}                      ; the bug is that this was 0
      call set_page_prot_flags
      mov rdi, [rbx]
      call clear_page
    .next:
      add rbx, 8
      lea rax, [rsp + 24]
      cmp rbx, rax
      jne .check_pt_base

      mov rdi, text_recycled
      call xen_puts
      mov rdi, r12
      call xen_puthex
      mov rdi, text_newline
      call xen_puts

      ; From now on start_info is used through the direct map: __va(__pa(xen_start_info)).
      mov rax, [xen_start_info]
      sub rax, ${KERNEL_MAP_IMMEDIATE}
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
    `),
  );
}

/** The ways in which page tables are changed and installed; each goes to bug if Xen refuses. */
function pagetableCalls(asm: Assembler): void {
  // rdi = page, rsi = rights, rdx = UVMF_ flags. Behind it rsi holds the entry as it was given to Xen.
  asm.define('set_page_prot_flags', () =>
    asm.code(`
      mov rax, rdi
      sub rax, ${KERNEL_MAP_IMMEDIATE}
      shr rax, 12
      mov rcx, [xen_start_info]
      mov rcx, [rcx + ${abi.START_INFO_mfn_list}]
      mov rax, [rcx + rax*8]
      shl rax, 12
      or rsi, rax
      call hypercall_update_va_mapping
      test rax, rax
      jnz bug
      ret
    `),
  );
  // rdi = the table, esi = the command.
  asm.define('mmuext_op', () =>
    asm.code(`
      call virt_to_mfn
      mov [mmuext_command], esi
      mov [mmuext_command + 8], rax
      mov rdi, mmuext_command
      mov esi, 1
      xor edx, edx
      mov r10d, ${abi.DOMID_SELF}
      call hypercall_mmuext_op
      test rax, rax
      jnz bug
      ret
    `),
  );
  // By multicall, as Linux's batching sends it.
  asm.define('load_own_cr3', () =>
    asm.code(`
      mov rdi, init_level4_pgt
      call virt_to_mfn
      mov dword ptr [mmuext_command], ${mmuOps.MMUEXT_NEW_BASEPTR}
      mov [mmuext_command + 8], rax
      mov qword ptr [multicall_entry + 16], mmuext_command
      mov qword ptr [multicall_entry + 24], 1
      mov qword ptr [multicall_entry + 32], 0
      mov qword ptr [multicall_entry + 40], ${abi.DOMID_SELF}
      mov rdi, multicall_entry
      mov esi, 1
      call hypercall_multicall
      or rax, [multicall_entry + 8]
      jnz bug
      ret
    `),
  );
  // rdi = a table of ours: every present entry's pfn becomes its machine frame.
  asm.define('convert_pfn_mfn', () =>
    asm.code(`
      mov rsi, [xen_start_info]
      mov rsi, [rsi + ${abi.START_INFO_mfn_list}]
      xor ecx, ecx
    .entry:
      mov rax, [rdi + rcx*8]
      test al, 1
      jz .absent
      mov edx, eax
      and edx, 0xfff
      shr rax, 12
      mov rax, [rsi + rax*8]
      shl rax, 12
      or rax, rdx
      mov [rdi + rcx*8], rax
    .absent:
      inc ecx
      cmp ecx, 512
      jne .entry
      ret
    `),
  );
  // rdi = to, rsi = from.
  asm.define('copy_page', () =>
    asm.code(`
      mov ecx, 512
      rep movsq
      ret
    `),
  );
}

/** rdi = page. The loop of the dump's code bytes: 64 turns of 64 bytes; the trapping instruction is its first store. */
function clearPage(asm: Assembler): void {
  asm.define('clear_page', () =>
    asm.code(`
      xor eax, eax
      mov ecx, ${PAGE_BYTES / TURN_BYTES}
      align 16
    .turn:
      dec ecx
      mov [rdi], rax
      mov [rdi + 0x8], rax
      mov [rdi + 0x10], rax
      mov [rdi + 0x18], rax
      mov [rdi + 0x20], rax
      mov [rdi + 0x28], rax
      mov [rdi + 0x30], rax
      mov [rdi + 0x38], rax
      lea rdi, [rdi + ${TURN_BYTES}]
      jnz .turn
      nop
      ret
    `),
  );
}

/** In the order in which they are made read-only. */
const OWN_TABLE_NAMES = [
  'init_level4_pgt',
  'level3_ident_pgt',
  'level3_kernel_pgt',
  'level3_user_vsyscall',
  'level2_ident_pgt',
  'level2_kernel_pgt',
  'level2_fixmap_pgt',
  'level1_fixmap_pgt',
] as const;

type TableName = (typeof OWN_TABLE_NAMES)[number];

function data(asm: Assembler): void {
  pv.text(asm, 'text_hello', 'seed: hello; moving to page tables of our own\r\n');
  pv.text(asm, 'text_recycled', "seed: recycled Xen's L4, L3 and L2; its other tables begin at pfn ");
  pv.text(asm, 'text_newline', '\r\n');
  pv.text(asm, 'text_done', 'seed: all is well; shutting down\r\n');
  asm.align(8);
  asm.define('own_tables', () => asm.data(8, ...OWN_TABLE_NAMES.map((name) => symbol(name))));
  asm.label('own_tables_end');
  pv.startInfoVariable(asm);
  // struct mmuext_op: cmd, mfn, nothing.
  asm.define('mmuext_command', () => asm.zero(24));
  // struct multicall_entry: op, result, args[6].
  asm.define('multicall_entry', () => {
    asm.data(8, 26);
    asm.zero(56);
  });
  pv.consoleData(asm);
}

/** The guest's own tables, in the order of Linux's head_64.S; their entries hold pfns until convert_pfn_mfn. */
function pageTables(asm: Assembler): void {
  const table = (name: TableName, slots: Readonly<Record<number, TableName>> = {}): void =>
    asm.define(name, () => {
      let filled = 0;
      for (const [slot, target] of Object.entries(slots)) {
        asm.zero(8 * (Number(slot) - filled));
        asm.data(8, symbol(target, BigInt(PAGE_RW) - START_KERNEL_MAP));
        filled = Number(slot) + 1;
      }
      asm.zero(PAGE_BYTES - 8 * filled);
    });
  table('init_level4_pgt', {
    0: 'level3_ident_pgt',
    [DIRECT_MAP_SLOT]: 'level3_ident_pgt',
    [KERNEL_L4_SLOT]: 'level3_kernel_pgt',
  });
  table('level3_ident_pgt', { 0: 'level2_ident_pgt' });
  table('level3_kernel_pgt', { [KERNEL_L3_SLOT]: 'level2_kernel_pgt', [FIXMAP_L3_SLOT]: 'level2_fixmap_pgt' });
  table('level2_fixmap_pgt', { [FIXMAP_L2_SLOT]: 'level1_fixmap_pgt' });
  table('level1_fixmap_pgt');
  table('level2_ident_pgt');
  table('level2_kernel_pgt');
  table('level3_user_vsyscall');
}
