// sin, cos, tan, atan, log2, 2^x - 1, worked out in fixed point with more than a hundred bits to spare, then rounded once: what
// is rounded differs from the true value by less than 2^-120 of itself, so that all but a few results in 2^50 are rounded
// correctly. Processors promise less (SDM 1 "Transcendental Instruction Accuracy", §8.3.10: one unit in the last place), and
// each kind differs in last bits.
// Sources: the series of Taylor and Machin; SDM 1 "Approximation of Pi" (§8.3.8).
//
// Results come unrounded, with a last bit that is sticky: `round` finishes them.

import { integerRoot } from './arithmetic.js';
import { bitLength, type Finite, finite, leadingExponent, negated, type Sign } from './format.js';
import { roundAt, TO_ZERO } from './rounding.js';

/** Bits behind the point in which numbers about 1 are computed. */
const WORKING_BITS = 192;
/** A number this small is its own sine, but for something far below the last place. */
const TINY = -80;

/** value × 2^places, cut off. */
function toFixed(value: Finite, places: number): bigint {
  const { significand } = roundAt(TO_ZERO, value, -places);
  return value.sign === 1 ? -significand : significand;
}

/** A fixed-point number that stands for something irrational: its last bit is sticky. */
function inexact(value: bigint, places: number): Finite {
  const sign: Sign = value < 0n ? 1 : 0;
  return finite(sign, (value < 0n ? -value : value) | 1n, -places);
}

/** The number, and a little more (1) or less (-1) in magnitude. */
const nudged = ({ sign, significand, exponent }: Finite, by: 1 | -1): Finite =>
  finite(sign, (significand << 128n) + BigInt(by), exponent - 128);

/** atan(1/n) × 2^places. */
function inverseTangentOfInverse(n: bigint, places: number): bigint {
  let power = (1n << BigInt(places)) / n;
  let sum = power;
  for (let k = 3n, sign = -1n; power !== 0n; k += 2n, sign = -sign) {
    power /= n * n;
    sum += (sign * power) / k;
  }
  return sum;
}

/** Places of pi and of the logarithms. */
const PI_PLACES = 512;
/** Machin: pi/4 = 4 atan(1/5) - atan(1/239). */
const PI =
  (16n * inverseTangentOfInverse(5n, PI_PLACES + 16) - 4n * inverseTangentOfInverse(239n, PI_PLACES + 16)) >> 16n;

/** 2 atanh(s), s = value / 2^places: the logarithm of (1 + s) / (1 - s). */
function twiceInverseHyperbolicTangent(s: bigint, places: number): bigint {
  const square = (s * s) >> BigInt(places);
  let power = s;
  let sum = 0n;
  for (let k = 1n; power !== 0n && power !== -1n; k += 2n) {
    sum += power / k;
    power = (power * square) >> BigInt(places);
  }
  return 2n * sum;
}

/** ln 2 × 2^PI_PLACES. */
const LN2 = twiceInverseHyperbolicTangent((1n << BigInt(PI_PLACES)) / 3n, PI_PLACES);

const LOG2_10 = ((): bigint => {
  // ln 10 = ln 8 + ln(5/4), and (1 + 1/9) / (1 - 1/9) = 5/4.
  const ln10 = 3n * LN2 + twiceInverseHyperbolicTangent((1n << BigInt(PI_PLACES)) / 9n, PI_PLACES);
  return (ln10 << BigInt(PI_PLACES)) / LN2;
})();
const ONE = 1n << BigInt(PI_PLACES);

/** The constants that instructions load, unrounded. */
export const CONSTANTS = {
  pi: inexact(PI, PI_PLACES),
  log2Of10: inexact(LOG2_10, PI_PLACES),
  log2OfE: inexact((ONE << BigInt(PI_PLACES)) / LN2, PI_PLACES),
  log10Of2: inexact((ONE << BigInt(PI_PLACES)) / LOG2_10, PI_PLACES),
  lnOf2: inexact(LN2, PI_PLACES),
} as const;

/**
 * The pi by which angles are reduced: 66 bits. Its error shows in the sine of every number near a multiple of pi, and
 * programs have come to rely on it.
 */
const SHORT_PI = 0xc90f_daa2_2168_c234cn;
const SHORT_PI_PLACES = 66;

/** x reduced to r in [-pi/4, pi/4] and the number of the quadrant; r × 2^places. */
function reduce(x: Finite): { readonly r: bigint; readonly quadrant: number; readonly places: number } {
  const lead = leadingExponent(x);
  const places = WORKING_BITS + Math.max(0, -lead);
  const fixed = toFixed(x, places);
  if (lead < -1) return { r: fixed, quadrant: 0, places };
  const halfPi = SHORT_PI << BigInt(places - SHORT_PI_PLACES - 1);
  // To the nearest multiple: the remainder is exact.
  const quotient = (2n * fixed + (fixed < 0n ? -halfPi : halfPi)) / (2n * halfPi);
  return { r: fixed - quotient * halfPi, quadrant: Number(quotient & 3n), places };
}

function sineSeries(r: bigint, places: number): bigint {
  const square = (r * r) >> BigInt(places);
  let term = r;
  let sum = r;
  for (let k = 2n; term !== 0n && term !== -1n; k += 2n) {
    term = -((term * square) >> BigInt(places)) / (k * (k + 1n));
    sum += term;
  }
  return sum;
}

function cosineSeries(r: bigint, places: number): bigint {
  const square = (r * r) >> BigInt(places);
  let term = 1n << BigInt(places);
  let sum = term;
  for (let k = 1n; term !== 0n && term !== -1n; k += 2n) {
    term = -((term * square) >> BigInt(places)) / (k * (k + 1n));
    sum += term;
  }
  return sum;
}

/** Sine and cosine, unrounded. */
export function sineAndCosine(x: Finite): { readonly sine: Finite; readonly cosine: Finite } {
  if (leadingExponent(x) < TINY) return { sine: nudged(x, -1), cosine: nudged(finite(0, 1n, 0), -1) };
  const { r, quadrant, places } = reduce(x);
  const [sine, cosine] = [sineSeries(r, places), cosineSeries(r, places)].map((value) => inexact(value, places)) as [
    Finite,
    Finite,
  ];
  switch (quadrant) {
    case 0:
      return { sine, cosine };
    case 1:
      return { sine: cosine, cosine: negated(sine) };
    case 2:
      return { sine: negated(sine), cosine: negated(cosine) };
    default:
      return { sine: negated(cosine), cosine: sine };
  }
}

/** The tangent, unrounded. */
export function tangent(x: Finite): Finite {
  if (leadingExponent(x) < TINY) return nudged(x, 1);
  const { sine, cosine } = sineAndCosine(x);
  const { quotient } = divided(sine, cosine);
  return { ...quotient, significand: quotient.significand | 1n };
}

/** a / b with more bits than anybody needs. */
function divided(a: Finite, b: Finite): { readonly quotient: Finite; readonly exact: boolean } {
  const shift = WORKING_BITS + Math.max(0, bitLength(b.significand) - bitLength(a.significand));
  const dividend = a.significand << BigInt(shift);
  const significand = dividend / b.significand;
  const quotient = finite((a.sign ^ b.sign) as Sign, significand, a.exponent - b.exponent - shift);
  return { quotient, exact: significand * b.significand === dividend };
}

/** atan(y / x) in the quadrant that the signs say, unrounded: the angle of the point (x, y). */
export function angle(y: Finite, x: Finite): Finite {
  const [rise, run] = [finite(0, y.significand, y.exponent), finite(0, x.significand, x.exponent)];
  const { quotient: slope, exact } = divided(rise, run);
  const lead = leadingExponent(slope);
  // A small angle is a little less than its tangent.
  if (lead < TINY && x.sign === 0)
    return { ...(exact ? nudged(slope, -1) : { ...slope, significand: slope.significand | 1n }), sign: y.sign };
  const places = WORKING_BITS + Math.max(0, Math.min(Math.abs(lead), -2 * TINY));
  const pi = PI >> BigInt(PI_PLACES - places);
  const isSteep = lead >= 0;
  const small = toFixed(isSteep ? divided(run, rise).quotient : slope, places);
  // Below some size the angle and its tangent are the same in all these places.
  const acute = Math.abs(lead) > -2 * TINY ? small : arcTangent(small, places);
  const first = isSteep ? (pi >> 1n) - acute : acute;
  return { ...inexact(x.sign === 1 ? pi - first : first, places), sign: y.sign };
}

/** atan of z / 2^places, z in [0, 1]: halved three times, then the series. */
function arcTangent(z: bigint, places: number): bigint {
  const shift = BigInt(places);
  const one = 1n << shift;
  let reduced = z;
  const halvings = 3n;
  for (let i = 0n; i < halvings; i++) {
    // tan(a/2) = tan a / (1 + sqrt(1 + tan² a))
    const hypotenuse = integerRoot(one * one + reduced * reduced);
    reduced = (reduced << shift) / (one + hypotenuse);
  }
  const square = (reduced * reduced) >> shift;
  let power = reduced;
  let sum = 0n;
  for (let k = 1n, sign = 1n; power !== 0n; k += 2n, sign = -sign) {
    sum += (sign * power) / k;
    power = (power * square) >> shift;
  }
  return sum << halvings;
}

/** log2(1 + x), unrounded, for x in (-1/2, 1): also where 1 + x has no room for x. */
export function log2Of1Plus(x: Finite): Finite {
  const lead = leadingExponent(x);
  const places = WORKING_BITS + 2 * Math.max(0, Math.min(-lead, -TINY * 2));
  if (lead < TINY) {
    // log2(1 + x) = x / ln 2 (1 - x/2 …)
    const product = x.significand * ((ONE << BigInt(PI_PLACES)) / LN2);
    return finite(x.sign, product | 1n, x.exponent - PI_PLACES);
  }
  const fixed = toFixed(x, places);
  const s = (fixed << BigInt(places)) / ((2n << BigInt(places)) + fixed);
  return overLn2(twiceInverseHyperbolicTangent(s, places), places);
}

function overLn2(value: bigint, places: number): Finite {
  return inexact((value << BigInt(PI_PLACES)) / LN2, places);
}

/** log2 of a positive number, unrounded; of a power of two it is exact, and may be 0 (undefined). */
export function log2(x: Finite): Finite | undefined {
  const width = bitLength(x.significand);
  const isPower = (x.significand & (x.significand - 1n)) === 0n;
  let exponent = leadingExponent(x);
  if (isPower) return exponent === 0 ? undefined : finite(exponent < 0 ? 1 : 0, BigInt(Math.abs(exponent)), 0);
  // The mantissa between 3/4 and 3/2, so that nothing cancels.
  const upper = x.significand >> BigInt(Math.max(0, width - 2)) === 3n;
  if (upper) exponent++;
  const mantissa = finite(0, x.significand, x.exponent - exponent);
  const one = 1n << BigInt(-mantissa.exponent);
  const difference = mantissa.significand - one;
  const fraction = log2Of1Plus(
    finite(difference < 0n ? 1 : 0, difference < 0n ? -difference : difference, mantissa.exponent),
  );
  if (exponent === 0) return fraction;
  const whole = BigInt(exponent) << BigInt(-fraction.exponent);
  const sum = whole + (fraction.sign === 1 ? -fraction.significand : fraction.significand);
  return finite(sum < 0n ? 1 : 0, sum < 0n ? -sum : sum, fraction.exponent);
}

/** 2^x - 1, unrounded, for 0 < |x| < 1. */
export function exp2Minus1(x: Finite): Finite {
  const lead = leadingExponent(x);
  if (lead < 2 * TINY) {
    const product = x.significand * LN2;
    return finite(x.sign, product | 1n, x.exponent - PI_PLACES);
  }
  const places = WORKING_BITS + Math.max(0, -lead);
  const power = (toFixed(x, places) * LN2) >> BigInt(PI_PLACES);
  let term = power;
  let sum = 0n;
  for (let k = 2n; term !== 0n && term !== -1n; k++) {
    sum += term;
    term = ((term * power) >> BigInt(places)) / k;
  }
  return inexact(sum, places);
}
