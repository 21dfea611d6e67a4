// The x87 in the engine: what vectors of single instructions cannot show. Faults that must leave everything as it was, #NM,
// #MF at the next waiting instruction, and what FNSTENV shows of the instruction before (images recorded from a Zen 5).

import { describe, expect, test } from 'vitest';
import { X86_EXC_GP, X86_EXC_MF, X86_EXC_NM, X86_EXC_PF, X86_EXC_SS } from '../../src/abi/exceptions.js';
import { CS, DS, RBX, RSI, SS } from '../../src/abi/registers.js';
import { F64, F80, INEXACT, pack, type Real, unpack } from '../../src/isa/softfloat/index.js';
import { type TestMachine, type TestMachineOptions, testMachine } from './machine.js';

const CODE = 0x5000_0100n;
const DATA = 0x6000_0000n;
const UNMAPPED = DATA + 0x2000n;
const READ_ONLY = DATA + 0x3000n;

const view = new DataView(new ArrayBuffer(8));
const bits64 = (value: number): bigint => {
  view.setFloat64(0, value);
  return view.getBigUint64(0);
};
const extended = (value: number): bigint => pack(F80, unpack(F64, bits64(value)) as Real);

/** Two writable pages of data, a gap, a read-only page; code that runs from CODE; registers 1, 2, … from ST(0) on. */
function machineFor(code: string, depth = 8, options: TestMachineOptions = {}): TestMachine {
  const machine = testMachine(options);
  machine.map(CODE & ~0xfffn);
  machine.map(DATA, { executable: false });
  machine.map(DATA + 0x1000n, { executable: false });
  machine.map(READ_ONLY, { executable: false, writable: false });
  machine.load(CODE, code);
  const { vcpu } = machine;
  vcpu.rip = CODE;
  vcpu.writeSelector(CS, 0x33);
  vcpu.writeSelector(SS, 0x2b);
  vcpu.writeSelector(DS, 0);
  vcpu.writeGpr(RBX, DATA + 0x40n);
  const top = 8 - depth;
  const registers = Array.from({ length: 8 }, (_, n) => (n < top ? 0n : extended(n - top + 1)));
  vcpu.x87 = {
    ...vcpu.x87,
    status: (top & 7) << 11,
    tags: (0xff << top) & 0xff,
    registers,
  };
  return machine;
}

const top = ({ vcpu: { x87 } }: TestMachine): bigint => x87.registers[(x87.status >> 11) & 7] as bigint;
const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

test('arithmetic from one instruction to the next', () => {
  const machine = machineFor('fadd st(0), st(1)\nfld1\nfdivrp st(1), st(0)\nfstp qword [rbx]', 2);
  expect(machine.run(4)).toEqual({ reason: 'budget' });
  expect(machine.peek64(DATA + 0x40n)).toBe(bits64(1 / 3));
  expect(machine.vcpu.x87.status & 0x3f).toBe(INEXACT);
});

describe('a fault changes nothing', () => {
  const across = UNMAPPED - 4n;
  test.each([
    ['fadd dword [rbx]', UNMAPPED, X86_EXC_PF, 4, UNMAPPED],
    ['fld qword [rbx]', across, X86_EXC_PF, 4, UNMAPPED],
    ['fld tbyte [rbx]', across, X86_EXC_PF, 4, UNMAPPED],
    ['fld tbyte [rbx]', UNMAPPED - 8n, X86_EXC_PF, 4, UNMAPPED],
    ['fstp qword [rbx]', across, X86_EXC_PF, 6, UNMAPPED],
    ['fstp tbyte [rbx]', UNMAPPED - 8n, X86_EXC_PF, 6, UNMAPPED],
    ['fbstp tbyte [rbx]', UNMAPPED - 9n, X86_EXC_PF, 6, UNMAPPED],
    ['fistp word [rbx]', READ_ONLY, X86_EXC_PF, 7, READ_ONLY],
    ['fnstenv [rbx]', UNMAPPED - 27n, X86_EXC_PF, 6, UNMAPPED],
    ['fnsave [rbx]', UNMAPPED - 107n, X86_EXC_PF, 6, UNMAPPED],
    ['o16 fnsave [rbx]', UNMAPPED - 93n, X86_EXC_PF, 6, UNMAPPED],
    ['frstor [rbx]', UNMAPPED - 107n, X86_EXC_PF, 4, UNMAPPED],
    ['fldenv [rbx]', UNMAPPED - 27n, X86_EXC_PF, 4, UNMAPPED],
    ['fldcw [rbx]', UNMAPPED - 1n, X86_EXC_PF, 4, UNMAPPED],
    ['fnstsw [rbx]', READ_ONLY, X86_EXC_PF, 7, READ_ONLY],
    ['fld tbyte [rbx]', 0x8000_0000_0000n - 4n, X86_EXC_GP, 0, undefined],
    ['fstp tbyte [rsp+rbx]', 0x8000_0000_0000n, X86_EXC_SS, 0, undefined],
  ] as const)('%s at %#', (text, address, vector, errorCode, faulting) => {
    const machine = machineFor(text, text.startsWith('fld ') ? 4 : 8);
    machine.vcpu.writeGpr(RBX, address);
    const [before, memory] = [machine.vcpu.x87, hex(machine.peek(DATA + 0x1000n, 0x1000))];
    const exit = machine.run(1);
    const vaddr = faulting === undefined ? {} : { vaddr: faulting };
    expect(exit).toEqual({ reason: 'exception', exception: { vector, errorCode, ...vaddr } });
    expect(machine.vcpu.x87).toEqual(before);
    expect(hex(machine.peek(DATA + 0x1000n, 0x1000))).toBe(memory);
    expect(machine.vcpu.rip).toBe(CODE);
  });

  test('and the last byte that fits is stored', () => {
    const machine = machineFor('fnsave [rbx]');
    machine.vcpu.writeGpr(RBX, UNMAPPED - 108n);
    expect(machine.run(1)).toEqual({ reason: 'budget' });
    expect(hex(machine.peek(UNMAPPED - 10n, 10))).toBe('00000000000000800240');
    expect(machine.vcpu.x87).toMatchObject({ control: 0x37f, status: 0, tags: 0 });
  });
});

describe('CR0.TS', () => {
  test.each(['fadd st(0), st(1)', 'fninit', 'fnstsw ax', 'fld dword [rbx]', 'wait'])('%s is #NM', (text) => {
    const machine = machineFor(text);
    machine.vcpu.taskSwitched = true;
    machine.vcpu.writeGpr(RBX, UNMAPPED);
    expect(machine.run(1)).toEqual({ reason: 'exception', exception: { vector: X86_EXC_NM } });
  });
});

describe('an unmasked exception', () => {
  const DIVISION = 'fldz\nfdiv st(0), st(0)';
  const [ZERO_DIVIDE, INVALID] = [0x37b, 0x37e];

  test('leaves the operands, and is #MF at the next waiting instruction', () => {
    const machine = machineFor('fdiv st(0), st(1)\nnop\nfld1', 2);
    const { vcpu } = machine;
    vcpu.x87 = { ...vcpu.x87, control: ZERO_DIVIDE, registers: vcpu.x87.registers.with(7, 0n) };
    expect(machine.run(2)).toEqual({ reason: 'budget' });
    expect(top(machine)).toBe(extended(1));
    expect(vcpu.x87.status & 0x80bf).toBe(0x8084);
    expect(machine.run(1)).toEqual({ reason: 'exception', exception: { vector: X86_EXC_MF } });
    expect(vcpu.rip).toBe(CODE + 3n);
  });

  test.each(['fnstsw ax', 'fnstcw [rbx]', 'fnclex', 'fninit', 'fnstenv [rbx]', 'fnsave [rbx]'])(
    '%s does not wait',
    (text) => {
      const machine = machineFor(`${DIVISION}\n${text}`, 2);
      machine.vcpu.x87 = { ...machine.vcpu.x87, control: INVALID };
      expect(machine.run(3)).toEqual({ reason: 'budget' });
    },
  );

  test.each(['wait', 'fnop', 'fldcw [rbx]', 'fldenv [rbx]', 'frstor [rbx]', 'ffree st(1)', 'fxam'])(
    '%s waits',
    (text) => {
      const machine = machineFor(`${DIVISION}\n${text}`, 2);
      machine.vcpu.x87 = { ...machine.vcpu.x87, control: INVALID };
      expect(machine.run(3)).toEqual({ reason: 'exception', exception: { vector: X86_EXC_MF } });
    },
  );

  test('is #MF after FLDCW has unmasked it', () => {
    const machine = machineFor(`${DIVISION}\nfldcw [rbx]\nwait`, 2);
    machine.poke(DATA + 0x40n, Uint8Array.of(0x7e, 0x03));
    expect(machine.run(4)).toEqual({ reason: 'exception', exception: { vector: X86_EXC_MF } });
  });
});

describe('FNSTENV shows the instruction before', () => {
  // After `fadd dword [rbx]` at CODE, and then this.
  const FADD = '7f03ffff0000ffff0000ffff0001005033000300400000600000ffff';
  const environment = (pointer: string, code: string, rest = '400000600000ffff'): string =>
    `7f03ffff0000ffff0000ffff${pointer}0050330${code}${rest}`;

  test.each([
    ['', FADD],
    ['fnclex', FADD],
    ['wait', FADD],
    ['fnstsw ax', FADD],
    ['fnop', environment('0201', '0d001')],
    ['fxch st(0), st(1)', environment('0201', '0c901')],
  ])('%s', (text, image) => {
    const machine = machineFor(`fadd dword [rbx]\n${text}\nfnstenv [rbx+0x20]`);
    machine.run(text === '' ? 2 : 3);
    expect(hex(machine.peek(DATA + 0x60n, 28))).toBe(image);
  });

  test('with an operand on the stack, by its segment', () => {
    const machine = machineFor('fadd dword [rsp]\nfnstenv [rbx+0x20]');
    machine.vcpu.writeGpr(4, DATA + 0x80n);
    machine.run(2);
    expect(hex(machine.peek(DATA + 0x60n, 28))).toBe('7f03ffff0000ffff0000ffff0001005033000400800000602b00ffff');
  });

  test('with a prefix before it: its address is the prefix', () => {
    const machine = machineFor('fadd dword [rsi+0x10]\nfnstenv [rbx+0x20]');
    machine.load(CODE, Uint8Array.of(0x66, 0xd8, 0x46, 0x10, 0xd9, 0x73, 0x20));
    machine.vcpu.writeGpr(RSI, DATA + 0xf0n);
    machine.run(2);
    expect(hex(machine.peek(DATA + 0x60n, 28))).toBe('7f03ffff0000ffff0000ffff0001005033004600000100600000ffff');
  });

  test('FNINIT forgets it', () => {
    const machine = machineFor('fadd dword [rbx]\nfninit\nfnstenv [rbx+0x20]');
    machine.run(3);
    expect(hex(machine.peek(DATA + 0x60n, 28))).toBe(`7f03ffff0000ffffffffffff${'0'.repeat(28)}ffff`);
  });
});

test('FRSTOR brings back what FNSAVE took, counted from the new top', () => {
  const machine = machineFor('fld1\nfldpi\nfnsave [rbx]\nfrstor [rbx]', 2);
  machine.run(2);
  const before = machine.vcpu.x87;
  machine.run(2);
  expect(machine.vcpu.x87).toEqual(before);
});

test('a wrong path computes, and leaves nothing of it', () => {
  const code = 'mov ecx, 64\nnext: fadd st(0), st(1)\nfxch st(0), st(2)\nfst qword [rbx]\ndec ecx\njnz next\nsyscall';
  const plain = machineFor(code);
  const speculating = machineFor(code, 8, {
    predictsBranches: true,
    staleness: { refill: { kind: 'wrong-path', instructions: 64 } },
  });
  for (const machine of [plain, speculating]) expect(machine.run(10_000).reason).toBe('syscall');
  expect(speculating.engine.counters.wrongPaths).toBeGreaterThan(0);
  expect(speculating.vcpu.x87).toEqual(plain.vcpu.x87);
  expect(speculating.peek64(DATA + 0x40n)).toBe(plain.peek64(DATA + 0x40n));
});
