#!/usr/bin/env node
// Records what real hardware does with the integer instructions: makes cases for every row and operand form, lets record.c
// execute them on this machine, and writes tests/vectors/integer.txt.gz, which `npm test` replays (tests/engine/vectors.test.ts).
//
//   npm run build && node tools/vectors/record.mjs [--cases N] [--seed N] [--out FILE]
//
// Needs Linux on x86-64 and gcc. The same seed makes the same cases; results are the processor's.
// What the lines mean: tests/vectors/README.md.
// Left out, because a Linux program cannot show them or answers differ from host to host: SYSCALL and SYSENTER, SYSRET and
// SYSEXIT, CPUID, RDTSC(P), XGETBV, SGDT and its like (UMIP), loads of segment registers, INT 0x80; INT1, which virtual
// machines get wrong (rip stays).

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { hex } from '../../dist/base/hex.js';
import { random } from '../../dist/base/random.js';
import { encode, rows } from '../../dist/isa/index.js';
import { widthBytes } from '../../dist/isa/sizes.js';

const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '64' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: join(import.meta.dirname, '../../tests/vectors/integer.txt.gz') },
  },
});
const CASES = Number(options.cases);
const chance = random(Number(options.seed));

// As in record.c.
const CODE = 0x5000_0100n;
const DATA = 0x6000_0000n;
const GUARD = 0x5f00_0000n;
const GUARD_BYTES = 0x200_0000n;
const GS_BASE = 0x1_2340n;
const GS = 5;
const DS = 3;
const SS = 2;
const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7];
const RIP = 16;
const NONE = -1;
const NAMES = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  ...Array.from({ length: 8 }, (_, i) => `r${i + 8}`),
];
/** Registers that a case does not set. */
const DEFAULTS = Array.from({ length: 16 }, (_, i) => BigInt.asUintN(64, 0x1357_9bdf_0246_8acen * BigInt(2 * i + 3)));
const STATUS = [0x1, 0x4, 0x10, 0x40, 0x80, 0x800];
const DF = 0x400;

const SKIPPED = new Set(
  (
    'SYSCALL SYSENTER SYSRET SYSRETQ SYSEXIT SYSEXITQ CPUID RDTSC RDTSCP XGETBV SGDT SIDT SLDT STR SMSW ' +
    'LSS LFS LGS CALLF JMPF RETF IRET IRETD IRETQ RDPMC INT1'
  ).split(' '),
);
const isSkipped = ({ mnemonic, operands, cpuid, encodingText, unit }) =>
  unit !== 'integer' ||
  SKIPPED.has(mnemonic) ||
  // #UD with a register on AMD's processors.
  (mnemonic === 'RESERVEDNOP' && encodingText === '0F 0D /r') ||
  operands.some(({ source }) => source === 'S' || source === 'fixed-segment') ||
  // Whether the processor has them is the host's affair.
  ['WBNOINVD', 'INVPCID', 'SMAP', 'MONITOR'].includes(cpuid);

const u64 = (value) => BigInt.asUintN(64, value);
const random64 = () => (BigInt(chance.next32()) << 32n) | BigInt(chance.next32());
const pick = (list) => list[chance.below(list.length)];

const CORNERS = [8n, 16n, 32n, 64n].flatMap((bits) => [
  (1n << (bits - 1n)) - 1n,
  1n << (bits - 1n),
  (1n << bits) - 1n,
  (1n << bits) - 2n,
]);
/** A value that finds bugs: half of them at the edges of sizes. */
function value() {
  switch (chance.below(6)) {
    case 0:
      return pick([0n, 1n, 2n, 3n, u64(-1n), u64(-2n)]);
    case 1:
    case 2:
      return pick(CORNERS);
    case 3:
      return u64(1n << BigInt(chance.below(64)));
    default:
      return random64();
  }
}

/** An address for an access of so many bytes: most are fine, some cross a page, some fault. */
function place(size) {
  const inPage = () => DATA + BigInt(0x100 + chance.below(0xd00));
  const across = (edge) => edge - 1n - BigInt(chance.below(Math.max(1, size - 1)));
  switch (chance.below(16)) {
    case 0:
      return across(DATA + 0x1000n);
    case 1:
      return across(DATA + 0x2000n);
    case 2:
      return pick([DATA + 0x2000n + BigInt(chance.below(0xf00)), across(DATA + 0x3000n), across(DATA)]);
    case 3:
      return pick([
        DATA - 0x800n,
        DATA + 0x3000n,
        0x8000_0000_0000n + BigInt(chance.below(0x100)),
        0xffff_7fff_ffff_fff8n,
      ]);
    case 4:
    case 5:
      return DATA + 0x800n + BigInt(16 * chance.below(16));
    default:
      return inPage();
  }
}

/** Registers that an instruction uses without naming them. */
const IMPLIED = [
  [/^(MUL|IMUL|DIV|IDIV|CWD|CDQ|CQO|CMPXCHG8B|CMPXCHG16B)$/, [RAX, RDX]],
  [/^(CBW|CWDE|CDQE|LAHF|SAHF|CMPXCHG|XLAT)$/, [RAX]],
  [/^CMPXCHG(8B|16B)$/, [RBX, RCX]],
  [/^(LOOP|LOOPE|LOOPNE|JECXZ|JRCXZ)$/, [RCX]],
];

/** What a case is made from: the registers and memory that matter, as they are decided. */
class Case {
  gpr = new Map();
  memory = { offset: 0, bytes: new Uint8Array(0) };

  set(register, to) {
    this.gpr.set(register, u64(to));
  }
  get(register) {
    return this.gpr.get(register) ?? DEFAULTS[register];
  }

  /** Makes memory at the address hold a value, if it is the data that can be written. */
  put(address, to, size) {
    const offset = Number(address - DATA);
    if (offset < 0 || offset + size > 0x2000) return;
    this.memory = { offset, bytes: Uint8Array.from({ length: size }, (_, i) => Number((to >> BigInt(8 * i)) & 0xffn)) };
  }
}

/** A register operand, with a value in it. */
function registerOperand(c, size, register, isFree) {
  const high = isFree && size === 1 && register < 4 && chance.below(3) === 0;
  if (!c.gpr.has(register)) c.set(register, value());
  return { kind: 'register', register, size, high };
}

/** Base, index, scale, displacement and segment such that the address comes out. */
function memoryOperand(c, size, target, addressSize) {
  // Zen 5 wants an address to be canonical before the segment's base is added, too; that is not tested.
  const segment = target < 0x7000_0000n && chance.below(8) === 0 ? GS : undefined;
  const wanted = segment === GS ? u64(target - GS_BASE) : target;
  const isLow = wanted < 0x7000_0000n;
  if (isLow && chance.below(8) === 0)
    return { kind: 'memory', base: RIP, index: NONE, scale: 1, displacement: 0n, segment: segment ?? DS, size, wanted };
  const free = [RAX, RBX, RDX, RBP, RSI, RDI, 8, 9, 11, 12, 13, 14].filter((r) => !c.gpr.has(r));
  const base = pick(free);
  const index = chance.below(3) === 0 ? pick(free.filter((r) => r !== base)) : NONE;
  const scale = index === NONE ? 1 : pick([1, 2, 4, 8]);
  const displacement = pick([0n, BigInt(chance.below(256) - 128), BigInt(chance.below(0x2000_0000) - 0x1000_0000)]);
  if (index !== NONE) c.set(index, chance.below(2) ? BigInt(chance.below(0x1000)) : random64());
  const offset = (index === NONE ? 0n : c.get(index) * BigInt(scale)) + displacement;
  const garbage = addressSize === 4 ? random64() << 32n : 0n;
  c.set(base, u64(wanted - offset) + garbage);
  return { kind: 'memory', base, index, scale, displacement, segment: segment ?? (base === RBP ? SS : DS), size };
}

/** RIP-relative displacements depend on the instruction's length: encoded once to learn it. */
function encodeAt(request) {
  const first = encode(request);
  if (!first) return undefined;
  const operands = request.operands.map((operand) =>
    operand.wanted === undefined
      ? operand
      : { ...operand, displacement: BigInt.asIntN(64, operand.wanted - CODE - BigInt(first.length)) },
  );
  return encode({ ...request, operands });
}

const STRINGS = /^(MOVS|CMPS|STOS|LODS|SCAS)[BWDQ]$/;

/** One case of a row in one operand size, with E a register or memory; undefined when the row cannot be so. */
function makeCase(row, operandSize, form) {
  const c = new Case();
  const { mnemonic } = row;
  const isString = STRINGS.test(mnemonic);
  const addressSize = row.encoding.addressSize || (chance.below(10) === 0 ? 4 : 8);
  const repeat =
    row.repeats === 'none' || chance.below(3) === 0
      ? undefined
      : row.repeats === 'compare'
        ? pick(['rep', 'repne'])
        : 'rep';
  for (const [names, registers] of IMPLIED) if (names.test(mnemonic)) for (const r of registers) c.set(r, value());
  if (repeat) c.set(RCX, BigInt(pick([0, 1, 1, 2, 3, 5, 8])) + (addressSize === 4 ? random64() << 32n : 0n));
  if (/^LOOP|CXZ$/.test(mnemonic)) c.set(RCX, pick([0n, 1n, 2n, value(), 0x1_0000_0000n, 0x1_0000_0001n]));
  const stack = place(8);
  if (/^(PUSH|POP|CALL|RET|PUSHF|POPF|ENTER|LEAVE)/.test(mnemonic)) {
    c.set(RSP, stack);
    if (mnemonic === 'ENTER' || mnemonic === 'LEAVE') c.set(RBP, place(8));
    if (mnemonic === 'RET') c.put(stack, pick([random64() & 0x7fff_ffff_ffffn, random64(), CODE + 0x80n]), 8);
    if (mnemonic.startsWith('POPF')) {
      // AC and NT would outlive the instruction in the recorder.
      c.put(stack, random64() & ~0x4_4000n, 8);
      const isReadable = stack > DATA - 8n && stack < DATA + 0x3000n;
      if (isReadable && c.memory.bytes.length === 0) return undefined;
    }
  }

  let target;
  const operands = [];
  for (const spec of row.operands) {
    const size = widthBytes(spec.width, operandSize);
    const asMemory = spec.source === 'E' ? form === 'memory' : ['M', 'O', 'X', 'Y', 'B'].includes(spec.source);
    if (asMemory) {
      target = place(size || 1);
      if (addressSize === 4 && target > 0xffff_ffffn) target = DATA + 0x123n;
      if (mnemonic === 'CMPXCHG16B' && chance.below(4)) target &= ~15n;
      if (spec.source === 'O')
        operands.push({
          kind: 'memory',
          base: NONE,
          index: NONE,
          scale: 1,
          displacement: BigInt.asIntN(64, target),
          segment: DS,
          size,
        });
      else if (spec.source === 'X' || spec.source === 'Y' || spec.source === 'B') {
        const base = { X: RSI, Y: RDI, B: RBX }[spec.source];
        c.set(
          base,
          (spec.source === 'B' ? target - (c.get(RAX) & 0xffn) : target) + (addressSize === 4 ? random64() << 32n : 0n),
        );
        operands.push({
          kind: 'memory',
          base,
          index: NONE,
          scale: 1,
          displacement: 0n,
          segment: spec.source === 'Y' ? 0 : DS,
          size,
        });
      } else operands.push(spec);
      continue;
    }
    switch (spec.source) {
      case 'E':
      case 'G':
      case 'R':
      case 'Z':
        operands.push(registerOperand(c, size, chance.below(16), true));
        break;
      case 'C':
        operands.push({ kind: 'control', register: pick([0, 2, 3, 4]) });
        break;
      case 'D':
        operands.push({ kind: 'debug', register: pick([0, 6, 7]) });
        break;
      case 'I':
      case 'Is': {
        const raw = chance.below(3) ? BigInt(chance.below(256)) : value();
        const written = widthBytes(spec.width, operandSize);
        const total = spec.source === 'Is' ? operandSize : written;
        operands.push({
          kind: 'immediate',
          value: BigInt.asUintN(total * 8, BigInt.asIntN(Math.min(written, 4) * 8, raw)),
          size: total,
        });
        if (spec.source === 'I' && written === 8) operands.at(-1).value = raw;
        break;
      }
      case 'J':
        operands.push({
          kind: 'relative',
          displacement: spec.width === 'b' ? chance.below(256) - 128 : chance.below(0x100_0000) - 0x80_0000,
        });
        break;
      case 'one':
        operands.push({ kind: 'immediate', value: 1n, size: 1 });
        break;
      default:
        operands.push(registerOperand(c, size, spec.fixed, false));
    }
  }

  // Operands in memory come last: their address is made of registers that the others left.
  const [first, second] = operands;
  if (/^BT[SRC]?$/.test(mnemonic) && form === 'memory' && second.kind === 'register')
    c.set(second.register, BigInt(chance.below(4096) - 2048));
  for (const [index, operand] of operands.entries()) {
    if (operand.kind !== undefined) continue;
    operands[index] = memoryOperand(c, widthBytes(operand.width, operandSize), target, addressSize);
    if (!isString && chance.below(2)) c.put(target, value(), Math.max(1, Math.min(8, operands[index].size)));
  }
  tune(c, mnemonic, operandSize, operands[0], target);
  if (/^(INT)$/.test(mnemonic) && first.value === 0x80n) return undefined;

  const lock = row.lockable && form === 'memory' && operands[0].kind === 'memory' && chance.below(4) === 0;
  const bytes = encodeAt({ row, operandSize, addressSize, lock, repeat, operands });
  if (!bytes) return undefined;
  let flags = 0x202 | (isString && chance.below(2) ? DF : 0);
  for (const flag of STATUS) if (chance.below(2)) flags |= flag;
  return { bytes, gpr: c.gpr, memory: c.memory, flags };
}

/** Makes the interesting case as likely as the other: equal operands, quotients that fit. */
function tune(c, mnemonic, size, destination, target) {
  const bits = BigInt(size * 8);
  const mask = (1n << bits) - 1n;
  const current = () =>
    destination?.kind === 'register'
      ? (c.get(destination.register) >> (destination.high ? 8n : 0n)) & mask
      : c.memory.bytes.reduceRight((word, byte) => (word << 8n) | BigInt(byte), 0n) & mask;
  if (mnemonic === 'CMPXCHG' && chance.below(2) && c.get(RAX) !== undefined)
    c.set(RAX, (c.get(RAX) & ~mask) | current());
  if (/^CMPXCHG(8B|16B)$/.test(mnemonic) && chance.below(2)) {
    const half = mnemonic === 'CMPXCHG8B' ? 4 : 8;
    const pair = (c.get(RDX) & ((1n << BigInt(half * 8)) - 1n)) << BigInt(half * 8);
    c.put(target, pair | (c.get(RAX) & ((1n << BigInt(half * 8)) - 1n)), half * 2);
  }
  if (/^I?DIV$/.test(mnemonic) && chance.below(4)) {
    const isSigned = mnemonic === 'IDIV';
    const low = c.get(RAX) & mask;
    const extended = isSigned && low >> (bits - 1n) ? mask : 0n;
    const high = chance.below(3) ? extended : random64() & mask & 0xffn;
    if (destination.kind === 'register' && [RAX, RDX].includes(destination.register)) return;
    if (destination.kind === 'memory' && [destination.base, destination.index].some((r) => r === RAX || r === RDX))
      return;
    if (size === 1) c.set(RAX, (c.get(RAX) & ~0xff00n) | (high << 8n));
    else c.set(RDX, (c.get(RDX) & ~mask) | high);
  }
}

/** The operand sizes that a row can have. */
const sizesOf = ({ sizing, encoding }) => {
  const all = { byte: [1], f64: [8], d64: [8, 2], prefix: [4, 2, 8], y: [4, 8] }[sizing];
  return encoding.operandSize === 0 ? all : all.filter((size) => size === encoding.operandSize);
};

function makeGroups() {
  const groups = [];
  for (const row of rows) {
    if (isSkipped(row)) continue;
    const forms = row.operands.some(({ source }) => source === 'E') ? ['register', 'memory'] : [''];
    for (const operandSize of sizesOf(row))
      for (const form of forms) {
        const cases = [];
        const wanted =
          row.operands.length === 0 && !row.repeats ? Math.min(CASES, 8) : row.means.name === 'nop' ? 4 : CASES;
        for (let attempt = 0; cases.length < wanted && attempt < 4 * wanted; attempt++) {
          const made = makeCase(row, operandSize, form);
          if (made) cases.push(made);
        }
        if (cases.length > 0)
          groups.push({
            title: [row.mnemonic, row.operandText, operandSize * 8, form].filter(Boolean).join(' '),
            cases,
          });
      }
  }
  return groups;
}

// ---- to record.c and back

const TEST_BYTES = 16 + 16 * 8 + 8 + 8 + 64 + 8 + 64 + 256;
const RESULT_BYTES = 16 * 8 + 3 * 8 + 6 * 4 + 320 + 8 + 128 + 256;
const [MXCSR_OFFSET, X87_CONTROL_OFFSET] = [224, 228];

function packed({ bytes, gpr, memory, flags }) {
  const test = Buffer.alloc(TEST_BYTES, 0);
  test.fill(0xcc, 0, 16);
  test.set(bytes, 0);
  for (let i = 0; i < 16; i++) test.writeBigUInt64LE(gpr.get(i) ?? DEFAULTS[i], 16 + 8 * i);
  test.writeBigUInt64LE(BigInt(flags), 144);
  test.writeUInt32LE(memory.offset, 152);
  test.writeUInt32LE(memory.bytes.length, 156);
  test.set(memory.bytes, 160);
  test.writeUInt32LE(0x1f80, MXCSR_OFFSET);
  test.writeUInt16LE(0x37f, X87_CONTROL_OFFSET);
  return test;
}

function unpacked(result) {
  const changed = { offset: result.readUInt32LE(164), length: result.readUInt32LE(168) };
  return {
    gpr: Array.from({ length: 16 }, (_, i) => result.readBigUInt64LE(8 * i)),
    rip: result.readBigUInt64LE(128),
    flags: Number(result.readBigUInt64LE(136)),
    cr2: result.readBigUInt64LE(144),
    vector: result.readUInt32LE(152),
    errorCode: result.readUInt32LE(156),
    steps: result.readUInt32LE(160),
    changed: { offset: changed.offset, bytes: result.subarray(176, 176 + changed.length) },
  };
}

const bytesText = (bytes) => Array.from(bytes, (byte) => hex(byte, 2)).join('');
const memoryText = ({ offset, bytes }) =>
  bytes.length > 0 ? [`${hex(DATA + BigInt(offset))}:${bytesText(bytes)}`] : [];
const FLAGS_SHOWN = 0xcd5;

/** A case and what became of it, as a line. */
function line({ bytes, gpr, memory, flags }, result) {
  const before = [...gpr].sort(([a], [b]) => a - b).map(([register, to]) => `${NAMES[register]}=${hex(to)}`);
  const after = result.gpr.flatMap((to, i) => (to === (gpr.get(i) ?? DEFAULTS[i]) ? [] : [`${NAMES[i]}=${hex(to)}`]));
  if (result.rip !== CODE + BigInt(bytes.length)) after.push(`rip=${hex(result.rip)}`);
  if (((result.flags ^ flags) & FLAGS_SHOWN) !== 0) after.push(`f=${hex(result.flags & FLAGS_SHOWN)}`);
  if (result.steps !== 1) after.push(`steps=${result.steps}`);
  if (result.vector !== 1) {
    const address = result.vector === 14 ? `@${hex(result.cr2)}` : '';
    after.push(`!${result.vector}:${hex(result.errorCode)}${address}`);
  }
  const input = [bytesText(bytes), ...before, `f=${hex(flags & FLAGS_SHOWN)}`, ...memoryText(memory)];
  return `${input.join(' ')} > ${[...after, ...memoryText(result.changed)].join(' ')}`.trimEnd();
}

/** What Linux says of this machine's processor. */
function processor() {
  const facts = readFileSync('/proc/cpuinfo', 'utf8');
  const fact = (name) => new RegExp(`^${name}\\s*: (.*)`, 'm').exec(facts)?.[1];
  return `${fact('model name')}, family ${fact('cpu family')}, model ${fact('model')}, stepping ${fact('stepping')}`;
}

const folder = mkdtempSync(join(tmpdir(), 'paravane-vectors-'));
try {
  const program = join(folder, 'record');
  const source = join(import.meta.dirname, 'record.c');
  const flags = ['-O1', '-Wall', '-Wextra', '-fno-stack-protector', '-fcf-protection=none'];
  const compiled = spawnSync('gcc', [...flags, '-o', program, source], { stdio: 'inherit' });
  if (compiled.status !== 0) throw new Error('gcc failed');
  const groups = makeGroups();
  const tests = groups.flatMap(({ cases }) => cases.map(packed));
  const run = spawnSync(program, { input: Buffer.concat(tests), maxBuffer: 1 << 30 });
  if (run.status !== 0) throw new Error(`the recorder ended with ${run.signal ?? run.status}: ${run.stderr}`);
  let at = 0;
  let kept = 0;
  const text = [];
  for (const { title, cases } of groups) {
    text.push(`# ${title}`);
    for (const one of cases) {
      const result = unpacked(run.stdout.subarray(at * RESULT_BYTES, ++at * RESULT_BYTES));
      // What lies elsewhere differs from host to host.
      if (result.vector === 14 && (result.cr2 < GUARD || result.cr2 >= GUARD + GUARD_BYTES)) continue;
      text.push(line(one, result));
      kept++;
    }
  }
  text.unshift(`${processor()}; ${kept} cases, seed ${options.seed}`);
  writeFileSync(options.out, gzipSync(`${text.join('\n')}\n`, { level: 9 }));
  process.stdout.write(`${kept} cases in ${groups.length} forms -> ${options.out}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
