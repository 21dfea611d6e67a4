// The kernel that the museum's guests have in common: it stays on the page tables that Xen built, hooks one table of its own
// into them (the window, in which exhibits map what they like), takes page faults, and says how it went.
//
//   START_KERNEL_MAP + 1 MiB   text, then the hypercall page, data, pages and tables, stack
//   window                     L2 slot 128 of the same L3: 2 MiB through window_table
//
// Every function keeps rbx, rbp and r12 to r15. Leaves out: event channels (they stay masked). For programs see programs.ts, for a second
// vCPU second-vcpu.ts.

import { X86_EXC_PF } from '../../abi/exceptions.js';
import * as mmuOps from '../../abi/mmu-ops.js';
import { FLAT_RING3_CS64 } from '../../abi/registers.js';
import * as abi from '../../abi/xen-layout.js';
import { PAGE_BYTES } from '../../base/addresses.js';
import { Assembler, symbol } from '../../isa/index.js';
import type { GuestImage } from '../image.js';
import * as pv from '../pv-runtime.js';
import { START_KERNEL_MAP } from '../pv-runtime.js';
import type { Build, Exhibit } from './exhibit.js';
import { programData, programPages, programs } from './programs.js';
import { secondVcpu, secondVcpuData, secondVcpuPages } from './second-vcpu.js';
import { RO, UVMF_INVLPG } from './steps.js';

/** What a machine needs to run an exhibit: 4 MiB, all of it mapped by Xen's tables. */
export const MUSEUM_PAGES = 1024;

const TEXT = START_KERNEL_MAP + 0x10_0000n;
const HYPERCALL_PAGE = TEXT + 0x1_0000n;
const DATA = HYPERCALL_PAGE + 0x1000n;
const PAGES = DATA + 0x1000n;
const END = START_KERNEL_MAP + 0x18_0000n;

/** START_KERNEL_MAP's slots, and the window's below them. */
const KERNEL_L4_SLOT = 511;
const KERNEL_L3_SLOT = 510;
const WINDOW_SLOT = 128;
/** L2 slot 130, if it leads to the L2 itself: there the L1 tables can be read, one page each. */
const LINEAR_SLOT = 130;
const REGION_BYTES = 0x20_0000n;
const LINEAR_MAP = START_KERNEL_MAP + BigInt(LINEAR_SLOT) * REGION_BYTES;
const TABLE_RIGHTS = 0x67;
const LINEAR_RIGHTS = 0x65;
const STACK_BYTES = 8192;

/** What a guest prints when it has come to its end, and when it has seen that something is wrong (before what it is). */
export const FINE = 'museum: all is well';
export const WRONG = 'museum: wrong: ';

/** The exhibit as a kernel. */
export function museumImage(exhibit: Exhibit, build: Build): GuestImage {
  const asm = new Assembler();
  pv.nameHypercalls(asm, HYPERCALL_PAGE);
  asm.constant('window', START_KERNEL_MAP + BigInt(WINDOW_SLOT) * REGION_BYTES);
  asm.constant('next_region', START_KERNEL_MAP + BigInt(WINDOW_SLOT + 1) * REGION_BYTES);
  asm.constant('linear_map', LINEAR_MAP);
  asm.constant('linear_entry', LINEAR_MAP + BigInt((WINDOW_SLOT + 1) * PAGE_BYTES));
  asm.section('.text', { address: TEXT });
  start(asm, exhibit);
  asm.define('exhibit', () => asm.code(`${exhibit.main(build)}\n      ret`));
  if (exhibit.parts !== undefined) asm.code(exhibit.parts);
  mapping(asm);
  if (!exhibit.handlesNoFaults) faults(asm);
  if (exhibit.runsPrograms) programs(asm);
  if (exhibit.second) secondVcpu(asm, exhibit, build);
  pv.virtToMfn(asm);
  pv.machineToVirt(asm);
  pv.bug(asm);
  pv.console(asm);
  pv.shutdown(asm);
  asm.section('.data', { address: DATA });
  data(asm, exhibit);
  asm.section('.data.pages', { address: PAGES });
  for (const name of PAGE_NAMES) asm.define(name, () => asm.zero(PAGE_BYTES));
  asm.define('stack', () => asm.zero(STACK_BYTES));
  if (exhibit.runsPrograms) programPages(asm);
  if (exhibit.second) secondVcpuPages(asm);
  const { sections, symbols } = asm.assemble();
  return {
    name: `${exhibit.name} (${build})`,
    entry: TEXT,
    virtBase: START_KERNEL_MAP,
    hypercallPage: HYPERCALL_PAGE,
    segments: sections.map(({ address, bytes }) => ({ vaddr: address, bytes })),
    end: END,
    symbols,
  };
}

/** Pages for everyone: four to map, two to become page tables. */
const PAGE_NAMES = ['window_table', 'page_a', 'page_b', 'page_c', 'page_d', 'table_a', 'table_b'] as const;

function start(asm: Assembler, exhibit: Exhibit): void {
  asm.define('startup_xen', () =>
    asm.code(`
      cld
      mov rsp, stack + ${STACK_BYTES}
      mov [xen_start_info], rsi
      call open_window
      ${exhibit.handlesNoFaults ? '' : 'call take_faults'}
      ${exhibit.runsPrograms ? 'call take_system_calls' : ''}
      ${exhibit.second ? 'call start_second' : ''}
      call exhibit
      mov rdi, text_fine
      jmp finish
    `),
  );
  // The guest has seen what cannot be, were its translations true.
  asm.define('wrong', () =>
    asm.code(`
      mov rdi, text_wrong
    `),
  );
  asm.define('finish', () =>
    asm.code(`
      mov rsp, stack + ${STACK_BYTES}
      call xen_puts
      mov edi, ${abi.SHUTDOWN_poweroff}
      jmp xen_shutdown
    `),
  );
}

function mapping(asm: Assembler): void {
  // rdi = address, rsi = kernel address of the page to map there (0: none), edx = rights, ecx = UVMF_ flags.
  asm.define('set_page', () =>
    asm.code(`
      push rbx
      push r12
      push r13
      mov rbx, rdi
      mov r12d, edx
      mov r13d, ecx
      xor eax, eax
      test rsi, rsi
      jz .absent
      mov rdi, rsi
      call virt_to_mfn
      shl rax, 12
      or rax, r12
    .absent:
      mov rdi, rbx
      mov rsi, rax
      mov edx, r13d
      call hypercall_update_va_mapping
      test rax, rax
      jnz bug
      pop r13
      pop r12
      pop rbx
      ret
    `),
  );
  // esi = MMUEXT_ command, rdi = its first argument.
  asm.define('mmuext', () =>
    asm.code(`
      mov [mmuext_command + ${mmuOps.MMUEXT_OP_cmd}], esi
      mov [mmuext_command + ${mmuOps.MMUEXT_OP_arg1}], rdi
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
  // rdi = a table's kernel address, esi = slot, rdx = entry: stores it by mmu_update, without a flush of the guest's.
  asm.define('set_entry', () =>
    asm.code(`
      push rbx
      push r12
      mov ebx, esi
      mov r12, rdx
      call virt_to_mfn
      shl rax, 12
      lea rax, [rax + rbx*8]
      mov [mmu_request + ${mmuOps.MMU_UPDATE_ptr}], rax
      mov [mmu_request + ${mmuOps.MMU_UPDATE_val}], r12
      mov rdi, mmu_request
      mov esi, 1
      xor edx, edx
      mov r10d, ${abi.DOMID_SELF}
      call hypercall_mmu_update
      test rax, rax
      jnz bug
      pop r12
      pop rbx
      ret
    `),
  );
  // edi = region behind the window's (0: the window), rsi = a page: no longer writable, and the region's L1 from now on.
  asm.define('hook_table', () =>
    asm.code(`
      push rbx
      push r12
      mov ebx, edi
      mov r12, rsi
      mov rdi, rsi
      mov edx, ${RO}
      mov ecx, ${UVMF_INVLPG}
      call set_page
      mov edi, ebx
      mov rsi, r12
      pop r12
      pop rbx
      jmp hook_readonly_table
    `),
  );
  // The same with a page that is not writable; it costs no flush.
  asm.define('hook_readonly_table', () =>
    asm.code(`
      push rbx
      mov ebx, edi
      mov rdi, rsi
      call virt_to_mfn
      shl rax, 12
      or rax, ${TABLE_RIGHTS}
      mov rdi, [kernel_l2]
      lea esi, [rbx + ${WINDOW_SLOT}]
      mov rdx, rax
      pop rbx
      jmp set_entry
    `),
  );
  // edi = region: has no L1 any more.
  asm.define('unhook_table', () =>
    asm.code(`
      lea esi, [rdi + ${WINDOW_SLOT}]
      mov rdi, [kernel_l2]
      xor edx, edx
      jmp set_entry
    `),
  );
  // The L2 becomes one of its own L1s, read-only: a linear page table.
  asm.define('open_linear_map', () =>
    asm.code(`
      mov rdi, [kernel_l2]
      call virt_to_mfn
      shl rax, 12
      or rax, ${LINEAR_RIGHTS}
      mov rdi, [kernel_l2]
      mov esi, ${LINEAR_SLOT}
      mov rdx, rax
      jmp set_entry
    `),
  );
  asm.define('open_window', () =>
    asm.code(`
      mov rax, [xen_start_info]
      mov rdi, [rax + ${abi.START_INFO_pt_base}]
      mov [kernel_l4], rdi
      mov rdi, [rdi + ${8 * KERNEL_L4_SLOT}]
      call m2v
      mov rdi, [rax + ${8 * KERNEL_L3_SLOT}]
      call m2v
      mov [kernel_l2], rax
      xor edi, edi
      mov rsi, window_table
      jmp hook_table
    `),
  );
}

/** What a page fault leads to: the exhibit's hook, or the end. */
function faults(asm: Assembler): void {
  asm.define('take_faults', () =>
    asm.code(`
      mov rdi, trap_table
      jmp hypercall_set_trap_table
    `),
  );
  // Xen pushes rcx, r11, error code, rip, cs, rflags, rsp, ss, and its iret takes flags, rip, cs, rflags, rsp, ss.
  asm.define('page_fault', () =>
    asm.code(`
      push rax
      push rdx
      push rsi
      push rdi
      push r8
      push r9
      push r10
      mov rdi, cr2
      mov esi, [rsp + ${7 * 8 + 16}]
      lea rdx, [rsp + ${7 * 8 + 24}]
      mov rax, [fault_hook]
      test rax, rax
      jz .unexpected
      call rax
      pop r10
      pop r9
      pop r8
      pop rdi
      pop rsi
      pop rdx
      pop rax
      pop rcx
      pop r11
      mov qword ptr [rsp], 0
      jmp hypercall_iret
    .unexpected:
      mov rdi, text_fault
      call xen_puts
      mov edi, ${abi.SHUTDOWN_crash}
      jmp xen_shutdown
    `),
  );
  asm.define('go_elsewhere', () =>
    asm.code(`
      mov rax, [fault_goes_to]
      mov [rdx], rax
      ret
    `),
  );
}

function data(asm: Assembler, exhibit: Exhibit): void {
  pv.text(asm, 'text_fine', `${FINE}\r\n`);
  pv.text(asm, 'text_wrong', `${WRONG}${exhibit.wrong ?? 'what cannot be'}\r\n`);
  asm.align(8);
  pv.startInfoVariable(asm);
  for (const name of ['kernel_l4', 'kernel_l2']) asm.define(name, () => asm.zero(8));
  asm.define('mmuext_command', () => asm.zero(mmuOps.MMUEXT_OP_BYTES));
  asm.define('multicall_entries', () => asm.zero(2 * mmuOps.MULTICALL_ENTRY_BYTES));
  asm.define('mmu_request', () => asm.zero(mmuOps.MMU_UPDATE_BYTES));
  for (const name of VARIABLES) asm.define(name, () => asm.zero(8));
  pv.consoleData(asm);
  if (exhibit.runsPrograms) programData(asm);
  if (exhibit.second) secondVcpuData(asm);
  if (exhibit.handlesNoFaults) return;
  pv.text(asm, 'text_fault', 'museum: unexpected page fault\r\n');
  asm.align(8);
  for (const name of ['fault_hook', 'fault_goes_to']) asm.define(name, () => asm.zero(8));
  // struct trap_info: vector, flags, cs, address; the one with address 0 is the end.
  asm.define('trap_table', () => {
    asm.bytes([X86_EXC_PF, 0]);
    asm.data(2, FLAT_RING3_CS64);
    asm.zero(4);
    asm.data(8, symbol('page_fault'));
    asm.zero(16);
  });
}

/** For an exhibit to use as it likes; 0 at first. */
const VARIABLES = ['variable_a', 'variable_b', 'variable_c'] as const;
