// FXSAVE and FXRSTOR against the layout in the manual, MXCSR's bits that do not exist, CR0.TS.
// SDM 2A "FXSAVE" (table 3-45), SDM 3A "Task Switched" (§2.5).

import { describe, expect, test } from 'vitest';
import { type TestMachine, testMachine } from './machine.js';

const CODE = 0x1000n;
const IMAGE = 0x2ff0n;
const ELSEWHERE = 0x4000n;

const XMM = Array.from({ length: 16 }, (_, i) => (0x0123_4567_89ab_cdefn * BigInt(i + 3)) << BigInt(i));
const X87 = {
  control: 0x027f,
  status: 0x2800,
  tags: 0b1110_0001,
  registers: Array.from({ length: 8 }, (_, i) => (0x3ff0n << 64n) | (0x8000_0000_0000_0000n + BigInt(i))),
  opcode: 0x123,
  instruction: 0x1234_5678_9abcn,
  operand: 0x7fff_0000_1110n,
  codeSegment: 0x33,
  dataSegment: 0x2b,
} as const;

function machineWith(code: string): TestMachine {
  const machine = testMachine();
  machine.map(CODE);
  for (const page of [0x2000n, 0x3000n, ELSEWHERE]) machine.map(page);
  machine.load(CODE, code);
  const { vcpu } = machine;
  XMM.forEach((value, i) => {
    vcpu.writeXmm(i, value);
  });
  vcpu.x87 = X87;
  vcpu.mxcsr = 0x9fc1;
  vcpu.rip = CODE;
  vcpu.writeGpr(0, IMAGE);
  return machine;
}

const field = (machine: TestMachine, offset: number, bytes: number): bigint =>
  machine.peek(IMAGE + BigInt(offset), bytes).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

describe('FXSAVE', () => {
  test.each([
    ['fxsave [rax]', [0x5678_9abcn, 0x33n, 0x1110n, 0x2bn]],
    ['fxsave64 [rax]', [0x5678_9abcn, 0x1234n, 0x1110n, 0x7fffn]],
  ])('%s', (code, pointers) => {
    const machine = machineWith(code);
    machine.poke(IMAGE + 416n, new Uint8Array(96).fill(0xa5));
    expect(machine.run(1)).toEqual({ reason: 'budget' });
    const at = (offset: number, bytes: number) => field(machine, offset, bytes);
    expect([at(0, 2), at(2, 2), at(4, 1), at(5, 1), at(6, 2)]).toEqual([0x27fn, 0x2800n, 0xe1n, 0n, 0x123n]);
    expect([at(8, 4), at(12, 4), at(16, 4), at(20, 4)]).toEqual(pointers);
    expect([at(24, 4), at(28, 4)]).toEqual([0x9fc1n, 0xffffn]);
    // TOP is 5.
    for (let i = 0; i < 8; i++) expect(at(32 + 16 * i, 16)).toBe(X87.registers[(5 + i) % 8]);
    for (let i = 0; i < 16; i++) expect(at(160 + 16 * i, 16)).toBe(BigInt.asUintN(128, XMM[i]!));
    expect(machine.peek(IMAGE + 416n, 96)).toEqual(new Uint8Array(96).fill(0xa5));
  });

  test('its image brings everything back', () => {
    const machine = machineWith('fxsave64 [rax]\nfxrstor64 [rax]');
    machine.run(1);
    const { vcpu } = machine;
    for (let i = 0; i < 16; i++) vcpu.writeXmm(i, 0n);
    vcpu.x87 = { ...X87, control: 0x37f, status: 0, tags: 0, registers: new Array<bigint>(8).fill(0n), operand: 0n };
    vcpu.mxcsr = 0x1f80;
    expect(machine.run(1)).toEqual({ reason: 'budget' });
    expect(vcpu.x87).toEqual(X87);
    expect(vcpu.mxcsr).toBe(0x9fc1);
    for (let i = 0; i < 16; i++) expect(vcpu.readXmm(i)).toBe(BigInt.asUintN(128, XMM[i]!));
  });

  test('its second page cannot be written: nothing is', () => {
    const machine = machineWith('fxsave [rax]');
    machine.unmap(0x3000n);
    expect(machine.run(1)).toMatchObject({ reason: 'exception', exception: { vector: 14, vaddr: 0x3000n } });
    expect(machine.peek(IMAGE, 16)).toEqual(new Uint8Array(16));
  });
});

describe('#GP', () => {
  test.each([
    ['an image that is not aligned', 'fxsave [rax+8]', 0n],
    ['the same, to be restored', 'fxrstor [rax+8]', 0n],
    ['a bit that MXCSR has not', 'ldmxcsr [rbx]', 0x1_1f80n],
    ['that bit in an image', 'fxrstor [rbx-24]', 0x1_1f80n],
  ])('%s', (_, code, word) => {
    const machine = machineWith(code);
    machine.poke64(ELSEWHERE + 24n, word);
    machine.vcpu.writeGpr(3, ELSEWHERE + 24n);
    expect(machine.run(1)).toEqual({ reason: 'exception', exception: { vector: 13, errorCode: 0 } });
    expect(machine.vcpu.mxcsr).toBe(0x9fc1);
  });
});

describe('while CR0.TS is set', () => {
  test.each(['addps xmm0, xmm1', 'paddb mm0, mm1', 'fld1', 'fxsave [rax]', 'ldmxcsr [rax]', 'emms'])(
    '%s is #NM',
    (code) => {
      const machine = machineWith(code);
      machine.vcpu.taskSwitched = true;
      expect(machine.run(1)).toEqual({ reason: 'exception', exception: { vector: 7 } });
      machine.vcpu.taskSwitched = false;
      expect(machine.run(1).reason).not.toBe('exception');
    },
  );

  test.each(['popcnt rax, rbx', 'crc32 eax, ebx', 'sfence', 'prefetchnta [rax]', 'movnti [rax], rbx'])(
    '%s runs',
    (code) => {
      const machine = machineWith(code);
      machine.vcpu.taskSwitched = true;
      expect(machine.run(1)).toEqual({ reason: 'budget' });
    },
  );
});
