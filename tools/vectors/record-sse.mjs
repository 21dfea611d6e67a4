#!/usr/bin/env node
// Records what real hardware does with SSE and MMX instructions and a few integer ones of their time: makes cases for every
// row and operand form, lets record.c execute them on this machine, and writes tests/vectors/sse.txt.gz, which `npm test`
// replays (tests/engine/sse.test.ts).
//
//   npm run build && node tools/vectors/record-sse.mjs [--cases N] [--seed N] [--out FILE]
//
// Needs Linux on x86-64 with SSE4.2, and gcc. What the lines mean: tests/vectors/README.md.
// Vectors come from a pool of 1024 values, half of them at the edges of number formats.
// Left out: FXSAVE and the like, whose layout tests/engine/vector-state.test.ts compares with the manual's.

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
    cases: { type: 'string', default: '512' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: join(import.meta.dirname, '../../tests/vectors/sse.txt.gz') },
  },
});
const CASES = Number(options.cases);
const chance = random(Number(options.seed));

// As in record.c.
const CODE = 0x5000_0100n;
const DATA = 0x6000_0000n;
const PAGE = 0x1000n;
const [RAX, RDX, RBX, RDI] = [0, 2, 3, 7];
const [DS, SS] = [3, 2];
const NONE = -1;
const GPR_NAMES = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
/** What a general register holds that a case does not set. */
const DEFAULTS = Array.from({ length: 16 }, (_, i) => BigInt.asUintN(64, 0x1357_9bdf_0246_8acen * BigInt(2 * i + 3)));
const STATUS = [0x1, 0x4, 0x10, 0x40, 0x80, 0x800];

const pick = (list) => list[chance.below(list.length)];
const random64 = () => (BigInt(chance.next32()) << 32n) | BigInt(chance.next32());

// ---- values

const EDGES = {
  8: [0x00n, 0x01n, 0x7fn, 0x80n, 0x81n, 0xffn],
  16: [0x0000n, 0x0001n, 0x7fffn, 0x8000n, 0x8001n, 0xffffn, 0x00ffn, 0x0080n],
  32: [0n, 1n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x8000_0001n, 0x0001_0000n],
  64: [0n, 1n, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn, 7n, 15n, 16n, 31n, 33n, 64n],
};
const FORMATS = { 32: { exponent: 8n, fraction: 23n }, 64: { exponent: 11n, fraction: 52n } };

/** A float: zeros, infinities, NaNs of both kinds, denormals, edges of the range, small and large integers, halves, any. */
function float(bits) {
  const { exponent, fraction } = FORMATS[bits];
  const sign = BigInt(chance.below(2)) << BigInt(bits - 1);
  const top = (1n << exponent) - 1n;
  const bias = top >> 1n;
  const anyFraction = random64() & ((1n << fraction) - 1n);
  const edge = pick([0n, 1n, (1n << fraction) - 1n, 1n << (fraction - 1n), anyFraction]);
  const scaled = (power) => sign | ((bias + power) << fraction);
  switch (chance.below(14)) {
    case 0:
      return sign;
    case 1:
      return sign | (top << fraction) | pick([0n, edge, 1n << (fraction - 1n), anyFraction]);
    case 2:
      return sign | edge;
    case 3:
      return sign | (pick([1n, 2n, top - 1n, top - 2n]) << fraction) | edge;
    case 4:
      return scaled(BigInt(chance.below(8))) | (edge & ~((1n << (fraction - 4n)) - 1n));
    case 5:
      return scaled(pick([30n, 31n, 32n, 62n, 63n, fraction, fraction + 1n])) | edge;
    case 6:
      return scaled(0n);
    case 7:
      return scaled(pick([-1n, -2n, -fraction, -(bias - 1n), bias]) % bias) | edge;
    case 8:
      return sign | ((random64() % (top + 1n)) << fraction) | anyFraction;
    default:
      return scaled(BigInt(chance.below(40) - 20)) | pick([anyFraction, edge]);
  }
}

const lanes = (bits, lane) => {
  let vector = 0n;
  for (let at = 0; at < 128; at += bits) vector |= BigInt.asUintN(bits, lane()) << BigInt(at);
  return vector;
};

const POOL_PART = 256;
const integers = (bits) => lanes(bits, () => (chance.below(2) ? pick(EDGES[bits]) : random64()));
/** By what the lanes are: integers of mixed sizes, text, floats of 32 bits, floats of 64 bits. */
const PARTS = {
  integer: () => integers(pick([8, 16, 32, 64])),
  text: () => lanes(8, () => (chance.below(6) ? BigInt(pick([0x61, 0x62, 0x63, 0x41, 0x7a, 0x20, 0xe4])) : 0n)),
  f32: () => lanes(32, () => float(32)),
  f64: () => lanes(64, () => float(64)),
};
const pool = Object.values(PARTS).flatMap((make) => Array.from({ length: POOL_PART }, make));
const poolIndex = (part) => Object.keys(PARTS).indexOf(part) * POOL_PART + chance.below(POOL_PART);

/** Which kind of value a row is mostly about. */
function partOf({ mnemonic, operands }) {
  if (/^PCMP.STR/.test(mnemonic)) return 'text';
  const widths = operands.map(({ width }) => width);
  if (/^CVT.*(PD|SD)2|^MOVDDUP|^DPPD/.test(mnemonic) || widths.includes('sd')) return 'f64';
  if (/^CVT.*(PS|SS)2/.test(mnemonic) || widths.includes('ps') || widths.includes('ss')) return 'f32';
  return widths.includes('pd') ? 'f64' : 'integer';
}
const raisesFloat = ({ mnemonic, operands }) =>
  operands.some(({ width }) => /^(ps|pd|ss|sd)$/.test(width)) || /^CVT/.test(mnemonic);

/** MXCSR: as programs have it, with inexact known; other roundings, DAZ, FTZ; unmasked exceptions. */
function mxcsr() {
  switch (chance.below(8)) {
    case 0:
      return 0x1f80;
    case 1:
    case 2:
    case 3:
      return 0x1fa0;
    case 4:
    case 5:
      return 0x1f80 | (chance.below(4) << 13) | (chance.below(2) << 15) | (chance.below(2) << 6) | chance.below(64);
    case 6:
      return 0x1f80 ^ (1 << (7 + chance.below(6)));
    default:
      return chance.next32() & 0xffff;
  }
}

/** Where an access goes: most are fine, some cross a page, are not aligned, or fault. */
function place(size) {
  const aligned = () => DATA + 0x100n + BigInt(16 * chance.below(0xd0));
  switch (chance.below(24)) {
    case 0:
      return DATA + PAGE - BigInt(1 + chance.below(size));
    case 1:
      return pick([
        DATA + 3n * PAGE,
        DATA - 16n,
        DATA + 3n * PAGE - BigInt(1 + chance.below(size)),
        DATA + 2n * PAGE + 32n,
        0x8000_0000_0000n,
        0x7fff_ffff_fff8n - 0x1_0000_0000_0000n,
      ]);
    case 2:
    case 3:
      return aligned() + BigInt(chance.below(16));
    default:
      return aligned();
  }
}

const IMPLIED = [[/^PCMPESTR/, [RAX, RDX]]];

/** One case of a row, with W, Q and E a register or memory; undefined when the row cannot be so. */
function makeCase(row, operandSize, form) {
  const part = partOf(row);
  const index = () => (chance.below(5) ? poolIndex(part) : chance.below(pool.length));
  const c = {
    gpr: new Map(),
    xmm: new Map(),
    mm: new Map(),
    memory: undefined,
    mxcsr: raisesFloat(row) ? mxcsr() : 0x1f80,
    status: 0,
    control: 0x37f,
  };
  if (row.unit === 'mmx' || row.mnemonic === 'EMMS') {
    c.status = chance.below(8) << 11;
    if (chance.below(32) === 0) {
      c.status |= 0x8081;
      c.control = 0x37e;
    }
  }
  for (const [names, registers] of IMPLIED)
    if (names.test(row.mnemonic))
      for (const r of registers)
        c.gpr.set(r, BigInt.asUintN(64, pick([BigInt(chance.below(20)), -BigInt(chance.below(20)), random64()])));
  const operands = row.operands.map((spec) => {
    const size = widthBytes(spec.width, operandSize);
    switch (spec.source) {
      case 'V':
      case 'W':
      case 'U':
      case 'P':
      case 'Q':
      case 'N': {
        if ((spec.source === 'W' || spec.source === 'Q') && form === 'memory') return { wanted: size };
        const [kind, held, count] = /[VWU]/.test(spec.source) ? ['xmm', c.xmm, 16] : ['mm', c.mm, 8];
        const register = chance.below(count);
        if (!held.has(register)) held.set(register, index());
        return { kind, register };
      }
      case 'E':
      case 'G':
      case 'R': {
        if (spec.source === 'E' && form === 'memory') return { wanted: size };
        const register = chance.below(16);
        if (!c.gpr.has(register))
          c.gpr.set(register, chance.below(2) ? pick(EDGES[64]) : random64() >> BigInt(chance.below(64)));
        return { kind: 'register', register, size, high: false };
      }
      case 'M':
        return { wanted: size };
      case 'T': {
        // Zen 5 has begun to use MMX registers when MASKMOVQ's store faults, as with no other instruction.
        const address = row.mnemonic === 'MASKMOVQ' ? DATA + 0x800n : place(16);
        c.gpr.set(RDI, BigInt.asUintN(64, address));
        return { kind: 'memory', base: RDI, index: NONE, scale: 1, displacement: 0n, segment: DS, size };
      }
      default:
        return { kind: 'immediate', value: BigInt(chance.below(chance.below(2) ? 256 : 20)), size: 1 };
    }
  });
  if (row.mnemonic.startsWith('PBLENDV') || row.mnemonic.startsWith('BLENDV')) c.xmm.set(0, index());
  for (const [i, operand] of operands.entries()) {
    if (operand.wanted === undefined) continue;
    const size = operand.wanted;
    const address = place(Math.max(size, 1));
    const base = pick([RBX, 5, 6, 9, 12, 13].filter((r) => !c.gpr.has(r)));
    const displacement = BigInt(pick([0, chance.below(256) - 128]));
    c.gpr.set(base, BigInt.asUintN(64, address - displacement));
    const offset = address - DATA;
    if (offset >= 0n && offset + BigInt(size) <= 2n * PAGE) c.memory = { offset: Number(offset), index: index(), size };
    if (row.mnemonic === 'LDMXCSR' && c.memory) c.memory.word = mxcsr() | (chance.below(8) ? 0 : 0x10000);
    operands[i] = { kind: 'memory', base, index: NONE, scale: 1, displacement, segment: base === 5 ? SS : DS, size };
  }
  // Equal operands are as interesting as different ones.
  const vectors = [...c.xmm.keys()];
  if (vectors.length > 1 && chance.below(8) === 0) c.xmm.set(vectors[1], c.xmm.get(vectors[0]));
  const bytes = encode({ row, operandSize, addressSize: 8, lock: false, repeat: undefined, operands });
  if (!bytes) return undefined;
  let flags = 0x202;
  for (const flag of STATUS) if (chance.below(2)) flags |= flag;
  return { ...c, bytes, flags };
}

const SIZES = { byte: [1], f64: [8], d64: [8], prefix: [2, 4, 8], y: [4, 8] };
const sizesOf = ({ sizing, encoding }) =>
  SIZES[sizing].filter((size) => encoding.operandSize === 0 || encoding.operandSize === size);

/** Approximations differ from processor to processor, and what FXSAVE saves is 512 bytes. */
const isLeftOut = ({ mnemonic, operands }) =>
  /^R(SQRT|CP)/.test(mnemonic) || operands.some(({ width }) => width === 'fx');
const isOurs = ({ unit, mnemonic }) =>
  unit === 'sse' || unit === 'mmx' || /^(CRC32|EMMS|AD[CO]X|CLFLUSH|CLFLUSHOPT|CLWB)$/.test(mnemonic);

function makeGroups() {
  const groups = [];
  for (const row of rows) {
    if (!isOurs(row) || isLeftOut(row)) continue;
    const forms = row.operands.some(({ source }) => /[WQE]/.test(source)) ? ['register', 'memory'] : [''];
    for (const operandSize of sizesOf(row))
      for (const form of forms) {
        const made = Array.from({ length: row.operands.length === 0 ? 16 : CASES }, () =>
          makeCase(row, operandSize, form),
        );
        const cases = made.filter((one) => one !== undefined);
        const size = row.sizing === 'y' || row.mnemonic === 'CRC32' ? operandSize * 8 : '';
        if (cases.length > 0)
          groups.push({ title: [row.mnemonic, row.operandText, size, form].filter(Boolean).join(' '), cases });
      }
  }
  return groups;
}

// ---- to record.c and back

const TEST_BYTES = 552;
const RESULT_BYTES = 888;
const LOW_64 = (1n << 64n) - 1n;

const xmmBefore = ({ xmm }, i) => pool[xmm.get(i) ?? i];
const mmBefore = ({ mm }, i) => pool[mm.get(i) ?? i] & LOW_64;
const put = (buffer, at, value, bytes) => {
  for (let i = 0; i < bytes; i++) buffer[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
};
const take = (buffer, at, bytes) =>
  buffer.subarray(at, at + bytes).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
const memoryValue = ({ index, word }) => (word === undefined ? pool[index] : BigInt(word));

function packed(one) {
  const test = Buffer.alloc(TEST_BYTES, 0);
  test.fill(0xcc, 0, 16);
  test.set(one.bytes, 0);
  for (let i = 0; i < 16; i++) test.writeBigUInt64LE(one.gpr.get(i) ?? DEFAULTS[i], 16 + 8 * i);
  test.writeBigUInt64LE(BigInt(one.flags), 144);
  if (one.memory) {
    test.writeUInt32LE(one.memory.offset, 152);
    test.writeUInt32LE(one.memory.size, 156);
    put(test, 160, memoryValue(one.memory), one.memory.size);
  }
  test.writeUInt32LE(one.mxcsr, 224);
  test.writeUInt16LE(one.control, 228);
  test.writeUInt16LE(one.status, 230);
  for (let i = 0; i < 8; i++) put(test, 232 + 8 * i, mmBefore(one, i), 8);
  for (let i = 0; i < 16; i++) put(test, 296 + 16 * i, xmmBefore(one, i), 16);
  return test;
}

const FLAGS_SHOWN = 0x8d5;
const EXPONENT_BEFORE = 0x1234n;
const bytesText = (bytes) => Array.from(bytes, (byte) => hex(byte, 2)).join('');

/** A case and what became of it, as a line. */
function line(one, r) {
  const before = [
    bytesText(one.bytes),
    `f=${hex(one.flags & FLAGS_SHOWN)}`,
    ...[...one.gpr].map(([register, to]) => `${GPR_NAMES[register]}=${hex(to)}`),
    ...[...one.xmm].map(([register, index]) => `x${register}=@${hex(index)}`),
    ...[...one.mm].map(([register, index]) => `m${register}=@${hex(index)}`),
  ];
  if (one.mxcsr !== 0x1f80) before.push(`mxcsr=${hex(one.mxcsr)}`);
  if (one.status !== 0) before.push(`sw=${hex(one.status)}`);
  if (one.control !== 0x37f) before.push(`cw=${hex(one.control)}`);
  if (one.memory) {
    const { offset, size, index, word } = one.memory;
    const at = hex(DATA + BigInt(offset));
    before.push(
      word === undefined ? `${at}@${hex(index)}.${size}` : `${at}:${bytesText(packed(one).subarray(160, 160 + size))}`,
    );
  }
  const after = [];
  const note = (name, to, from) => {
    if (to !== from) after.push(`${name}=${hex(to)}`);
  };
  for (let i = 0; i < 16; i++) note(GPR_NAMES[i], take(r, 8 * i, 8), one.gpr.get(i) ?? DEFAULTS[i]);
  for (let i = 0; i < 16; i++) note(`x${i}`, take(r, 632 + 16 * i, 16), xmmBefore(one, i));
  for (let i = 0; i < 8; i++) {
    note(`m${i}`, take(r, 504 + 16 * i, 8), mmBefore(one, i));
    note(`e${i}`, take(r, 512 + 16 * i, 2), EXPONENT_BEFORE);
  }
  note('rip', r.readBigUInt64LE(128), CODE + BigInt(one.bytes.length));
  note('f', Number(r.readBigUInt64LE(136)) & FLAGS_SHOWN, one.flags & FLAGS_SHOWN);
  note('mxcsr', r.readUInt32LE(496), one.mxcsr);
  note('sw', r.readUInt16LE(500), one.status);
  note('tags', r.readUInt16LE(502), 0);
  const vector = r.readUInt32LE(152);
  const address = vector === 14 ? `@${hex(r.readBigUInt64LE(144))}` : '';
  if (vector !== 1) after.push(`!${vector}:${hex(r.readUInt32LE(156))}${address}`);
  const changed = r.readUInt32LE(168);
  if (changed > 0)
    after.push(`${hex(DATA + BigInt(r.readUInt32LE(164)))}:${bytesText(r.subarray(176, 176 + changed))}`);
  return `${before.join(' ')} > ${after.join(' ')}`.trimEnd();
}

const folder = mkdtempSync(join(tmpdir(), 'paravane-vectors-'));
try {
  const program = join(folder, 'record');
  const source = join(import.meta.dirname, 'record.c');
  const flags = ['-O1', '-Wall', '-Wextra', '-fno-stack-protector', '-fcf-protection=none'];
  if (spawnSync('gcc', [...flags, '-o', program, source], { stdio: 'inherit' }).status !== 0)
    throw new Error('gcc failed');
  const cpuinfo = readFileSync('/proc/cpuinfo', 'utf8');
  const about = (name) => new RegExp(`${name}\\s*: (.*)`).exec(cpuinfo)?.[1];
  const text = [];
  let count = 0;
  for (const { title, cases } of makeGroups()) {
    const run = spawnSync(program, { input: Buffer.concat(cases.map(packed)), maxBuffer: 1 << 30 });
    if (run.status !== 0)
      throw new Error(`${title}: the recorder ended with ${run.signal ?? run.status}: ${run.stderr}`);
    text.push(`# ${title}`);
    cases.forEach((one, i) => {
      text.push(line(one, run.stdout.subarray(i * RESULT_BYTES, (i + 1) * RESULT_BYTES)));
    });
    count += cases.length;
  }
  const family = ['cpu family', 'model', 'stepping'].map(about).join('/');
  const head = `cpu ${about('model name')}, family ${family}; ${count} cases, seed ${options.seed}`;
  const values = `pool ${pool.map((value) => hex(value)).join(' ')}`;
  writeFileSync(options.out, gzipSync(`${[head, values, ...text].join('\n')}\n`, { level: 9 }));
  process.stdout.write(`${count} cases -> ${options.out}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
