// RCPPS and RSQRTPS: reciprocals and inverse square roots to about 12 bits, without flags. SDM 2B "RCPPS", "RSQRTPS".
// DEVIATION: the manual bounds the error (1.5 × 2^-12) and leaves the digits to the processor; here they are those of the exact
// value, rounded to 12 bits, on every host. Denormal operands count as zeros, and tiny results become zeros, on all of them.

import {
  bitLength,
  F32,
  type Finite,
  type Float,
  finite,
  INDEFINITE,
  infinity,
  integerRoot,
  NEAREST,
  pack,
  quieted,
  roundAt,
  unpack,
  zero,
} from '../softfloat/index.js';
import { slowWay } from './float-lanes.js';
import type { Meaning } from './semantics.js';

const PRECISION = 12;
/** Bits to work with: many more than are kept. */
const WORKING_BITS = 64;

/** Rounded to 12 bits; 0 when it is too small for a normal number. */
function approximated(value: Finite): Float {
  const lastPlace = value.exponent + bitLength(value.significand) - PRECISION;
  const rounded = finite(value.sign, roundAt(NEAREST, value, lastPlace).significand, lastPlace);
  const lead = lastPlace + bitLength(rounded.significand) - 1;
  return lead < F32.minExponent ? zero(value.sign) : lead > F32.maxExponent ? infinity(value.sign) : rounded;
}

function reciprocal(value: Float): Float {
  switch (value.kind) {
    case 'nan':
      return quieted(value);
    case 'infinity':
      return zero(value.sign);
    case 'finite': {
      const shift = WORKING_BITS + bitLength(value.significand);
      return approximated(finite(value.sign, (1n << BigInt(shift)) / value.significand, -shift - value.exponent));
    }
    default:
      return infinity(value.kind === 'zero' ? value.sign : 0);
  }
}

function inverseRoot(value: Float): Float {
  if (value.kind === 'nan') return quieted(value);
  if (value.kind === 'zero') return infinity(value.sign);
  if (value.kind === 'unsupported' || value.sign === 1) return INDEFINITE;
  if (value.kind === 'infinity') return zero(0);
  // 1 / sqrt(s × 2^e) = sqrt(2^(2n) / s) × 2^(-n - e/2), for an even e.
  const [significand, exponent] =
    (value.exponent & 1) === 0 ? [value.significand, value.exponent] : [value.significand << 1n, value.exponent - 1];
  const shift = WORKING_BITS + bitLength(significand);
  const root = integerRoot((1n << BigInt(2 * shift)) / significand);
  return approximated(finite(0, root, -shift - exponent / 2));
}

const approximation = (lanes: number, compute: (value: Float) => Float): Meaning => {
  const slow = slowWay({
    lanes,
    operandBits: F32.bits,
    resultBits: F32.bits,
    compute: (_env, _a, b) => {
      const value = unpack(F32, b);
      const isDenormal = value.kind === 'finite' && value.exponent + bitLength(value.significand) - 1 < F32.minExponent;
      return pack(F32, compute(isDenormal ? zero(value.sign) : value) as Exclude<Float, { kind: 'unsupported' }>);
    },
  });
  return (cpu) => {
    const source = cpu.vector(1).read();
    cpu.vector(0).write(slow(cpu, cpu.readMxcsr(), source, source));
  };
};

export const rcp: Meaning = approximation(4, reciprocal);
export const rcpScalar: Meaning = approximation(1, reciprocal);
export const rsqrt: Meaning = approximation(4, inverseRoot);
export const rsqrtScalar: Meaning = approximation(1, inverseRoot);
