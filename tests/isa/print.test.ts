// Both syntaxes. AT&T lines are what GNU objdump 2.40 prints for the same bytes, apart from the columns.

import { describe, expect, test } from 'vitest';
import { decode, type PrintOptions, printAtt, printIntel } from '../../src/isa/index.js';

function instruction(text: string) {
  const bytes = Uint8Array.from(text.split(' '), (byte) => Number.parseInt(byte, 16));
  const decoded = decode(bytes, 0, bytes.length);
  if (typeof decoded === 'string') throw new Error(`${text}: ${decoded}`);
  return decoded;
}

describe('both syntaxes', () => {
  test.each([
    // the seed's listing
    ['44 00 00', 'add %r8b,(%rax)', 'add [rax], r8b'],
    ['31 c0', 'xor %eax,%eax', 'xor eax, eax'],
    ['b9 40 00 00 00', 'mov $0x40,%ecx', 'mov ecx, 0x40'],
    ['66 0f 1f 84 00 00 00 00 00', 'nopw 0x0(%rax,%rax,1)', 'nop word [rax+rax*1]'],
    ['ff c9', 'dec %ecx', 'dec ecx'],
    ['48 89 07', 'mov %rax,(%rdi)', 'mov [rdi], rax'],
    ['48 89 47 08', 'mov %rax,0x8(%rdi)', 'mov [rdi+0x8], rax'],
    // sizes
    ['c7 07 05 00 00 00', 'movl $0x5,(%rdi)', 'mov dword [rdi], 0x5'],
    ['48 83 00 ff', 'addq $0xffffffffffffffff,(%rax)', 'add qword [rax], 0xffffffffffffffff'],
    ['f6 07 01', 'testb $0x1,(%rdi)', 'test byte [rdi], 0x1'],
    ['ff 30', 'push (%rax)', 'push qword [rax]'],
    ['66 ff 30', 'pushw (%rax)', 'push word [rax]'],
    ['66 6a 05', 'pushw $0x5', 'o16 push 0x5'],
    ['66 c9', 'leavew', 'o16 leave'],
    ['48 cb', 'lretq', 'o64 retf'],
    ['d3 27', 'shll %cl,(%rdi)', 'shl dword [rdi], cl'],
    ['d1 e2', 'shl %edx', 'shl edx, 0x1'],
    ['0f b6 07', 'movzbl (%rdi),%eax', 'movzx eax, byte [rdi]'],
    ['48 0f be 07', 'movsbq (%rdi),%rax', 'movsx rax, byte [rdi]'],
    ['48 63 c8', 'movslq %eax,%rcx', 'movsxd rcx, eax'],
    ['0f 94 07', 'sete (%rdi)', 'sete byte [rdi]'],
    ['48 98', 'cltq', 'cdqe'],
    ['99', 'cltd', 'cdq'],
    // addresses
    ['65 48 8b 04 25 28 00 00 00', 'mov %gs:0x28,%rax', 'mov rax, gs:[0x28]'],
    ['8b 04 25 00 00 00 81', 'mov 0xffffffff81000000,%eax', 'mov eax, [0xffffffff81000000]'],
    ['48 8d 04 cd 00 00 00 00', 'lea 0x0(,%rcx,8),%rax', 'lea rax, [rcx*8]'],
    ['48 8b 45 f8', 'mov -0x8(%rbp),%rax', 'mov rax, [rbp-0x8]'],
    ['67 8b 41 04', 'mov 0x4(%ecx),%eax', 'mov eax, [ecx+0x4]'],
    ['48 b8 9a 78 56 34 12 00 00 00', 'movabs $0x123456789a,%rax', 'mov rax, 0x123456789a'],
    ['48 a3 88 77 66 55 44 33 22 11', 'movabs %rax,0x1122334455667788', 'mov [0x1122334455667788], rax'],
    // strings, ports, prefixes
    ['f3 48 a5', 'rep movsq %ds:(%rsi),%es:(%rdi)', 'rep movsq'],
    ['f3 a6', 'repz cmpsb %es:(%rdi),%ds:(%rsi)', 'repe cmpsb'],
    ['65 ac', 'lods %gs:(%rsi),%al', 'gs lodsb'],
    ['6e', 'outsb %ds:(%rsi),(%dx)', 'outsb'],
    ['ec', 'in (%dx),%al', 'in al, dx'],
    ['f0 83 07 01', 'lock addl $0x1,(%rdi)', 'lock add dword [rdi], 0x1'],
    ['f3 c3', 'repz ret', 'ret'],
    ['2e 66 0f 1f 84 00 00 00 00 00', 'cs nopw 0x0(%rax,%rax,1)', 'nop word [rax+rax*1]'],
    ['3e ff e0', 'notrack jmp *%rax', 'jmp rax'],
    // x87
    ['d8 03', 'fadds (%rbx)', 'fadd dword [rbx]'],
    ['dc 43 08', 'faddl 0x8(%rbx)', 'fadd qword [rbx+0x8]'],
    ['de 03', 'fiadds (%rbx)', 'fiadd word [rbx]'],
    ['df 2b', 'fildll (%rbx)', 'fild qword [rbx]'],
    ['db 3b', 'fstpt (%rbx)', 'fstp tbyte [rbx]'],
    ['d8 c3', 'fadd %st(3),%st', 'fadd st(0), st(3)'],
    ['de eb', 'fsubrp %st,%st(3)', 'fsubp st(3), st(0)'],
    ['dc f3', 'fdiv %st,%st(3)', 'fdivr st(3), st(0)'],
    ['d9 cb', 'fxch %st(3)', 'fxch st(0), st(3)'],
    ['db eb', 'fucomi %st(3),%st', 'fucomi st(0), st(3)'],
    ['df e0', 'fnstsw %ax', 'fnstsw ax'],
    ['66 d9 33', 'fnstenvs (%rbx)', 'o16 fnstenv [rbx]'],
    ['9b', 'fwait', 'wait'],
    // control
    ['ff d0', 'call *%rax', 'call rax'],
    ['ff 18', 'lcall *(%rax)', 'callf fword [rax]'],
    ['c8 10 00 02', 'enter $0x10,$0x2', 'enter 0x10, 0x2'],
    ['48 cf', 'iretq', 'iretq'],
    ['cd 80', 'int $0x80', 'int 0x80'],
    ['0f 22 d8', 'mov %rax,%cr3', 'mov cr3, rax'],
    ['0f b9 c1', 'ud1 %ecx,%eax', 'ud1 eax, ecx'],
  ])('%s', (bytes, att, intel) => {
    expect(printAtt(instruction(bytes))).toBe(att);
    expect(printIntel(instruction(bytes))).toBe(intel);
  });
});

describe('addresses that are known', () => {
  const options: PrintOptions = {
    address: 0xffffffff81000000n,
    symbol: (address) => (address === 0xffffffff81000012n ? 'clear_page+0x12' : undefined),
  };
  test.each([
    ['eb 10', 'jmp 0xffffffff81000012 <clear_page+0x12>', 'jmp 0xffffffff81000012  ; clear_page+0x12'],
    ['eb 11', 'jmp 0xffffffff81000013', 'jmp 0xffffffff81000013'],
    [
      '48 8b 05 0b 00 00 00',
      'mov 0xb(%rip),%rax        # 0xffffffff81000012 <clear_page+0x12>',
      'mov rax, [rip+0xb]  ; 0xffffffff81000012 <clear_page+0x12>',
    ],
  ])('%s', (bytes, att, intel) => {
    expect(printAtt(instruction(bytes), options)).toBe(att);
    expect(printIntel(instruction(bytes), options)).toBe(intel);
  });
});
