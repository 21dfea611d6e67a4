// A mispredicted branch executes the other way for a while, and leaves nothing behind but translations.
import { describe, expect, test } from 'vitest';
import { PTE_A, PTE_D } from '../../src/abi/paging.js';
import { GPR_NAMES } from '../../src/abi/registers.js';
import { vaddr } from '../../src/base/addresses.js';
import type { FillEvent, MmuEvent } from '../../src/mmu/index.js';
import type { TestMachine, TestMachineOptions } from './machine.js';
import { CODE, DATA, storyMachine } from './story.js';

const speculating = (instructions: number): TestMachineOptions => ({
  predictsBranches: true,
  staleness: { refill: { kind: 'wrong-path', instructions } },
});

/** The pages that wrong paths loaded, in order. */
function wrongFills(machine: TestMachine): () => string[] {
  const fills: FillEvent[] = [];
  machine.events.subscribe((event: MmuEvent) => {
    if (event.kind === 'fill' && event.cause === 'wrong-path') fills.push(event);
  });
  return () => fills.map(({ page }) => (page * 4096).toString(16));
}

/** The seed's own loop: clears a page, and is predicted to go on. */
const CLEAR_PAGE = `
  mov rdi, 0x20000
  xor eax, eax
  mov ecx, 64
next:
  dec ecx
  mov [rdi], rax
  mov [rdi+8], rax
  mov [rdi+56], rax
  lea rdi, [rdi+64]
  jnz next
  syscall
`;

function machineWith(code: string, options: TestMachineOptions): TestMachine {
  const machine = storyMachine(options);
  machine.load(CODE, code);
  machine.vcpu.rip = CODE;
  return machine;
}

const stateOf = (machine: TestMachine): unknown => [
  GPR_NAMES.map((_, i) => machine.vcpu.readGpr(i)),
  machine.vcpu.rip,
  machine.vcpu.rflags,
  machine.engine.retired,
  machine.peek(DATA, 0x2000),
];

describe('the end of a loop', () => {
  test('is mispredicted, and its stores load the next page without writing to it', () => {
    const machine = machineWith(CLEAR_PAGE, speculating(64));
    const fills = wrongFills(machine);
    machine.poke64(0x21000n, 0x1234n);
    expect(machine.run(10_000).reason).toBe('syscall');
    expect(fills()).toEqual(['21000']);
    expect(machine.engine.counters.wrongPaths).toBe(1);
    expect(machine.peek64(0x21000n)).toBe(0x1234n);
  });

  test('sets A in the entry that it loads, and not D', () => {
    const machine = machineWith(CLEAR_PAGE, speculating(64));
    machine.map(0x21000n, { accessed: false });
    machine.run(10_000);
    const { steps } = machine.vcpu.mmu.walk(vaddr(0x21000n));
    expect(steps.at(-1)!.entry & (PTE_A | PTE_D)).toBe(PTE_A);
  });

  test.each([
    ['without a budget', speculating(0)],
    ['without a predictor', { staleness: { refill: { kind: 'wrong-path', instructions: 64 } } } as const],
    ['without wrong paths', { predictsBranches: true }],
  ])('%s nothing is loaded', (_what, options) => {
    const machine = machineWith(CLEAR_PAGE, options);
    const fills = wrongFills(machine);
    machine.run(10_000);
    expect(fills()).toEqual([]);
    expect(machine.engine.counters.wrongPaths).toBe(0);
  });

  test('leaves no trace: the run is the same to the last bit', () => {
    const plain = machineWith(CLEAR_PAGE, {});
    const wrong = machineWith(CLEAR_PAGE, speculating(64));
    expect(wrong.run(10_000)).toEqual(plain.run(10_000));
    expect(stateOf(wrong)).toEqual(stateOf(plain));
  });

  test('is the same in slices', () => {
    const whole = machineWith(CLEAR_PAGE, speculating(64));
    const sliced = machineWith(CLEAR_PAGE, speculating(64));
    whole.run(10_000);
    while (sliced.run(3).reason === 'budget');
    expect(stateOf(sliced)).toEqual(stateOf(whole));
    expect(sliced.engine.counters).toEqual(whole.engine.counters);
  });
});

describe('a wrong path', () => {
  /**
   * The branch is predicted taken at first (its counter is weakly so) and is not taken: what stands at `wrong` is executed
   * on the wrong path, and `mov rsi, 5; syscall` on the right one.
   */
  const story = (wrong: string): string => `
    test eax, eax
    jnz wrong
    mov rsi, 5
    syscall
  wrong:
    ${wrong.replaceAll(';', '\n')}
    hlt
  `;
  const fillsOf = (wrong: string, instructions = 64, prepare?: (machine: TestMachine) => void): string[] => {
    const machine = machineWith(story(wrong), speculating(instructions));
    machine.map(0x40000n);
    machine.map(0x41000n);
    const fills = wrongFills(machine);
    prepare?.(machine);
    expect(machine.run(100).reason).toBe('syscall');
    expect(machine.engine.counters.wrongPaths).toBe(1);
    expect(GPR_NAMES.map((_, i) => machine.vcpu.readGpr(i)).filter((value) => value !== 0n)).toHaveLength(3);
    return fills();
  };

  test.each([
    ['a load', 'mov rax, [0x40000]', ['40000']],
    ['a store', 'mov [0x40008], rax', ['40000']],
    ['a push', 'mov rsp, 0x41008; push rax', ['41000']],
    ['an access across pages', 'mov rax, [0x40ffc]', ['40000', '41000']],
    ['a string', 'mov rsi, 0x40000; mov rdi, 0x41000; mov ecx, 3; rep movsb', ['40000', '41000']],
    ['a call', 'mov rsp, 0x41008; call 0x11000', ['41000']],
    ['what a load gave is an address', 'mov rbx, [0x40000]; mov rax, [rbx]', ['40000', '20000']],
    [
      'a load sees the store before it',
      'mov qword [0x41000], 0x21000; mov rbx, [0x41000]; mov rax, [rbx]',
      ['41000', '21000'],
    ],
    [
      'a modification too',
      'mov qword [0x41000], 0x20fff; inc qword [0x41000]; mov rbx, [0x41000]; mov rax, [rbx]',
      ['41000', '21000'],
    ],
    [
      'stores across pages too',
      'mov qword [0x40ffc], 0x21000; mov rbx, [0x40ffc]; mov rax, [rbx]',
      ['40000', '41000', '21000'],
    ],
    ['a division', 'mov rdx, 1; mov ebx, 3; div rbx; mov rax, [0x40000]', ['40000']],
    ['a branch on it', 'xor eax, eax; jz further; hlt; further: mov rax, [0x40000]', ['40000']],
    ['nothing behind a page that is not there', 'mov rax, [0x23000]; mov rax, [0x40000]', []],
    ['a page whose rights do not do, and nothing behind it', 'mov [0x22000], rax; mov rax, [0x40000]', ['22000']],
    ["the supervisor's page likewise", 'mov rax, [0x24000]; mov rax, [0x40000]', ['24000']],
    [
      'nothing behind an address that is not canonical',
      'mov rbx, 0x800000000000; mov rax, [rbx]; mov rax, [0x40000]',
      [],
    ],
    ['nothing behind SYSCALL', 'syscall; mov rax, [0x40000]', []],
    ['nothing behind CPUID', 'cpuid; mov rax, [0x40000]', []],
    ['nothing behind LFENCE', 'lfence; mov rax, [0x40000]', []],
    ['what is behind MFENCE, which does not serialize', 'mfence; mov rax, [0x40000]', ['40000']],
    ['nothing behind HLT', 'hlt; mov rax, [0x40000]', []],
    ['nothing behind INT3', 'int3; mov rax, [0x40000]', []],
    ['nothing behind a division by zero', 'xor ebx, ebx; div ebx; mov rax, [0x40000]', []],
    ['nothing behind a fetch that fails', 'mov rbx, 0x23000; jmp rbx', []],
    ['nothing behind a fetch from data', 'mov rbx, 0x20000; jmp rbx', []],
  ])('loads translations for %s', (_what, wrong, expected) => {
    const prepare = (machine: TestMachine): void => machine.poke64(0x40000n, DATA);
    expect(fillsOf(wrong, 64, prepare)).toEqual(expected);
  });

  test('is as long as its budget', () => {
    const wrong = 'nop; nop; nop; mov rax, [0x40000]; mov rax, [0x41000]';
    expect([3, 4, 5].map((n) => fillsOf(wrong, n))).toEqual([[], ['40000'], ['40000', '41000']]);
  });

  test('runs through code that was never decoded, on another page, without loading its translation', () => {
    const machine = machineWith(story('jmp 0x11000'), speculating(64));
    machine.load(0x11000n, 'mov rax, [0x21000]');
    const fills = wrongFills(machine);
    machine.run(100);
    expect(fills()).toEqual(['21000']);
  });

  test('stores to code do not change it', () => {
    const machine = machineWith(
      story('mov qword [right], 0; jmp right').replace('mov rsi, 5', 'right: mov rsi, 5'),
      speculating(64),
    );
    expect(machine.run(100).reason).toBe('syscall');
    expect(machine.vcpu.readGpr(6)).toBe(5n);
  });

  test('events on it tell the time of the branch and the address on the path', () => {
    const machine = machineWith(story('nop; mov rax, [0x21000]'), speculating(64));
    const seen: string[] = [];
    machine.events.subscribe((event) => {
      if (event.kind === 'fill' && event.cause === 'wrong-path')
        seen.push(`${event.at} ${machine.vcpu.rip.toString(16)}`);
    });
    machine.run(100);
    // test, jnz, mov rsi (7 bytes), syscall, nop: the load stands behind those.
    expect(seen).toEqual(['1 1000e']);
  });
});

test('a branch that goes the same way again is learned', () => {
  const machine = machineWith(
    'test eax, eax\nnext: jnz never\nlea ecx, [rcx-1]\njmp next\nnever: hlt',
    speculating(16),
  );
  machine.run(400);
  // Weakly taken at first: wrong once, and never again.
  expect(machine.engine.counters.wrongPaths).toBe(1);
});

test('LOOP and JRCXZ are predicted too', () => {
  const machine = machineWith('mov ecx, 9\nnext: loop next\njrcxz next\nsyscall', speculating(16));
  machine.run(30);
  expect(machine.engine.counters.wrongPaths).toBe(1);
});
