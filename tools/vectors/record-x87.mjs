#!/usr/bin/env node
// Records what real hardware does with the x87's instructions: makes cases for every row, lets record-x87.c execute them on this
// machine, and writes tests/vectors/x87.txt.gz, which `npm test` replays (tests/engine/x87-vectors.test.ts).
//
//   npm run build && node tools/vectors/record-x87.mjs [--cases N] [--seed N] [--out FILE] [--only FADD,FSIN]
//
// Needs Linux on x86-64 and gcc. The same seed makes the same cases; results are the processor's.
// What the lines mean: tests/vectors/README.md. Faults in memory are not recorded here: they are the engine's affair, not the
// x87's, and have tests of their own.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { hex } from '../../dist/base/hex.js';
import { random } from '../../dist/base/random.js';
import { rows } from '../../dist/isa/index.js';

const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: join(import.meta.dirname, '../../tests/vectors/x87.txt.gz') },
    only: { type: 'string' },
  },
});
const CASES = Number(options.cases);
const ONLY = options.only?.split(',');
const chance = random(Number(options.seed));
const pick = (list) => list[chance.below(list.length)];
const random64 = () => (BigInt(chance.next32()) << 32n) | BigInt(chance.next32());

// ---- values

const INTEGER_BIT = 1n << 63n;
const f80 = (sign, exponent, significand) => (BigInt(sign) << 79n) | (BigInt(exponent) << 64n) | significand;
const BIAS = 16383;

/** A significand: of few bits, of nearly all ones, of a shorter format, near a tie of one, or anything. */
function significand() {
  const low = pick([0n, 0n, 1n, 1n << 10n, 1n << 39n, (1n << 11n) - 1n, (1n << 40n) - 1n, (1n << 11n) + 1n, 0x400n]);
  const middle = random64() & pick([0n, ~0n << 11n, ~0n << 40n, ~0n]);
  return BigInt.asUintN(64, INTEGER_BIT | middle | (chance.oneIn(2) ? low : 0n));
}

/** A number of 80 bits of some kind; `near` 1 most of the time, so that operations have something to do. */
function extended() {
  const sign = chance.below(2);
  switch (chance.below(24)) {
    case 0:
      return f80(sign, 0, 0n);
    case 1:
      return f80(sign, 0x7fff, INTEGER_BIT);
    case 2:
      return f80(sign, 0x7fff, INTEGER_BIT | (1n << 62n) | (random64() & pick([0n, 0xfn, ~0n >> 2n])));
    case 3:
      return f80(sign, 0x7fff, INTEGER_BIT | (random64() & pick([0xfn, (1n << 62n) - 1n])) | 1n);
    case 4:
      // Denormal, and pseudo-denormal.
      return f80(sign, 0, pick([1n, random64() >> 1n, random64() >> BigInt(1 + chance.below(62)), significand()]));
    case 5:
      // Unnormal, pseudo-infinity, pseudo-NaN.
      return f80(sign, pick([1, BIAS, 0x7ffe, 0x7fff, 0x7fff]), pick([0n, 1n, random64() >> 1n]));
    case 6:
      return f80(sign, pick([1, 2, 3, 0x7ffe, 0x7ffd, 0x7ff0]), significand());
    case 7:
      // About the ends of the shorter formats.
      return f80(
        sign,
        BIAS + pick([127, 128, 126, -126, -127, -149, -150, 1023, 1024, -1022, -1023, -1074, -1075]),
        significand(),
      );
    case 8:
      return f80(sign, BIAS + chance.below(140) - 70, significand());
    case 9:
      return f80(sign, chance.below(0x7fff), significand());
    case 10:
      // Integers, and halves between them.
      return integer(sign);
    case 11:
      return f80(sign, BIAS, pick([INTEGER_BIT, INTEGER_BIT | 1n, ~0n & 0xffff_ffff_ffff_ffffn, 3n << 62n]));
    default:
      return f80(sign, BIAS + chance.below(12) - 6, significand());
  }
}

function integer(sign) {
  const bits = 1 + chance.below(66);
  const value = (1n << BigInt(bits - 1)) | (random64() & ((1n << BigInt(bits - 1)) - 1n));
  const scaled = bits <= 64 ? value << BigInt(64 - bits) : value >> BigInt(bits - 64);
  return f80(sign, BIAS + bits - 1 - pick([0, 0, 0, 1, 2]), BigInt.asUintN(64, scaled) | INTEGER_BIT);
}

/** Bits of a shorter float. */
function shortFloat(bits, fractionBits) {
  const exponents = (1 << (bits - 1 - fractionBits)) - 1;
  const exponent = pick([
    0,
    0,
    1,
    exponents,
    exponents - 1,
    chance.below(exponents),
    (exponents >> 1) + chance.below(9) - 4,
  ]);
  const ones = (1n << BigInt(fractionBits)) - 1n;
  const fraction = pick([0n, 1n, ones, 1n << BigInt(fractionBits - 1), random64() & ones, random64() & ones]);
  return (BigInt(chance.below(2)) << BigInt(bits - 1)) | (BigInt(exponent) << BigInt(fractionBits)) | fraction;
}

const shortInteger = (bits) =>
  BigInt.asUintN(
    bits,
    pick([
      0n,
      1n,
      -1n,
      1n << BigInt(bits - 1),
      (1n << BigInt(bits - 1)) - 1n,
      random64(),
      random64(),
      random64() >> 40n,
    ]),
  );

/** 18 digits; some are none. */
function decimal() {
  let value = (chance.oneIn(2) ? 0x8000n : 0n) << 64n;
  const digits = pick([0, 1, 5, 17, 18, 18]);
  for (let i = 0; i < digits; i++)
    value |= BigInt(chance.oneIn(160) ? 10 + chance.below(6) : chance.below(10)) << BigInt(4 * i);
  return value;
}

/** What is in memory for a row, in bytes, least significant first. */
function memoryOf({ mnemonic, operands: [operand] }) {
  const bytes = (value, count) => Array.from({ length: count }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
  switch (operand?.text) {
    case 'Mt':
      return bytes(mnemonic === 'FBLD' ? decimal() : extended(), 10);
    case 'Mw':
      return bytes(mnemonic === 'FLDCW' ? random64() : shortInteger(16), 2);
    case 'Md':
      return bytes(mnemonic.startsWith('FI') ? shortInteger(32) : shortFloat(32, 23), 4);
    case 'Mq':
      return bytes(mnemonic.startsWith('FI') ? shortInteger(64) : shortFloat(64, 52), 8);
    case 'Mfe':
    case 'Mfs': {
      const image = Array.from({ length: 28 }, () => chance.below(256));
      for (let i = 0; i < 8; i++) image.push(...bytes(extended(), 10));
      return operand.text === 'Mfe' ? image.slice(0, 28) : image;
    }
    default:
      return [];
  }
}

// ---- cases

const MASKS_ALL = 0x3f;
function controlWord() {
  const masks = chance.below(4) > 0 ? MASKS_ALL : chance.below(64);
  const precision = pick([0, 2, 3, 3, 3, 1]);
  return 0x40 | masks | (precision << 8) | (chance.below(4) << 10);
}

/** Bytes for a row: prefix, opcode, ModRM with [rbx] or a random ST(i). */
function encoding({ encoding: { opcode, modrm, modrmMask, modrmValue }, operands }, i, wide) {
  const isMemory = operands[0]?.source === 'M';
  const byte = modrm ? [isMemory ? (modrmValue & 0x38) | 3 : modrmValue | (~modrmMask & i & 7) | 0xc0] : [];
  return [...wide, opcode, ...byte];
}

/** How many of ST(0), ST(1) a row reads, and whether it pushes: so that most cases have what they need. */
const pushes = ({ mnemonic }) =>
  /^(FLD|FILD|FBLD|FXTRACT|FSINCOS|FPTAN)/.test(mnemonic) && !/^FLD(CW|ENV)/.test(mnemonic);

/** The registers that a row reads: the others need no values of their own. */
function readBy({ mnemonic, operands }, i) {
  if (/^FN(SAVE|STENV)$/.test(mnemonic)) return [0, 1, 2, 3, 4, 5, 6, 7];
  if (operands.some(({ source }) => source === 'STi')) return [0, i];
  return /^F(PREM1?|SCALE|YL2X|YL2XP1|PATAN|U?COMPP)$/.test(mnemonic) ? [0, 1] : [0];
}

function tune(row, st, i) {
  const { mnemonic } = row;
  const similar = (value) => (value & ~0xffn) | BigInt(chance.below(256));
  if (/^F(SUB|ADD|U?COM)/.test(mnemonic) && chance.oneIn(4))
    st[i] = similar(st[0]) ^ (chance.oneIn(2) ? 1n << 79n : 0n);
  if (/^F(PREM|SCALE)/.test(mnemonic) && chance.oneIn(2))
    st[1] =
      mnemonic === 'FSCALE'
        ? integer(chance.below(2))
        : f80(0, Math.max(1, Number((st[0] >> 64n) & 0x7fffn) - chance.below(80)) & 0x7fff, significand());
  if (/^FISTT?P?$|^FBSTP$|^FRNDINT$/.test(mnemonic) && chance.oneIn(2)) st[0] = integer(chance.below(2));
  const fractions = {
    F2XM1: [-70, 1],
    FYL2XP1: [-70, -1],
    FSIN: [-70, 66],
    FCOS: [-40, 66],
    FSINCOS: [-70, 66],
    FPTAN: [-70, 66],
  };
  const range = fractions[mnemonic];
  if (range && chance.below(3) > 0) {
    const spread = chance.oneIn(2) ? range : [-8, Math.min(4, range[1])];
    st[0] = f80(chance.below(2), BIAS + spread[0] + chance.below(spread[1] - spread[0]), significand());
  }
  // A negative number has no logarithm: one case in four of those is enough.
  if (mnemonic === 'FYL2X' && chance.below(4) > 0) st[0] &= ~(1n << 79n);
}

function makeCase(row, wide) {
  const i = chance.below(8);
  const st = Array.from({ length: 8 }, () => f80(0, BIAS + 1, INTEGER_BIT));
  const used = readBy(row, i);
  for (const n of used) st[n] = extended();
  tune(row, st, i);
  const top = chance.below(8);
  const emptyStack = pushes(row) ? 1 << 7 : 0;
  let empty = chance.oneIn(12) ? chance.below(256) : emptyStack;
  if (pushes(row) && chance.oneIn(16)) empty = 0;
  let tags = 0;
  for (let n = 0; n < 8; n++) if (!((empty >> n) & 1)) tags |= 1 << ((top + n) & 7);
  const control = controlWord();
  const conditions = (chance.below(8) << 8) | (chance.below(2) << 14);
  // Mostly flags that are masked, so that nothing is pending.
  const flags = chance.oneIn(3) ? chance.below(128) & (chance.oneIn(6) ? 0x7f : 0x40 | control) : 0;
  return {
    bytes: encoding(row, i, wide),
    control,
    status: (top << 11) | conditions | flags,
    tags,
    st,
    memory: memoryOf(row),
    flags: chance.below(64),
    pointers: { opcode: chance.below(0x800), instruction: random64() >> 32n, data: random64() >> 32n },
  };
}

// ---- to record-x87.c and back

const MEMORY_BYTES = 112;
const TEST_BYTES = 16 + 16 + 8 + 16 + 128 + MEMORY_BYTES;
const RESULT_BYTES = TEST_BYTES - 16;
const RAX = 0x1122_3344_5566_7788n;
/** CF PF AF ZF SF OF, by the bits of a small number. */
const STATUS_BITS = [0, 2, 4, 6, 7, 11];
const eflags = (bits) => STATUS_BITS.reduce((word, bit, i) => word | (((bits >> i) & 1) << bit), 0x202);

function packed({ bytes, control, status, tags, st, memory, flags, pointers }) {
  const test = Buffer.alloc(TEST_BYTES, 0);
  test.fill(0x90, 0, 16);
  test.set(bytes, 0);
  test.writeBigUInt64LE(RAX, 16);
  test.writeBigUInt64LE(BigInt(eflags(flags)), 24);
  test.writeUInt16LE(control, 32);
  test.writeUInt16LE(status, 34);
  test.writeUInt16LE(pointers.opcode, 36);
  test.writeUInt8(tags, 38);
  test.writeBigUInt64LE(pointers.instruction, 40);
  test.writeBigUInt64LE(pointers.data, 48);
  st.forEach((value, n) => {
    test.writeBigUInt64LE(BigInt.asUintN(64, value), 56 + 16 * n);
    test.writeUInt16LE(Number(value >> 64n), 64 + 16 * n);
  });
  test.set(memory, 184);
  return test;
}

function unpacked(result) {
  return {
    rax: result.readBigUInt64LE(0),
    flags: Number(result.readBigUInt64LE(8)) & 0x8d5,
    control: result.readUInt16LE(16),
    status: result.readUInt16LE(18),
    tags: result.readUInt8(22),
    vector: result.readUInt8(23),
    st: Array.from(
      { length: 8 },
      (_, n) => result.readBigUInt64LE(40 + 16 * n) | (BigInt(result.readUInt16LE(48 + 16 * n)) << 64n),
    ),
    memory: [...result.subarray(168, 168 + MEMORY_BYTES)],
  };
}

const bytesText = (bytes) => Array.from(bytes, (byte) => hex(byte, 2)).join('');
const wordText = (value) => hex(value, 1);

/** Values that stand for themselves are long: a number of 80 bits is written without the zeros at its end. */
const extendedText = (value) => hex(value, 20).replace(/0+$/, '') || '0';

/** A case and what became of it, as a line. */
function line({ bytes, control, status, tags, st, memory, flags, pointers }, result) {
  const two = f80(0, BIAS + 1, INTEGER_BIT);
  const stack = st.flatMap((value, n) => (value === two ? [] : [`${n}:${extendedText(value)}`]));
  const input = [
    bytesText(bytes),
    `${wordText(control)},${wordText(status)},${wordText(tags)},${wordText(flags)}`,
    ...stack,
  ];
  if (memory.length > 0) input.push(`m:${bytesText(memory)}`);
  if (/^(d933|d973|dd33|dd73)/.test(bytesText(bytes.slice(-2))))
    input.push(`p:${wordText(pointers.opcode)},${wordText(pointers.instruction)},${wordText(pointers.data)}`);
  const after = [`${wordText(result.control)},${wordText(result.status)},${wordText(result.tags)}`];
  if (result.vector !== 0) after.push(`!${result.vector}`);
  if (result.flags !== (eflags(flags) & 0x8d5)) after.push(`f:${wordText(result.flags)}`);
  if (result.rax !== RAX) after.push(`ax:${wordText(result.rax & 0xffffn)}`);
  const topBefore = (status >> 11) & 7;
  const topAfter = (result.status >> 11) & 7;
  result.st.forEach((value, n) => {
    // Compared by their own numbers, as the top may have moved.
    const before = st[(topAfter + n - topBefore) & 7];
    if (value !== before) after.push(`${n}:${extendedText(value)}`);
  });
  const changed = result.memory.findLastIndex((byte, n) => byte !== (memory[n] ?? 0));
  if (changed >= 0) after.push(`m:${bytesText(result.memory.slice(0, changed + 1))}`);
  return `${input.join(' ')} > ${after.join(' ')}`;
}

const folder = mkdtempSync(join(tmpdir(), 'paravane-x87-'));
try {
  const program = join(folder, 'record-x87');
  const source = join(import.meta.dirname, 'record-x87.c');
  const compiler = ['-O1', '-Wall', '-Wextra', '-fno-stack-protector', '-fcf-protection=none', '-o', program, source];
  if (spawnSync('gcc', compiler, { stdio: 'inherit' }).status !== 0) throw new Error('gcc failed');
  const groups = rows
    // EMMS and FXSAVE, of map 0F, are recorded with SSE.
    .filter(
      ({ unit, mnemonic, encoding: { map } }) => unit === 'x87' && map === 0 && (!ONLY || ONLY.includes(mnemonic)),
    )
    .flatMap((row) => {
      const sizes = row.sizing === 'prefix' ? [[], [0x66]] : [[]];
      const isPlain = row.means.name === 'nop' || /^(FNINIT|FNCLEX|WAIT)$/.test(row.mnemonic);
      return sizes.map((wide) => ({
        title: [row.mnemonic, row.operandText, row.encodingText, wide.length > 0 ? '16' : ''].filter(Boolean).join(' '),
        cases: Array.from({ length: isPlain ? 64 : CASES }, () => makeCase(row, wide)),
      }));
    });
  const tests = groups.flatMap(({ cases }) => cases.map(packed));
  const run = spawnSync(program, { input: Buffer.concat(tests), maxBuffer: 1 << 30 });
  if (run.status !== 0) throw new Error(`the recorder ended with ${run.signal ?? run.status}: ${run.stderr}`);
  const info = readFileSync('/proc/cpuinfo', 'utf8');
  const fact = (name) => new RegExp(`${name}\\s*: (.*)`).exec(info)?.[1];
  const family = ['cpu family', 'model', 'stepping'].map(fact).join('/');
  const text = [`cpu ${fact('model name')}, family ${family}; ${tests.length} cases, seed ${options.seed}`];
  let at = 0;
  for (const { title, cases } of groups) {
    text.push(`# ${title}`);
    for (const one of cases)
      text.push(line(one, unpacked(run.stdout.subarray(at * RESULT_BYTES, ++at * RESULT_BYTES))));
  }
  const file = gzipSync(`${text.join('\n')}\n`, { level: 9 });
  writeFileSync(options.out, file);
  process.stdout.write(`${tests.length} cases in ${groups.length} forms, ${file.length} bytes -> ${options.out}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
