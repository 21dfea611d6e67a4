// A second vCPU for the museum's guests: how it is started, and how the two take turns. It shares the kernel's tables, trap
// table and fault hook with the first, and has a stack of its own.

import { X86_EXC_PF } from '../../abi/exceptions.js';
import { FLAT_RING3_CS64, FLAT_RING3_SS64 } from '../../abi/registers.js';
import { VCPUOP_initialise, VCPUOP_up } from '../../abi/sched.js';
import * as abi from '../../abi/xen-layout.js';
import { PAGE_BYTES } from '../../base/addresses.js';
import { type Assembler, symbol } from '../../isa/index.js';
import type { Build, Exhibit } from './exhibit.js';

const SECOND = 1;
const R15 = 15;
/** struct trap_info: 16 bytes; the address is its second half, cs at 2. */
const TRAP_INFO_BYTES = 16;

/** The second vCPU's code, and `pass_turn`. r15 is the number of the vCPU, on both: an exhibit with two leaves it alone. */
export function secondVcpu(asm: Assembler, exhibit: Exhibit, build: Build): void {
  asm.define('start_second', () =>
    asm.code(`
      xor r15d, r15d
      mov rdi, [kernel_l4]
      call virt_to_mfn
      shl rax, 12
      mov [vcpu_context + ${abi.CONTEXT_ctrlreg + 3 * 8}], rax
      mov edi, ${VCPUOP_initialise}
      mov esi, ${SECOND}
      mov rdx, vcpu_context
      call hypercall_vcpu_op
      test rax, rax
      jnz bug
      mov edi, ${VCPUOP_up}
      mov esi, ${SECOND}
      xor edx, edx
      call hypercall_vcpu_op
      test rax, rax
      jnz bug
      ret
    `),
  );
  asm.define('second_vcpu', () => {
    asm.code(`
    .wait:
      pause
      cmp r15, [whose_turn]
      jne .wait
      call exhibit_second
    .done:
      call pass_turn
      jmp .done
    `);
  });
  asm.define('exhibit_second', () => asm.code(`${exhibit.second?.(build) ?? ''}\n      ret`));
  asm.define('pass_turn', () =>
    asm.code(`
      mov rax, r15
      xor eax, 1
      mov [whose_turn], rax
    .wait:
      pause
      cmp r15, [whose_turn]
      jne .wait
      ret
    `),
  );
}

/** The variable behind `pass_turn`. */
export function secondVcpuData(asm: Assembler): void {
  asm.define('whose_turn', () => asm.zero(8));
}

/** Its stack, and the state from which it starts: in the kernel, on the first one's tables. */
export function secondVcpuPages(asm: Assembler): void {
  asm.define('second_stack', () => asm.zero(PAGE_BYTES));
  asm.define('vcpu_context', () => {
    let filled = 0;
    const put = (offset: number, size: 2 | 4 | 8, value: Parameters<Assembler['data']>[1]): void => {
      asm.zero(offset - filled);
      asm.data(size, value);
      filled = offset + size;
    };
    const register = (offset: number): number => abi.CONTEXT_user_regs + offset;
    const pageFault = abi.CONTEXT_trap_ctxt + TRAP_INFO_BYTES * X86_EXC_PF;
    put(abi.CONTEXT_flags, 4, abi.VGCF_in_kernel);
    put(register(abi.USER_REGS_gpr[R15]), 8, SECOND);
    put(register(abi.USER_REGS_rip), 8, symbol('second_vcpu'));
    put(register(abi.USER_REGS_cs), 2, FLAT_RING3_CS64);
    put(register(abi.USER_REGS_rsp), 8, symbol('second_stack', BigInt(PAGE_BYTES)));
    put(register(abi.USER_REGS_ss), 2, FLAT_RING3_SS64);
    put(pageFault + 2, 2, FLAT_RING3_CS64);
    put(pageFault + 8, 8, symbol('page_fault'));
    asm.zero(2 * PAGE_BYTES - filled);
  });
}
