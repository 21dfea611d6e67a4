// What the engine is measured with: a loop that fits every cache, and more code than any predictor remembers.
import { random } from '../dist/base/random.js';

const CODE = 0x40_0000n;
const DATA = 0x80_0000n;

/** 17 instructions, of which 3 load and 2 store. */
const TIGHT_LOOP = `
  mov rbx, ${DATA}
  mov r8, ${DATA + 0x1000n}
next:
  mov rax, [rbx+8]
  add rax, rcx
  mov rdx, rax
  shr rdx, 7
  xor rax, rdx
  mov [rbx+16], rax
  mov esi, [r8+4]
  add esi, 3
  mov [r8+4], esi
  lea rdi, [rsi+rdx*4]
  imul rdi, rax
  add rcx, rdi
  and ecx, 0xffff
  mov r9, [rbx+24]
  cmp r9, 12
  inc r10
  jne next
`;

const REGISTERS = {
  32: ['eax', 'ecx', 'edx', 'ebx', 'esi', 'edi', 'r8d', 'r9d', 'r10d', 'r11d', 'r12d', 'r13d', 'r14d', 'r15d'],
  64: ['rax', 'rcx', 'rdx', 'rbx', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
};

/** Random instructions in about the mixture that compilers emit, in a straight line with branches to the next one. */
function largeFootprint(instructions) {
  const dice = random(1);
  const pick = (list) => list[dice.below(list.length)];
  const slot = () => `[rbp+${8 * dice.below(500)}]`;
  const kinds = [
    ({ a, b }) => `mov ${a}, ${b}`,
    ({ a, b }) => `add ${a}, ${b}`,
    ({ a }) => `sub ${a}, ${dice.below(100)}`,
    ({ a, b }) => `xor ${a}, ${b}`,
    ({ a }) => `and ${a}, ${dice.below(1000)}`,
    ({ a, b }) => `or ${a}, ${b}`,
    ({ a }) => `shl ${a}, ${1 + dice.below(10)}`,
    ({ a }) => `mov ${a}, ${slot()}`,
    ({ a }) => `mov ${a}, ${slot()}`,
    ({ a }) => `mov ${slot()}, ${a}`,
    ({ a }) => `add ${a}, ${slot()}`,
    () => `movzx ${pick(REGISTERS[32])}, byte ${slot()}`,
    ({ a }) => `lea ${a}, [rbx+rcx*4+${dice.below(100)}]`,
    ({ a, b, label }) => `cmp ${a}, ${b}\nje ${label}\n${label}:`,
    ({ a, b, label }) => `test ${a}, ${b}\njne ${label}\n${label}:`,
  ];
  const lines = [];
  for (let written = 0; written < instructions; ) {
    const names = REGISTERS[pick([32, 64])];
    const text = pick(kinds)({ a: pick(names), b: pick(names), label: `l${written}` });
    lines.push(text);
    written += text.includes('\n') ? 2 : 1;
  }
  return `mov rbp, ${DATA}\nnext:\n${lines.join('\n')}\njmp next`;
}

export const guests = [
  {
    name: 'tight loop',
    what: '17 instructions, 3 loads, 2 stores',
    aimMips: 300,
    machine: { code: TIGHT_LOOP, codeAddress: CODE, dataAddress: DATA, dataPages: 2 },
    instructionsPerRun: 100_000_000,
  },
  {
    name: 'large footprint',
    what: '40,000 random instructions in a row',
    aimMips: 60,
    machine: { code: largeFootprint(40_000), codeAddress: CODE, dataAddress: DATA, dataPages: 1 },
    instructionsPerRun: 20_000_000,
  },
];
