// The assembler: what people write, and the bytes that come of it.

import { describe, expect, test } from 'vitest';
import { hexBytes } from '../../src/base/hex.js';
import { Assembler, assembleText } from '../../src/isa/assemble/assembler.js';

describe('one line', () => {
  test.each([
    // the seed's clear_page, byte for byte (shared/seed/README.md)
    ['xor eax, eax', '31 c0'],
    ['mov ecx, 0x40', 'b9 40 00 00 00'],
    ['dec ecx', 'ff c9'],
    ['mov [rdi], rax', '48 89 07'],
    ['mov [rdi+8], rax', '48 89 47 08'],
    ['mov [rdi + 0x10], rax', '48 89 47 10'],
    ['add [rax], r8b', '44 00 00'],
    // the shortest immediate
    ['add rax, 1', '48 83 c0 01'],
    ['add rax, 0x12345678', '48 05 78 56 34 12'],
    ['add rcx, -129', '48 81 c1 7f ff ff ff'],
    ['add ecx, 0xffffffff', '83 c1 ff'],
    ['mov rax, 1', '48 c7 c0 01 00 00 00'],
    ['mov rax, 0xffffffff81000000', '48 c7 c0 00 00 00 81'],
    ['mov rax, 0x123456789a', '48 b8 9a 78 56 34 12 00 00 00'],
    ['push 5', '6a 05'],
    ['push 0xffff', '68 ff ff 00 00'],
    ['push -1', '6a ff'],
    ['imul eax, ecx, 100', '6b c1 64'],
    ['shl edx, 1', 'd1 e2'],
    ['shl edx, 4', 'c1 e2 04'],
    // addressing
    ['mov rax, gs:[0x28]', '65 48 8b 04 25 28 00 00 00'],
    ['lea r12, [rsp]', '4c 8d 24 24'],
    ['lea rax, [rbp+rcx*4]', '48 8d 44 8d 00'],
    ['lea rax, [r13]', '49 8d 45 00'],
    ['lea rax, [rcx*8]', '48 8d 04 cd 00 00 00 00'],
    ['lea rax, [rax+rsp]', '48 8d 04 04'],
    ['mov eax, [ecx+4]', '67 8b 41 04'],
    ['mov al, [0x1122334455667788]', 'a0 88 77 66 55 44 33 22 11'],
    ['mov rax, [rip+0x10]', '48 8b 05 10 00 00 00'],
    // names and prefixes
    ['jz 0x10', '74 0e'],
    ['jmp 0x1000', 'e9 fb 0f 00 00'],
    ['rep movsq', 'f3 48 a5'],
    ['repne scasb', 'f2 ae'],
    ['lock add dword [rdi], 1', 'f0 83 07 01'],
    ['lock cmpxchg16b [rsi]', 'f0 48 0f c7 0e'],
    ['xchg rax, [rdi]', '48 87 07'],
    ['test eax, [rdi]', '85 07'],
    ['xchg eax, eax', '87 c0'],
    ['o64 retf', '48 cb'],
    ['iretq', '48 cf'],
    ['push word [rax]', '66 ff 30'],
    ['push [rax]', 'ff 30'],
    ['nop dword [rax]', '0f 1f 00'],
    ['mov ds, ax', '8e d8'],
    ['mov cr3, rax', '0f 22 d8'],
    ['sete sil', '40 0f 94 c6'],
    ['mov ah, bl', '88 dc'],
    ['syscall ; into Xen', '0f 05'],
  ])('%s', (text, bytes) => {
    expect(hexBytes(assembleText(text))).toBe(bytes);
  });

  test.each([
    ['mov [rdi], 5', 'size of the memory operand is open'],
    ['movzx eax, [rdi]', 'size of the memory operand is open'],
    ['inc [rdi]', 'size of the memory operand is open'],
    ['mov ah, sil', 'no form of mov'],
    ['add al, 256', 'no form of add'],
    ['mov rax, ecx', 'no form of mov'],
    ['lock mov [rdi], eax', 'no form of mov'],
    ['frobnicate eax', 'no instruction is called frobnicate'],
    ['jmp nowhere', 'nothing defines nowhere'],
    ['mov eax, [rax+rbx+rcx]', 'three registers'],
    ['mov eax, 12q', '12q is no number'],
    ['loop 0x1000', 'no form of loop'],
  ])('%s is refused', (text, words) => {
    expect(() => assembleText(text)).toThrow(words);
  });
});
