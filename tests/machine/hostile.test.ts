// A guest can do anything it likes: it may crash its own domain, never Paravane. Kernels of random bytes, and of random
// instructions with hypercalls between them, run until they end or a budget is used up. Seeded; a failure names its seed.

import { describe, expect, test } from 'vitest';
import { random } from '../../src/base/random.js';
import { writeElf } from '../../src/builder/index.js';
import { Assembler, symbol } from '../../src/isa/index.js';
import { defaultHost, Machine, parseFlushPolicy, parseStaleness } from '../../src/machine/index.js';

const VIRT_BASE = 0xffff_ffff_8000_0000n;
const TEXT = VIRT_BASE + 0x10_0000n;
const TEXT_BYTES = 0x4000;
const BUDGET = 60_000;
/** More for a longer hunt: PARAVANE_SEEDS=2000 npx vitest run tests/machine/hostile.test.ts */
const SEEDS = Number(process.env['PARAVANE_SEEDS'] ?? 60);

const POLICIES = [
  { tlb: 'demand', refill: 'wrong-path', cpu: 'intel', flush: 'xen-4.17' },
  { tlb: 'hoarding', refill: 'any', cpu: 'intel', flush: 'abi' },
  { tlb: 'random', refill: 'wrong-path:16', cpu: 'amd', flush: 'xen-4.17,xpti' },
  { tlb: 'coherent', refill: 'none', cpu: 'intel', flush: 'xen-4.1' },
] as const;

function machineFor(text: Uint8Array, seed: number): Machine {
  const policies = POLICIES[seed % POLICIES.length] as (typeof POLICIES)[number];
  const kernel = writeElf({
    entry: TEXT,
    segments: [{ vaddr: TEXT, bytes: text }],
    notes: { guestOs: 'hostile', xenVersion: 'xen-3.0', loader: 'generic', virtBase: VIRT_BASE },
  });
  return new Machine({
    kernel,
    commandLine: '',
    pages: 2048,
    vcpus: 1,
    staleness: parseStaleness(policies),
    flush: parseFlushPolicy(policies.flush),
    seed,
    host: defaultHost(seed % 2 === 0 ? '4.1' : '4.17'),
    name: 'hostile',
  });
}

/** Runs it to its end or its budget, and says which; skips idle time as a script's run does. */
function live(machine: Machine): string {
  while (machine.retired < BUDGET) {
    const state = machine.run(BUDGET);
    if (state === 'ended') return machine.ended?.reason ?? 'ended';
    if (state === 'idle' && !machine.skipIdle()) return 'asleep';
  }
  return 'alive';
}

/** Bytes with no meaning. */
function randomBytes(seed: number): Uint8Array {
  const dice = random(seed);
  return Uint8Array.from({ length: TEXT_BYTES }, () => dice.below(256));
}

const TRAPS = TEXT + 0x4000n;
const RESUME = TEXT + 0x4800n;
const STACK = TEXT + 0x6000n;
const CHUNKS = 200;

/**
 * Hypercalls with arguments that are sometimes sensible: addresses of the guest's own pages, small numbers, machine addresses
 * of its frames, all ones; between them loads and stores to such addresses, and what a guest should not do. Every exception
 * goes to a handler that goes on behind the piece that raised it, as long as the guest has not destroyed that too.
 */
function randomProgram(seed: number): Uint8Array {
  const dice = random(seed);
  const pick = <T>(choices: readonly T[]): T => choices[dice.below(choices.length)] as T;
  const hexWord = (value: bigint): string => `0x${value.toString(16)}`;
  const word = (): string =>
    pick([
      () => hexWord(VIRT_BASE + BigInt(dice.below(0x800 * 512)) * 8n),
      () => `${dice.below(64)}`,
      () => hexWord(BigInt(0x4_0000 + dice.below(0x800)) * 0x1000n + BigInt(dice.below(0x200))),
      () => `${0x4_0000 + dice.below(0x800)}`,
      () => hexWord((BigInt(dice.next32()) << 32n) | BigInt(dice.next32())),
      () => '-1',
      () => '0x7ff0',
      () => '0xffff800000000000',
      () => '0xffff830000001000',
    ])();
  const hypercall = (): string[] => [
    ...['rdi', 'rsi', 'rdx', 'r10', 'r8'].map((register) => `mov ${register}, ${word()}`),
    `mov eax, ${dice.below(50)}`,
    'syscall',
  ];
  const forbidden = [
    'cli',
    'hlt',
    'mov cr3, rax',
    'rdmsr',
    'wrmsr',
    'in al, dx',
    'int 0x80',
    'int3',
    'ud2',
    'lgdt [rax]',
  ];
  const piece = (): string[] =>
    pick([
      hypercall,
      hypercall,
      () => [`mov rbx, ${word()}`, 'mov rax, [rbx]'],
      () => [`mov rbx, ${word()}`, 'mov [rbx], rax'],
      () => [`mov rax, ${word()}`, `mov rbx, ${hexWord(TEXT + BigInt(dice.below(0x3000)))}`, 'mov [rbx], al'],
      () => [`mov rsp, ${word()}`, 'push rax', 'pushfq', 'pop rcx'],
      () => [pick(forbidden)],
      () => [`mov rdi, ${word()}`, 'mov ecx, 40', 'rep stosq'],
      () => ['mov fs, ax', 'mov gs, bx'],
      () => [`mov rsp, ${hexWord(STACK)}`, 'iretq'],
      () => [`mov rax, ${word()}`, 'push rax', 'popfq'],
    ])();

  const asm = new Assembler();
  asm.section('text', { address: TEXT });
  asm.code(`mov rdi, ${hexWord(TRAPS)}\nxor eax, eax\nsyscall`); // set_trap_table
  for (let i = 0; i < CHUNKS; i++)
    asm.code([`chunk${i}:`, `mov rax, chunk${i + 1}`, `mov [next], rax`, ...piece()].join('\n'));
  asm.code(`chunk${CHUNKS}:\nmov rax, ${hexWord(TEXT)}\njmp rax`);
  asm.section('traps', { address: TRAPS });
  for (let vector = 0; vector < 32; vector++) {
    asm.data(1, vector, 0);
    asm.data(2, 0xe033);
    asm.data(4, 0);
    asm.data(8, symbol('resume'));
  }
  asm.zero(16);
  asm.section('resume', { address: RESUME });
  asm.code(`resume: mov rsp, ${hexWord(STACK)}\njmp qword [next]\nnext:`);
  asm.zero(8);
  const image = new Uint8Array(Number(STACK - TEXT));
  for (const { address, bytes } of asm.assemble().sections) image.set(bytes, Number(address - TEXT));
  return image;
}

describe('a hostile guest', () => {
  const runs = (make: (seed: number) => Uint8Array, count: number): Map<string, number> => {
    const endings = new Map<string, number>();
    for (let seed = 1; seed <= count; seed++) {
      let ending: string;
      try {
        ending = live(machineFor(make(seed), seed));
      } catch (error) {
        throw new Error(`seed ${seed} broke Paravane`, { cause: error });
      }
      endings.set(ending, (endings.get(ending) ?? 0) + 1);
    }
    return endings;
  };

  test('of random bytes ends its own domain at the most', () => {
    const endings = runs(randomBytes, SEEDS);
    expect([...endings.keys()].sort()).toContain('crash');
  });

  test('of random instructions and hypercalls ends its own domain at the most', () => {
    const endings = runs(randomProgram, SEEDS);
    console.info(`endings of ${SEEDS} programs:`, Object.fromEntries(endings));
    expect(endings.size).toBeGreaterThan(1);
    expect([...endings.values()].reduce((a, b) => a + b)).toBe(SEEDS);
  });
});
