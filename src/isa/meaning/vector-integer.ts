// Integer arithmetic, comparisons, logic and shifts in vectors: MMX, SSE2, SSSE3, SSE4.1, SSE4.2. SDM 2B under each mnemonic
// (P…), SDM 2A for the logic of floats (ANDPS…).
// An MMX register reads as a vector with zeros above, and what comes out above is not stored: most meanings need not know.

import type { I64 } from './expression.js';
import { setStatus } from './flags.js';
import type { Meaning, Semantics } from './semantics.js';
import { type BinaryVectorOp, bytesOfLanes, type LaneBits, shape, type UnaryVectorOp, V128 } from './vector.js';

/** destination ← what is made of destination and source. */
export const combine =
  (make: (left: V128, right: V128, cpu: Semantics) => V128): Meaning =>
  (cpu) => {
    const destination = cpu.vector(0);
    const right = cpu.vector(1).read();
    destination.write(make(destination.read(), right, cpu));
  };

const lanewise = (op: BinaryVectorOp): Meaning => combine((left, right) => left.with(op, right));

export const paddb: Meaning = lanewise('i8x16.add');
export const paddw: Meaning = lanewise('i16x8.add');
export const paddd: Meaning = lanewise('i32x4.add');
export const paddq: Meaning = lanewise('i64x2.add');
export const psubb: Meaning = lanewise('i8x16.sub');
export const psubw: Meaning = lanewise('i16x8.sub');
export const psubd: Meaning = lanewise('i32x4.sub');
export const psubq: Meaning = lanewise('i64x2.sub');
export const paddsb: Meaning = lanewise('i8x16.add_sat_s');
export const paddsw: Meaning = lanewise('i16x8.add_sat_s');
export const paddusb: Meaning = lanewise('i8x16.add_sat_u');
export const paddusw: Meaning = lanewise('i16x8.add_sat_u');
export const psubsb: Meaning = lanewise('i8x16.sub_sat_s');
export const psubsw: Meaning = lanewise('i16x8.sub_sat_s');
export const psubusb: Meaning = lanewise('i8x16.sub_sat_u');
export const psubusw: Meaning = lanewise('i16x8.sub_sat_u');
export const pavgb: Meaning = lanewise('i8x16.avgr_u');
export const pavgw: Meaning = lanewise('i16x8.avgr_u');

export const pminub: Meaning = lanewise('i8x16.min_u');
export const pminsb: Meaning = lanewise('i8x16.min_s');
export const pminuw: Meaning = lanewise('i16x8.min_u');
export const pminsw: Meaning = lanewise('i16x8.min_s');
export const pminud: Meaning = lanewise('i32x4.min_u');
export const pminsd: Meaning = lanewise('i32x4.min_s');
export const pmaxub: Meaning = lanewise('i8x16.max_u');
export const pmaxsb: Meaning = lanewise('i8x16.max_s');
export const pmaxuw: Meaning = lanewise('i16x8.max_u');
export const pmaxsw: Meaning = lanewise('i16x8.max_s');
export const pmaxud: Meaning = lanewise('i32x4.max_u');
export const pmaxsd: Meaning = lanewise('i32x4.max_s');

export const pcmpeqb: Meaning = lanewise('i8x16.eq');
export const pcmpeqw: Meaning = lanewise('i16x8.eq');
export const pcmpeqd: Meaning = lanewise('i32x4.eq');
export const pcmpeqq: Meaning = lanewise('i64x2.eq');
export const pcmpgtb: Meaning = lanewise('i8x16.gt_s');
export const pcmpgtw: Meaning = lanewise('i16x8.gt_s');
export const pcmpgtd: Meaning = lanewise('i32x4.gt_s');
export const pcmpgtq: Meaning = lanewise('i64x2.gt_s');

export const pand: Meaning = lanewise('v128.and');
export const por: Meaning = lanewise('v128.or');
export const pxor: Meaning = lanewise('v128.xor');
/** The destination is inverted, not the source. */
export const pandn: Meaning = combine((left, right) => right.with('v128.andnot', left));

// ---- products

export const pmullw: Meaning = lanewise('i16x8.mul');
export const pmulld: Meaning = lanewise('i32x4.mul');
export const pmaddwd: Meaning = lanewise('i32x4.dot_i16x8_s');

const highHalves = (sign: 's' | 'u'): Meaning =>
  combine((left, right) =>
    left
      .with(`i32x4.extmul_low_i16x8_${sign}`, right)
      .shuffle(left.with(`i32x4.extmul_high_i16x8_${sign}`, right), bytesOfLanes(16, [1, 3, 5, 7, 9, 11, 13, 15])),
  );

export const pmulhw: Meaning = highHalves('s');
export const pmulhuw: Meaning = highHalves('u');

/** -2^15 by itself is the one product that WebAssembly saturates and x86 does not. */
export const pmulhrsw: Meaning = combine((left, right) => {
  const lowest = V128.lanes(16, 0x8000n);
  const wraps = left.with('i16x8.eq', lowest).and(right.with('i16x8.eq', lowest));
  return left.with('i16x8.q15mulr_sat_s', right).xor(wraps);
});

const productsOfEven = (sign: 's' | 'u'): Meaning =>
  combine((left, right) => {
    const even = bytesOfLanes(32, [0, 2, 0, 2]);
    return left.shuffle(left, even).with(`i64x2.extmul_low_i32x4_${sign}`, right.shuffle(right, even));
  });

export const pmuludq: Meaning = productsOfEven('u');
export const pmuldq: Meaning = productsOfEven('s');

/** Bytes of the destination are unsigned, those of the source signed; pairs of products are added with saturation. */
export const pmaddubsw: Meaning = combine((left, right, cpu) => {
  const products = (half: 'low' | 'high'): V128 =>
    cpu.keepVector(
      left.alone(`i16x8.extend_${half}_i8x16_u`).with('i16x8.mul', right.alone(`i16x8.extend_${half}_i8x16_s`)),
    );
  const [low, high] = [products('low'), products('high')];
  const even = low.shuffle(high, bytesOfLanes(16, [0, 2, 4, 6, 8, 10, 12, 14]));
  const odd = low.shuffle(high, bytesOfLanes(16, [1, 3, 5, 7, 9, 11, 13, 15]));
  return even.with('i16x8.add_sat_s', odd);
});

// ---- sums of neighbours, absolute values, signs

/** |left - right| of unsigned bytes: one of the two differences saturates to 0. */
const distance = (left: V128, right: V128): V128 =>
  left.with('i8x16.sub_sat_u', right).or(right.with('i8x16.sub_sat_u', left));

export const psadbw: Meaning = combine((left, right, cpu) => {
  const inFours = distance(left, right).alone('i16x8.extadd_pairwise_i8x16_u').alone('i32x4.extadd_pairwise_i16x8_u');
  const sums = cpu.keepVector(inFours);
  return sums.with('i32x4.add', sums.shift('i64x2.shr_u', 32n)).and(V128.lanes(64, 0xffff_ffffn));
});

/** Four bytes of the source against eight places in the destination: imm8 says which four, and where the places begin. */
export const mpsadbw: Meaning = (cpu) => {
  const destination = cpu.vector(0);
  const right = cpu.vector(1).read();
  const left = destination.read();
  const choice = cpu.operand(2).read();
  const at = (first: I64, places: bigint): V128 => V128.splat(8, first).with('i8x16.add', V128.constant(places));
  const four = cpu.keep(choice.and(3n).shiftLeft(2n));
  const begin = cpu.keep(choice.and(4n));
  const block = cpu.keepVector(right.with('i8x16.swizzle', at(four, 0x03020100_03020100_03020100_03020100n)));
  const distances = (offset: bigint): V128 => {
    const places = 0x06050403_05040302_04030201_03020100n + offset;
    const window = cpu.keepVector(left.with('i8x16.swizzle', at(begin, places)));
    const sums = distance(window, block).alone('i16x8.extadd_pairwise_i8x16_u').alone('i32x4.extadd_pairwise_i16x8_u');
    return cpu.keepVector(sums);
  };
  const low = distances(0n);
  const high = distances(0x04040404_04040404_04040404_04040404n);
  destination.write(low.with('i16x8.narrow_i32x4_u', high));
};

/** Pairs of lanes of the destination, then of the source, combined. */
const horizontal = (bits: 16 | 32, op: BinaryVectorOp): Meaning =>
  combine((left, right, cpu) => {
    const count = cpu.vector(0).bits / bits;
    const second = 128 / bits;
    const lanes = (first: number): number[] =>
      Array.from({ length: second }, (_, i) => {
        const pair = 2 * (i % count) + first;
        return pair < count ? pair : (pair % count) + second;
      });
    const evens = left.shuffle(right, bytesOfLanes(bits, lanes(0)));
    return evens.with(op, left.shuffle(right, bytesOfLanes(bits, lanes(1))));
  });

export const phaddw: Meaning = horizontal(16, 'i16x8.add');
export const phaddd: Meaning = horizontal(32, 'i32x4.add');
export const phaddsw: Meaning = horizontal(16, 'i16x8.add_sat_s');
export const phsubw: Meaning = horizontal(16, 'i16x8.sub');
export const phsubd: Meaning = horizontal(32, 'i32x4.sub');
export const phsubsw: Meaning = horizontal(16, 'i16x8.sub_sat_s');

/** destination ← what is made of the source. */
const convert =
  (op: UnaryVectorOp): Meaning =>
  (cpu) => {
    cpu.vector(0).write(cpu.vector(1).read().alone(op));
  };

export const pabsb: Meaning = convert('i8x16.abs');
export const pabsw: Meaning = convert('i16x8.abs');
export const pabsd: Meaning = convert('i32x4.abs');

export const pmovsxbw: Meaning = convert('i16x8.extend_low_i8x16_s');
export const pmovsxwd: Meaning = convert('i32x4.extend_low_i16x8_s');
export const pmovsxdq: Meaning = convert('i64x2.extend_low_i32x4_s');
export const pmovzxbw: Meaning = convert('i16x8.extend_low_i8x16_u');
export const pmovzxwd: Meaning = convert('i32x4.extend_low_i16x8_u');
export const pmovzxdq: Meaning = convert('i64x2.extend_low_i32x4_u');

const convertInSteps =
  (...ops: readonly UnaryVectorOp[]): Meaning =>
  (cpu) => {
    cpu.vector(0).write(ops.reduce((value, op) => value.alone(op), cpu.vector(1).read()));
  };

export const pmovsxbd: Meaning = convertInSteps('i16x8.extend_low_i8x16_s', 'i32x4.extend_low_i16x8_s');
export const pmovsxwq: Meaning = convertInSteps('i32x4.extend_low_i16x8_s', 'i64x2.extend_low_i32x4_s');
export const pmovzxbd: Meaning = convertInSteps('i16x8.extend_low_i8x16_u', 'i32x4.extend_low_i16x8_u');
export const pmovzxwq: Meaning = convertInSteps('i32x4.extend_low_i16x8_u', 'i64x2.extend_low_i32x4_u');
export const pmovsxbq: Meaning = convertInSteps(
  'i16x8.extend_low_i8x16_s',
  'i32x4.extend_low_i16x8_s',
  'i64x2.extend_low_i32x4_s',
);
export const pmovzxbq: Meaning = convertInSteps(
  'i16x8.extend_low_i8x16_u',
  'i32x4.extend_low_i16x8_u',
  'i64x2.extend_low_i32x4_u',
);

/** The destination's lanes, negated where the source's are negative, and 0 where they are 0. */
const applySign = (bits: 8 | 16 | 32): Meaning =>
  combine((left, right, cpu) => {
    const zero = V128.constant(0n);
    const negative = cpu.keepVector(zero.with(`${shape(bits)}.gt_s`, right));
    const signed = left.xor(negative).with(`${shape(bits)}.sub`, negative);
    return signed.with('v128.andnot', right.with(`${shape(bits)}.eq`, zero));
  });

export const psignb: Meaning = applySign(8);
export const psignw: Meaning = applySign(16);
export const psignd: Meaning = applySign(32);

/** The smallest of eight unsigned words, and its place. */
export const phminposuw: Meaning = (cpu) => {
  const source = cpu.vector(1).read();
  let best = cpu.keep(source.lane(16, 0).shiftLeft(3n));
  for (let lane = 1; lane < 8; lane++) {
    const here = cpu.keep(source.lane(16, lane).shiftLeft(3n).or(BigInt(lane)));
    best = cpu.keep(here.below(best).select(here, best));
  }
  cpu.vector(0).write(V128.low(best.shiftRight(3n).or(best.and(7n).shiftLeft(16n))));
};

/** ZF: no bit of the source is in the destination; CF: all are. */
export const ptest: Meaning = (cpu) => {
  const [left, right] = [cpu.vector(0).read(), cpu.vector(1).read()];
  const none = left.and(right).mask('v128.any_true').not().wide();
  const all = right.with('v128.andnot', left).mask('v128.any_true').not().wide();
  setStatus(cpu, cpu.keep(none.shiftLeft(6n).or(all)));
};

// ---- shifts

/** By an immediate, or by the low 64 bits of the source: a count of the lane's bits or more leaves nothing. */
const shiftCount = (cpu: Semantics): I64 =>
  cpu.isImmediate(1) ? cpu.operand(1).read() : cpu.keep(cpu.vector(1).read().lane(64, 0));

const shiftLanes =
  (bits: Exclude<LaneBits, 8>, direction: 'shl' | 'shr_u'): Meaning =>
  (cpu) => {
    const destination = cpu.vector(0);
    const count = shiftCount(cpu);
    const kept = V128.splat(64, count.below(BigInt(bits)).select(-1n, 0n));
    destination.write(
      destination
        .read()
        .shift(`${shape(bits)}.${direction}`, count)
        .and(kept),
    );
  };

export const psllw: Meaning = shiftLanes(16, 'shl');
export const pslld: Meaning = shiftLanes(32, 'shl');
export const psllq: Meaning = shiftLanes(64, 'shl');
export const psrlw: Meaning = shiftLanes(16, 'shr_u');
export const psrld: Meaning = shiftLanes(32, 'shr_u');
export const psrlq: Meaning = shiftLanes(64, 'shr_u');

const shiftSigned =
  (bits: 16 | 32): Meaning =>
  (cpu) => {
    const destination = cpu.vector(0);
    const count = shiftCount(cpu);
    const most = BigInt(bits - 1);
    const by = count.below(most).select(count, most);
    destination.write(destination.read().shift(`${shape(bits)}.shr_s`, by));
  };

export const psraw: Meaning = shiftSigned(16);
export const psrad: Meaning = shiftSigned(32);
