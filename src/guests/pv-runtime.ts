// What our PV guests share: calling Xen, finding frames, and a console. Each piece is assembled into a guest that wants it.
// Every function keeps rbx, rbp and r12 to r15, as the System V ABI asks, and may change all else.
// Source: Xen 4.17 public/xen.h, public/io/console.h.

import { EVTCHNOP_send } from '../abi/event-channel.js';
import {
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_sched_op,
  HYPERCALL_NAMES,
  HYPERCALL_STUB_BYTES,
} from '../abi/hypercalls.js';
import * as rings from '../abi/rings.js';
import { SCHEDOP_shutdown, SCHEDOP_yield } from '../abi/sched.js';
import * as abi from '../abi/xen-layout.js';
import { hex0x } from '../base/hex.js';
import type { Assembler } from '../isa/index.js';

/** Where the guest's pfn 0 is mapped: Linux's __START_KERNEL_map. As an immediate it is sign-extended from 32 bits. */
export const START_KERNEL_MAP = 0xffff_ffff_8000_0000n;
export const KERNEL_MAP_IMMEDIATE = '-0x80000000';

/** Names the stubs of the hypercall page at `page`: `call hypercall_mmu_update`. */
export function nameHypercalls(asm: Assembler, page: bigint): void {
  for (const [number, name] of Object.entries(HYPERCALL_NAMES))
    asm.constant(`hypercall_${name}`, page + BigInt(Number(number) * HYPERCALL_STUB_BYTES));
}

/** The variable in which a guest keeps the address that Xen gave it in rsi. */
export function startInfoVariable(asm: Assembler): void {
  asm.define('xen_start_info', () => asm.zero(8));
}

/** virt_to_mfn: rdi = a kernel address, rax = its machine frame, by the p2m list of start_info. Keeps rsi. */
export function virtToMfn(asm: Assembler): void {
  asm.define('virt_to_mfn', () =>
    asm.code(`
      sub rdi, ${KERNEL_MAP_IMMEDIATE}
      shr rdi, 12
      mov rax, [xen_start_info]
      mov rax, [rax + ${abi.START_INFO_mfn_list}]
      mov rax, [rax + rdi*8]
      ret
    `),
  );
}

/** m2v: rdi = a page-table entry, rax = the kernel address of the page that it points to, by Xen's M2P. */
export function machineToVirt(asm: Assembler): void {
  asm.define('m2v', () =>
    asm.code(`
      shl rdi, 12                     ; bits 51:12 are the frame
      shr rdi, 24
      mov rax, ${hex0x(abi.MACH2PHYS_VIRT_START)}
      mov rax, [rax + rdi*8]
      shl rax, 12
      add rax, ${KERNEL_MAP_IMMEDIATE}
      ret
    `),
  );
}

/** bug: where a guest goes when what cannot happen has happened; as Linux's BUG(). */
export function bug(asm: Assembler): void {
  asm.define('bug', () => asm.code('ud2'));
}

/** xen_puts: rdi = text that ends with 0, to the console ring; waits while it is full. xen_puthex: rdi = a number. */
export function console(asm: Assembler): void {
  asm.define('xen_puts', () =>
    asm.code(`
      push rbx
      push r12
      mov r12, rdi
      mov rax, [xen_start_info]
      mov rdi, [rax + ${abi.START_INFO_console_mfn}]
      shl rdi, 12
      call m2v
      mov rbx, rax                    ; struct xencons_interface
    .byte:
      mov al, [r12]
      test al, al
      jz .done
      mov ecx, [rbx + ${rings.XENCONS_out_prod}]
      mov edx, ecx
      sub edx, [rbx + ${rings.XENCONS_out_cons}]
      cmp edx, ${rings.XENCONS_OUT_BYTES}
      je .full
      mov edx, ecx
      and edx, ${rings.XENCONS_OUT_BYTES - 1}
      mov [rbx + rdx + ${rings.XENCONS_out}], al
      inc ecx
      mov [rbx + ${rings.XENCONS_out_prod}], ecx
      inc r12
      jmp .byte
    .full:
      call notify_console
      mov edi, ${SCHEDOP_yield}
      xor esi, esi
      call ${hypercallName(__HYPERVISOR_sched_op)}
      jmp .byte
    .done:
      call notify_console
      pop r12
      pop rbx
      ret
    `),
  );
  asm.define('notify_console', () =>
    asm.code(`
      mov rax, [xen_start_info]
      mov eax, [rax + ${abi.START_INFO_console_evtchn}]
      mov [evtchn_send], eax
      mov edi, ${EVTCHNOP_send}
      mov rsi, evtchn_send
      call ${hypercallName(__HYPERVISOR_event_channel_op)}
      ret
    `),
  );
  asm.define('xen_puthex', () =>
    asm.code(`
      mov rsi, hex_text + 16
    .digit:
      dec rsi
      mov eax, edi
      and eax, 15
      mov al, [hex_digits + rax]
      mov [rsi], al
      shr rdi, 4
      jnz .digit
      mov rdi, rsi
      jmp xen_puts
    `),
  );
}

/** The variables behind `console`; they belong among the guest's writable data. */
export function consoleData(asm: Assembler): void {
  asm.define('evtchn_send', () => asm.zero(4));
  asm.define('hex_digits', () => asm.ascii('0123456789abcdef'));
  asm.define('hex_text', () => asm.zero(17));
}

/** xen_shutdown: edi = SHUTDOWN_ reason; does not return. Uses the stack for its argument. */
export function shutdown(asm: Assembler): void {
  asm.define('xen_shutdown', () =>
    asm.code(`
      push rdi
      mov edi, ${SCHEDOP_shutdown}
      mov rsi, rsp
      call ${hypercallName(__HYPERVISOR_sched_op)}
      ud2
    `),
  );
}

/** A text that ends with 0. */
export function text(asm: Assembler, name: string, characters: string): void {
  asm.define(name, () => {
    asm.ascii(characters);
    asm.zero(1);
  });
}

const hypercallName = (number: number): string => `hypercall_${HYPERCALL_NAMES[number]}`;
