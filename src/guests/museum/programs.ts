// Programs for the museum's guests: address spaces of their own (an L4 for user mode, beside the kernel's), and a way in and out.
//
//   0x400000   program_text: reads the address in rdi and tells the kernel what it read, by a system call
//   0x401000   the space's own page
//
// Xen makes the pages of programs global: they survive the loads of CR3 that come with each change between kernel and user mode.

import { MMUEXT_NEW_USER_BASEPTR, MMUEXT_PIN_L4_TABLE } from '../../abi/mmu-ops.js';
import { FLAT_RING3_CS64, FLAT_RING3_SS64 } from '../../abi/registers.js';
import { PAGE_BYTES } from '../../base/addresses.js';
import type { Assembler } from '../../isa/index.js';
import { RO, USER_RO, USER_RW, UVMF_INVLPG } from './steps.js';

const PROGRAM_TEXT = 0x40_0000;
/** The L2 slot of 0x400000. */
const PROGRAM_L2_SLOT = 2;
const TABLE_RIGHTS = 0x67;
/** RFLAGS of a program: IF clear, so that events stay masked. */
const PROGRAM_RFLAGS = 0x2;

/** An address space is four pages: its L4, L3, L2 and L1. */
const SPACES = ['space_a', 'space_b'] as const;
const SPACE_BYTES = 4 * PAGE_BYTES;
const [L4, L3, L2, L1] = [0, 1, 2, 3].map((page) => page * PAGE_BYTES) as [number, number, number, number];

/** make_space, use_space, run_program, and what they need of the kernel: take_system_calls, to be called once. */
export function programs(asm: Assembler): void {
  asm.constant('program_page', PROGRAM_TEXT + PAGE_BYTES);
  asm.define('take_system_calls', () =>
    asm.code(`
      xor edi, edi
      xor esi, esi
      mov rdx, system_call
      call hypercall_set_callbacks
      mov edi, ${FLAT_RING3_SS64}
      mov rsi, entry_stack + ${PAGE_BYTES}
      jmp hypercall_stack_switch
    `),
  );
  // rdi = four pages, rsi = the page that the program sees: builds an address space and pins it.
  asm.define('make_space', () =>
    asm.code(`
      push rbx
      push r12
      mov rbx, rdi
      mov r12, rsi
      mov rdi, program_text
      call virt_to_mfn
      shl rax, 12
      or rax, ${USER_RO}
      mov [rbx + ${L1}], rax
      mov rdi, r12
      call virt_to_mfn
      shl rax, 12
      or rax, ${USER_RW}
      mov [rbx + ${L1 + 8}], rax
      ${enter(L2 + 8 * PROGRAM_L2_SLOT, L1)}
      ${enter(L3, L2)}
      ${enter(L4, L3)}
      xor r12d, r12d
    .readonly:
      lea rdi, [rbx + r12]
      mov rsi, rdi
      mov edx, ${RO}
      mov ecx, ${UVMF_INVLPG}
      call set_page
      add r12, ${PAGE_BYTES}
      cmp r12, ${SPACE_BYTES}
      jne .readonly
      mov rdi, rbx
      call virt_to_mfn
      mov rdi, rax
      mov esi, ${MMUEXT_PIN_L4_TABLE}
      call mmuext
      pop r12
      pop rbx
      ret
    `),
  );
  // rdi = a space: programs run in it from now on. Xen takes note, and loads it at the next change to user mode.
  asm.define('use_space', () =>
    asm.code(`
      call virt_to_mfn
      mov rdi, rax
      mov esi, ${MMUEXT_NEW_USER_BASEPTR}
      jmp mmuext
    `),
  );
  // rdi = address: rax = what the program reads there.
  asm.define('run_program', () =>
    asm.code(`
      push rbx
      push rbp
      push r12
      push r13
      push r14
      push r15
      mov [kernel_rsp], rsp
      push ${FLAT_RING3_SS64}
      push 0
      push ${PROGRAM_RFLAGS}
      push ${FLAT_RING3_CS64}
      push ${PROGRAM_TEXT}
      push 0
      jmp hypercall_iret
    `),
  );
  asm.define('system_call', () =>
    asm.code(`
      mov rsp, [kernel_rsp]
      pop r15
      pop r14
      pop r13
      pop r12
      pop rbp
      pop rbx
      ret
    `),
  );
}

const enter = (slot: number, table: number): string => `
      lea rdi, [rbx + ${table}]
      call virt_to_mfn
      shl rax, 12
      or rax, ${TABLE_RIGHTS}
      mov [rbx + ${slot}], rax`;

/** The pages behind `programs`; they begin and end on page boundaries. */
export function programPages(asm: Assembler): void {
  asm.define('program_text', () =>
    asm.code(`
      mov rax, [rdi]
      syscall
      align ${PAGE_BYTES}
    `),
  );
  for (const space of SPACES) asm.define(space, () => asm.zero(SPACE_BYTES));
  asm.define('entry_stack', () => asm.zero(PAGE_BYTES));
}

/** The variable behind `run_program`. */
export function programData(asm: Assembler): void {
  asm.define('kernel_rsp', () => asm.zero(8));
}
