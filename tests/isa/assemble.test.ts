// The assembler: what people write, and the bytes that come of it.

import { describe, expect, test } from 'vitest';
import { hexBytes } from '../../src/base/hex.js';
import { Assembler, assembleText, mem, reg, symbol } from '../../src/isa/index.js';

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

/** Assembles what `write` says into one section at `address`. */
function assemble(write: (asm: Assembler) => void, address = 0xffffffff81000000n) {
  const asm = new Assembler();
  asm.section('.text', { address });
  write(asm);
  const { sections, symbols } = asm.assemble();
  return { bytes: hexBytes(sections[0]?.bytes ?? []), sections, symbols };
}

describe('a program', () => {
  test("the seed's clear_page comes out as the crash report's code bytes", () => {
    const { bytes, symbols } = assemble((asm) => {
      asm.define('clear_page', () =>
        asm.code(`
            xor eax, eax
            mov ecx, 0x40
            align 16
          .next:
            dec ecx
            mov [rdi], rax
            mov [rdi+0x08], rax
            mov [rdi+0x10], rax
            jnz .next
            ret
        `),
      );
    }, 0xffffffff81263f10n);
    expect(bytes).toBe(
      '31 c0 b9 40 00 00 00 66 0f 1f 84 00 00 00 00 00 ff c9 48 89 07 48 89 47 08 48 89 47 10 75 f1 c3',
    );
    expect(symbols).toEqual(new Map([['clear_page', { address: 0xffffffff81263f10n, size: 32 }]]));
  });

  test('a branch is short where that reaches, and long where not, forwards and backwards', () => {
    const jumpOver = (count: number): string =>
      assemble((asm) => {
        asm.code('jmp there');
        asm.zero(count);
        asm.label('there');
      }).bytes.slice(0, 14);
    expect(jumpOver(127)).toBe('eb 7f 00 00 00');
    expect(jumpOver(128)).toBe('e9 80 00 00 00');
    const jumpBack = (count: number): string =>
      assemble((asm) => {
        asm.label('here');
        asm.zero(count);
        asm.code('jz here');
      }).bytes.slice(3 * count);
    expect(jumpBack(126)).toBe('74 80');
    expect(jumpBack(127)).toBe('0f 84 7b ff ff ff');
  });

  test('branches that grow push each other out of reach, until all reach', () => {
    const { sections } = assemble((asm) => {
      for (let i = 0; i < 60; i++) asm.code(`jz far${i}`);
      for (let i = 0; i < 60; i++) {
        asm.label(`far${i}`);
        asm.code('nop\nnop');
      }
    });
    const bytes = sections[0]?.bytes ?? new Uint8Array();
    // Each of the 60 branches leads to its own pair of no-operations, which follow one another at the end.
    const firstTarget = bytes.length - 120;
    const targets: number[] = [];
    for (let at = 0; at < firstTarget; ) {
      const isShort = bytes[at] === 0x74;
      const view = new DataView(bytes.buffer, bytes.byteOffset + at);
      const length = isShort ? 2 : 6;
      targets.push(at + length + (isShort ? view.getInt8(1) : view.getInt32(2, true)));
      at += length;
    }
    expect(targets).toEqual(Array.from({ length: 60 }, (_, i) => firstTarget + 2 * i));
  });

  test('symbols as immediates, displacements, RIP-relative places and data', () => {
    const { bytes } = assemble((asm) => {
      asm.code(`
        mov rdi, table          ; sign-extended from 32 bits: this is kernel space
        mov rax, [table + rcx*8 + 8]
        lea rsi, [rip + table]
      `);
      asm.label('table');
      asm.data(8, symbol('table'), 1);
      asm.data(4, symbol('table', 4n));
    });
    expect(bytes).toBe(
      '48 c7 c7 16 00 00 81 48 8b 04 cd 1e 00 00 81 48 8d 35 00 00 00 00 ' +
        '16 00 00 81 ff ff ff ff 01 00 00 00 00 00 00 00 1a 00 00 81',
    );
  });

  test('statements without text', () => {
    const { bytes } = assemble((asm) => {
      asm.constant('HYPERVISOR_update_va_mapping', 14);
      asm.emit('mov', reg('eax'), symbol('HYPERVISOR_update_va_mapping'));
      asm.emit('mov', mem({ base: reg('rdi'), index: reg('rcx'), scale: 8, displacement: 8n }), reg('rax'));
      asm.emit('add', mem({ base: reg('rdi'), displacementBytes: 4, size: 8 }), 1);
      asm.emit('syscall');
    });
    expect(bytes).toBe('b8 0e 00 00 00 48 89 44 cf 08 48 83 87 00 00 00 00 01 0f 05');
  });

  test('sections: at an address, or behind the one before; padding to an origin', () => {
    const asm = new Assembler();
    asm.section('.text', { address: 0x1000n });
    asm.code('call data\nret');
    asm.section('.data', { align: 32 });
    asm.define('data', () => asm.ascii('Xen'));
    asm.section('.page', { address: 0x2000n });
    asm.origin(0x2004n);
    asm.label('four');
    asm.bytes([1]);
    const { sections, symbols } = asm.assemble();
    expect(sections.map(({ name, address, bytes }) => [name, address, hexBytes(bytes)])).toEqual([
      ['.text', 0x1000n, 'e8 1b 00 00 00 c3'],
      ['.data', 0x1020n, '58 65 6e'],
      ['.page', 0x2000n, '00 00 00 00 01'],
    ]);
    expect(symbols).toEqual(
      new Map([
        ['data', { address: 0x1020n, size: 3 }],
        ['four', { address: 0x2004n, size: 0 }],
      ]),
    );
  });

  test('a name with a dot is its define’s own', () => {
    const { bytes, symbols } = assemble((asm) => {
      for (const name of ['one', 'two']) asm.define(name, () => asm.code('.next: dec ecx\n jnz .next'));
      asm.code('jmp one');
    });
    expect(bytes).toBe('ff c9 75 fc ff c9 75 fc eb f6');
    expect([...symbols.keys()]).toEqual(['one', 'two']);
  });

  test.each([
    ['a name defined twice', (asm: Assembler) => asm.code('a:\na:'), 'a is defined twice'],
    ['an origin that has passed', (asm: Assembler) => asm.origin(0x1000n), 'lies behind'],
    ['an odd alignment', (asm: Assembler) => asm.align(3), 'not a power of two'],
  ])('%s is refused', (_, write, words) => {
    expect(() => assemble(write)).toThrow(words);
  });

  test('code before the first section is refused', () => {
    expect(() => new Assembler().code('nop')).toThrow('before the first section');
  });
});
