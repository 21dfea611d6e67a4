// A budget is exact: cut into slices of any size, a run passes through the same states, and retires as many instructions.
import { describe, expect, test } from 'vitest';
import { GPR_NAMES, RFLAGS_TF } from '../../src/abi/registers.js';
import type { TestMachine } from './machine.js';
import { CODE, exitText, storyMachine, tell } from './story.js';

/** A bit of everything that ends a block, with strings, calls, page changes and a fault at the end. */
const PROGRAM = `
  mov rsp, 0x22000
  mov ecx, 5
next:
  push rcx
  mov rdi, 0x20000
  mov ecx, 300
  rep stosb
  mov rsi, 0x20000
  mov rdi, 0x20401
  mov ecx, 37
  rep movsd
  call 0x11ff8
  lea rbx, [rbx+rax*2+1]
  imul rbx, rbx, 77
  jno odd
  xor rbx, 0x5a5a
odd:
  adc r8, rbx
  pop rcx
  loop next
  mov [0x23000], rax
`;
const SUBROUTINE = `
  add rax, 3
  mov r9d, 0x11223344
  test al, 8
  jz done
  ror r9, 5
done:
  ret
`;

function program(): TestMachine {
  const machine = storyMachine();
  machine.map(0x12000n);
  machine.load(CODE, PROGRAM);
  machine.load(0x11ff8n, SUBROUTINE);
  machine.vcpu.rip = CODE;
  return machine;
}

const stateOf = (machine: TestMachine): string =>
  [
    ...GPR_NAMES.map((name, i) => `${name}=${machine.vcpu.readGpr(i).toString(16)}`),
    machine.vcpu.rip.toString(16),
    machine.vcpu.rflags.toString(16),
    Buffer.from(machine.peek(0x20000n, 0x2000)).toString('base64'),
  ].join(' ');

describe('a run in slices', () => {
  const whole = program();
  const end = exitText(whole.run(1_000_000));
  const total = whole.engine.retired;

  test('in one go it ends with its fault', () => {
    expect(end).toBe('#PF(6) at 23000');
    expect(total).toBeGreaterThan(1500);
  });

  test.each([1, 2, 7, 64, 100, 1000])('of %d: the same state and count', (slice) => {
    const machine = program();
    let exit = machine.run(slice);
    for (let ran = slice; exit.reason === 'budget'; ran += slice) {
      expect(machine.engine.retired).toBe(ran);
      exit = machine.run(slice);
    }
    expect(exitText(exit)).toBe(end);
    expect(machine.engine.retired).toBe(total);
    expect(stateOf(machine)).toBe(stateOf(whole));
  });

  test('single-stepped with TF: a #DB behind each instruction', () => {
    const machine = program();
    machine.vcpu.rflags |= BigInt(RFLAGS_TF);
    let steps = 0;
    let exit = machine.run(1_000_000);
    for (; exitText(exit) === '#DB'; steps++) {
      expect(machine.engine.retired).toBe(steps + 1);
      exit = machine.run(1_000_000);
    }
    expect(exitText(exit)).toBe(end);
    expect(steps).toBe(total);
  });

  test('a budget of nothing does nothing', () => {
    const machine = program();
    expect(machine.run(0)).toEqual({ reason: 'budget' });
    expect(machine.vcpu.rip).toBe(CODE);
  });
});

describe('REP', () => {
  test.each([
    [
      'one iteration is one instruction',
      'rep movsb',
      'rcx=5 rsi=20000 rdi=20100',
      2,
      'rcx=3 rsi=20002 rdi=20102 rip=10000',
    ],
    ['the last one goes on', 'rep movsb', 'rcx=2 rsi=20000 rdi=20100', 2, 'rcx=0 rsi=20002 rdi=20102'],
    ['a count of 0 is an instruction too', 'rep movsb', 'rcx=0 rsi=1 rdi=2', 1, ''],
    ['a fault half-way', 'rep stosq', 'rcx=9 rdi=21ff0 rax=7', 9, '#PF(7) at 22000 rcx=7 rdi=22000 rip=10000'],
    [
      'a fault half-way on the source',
      'rep movsb',
      'rcx=9 rsi=22ffe rdi=20000',
      9,
      '#PF(4) at 23000 rcx=7 rsi=23000 rdi=20002 rip=10000',
    ],
    ['backwards', 'rep stosb', 'rcx=3 rdi=20003 rflags=602', 3, 'rcx=0 rdi=20000'],
    [
      'REPE stops at a difference',
      'repe cmpsb',
      'rcx=9 rsi=20000 rdi=20008 [20000]=1122334455 [20008]=1122339955',
      2,
      'rcx=7 rsi=20002 rdi=2000a',
    ],
    [
      'REPNE stops at what it looks for',
      'repne scasb',
      'rcx=9 rdi=20000 rax=33 [20000]=1122334455',
      3,
      'rcx=6 rdi=20003',
    ],
  ])('%s: %s', (_what, code, before, steps, expected) => {
    expect(tell(code, before, { steps })).toBe(expected);
  });

  test('goes on where a fault stopped it', () => {
    const machine = storyMachine();
    tell('rep stosb', 'rcx=20 rdi=22ff0 rax=41', { machine, steps: 100 });
    machine.map(0x22000n);
    machine.map(0x23000n);
    machine.vcpu.mmu.flushAll({ what: 'test' });
    expect(exitText(machine.run(32))).toBe('');
    expect(machine.vcpu.readGpr(1)).toBe(0n);
    expect(machine.peek64(0x23008n)).toBe(0x4141414141414141n);
    expect(machine.engine.retired).toBe(32);
  });
});

test('TF set by POPF traps behind the next instruction, and cleared by POPF still traps once', () => {
  const machine = storyMachine();
  expect(tell('popfq; nop; nop', 'rsp=20000 [20000]=302', { machine, steps: 10 })).toBe('#DB rsp=20008 rip=10002');
  expect(tell('popfq; nop', 'rsp=20000 [20000]=202 rflags=302', { machine, steps: 10 })).toBe(
    '#DB rsp=20008 rip=10001',
  );
  expect(tell('nop; nop', '', { machine, steps: 2 })).toBe('');
});
