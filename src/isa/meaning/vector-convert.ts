// Conversions between floats of 32 and 64 bits and signed integers, in SSE, MMX and general registers. SDM 2A "CVT…".
// An integer that does not fit, and a NaN, give 80…0 ("integer indefinite") and raise invalid.

import * as float from '../softfloat/index.js';
import { F32, F64, type Format, type Rounding, TO_ZERO } from '../softfloat/index.js';
import type { LaneOperation } from '../softfloat/vector-operations.js';
import type { I32, I64 } from './expression.js';
import { choose, type FloatBits, inexactIsKnown, inexactIsKnownToNearest, Lanes, slowWay } from './float-lanes.js';
import type { Meaning, Semantics } from './semantics.js';
import { V128 } from './vector.js';

const { scalar } = float;
const FORMATS: Readonly<Record<FloatBits, Format>> = { 32: F32, 64: F64 };

// ---- floats to integers

type Method = 'rounded' | 'truncated';

/** The bits of the least magnitude that does not become an integer of 32 bits. */
const TOO_LARGE = {
  rounded: { 32: 0x4f00_0000n, 64: 0x41df_ffff_ffe0_0000n },
  truncated: { 32: 0x4f00_0000n, 64: 0x41e0_0000_0000_0000n },
} as const;

const toIntegers = (from: FloatBits, to: 32 | 64, lanes: number, method: Method) => {
  const compute: LaneOperation = (env, _a, b) => {
    const rounding: Rounding = method === 'truncated' ? TO_ZERO : env.rounding;
    return scalar.floatToInteger(env, FORMATS[from], b, to, rounding);
  };
  return slowWay({ lanes, operandBits: from, resultBits: to, compute });
};

/** Whether the fast way serves, and the integers of 32 bits that it gives. */
function fastIntegers(
  cpu: Semantics,
  mxcsr: I64,
  source: V128,
  from: FloatBits,
  lanes: number,
  method: Method,
): { readonly isFast: I32; readonly value: V128 } {
  const known = method === 'truncated' ? inexactIsKnown(mxcsr) : inexactIsKnownToNearest(mxcsr);
  const group = new Lanes(cpu, from, lanes);
  const isFast = known.and(group.all(group.smallerThan(source, TOO_LARGE[method][from])));
  const name = from === 32 ? 'f32x4' : 'f64x2';
  const whole = method === 'truncated' ? source : source.alone(`${name}.nearest`);
  const value = whole.alone(from === 32 ? 'i32x4.trunc_sat_f32x4_s' : 'i32x4.trunc_sat_f64x2_s_zero');
  return { isFast: cpu.keepBit(isFast), value };
}

/** CVTPS2DQ, CVTTPS2PI and the like: `lanes` floats to as many integers of 32 bits, and zeros above. */
const packedToIntegers = (from: FloatBits, lanes: number, method: Method): Meaning => {
  const slow = toIntegers(from, 32, lanes, method);
  return (cpu) => {
    const source = cpu.vector(1).read();
    const mxcsr = cpu.readMxcsr();
    const { isFast, value } = fastIntegers(cpu, mxcsr, source, from, lanes, method);
    cpu.vector(0).write(choose(cpu, isFast, value, () => slow(cpu, mxcsr, source, source)));
  };
};

export const cvtps2dq: Meaning = packedToIntegers(32, 4, 'rounded');
export const cvttps2dq: Meaning = packedToIntegers(32, 4, 'truncated');
export const cvtps2pi: Meaning = packedToIntegers(32, 2, 'rounded');
export const cvttps2pi: Meaning = packedToIntegers(32, 2, 'truncated');
/** Also CVTPD2PI. */
export const cvtpd2dq: Meaning = packedToIntegers(64, 2, 'rounded');
export const cvttpd2dq: Meaning = packedToIntegers(64, 2, 'truncated');

/** CVTSD2SI and the like: one float to a general register. What fits 32 bits is converted as such for 64 bits too. */
const scalarToInteger = (from: FloatBits, method: Method): Meaning => {
  const slow32 = toIntegers(from, 32, 1, method);
  const slow64 = toIntegers(from, 64, 1, method);
  return (cpu) => {
    const destination = cpu.operand(0);
    const source = cpu.vector(1).read();
    const mxcsr = cpu.readMxcsr();
    const { isFast, value } = fastIntegers(cpu, mxcsr, source, from, 1, method);
    const wide = V128.low(value.lane(32, 0).signExtend(32));
    const slow = destination.bits === 64 ? slow64 : slow32;
    const result = choose(cpu, isFast, wide, () => slow(cpu, mxcsr, source, source));
    destination.write(result.lane(64, 0));
  };
};

export const cvtss2si: Meaning = scalarToInteger(32, 'rounded');
export const cvttss2si: Meaning = scalarToInteger(32, 'truncated');
export const cvtsd2si: Meaning = scalarToInteger(64, 'rounded');
export const cvttsd2si: Meaning = scalarToInteger(64, 'truncated');

// ---- integers to floats

const fromIntegers = (from: 32 | 64, to: FloatBits, lanes: number) => {
  const compute: LaneOperation = (env, _a, b) => scalar.integerToFloat(env, FORMATS[to], BigInt.asIntN(from, b));
  return slowWay({ lanes, operandBits: from, resultBits: to, compute });
};

/** CVTDQ2PD, CVTPI2PD: 64 bits hold any integer of 32. */
export const cvtdq2pd: Meaning = (cpu) => {
  cpu.vector(0).write(cpu.vector(1).read().alone('f64x2.convert_low_i32x4_s'));
};

/** CVTDQ2PS, CVTPI2PS. */
const packedFromIntegers = (lanes: number): Meaning => {
  const slow = fromIntegers(32, 32, lanes);
  return (cpu) => {
    const source = cpu.vector(1).read();
    const mxcsr = cpu.readMxcsr();
    const fast = source.alone('f32x4.convert_i32x4_s');
    const result = choose(cpu, inexactIsKnownToNearest(mxcsr), fast, () => slow(cpu, mxcsr, source, source));
    cpu.vector(0).write(result);
  };
};

export const cvtdq2ps: Meaning = packedFromIntegers(4);
export const cvtpi2ps: Meaning = packedFromIntegers(2);

/** CVTSI2SS, CVTSI2SD. */
const scalarFromInteger = (to: FloatBits): Meaning => {
  const slow = fromIntegers(64, to, 1);
  return (cpu) => {
    const value = cpu.operand(1).readSigned();
    const source = cpu.keepVector(V128.low(value));
    const mxcsr = cpu.readMxcsr();
    const isExact = to === 64 ? value.equals(value.signExtend(32)) : value.equals(value.signExtend(16));
    const isFast =
      to === 64 ? isExact : isExact.or(inexactIsKnownToNearest(mxcsr).and(value.equals(value.signExtend(32))));
    const fast = source.alone(to === 64 ? 'f64x2.convert_low_i32x4_s' : 'f32x4.convert_i32x4_s');
    cpu.vector(0).write(choose(cpu, isFast, fast, () => slow(cpu, mxcsr, source, source)));
  };
};

export const cvtsi2ss: Meaning = scalarFromInteger(32);
export const cvtsi2sd: Meaning = scalarFromInteger(64);

// ---- between floats

const betweenFloats = (from: FloatBits, to: FloatBits, lanes: number) => {
  const compute: LaneOperation = (env, _a, b) => scalar.convert(env, FORMATS[from], FORMATS[to], b);
  return slowWay({ lanes, operandBits: from, resultBits: to, compute });
};

/** CVTPS2PD, CVTSS2SD: exact for numbers. */
const widen = (lanes: number): Meaning => {
  const slow = betweenFloats(32, 64, lanes);
  return (cpu) => {
    const source = cpu.vector(1).read();
    const group = new Lanes(cpu, 32, lanes);
    const isFast = group.all(group.comparable(source));
    const fast = source.alone('f64x2.promote_low_f32x4');
    cpu.vector(0).write(choose(cpu, isFast, fast, () => slow(cpu, cpu.readMxcsr(), source, source)));
  };
};

export const cvtps2pd: Meaning = widen(2);
export const cvtss2sd: Meaning = widen(1);

/** CVTPD2PS, CVTSD2SS. */
const narrow = (lanes: number): Meaning => {
  const slow = betweenFloats(64, 32, lanes);
  return (cpu) => {
    const source = cpu.vector(1).read();
    const mxcsr = cpu.readMxcsr();
    const fast = cpu.keepVector(source.alone('f32x4.demote_f64x2_zero'));
    const [wide, short] = [new Lanes(cpu, 64, lanes), new Lanes(cpu, 32, lanes)];
    const fits = wide.all(wide.ordinary(source)).and(short.all(short.aboveLeast(fast)));
    const isFast = inexactIsKnownToNearest(mxcsr).and(fits);
    cpu.vector(0).write(choose(cpu, isFast, fast, () => slow(cpu, mxcsr, source, source)));
  };
};

export const cvtpd2ps: Meaning = narrow(2);
export const cvtsd2ss: Meaning = narrow(1);
