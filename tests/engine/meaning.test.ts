// One meaning, two tiers: what a compiler makes of straight-line code does what the interpreter does. And the rules of the
// language are kept: each form of each row can be generated, and a meaning that could leave half an instruction is refused.
import { describe, expect, test } from 'vitest';
import { GPR_NAMES } from '../../src/abi/registers.js';
import { random } from '../../src/base/random.js';
import { type Form, formKey, formOf } from '../../src/engine/form.js';
import { hotForms } from '../../src/engine/hot-forms.js';
import { formModule } from '../../src/engine/interpreter.js';
import { assembleText, decode, rows } from '../../src/isa/index.js';
import { I32, I64 } from '../../src/isa/meaning/expression.js';
import type { Meaning } from '../../src/isa/meaning/semantics.js';
import { randomEncoding } from '../isa/generate.js';
import type { TestMachine } from './machine.js';
import { CODE, DATA, storyMachine } from './story.js';
import { compileLine } from './straight-line.js';

const stateOf = (machine: TestMachine): readonly string[] => [
  ...GPR_NAMES.map((name, i) => `${name}=${machine.vcpu.readGpr(i).toString(16)}`),
  `flags=${machine.vcpu.rflags.toString(16)}`,
  Buffer.from(machine.peek(DATA, 0x400)).toString('hex'),
];

const LINE = `
  mov rax, [rbx+0x10]
  add rax, rcx
  lea rdx, [rax+rcx*4-7]
  xor dh, al
  sub edx, 0x1234
  mov [rbx+0x20], edx
  adc rax, 5
  imul rsi, rax, 77
  movzx edi, byte [rbx+rcx]
  inc r8
  cmp rsi, rdi
  setl r9b
  cmovb r10, rax
  not r11
  neg r12w
  add qword [rbx+0x20], 3
  bswap r13
  push rax
  pop r14
`;

describe('one meaning serves interpreter and compiler', () => {
  const prepared = (seed: number): TestMachine => {
    const dice = random(seed);
    const machine = storyMachine();
    machine.load(CODE, LINE);
    GPR_NAMES.forEach((_, i) => {
      machine.vcpu.writeGpr(i, (BigInt(dice.next32()) << 32n) | BigInt(dice.next32()));
    });
    machine.poke(
      DATA,
      Uint8Array.from({ length: 0x400 }, () => dice.below(256)),
    );
    machine.vcpu.writeGpr(3, DATA);
    machine.vcpu.writeGpr(4, DATA + 0x200n);
    machine.vcpu.writeGpr(1, BigInt(dice.below(0x100)));
    machine.vcpu.rflags = BigInt(dice.below(0x1000) & 0x8d5);
    machine.vcpu.rip = CODE;
    return machine;
  };
  const bytes = assembleText(LINE, CODE);

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('random registers, seed %d', (seed) => {
    const interpreted = prepared(seed);
    const line = compileLine(interpreted.memory.memory, bytes, CODE);
    interpreted.run(line.instructions);

    // The compiled line finds its pages in the fast TLB, which the interpreter fills; then everything is set back.
    const compiled = prepared(seed);
    compiled.run(line.instructions);
    const fresh = prepared(seed);
    GPR_NAMES.forEach((_, i) => {
      compiled.vcpu.writeGpr(i, fresh.vcpu.readGpr(i));
    });
    compiled.vcpu.rflags = fresh.vcpu.rflags;
    compiled.poke(DATA, fresh.peek(DATA, 0x400));
    compileLine(compiled.memory.memory, bytes, CODE).execute();

    expect(stateOf(compiled)).toEqual(stateOf(interpreted));
  });

  test('flags that nobody reads are not worked out', () => {
    const memory = storyMachine().memory.memory;
    const words = (text: string): number => compileLine(memory, assembleText(text, CODE), CODE).flagWordsEmitted;
    expect(words('add rax, rcx\nsub rax, rdx\nxor rcx, rax')).toBe(2);
    expect(words('add rax, rcx\nadc rdx, 0')).toBe(4);
    expect(words('mov rax, rcx\nlea rdx, [rax+8]')).toBe(0);
  });
});

describe('every row can be generated', () => {
  const dice = random(11);
  test.each(rows.map((row) => [`${row.mnemonic} ${row.operandText}`, row] as const))('%s', (_title, row) => {
    const forms = new Map<string, Form>();
    for (let i = 0; i < 60; i++) {
      const bytes = randomEncoding(row, dice);
      const instruction = decode(bytes, 0, bytes.length);
      if (typeof instruction !== 'string') forms.set(formKey(formOf(instruction)), formOf(instruction));
    }
    expect(forms.size).toBeGreaterThan(0);
    for (const [key, form] of forms)
      for (const predicts of [false, true])
        expect([key, WebAssembly.validate(formModule(form, predicts))]).toEqual([key, true]);
  });

  test('the hot forms are forms of rows', () => {
    const known = new Set<string>();
    for (const row of rows)
      for (let i = 0; i < 2000; i++) {
        const bytes = randomEncoding(row, dice);
        const instruction = decode(bytes, 0, bytes.length);
        if (typeof instruction !== 'string') known.add(formKey(formOf(instruction)));
      }
    expect(hotForms.map(formKey).filter((key) => !known.has(key))).toEqual([]);
  });
});

describe('the language refuses', () => {
  const form = (meaning: Meaning): Form => ({
    meaning,
    bits: 64,
    addressBits: 64,
    condition: -1,
    repeat: undefined,
    unit: 'integer',
    operands: [
      { kind: 'memory', bits: 64, shape: 'base' },
      { kind: 'register', bits: 64 },
    ],
  });

  test.each<[string, Meaning]>([
    [
      'memory after a register was written',
      (cpu) => {
        cpu.operand(1).write(I64.constant(1n));
        cpu.operand(0).read();
      },
    ],
    [
      'memory after a flag was written, in one branch of two',
      (cpu) => {
        cpu.when(
          I32.of((sink) => sink.constant32(1), { reusable: false }),
          () => cpu.writeFlags(I64.constant(0n), I64.constant(0n)),
        );
        cpu.operand(0).write(I64.constant(0n));
      },
    ],
    [
      'an exception after a selector was written',
      (cpu) => {
        cpu.writeSelector(4, I64.constant(0n));
        cpu.raise(13);
      },
    ],
  ])('%s', (_what, meaning) => {
    expect(() => formModule(form(meaning), false)).toThrow('comes before the first change of a register');
  });

  test('an expression that is emitted twice and does work', () => {
    const twice: Meaning = (cpu) => {
      const sum = cpu.operand(1).read().add(1n);
      cpu.operand(1).write(sum.xor(sum));
    };
    expect(() => formModule(form(twice), false)).toThrow('bind it with keep()');
  });
});
