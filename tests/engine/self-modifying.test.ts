// Code that is written, by itself or by others, is decoded again: even the very next instruction.
import { describe, expect, test } from 'vitest';
import type { TestMachineOptions } from './machine.js';
import { CODE, DATA, run, storyMachine } from './story.js';

const PAGE = 0x1000n;
const machineWith = (code: string, options?: TestMachineOptions) => {
  const machine = storyMachine(options);
  machine.load(CODE, code);
  machine.vcpu.rip = CODE;
  return machine;
};

describe('code that changes itself', () => {
  test('the very next instruction', () => {
    // The store has eight bytes, and the immediate of what follows is the tenth.
    expect(run('mov byte [0x10009], 0x2a; mov al, 1').text).toBe('rax=2a');
  });

  test('an instruction further on in the same run, of another length', () => {
    // The five bytes of `mov eax, imm32` become `nop` and a jump over what follows.
    const machine = machineWith(`
      mov rbx, 0x0000000002eb90
      mov [victim], ebx
      inc rcx
    victim:
      mov eax, 7
      mov edx, 9
    `);
    machine.run(3);
    const victim = machine.vcpu.rip;
    machine.run(2);
    expect(machine.vcpu.rip).toBe(victim + 5n);
    expect(machine.vcpu.readGpr(0)).toBe(0n);
  });

  test('a loop that rewrites its own addend on each round', () => {
    const machine = machineWith(`
    next:
      add eax, 1
      inc byte [next + 2]
      dec ecx
      jnz next
      syscall
    `);
    machine.vcpu.writeGpr(1, 10n);
    expect(machine.run(1000).reason).toBe('syscall');
    expect(machine.vcpu.readGpr(0)).toBe(55n);
  });

  test('REP STOS over itself stops being REP STOS', () => {
    const machine = machineWith('rep stosb');
    machine.vcpu.writeGpr(0, 0x90n);
    machine.vcpu.writeGpr(1, 100n);
    machine.vcpu.writeGpr(7, CODE);
    machine.run(2);
    // After the first byte (F3 -> 90) the next iteration is NOP; STOSB would come behind it.
    expect(machine.vcpu.readGpr(1)).toBe(99n);
    expect(machine.vcpu.rip).toBe(CODE + 1n);
  });

  test('data beside code is written in place, and the code stays', () => {
    const machine = machineWith(`
    next:
      inc dword [0x10800]
      dec ecx
      jnz next
      syscall
    `);
    machine.vcpu.writeGpr(1, 1000n);
    expect(machine.run(10_000).reason).toBe('syscall');
    expect(machine.peek64(0x10800n)).toBe(1000n);
  });

  test('a write that crosses into a page of code', () => {
    const machine = storyMachine();
    machine.map(0x12000n);
    machine.load(0x11000n, 'mov [0x11ffc], rax\njmp 0x12000');
    machine.load(0x12000n, 'mov al, 1\nmov al, 2\nsyscall');
    machine.vcpu.rip = 0x12000n;
    machine.run(2);
    machine.vcpu.rip = 0x11000n;
    machine.vcpu.writeGpr(0, 0x02b0_2ab0_0000_0000n);
    machine.run(3);
    expect(machine.vcpu.readGpr(0) & 0xffn).toBe(0x2an);
  });
});

describe('code written through another mapping', () => {
  test('by the guest, in a page that was writable before it became code', () => {
    const machine = storyMachine();
    const alias = 0x40000n;
    const frame = machine.map(0x30000n);
    machine.map(alias, { frame, executable: false });
    machine.load(
      CODE,
      `
      mov [0x40000], eax
      call 0x30000
      mov dword [0x40000], 0xc3c32ab0
      call 0x30000
      syscall
    `,
    );
    machine.vcpu.rip = CODE;
    machine.vcpu.writeGpr(0, 0xc3_c3_01_b0n);
    machine.vcpu.writeGpr(4, DATA + PAGE);
    expect(machine.run(3).reason).toBe('budget');
    expect(machine.vcpu.readGpr(0) & 0xffn).toBe(1n);
    expect(machine.run(100).reason).toBe('syscall');
    expect(machine.vcpu.readGpr(0) & 0xffn).toBe(0x2an);
  });

  test('by the hypervisor, between two runs', () => {
    const machine = machineWith('next: mov al, 1\njmp next');
    machine.run(2);
    machine.load(CODE, 'next: mov al, 2\njmp next');
    machine.run(2);
    expect(machine.vcpu.readGpr(0)).toBe(2n);
  });

  test('two virtual pages of one frame are both decoded again', () => {
    const machine = storyMachine();
    const frame = machine.map(0x30000n);
    machine.map(0x31000n, { frame });
    machine.load(0x30000n, 'mov al, 1\nsyscall');
    const results = [0x30000n, 0x31000n, 0n, 0x30000n, 0x31000n].map((rip) => {
      if (rip === 0n) machine.load(0x30000n, 'mov al, 2\nsyscall');
      machine.vcpu.rip = rip;
      if (rip !== 0n) machine.run(5);
      return Number(machine.vcpu.readGpr(0));
    });
    expect(results).toEqual([1, 1, 1, 2, 2]);
  });

  test('an instruction across two pages, of which the second is written', () => {
    const machine = storyMachine();
    machine.map(0x12000n);
    machine.load(0x11ffen, 'mov eax, 0x11223344\nsyscall');
    const values = [0x5566, 0x7788].map((high) => {
      machine.poke(0x12001n, Uint8Array.of(high & 0xff, high >> 8));
      machine.vcpu.rip = 0x11ffen;
      machine.run(5);
      return machine.vcpu.readGpr(0).toString(16);
    });
    expect(values).toEqual(['55663344', '77883344']);
  });
});

test('the same code at the same address in another frame is other code', () => {
  const machine = storyMachine();
  const [first, second] = [machine.map(0x30000n), machine.map(0x31000n)];
  machine.load(0x30000n, 'mov al, 1\nsyscall');
  machine.load(0x31000n, 'mov al, 2\nsyscall');
  const results = [first, second, first].map((frame) => {
    machine.map(0x32000n, { frame });
    machine.vcpu.mmu.flushAll({ what: 'test' });
    machine.vcpu.rip = 0x32000n;
    machine.run(5);
    return Number(machine.vcpu.readGpr(0));
  });
  expect(results).toEqual([1, 2, 1]);
});

test('a full code cache is emptied and code goes on', () => {
  const machine = storyMachine({ codeCacheBytes: 1 << 20, frames: 1024 });
  const pages = 200;
  for (let page = 0; page < pages; page++) {
    const address = 0x100000n + BigInt(page) * PAGE;
    machine.map(address);
    machine.load(address, `inc rax\njmp ${page === pages - 1 ? '0x100000' : `0x${(address + PAGE).toString(16)}`}`);
  }
  machine.vcpu.rip = 0x100000n;
  expect(machine.run(2 * pages * 3).reason).toBe('budget');
  expect(machine.vcpu.readGpr(0)).toBe(BigInt(pages * 3));
  expect(machine.engine.counters.codeCacheFlushes).toBeGreaterThan(0);
});
