// Lanes of vectors packed, interleaved, reordered, taken out and put in. SDM 2B under each mnemonic (P…, SHUFPS, UNPCK…),
// SDM 2A "BLEND…", "INSERTPS", "EXTRACTPS", "MOVMSKPS".
// Where an immediate says which lane goes where, a vector of byte numbers is made of it, and WebAssembly's swizzle does the
// rest: it gives 0 for byte numbers of 16 and more.

import type { I64 } from './expression.js';
import type { Meaning, Semantics } from './semantics.js';
import { type BinaryVectorOp, bytesOfLanes, type LaneBits, type MaskVectorOp, shape, V128 } from './vector.js';
import { combine } from './vector-integer.js';

/** 0, 1, 2 … 15: the number of each byte. */
const BYTE_NUMBERS = 0x0f0e0d0c_0b0a0908_07060504_03020100n;

// ---- packing and interleaving

/** Lanes of the destination and then of the source, in half their size. */
const pack = (op: BinaryVectorOp): Meaning =>
  combine((left, right, cpu) => {
    if (cpu.vector(0).bits === 128) return left.with(op, right);
    const both = cpu.keepVector(left.shuffle(right, bytesOfLanes(64, [0, 2])));
    return both.with(op, both);
  });

export const packsswb: Meaning = pack('i8x16.narrow_i16x8_s');
export const packuswb: Meaning = pack('i8x16.narrow_i16x8_u');
export const packssdw: Meaning = pack('i16x8.narrow_i32x4_s');
export const packusdw: Meaning = pack('i16x8.narrow_i32x4_u');

/** Lanes of destination and source by turns, from the bottom of either, or from its middle. */
const interleave = (bits: LaneBits, from: 'low' | 'high'): Meaning =>
  combine((left, right, cpu) => {
    const first = from === 'low' ? 0 : cpu.vector(0).bits / bits / 2;
    const lanes = Array.from({ length: 128 / bits }, (_, i) => first + (i >> 1) + (i & 1) * (128 / bits));
    return left.shuffle(right, bytesOfLanes(bits, lanes));
  });

export const punpcklbw: Meaning = interleave(8, 'low');
export const punpcklwd: Meaning = interleave(16, 'low');
export const punpckldq: Meaning = interleave(32, 'low');
export const punpcklqdq: Meaning = interleave(64, 'low');
export const punpckhbw: Meaning = interleave(8, 'high');
export const punpckhwd: Meaning = interleave(16, 'high');
export const punpckhdq: Meaning = interleave(32, 'high');
export const punpckhqdq: Meaning = interleave(64, 'high');

// ---- reordering

/** Bytes of the destination by the source's numbers; 0 where a number has its highest bit set. */
export const pshufb: Meaning = combine((left, right, cpu) => {
  const used = cpu.vector(0).bits === 128 ? 0x8fn : 0x87n;
  return left.with('i8x16.swizzle', right.and(V128.lanes(8, used)));
});

/** A field of `width` bits of an immediate, the index-th from the bottom. */
const field = (immediate: I64, width: number, index: number): I64 =>
  immediate.shiftRight(BigInt(width * index)).and((1n << BigInt(width)) - 1n);

/** The byte numbers of lanes, chosen by fields of an immediate. */
function laneNumbers(immediate: I64, bits: 16 | 32 | 64, fieldWidth: number): V128 {
  const bytes = BigInt(bits / 8);
  const ones = 0x0101_0101_0101_0101n & ((1n << BigInt(bits)) - 1n);
  let numbers = V128.constant(0n);
  for (let lane = 0; lane < 128 / bits; lane++) {
    const chosen = field(immediate, fieldWidth, lane % (8 / fieldWidth)).mul(bytes * ones);
    numbers = numbers.replace(bits, lane, chosen.add(BYTE_NUMBERS & ((1n << BigInt(bits)) - 1n)));
  }
  return numbers;
}

export const pshufd: Meaning = (cpu) => {
  const source = cpu.vector(1).read();
  const numbers = laneNumbers(cpu.operand(2).read(), 32, 2);
  cpu.vector(0).write(source.with('i8x16.swizzle', numbers));
};

/** PSHUFW, PSHUFLW: the low four words by the immediate; the high ones stay as they are in the source. */
export const pshuflw: Meaning = (cpu) => {
  const source = cpu.vector(1).read();
  const low = source.with('i8x16.swizzle', laneNumbers(cpu.operand(2).read(), 16, 2));
  cpu.vector(0).write(low.shuffle(source, bytesOfLanes(64, [0, 3])));
};

export const pshufhw: Meaning = (cpu) => {
  const source = cpu.vector(1).read();
  const high = source.shuffle(source, bytesOfLanes(64, [1, 1]));
  const shuffled = high.with('i8x16.swizzle', laneNumbers(cpu.operand(2).read(), 16, 2));
  cpu.vector(0).write(source.shuffle(shuffled, bytesOfLanes(64, [0, 2])));
};

/** The low half of the result is chosen from the destination, the high half from the source. */
const shuffleFloats =
  (bits: 32 | 64): Meaning =>
  (cpu) => {
    const destination = cpu.vector(0);
    const right = cpu.vector(1).read();
    const numbers = cpu.keepVector(laneNumbers(cpu.operand(2).read(), bits, bits === 32 ? 2 : 1));
    const low = destination.read().with('i8x16.swizzle', numbers);
    destination.write(low.shuffle(right.with('i8x16.swizzle', numbers), bytesOfLanes(64, [0, 3])));
  };

export const shufps: Meaning = shuffleFloats(32);
export const shufpd: Meaning = shuffleFloats(64);

/** An immediate of bytes to shift by; more than `most` is as much as `most`. */
function byteCount(cpu: Semantics, index: number, most: bigint): I64 {
  const count = cpu.operand(index).read();
  return cpu.keep(count.below(most).select(count, most));
}

export const pslldq: Meaning = (cpu) => {
  const numbers = V128.constant(BYTE_NUMBERS).with('i8x16.sub', V128.splat(8, byteCount(cpu, 1, 16n)));
  cpu.vector(0).write(cpu.vector(0).read().with('i8x16.swizzle', numbers));
};

export const psrldq: Meaning = (cpu) => {
  const numbers = V128.constant(BYTE_NUMBERS).with('i8x16.add', V128.splat(8, byteCount(cpu, 1, 16n)));
  cpu.vector(0).write(cpu.vector(0).read().with('i8x16.swizzle', numbers));
};

/** Destination above source, shifted right by bytes. */
export const palignr: Meaning = (cpu) => {
  const destination = cpu.vector(0);
  const right = cpu.vector(1).read();
  const bytes = BigInt(destination.bits / 8);
  const count = byteCount(cpu, 2, 2n * bytes);
  const numbers = cpu.keepVector(V128.constant(BYTE_NUMBERS).with('i8x16.add', V128.splat(8, count)));
  const fromLeft = destination.read().with('i8x16.swizzle', numbers.with('i8x16.sub', V128.lanes(8, bytes)));
  destination.write(right.with('i8x16.swizzle', numbers).or(fromLeft));
};

// ---- one lane

/** The byte numbers that bring a lane to the bottom. */
const fromLane = (bits: LaneBits, lane: I64): V128 =>
  V128.constant(BYTE_NUMBERS).with('i8x16.add', V128.splat(8, lane.mul(BigInt(bits / 8))));

/** A lane of an operand by the immediate behind it, which counts modulo the number of lanes. */
function pick(cpu: Semantics, bits: LaneBits): I64 {
  const source = cpu.vector(1);
  const lane = cpu
    .operand(2)
    .read()
    .and(BigInt(source.bits / bits - 1));
  return cpu.keep(source.read().with('i8x16.swizzle', fromLane(bits, lane)).lane(bits, 0));
}

const extract =
  (bits: LaneBits): Meaning =>
  (cpu) => {
    cpu.operand(0).write(pick(cpu, bits));
  };

export const pextrb: Meaning = extract(8);
export const pextrw: Meaning = extract(16);
export const pextrd: Meaning = extract(32);
export const pextrq: Meaning = extract(64);

/** A vector of ones in the lane of this number. */
function laneMask(bits: LaneBits, lane: I64): V128 {
  const size = BigInt(bits / 8);
  const numbers = V128.constant(BYTE_NUMBERS).and(V128.lanes(8, 16n - size));
  return numbers.with('i8x16.eq', V128.splat(8, lane.mul(size)));
}

const insert =
  (bits: LaneBits): Meaning =>
  (cpu) => {
    const destination = cpu.vector(0);
    const value = cpu.operand(1).read();
    const lane = cpu
      .operand(2)
      .read()
      .and(BigInt(destination.bits / bits - 1));
    destination.write(laneMask(bits, lane).choose(V128.splat(bits, value), destination.read()));
  };

export const pinsrb: Meaning = insert(8);
export const pinsrw: Meaning = insert(16);
export const pinsrd: Meaning = insert(32);
export const pinsrq: Meaning = insert(64);

/** imm8: 7:6 which lane of a source register, 5:4 which of the destination, 3:0 lanes that become 0. */
export const insertps: Meaning = (cpu) => {
  const destination = cpu.vector(0);
  const source = cpu.vector(1).read();
  const choice = cpu.operand(2).read();
  // A source in memory is just the one float.
  const value = cpu.isMemory(1)
    ? source
    : cpu.keepVector(source.with('i8x16.swizzle', fromLane(32, choice.shiftRight(6n))));
  const inserted = laneMask(32, field(choice, 2, 2)).choose(
    value.shuffle(value, bytesOfLanes(32, [0, 0, 0, 0])),
    destination.read(),
  );
  destination.write(inserted.with('v128.andnot', maskOfBits(choice, 32)));
};

// ---- masks

/** All ones in the lanes whose bit is set in an immediate. */
function maskOfBits(immediate: I64, bits: 16 | 32 | 64): V128 {
  const [kind, count] = [shape(bits), 128 / bits];
  let bitOfLane = 0n;
  for (let lane = 0; lane < count; lane++) bitOfLane |= (1n << BigInt(lane)) << BigInt(lane * bits);
  const own = V128.constant(bitOfLane);
  return V128.splat(bits, immediate).and(own).with(`${kind}.eq`, V128.constant(bitOfLane));
}

const blendByImmediate =
  (bits: 16 | 32 | 64): Meaning =>
  (cpu) => {
    const destination = cpu.vector(0);
    const right = cpu.vector(1).read();
    destination.write(maskOfBits(cpu.operand(2).read(), bits).choose(right, destination.read()));
  };

export const pblendw: Meaning = blendByImmediate(16);
export const blendps: Meaning = blendByImmediate(32);
export const blendpd: Meaning = blendByImmediate(64);

/** The source where the lane of xmm0 is negative. */
const blendBySign =
  (bits: 8 | 32 | 64): Meaning =>
  (cpu) => {
    const destination = cpu.vector(0);
    const right = cpu.vector(1).read();
    const negative = V128.constant(0n).with(`${shape(bits)}.gt_s`, cpu.xmm(0).read());
    destination.write(negative.choose(right, destination.read()));
  };

export const pblendvb: Meaning = blendBySign(8);
export const blendvps: Meaning = blendBySign(32);
export const blendvpd: Meaning = blendBySign(64);

/** The lanes' highest bits, as a number. */
const signs =
  (op: MaskVectorOp): Meaning =>
  (cpu) => {
    cpu.operand(0).write(cpu.vector(1).read().mask(op).wide());
  };

export const pmovmskb: Meaning = signs('i8x16.bitmask');
export const movmskps: Meaning = signs('i32x4.bitmask');
export const movmskpd: Meaning = signs('i64x2.bitmask');
