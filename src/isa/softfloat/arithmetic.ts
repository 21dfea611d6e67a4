// Arithmetic on numbers and infinities: the exact result, rounded once. NaNs have been dealt with before, as x87 and SSE have
// rules of their own for them. What has no result gives INDEFINITE and raises invalid.
// Sources: SDM 1 "Invalid Operation Exception (#I)" (§8.5.1.2, table 8-10), "Divide-By-Zero Exception (#Z)" (§8.5.3); SDM 2A
// "FPREM", "FPREM1" and the tables of results under FADD, FMUL, FDIV, FSQRT.

import {
  bitLength,
  type Finite,
  finite,
  INDEFINITE,
  infinity,
  leadingExponent,
  type Nan,
  negated,
  type Real,
  type Sign,
  type Target,
  zero,
} from './format.js';
import {
  DIVIDE_BY_ZERO,
  DOWN,
  type Environment,
  INVALID,
  NEAREST,
  round,
  roundAt,
  sticky,
  type TO_ZERO,
} from './rounding.js';

/** Two bits below the last place, and one that is sticky, are enough to round by. */
const GUARD_BITS = 3;

function invalid(env: Environment): Nan {
  env.flags |= INVALID;
  return INDEFINITE;
}

/** The sign of an exact zero that comes of two numbers with different signs. */
const signOfCancellation = (env: Environment): Sign => (env.rounding === DOWN ? 1 : 0);

export function add(env: Environment, target: Target, a: Real, b: Real): Real | Nan {
  if (a.kind === 'infinity') return b.kind === 'infinity' && a.sign !== b.sign ? invalid(env) : a;
  if (b.kind === 'infinity') return b;
  if (a.kind === 'zero') {
    if (b.kind === 'finite') return round(env, target, b);
    return zero(a.sign === b.sign ? a.sign : signOfCancellation(env));
  }
  if (b.kind === 'zero') return round(env, target, a);
  const sum = exactSum(a, b, target.precision);
  return sum === undefined ? zero(signOfCancellation(env)) : round(env, target, sum);
}

export const subtract = (env: Environment, target: Target, a: Real, b: Real): Real | Nan =>
  add(env, target, a, negated(b));

/** The sum, exact, or sticky where the numbers are far apart; undefined for 0. */
export function exactSum(a: Finite, b: Finite, precision: number): Finite | undefined {
  const [leadA, leadB] = [leadingExponent(a), leadingExponent(b)];
  const [large, small] = leadA >= leadB ? [a, b] : [b, a];
  const lead = Math.max(leadA, leadB);
  // Below this, and below the larger one's last place, the smaller one only tells that there is something.
  const lowest = Math.min(large.exponent, lead - precision) - 2 * GUARD_BITS;
  const other = Math.min(leadA, leadB) < lowest ? finite(small.sign, 1n, lowest) : small;
  const exponent = Math.min(large.exponent, other.exponent);
  const aligned = (value: Finite): bigint => {
    const shift = value.exponent - exponent;
    const significand = shift === 0 ? value.significand : value.significand << BigInt(shift);
    return value.sign === 1 ? -significand : significand;
  };
  const sum = aligned(large) + aligned(other);
  if (sum === 0n) return undefined;
  return finite(sum < 0n ? 1 : 0, sum < 0n ? -sum : sum, exponent);
}

export function multiply(env: Environment, target: Target, a: Real, b: Real): Real | Nan {
  const sign = (a.sign ^ b.sign) as Sign;
  if (a.kind === 'infinity' || b.kind === 'infinity')
    return a.kind === 'zero' || b.kind === 'zero' ? invalid(env) : infinity(sign);
  if (a.kind === 'zero' || b.kind === 'zero') return zero(sign);
  return round(env, target, finite(sign, a.significand * b.significand, a.exponent + b.exponent));
}

export function divide(env: Environment, target: Target, a: Real, b: Real): Real | Nan {
  const sign = (a.sign ^ b.sign) as Sign;
  if (a.kind === 'infinity') return b.kind === 'infinity' ? invalid(env) : infinity(sign);
  if (b.kind === 'infinity') return zero(sign);
  if (b.kind === 'zero') {
    if (a.kind === 'zero') return invalid(env);
    env.flags |= DIVIDE_BY_ZERO;
    return infinity(sign);
  }
  if (a.kind === 'zero') return zero(sign);
  const wanted = target.precision + GUARD_BITS + bitLength(b.significand) - bitLength(a.significand);
  const shift = Math.max(0, wanted);
  const dividend = a.significand << BigInt(shift);
  const quotient = dividend / b.significand;
  const significand = sticky(quotient, quotient * b.significand !== dividend);
  return round(env, target, finite(sign, significand, a.exponent - b.exponent - shift));
}

export function squareRoot(env: Environment, target: Target, a: Real): Real | Nan {
  if (a.kind === 'zero') return a;
  if (a.sign === 1) return invalid(env);
  if (a.kind === 'infinity') return a;
  const wanted = 2 * (target.precision + GUARD_BITS) - bitLength(a.significand);
  let shift = Math.max(0, wanted);
  if (((a.exponent - shift) & 1) !== 0) shift++;
  const square = a.significand << BigInt(shift);
  const root = integerRoot(square);
  return round(env, target, finite(0, sticky(root, root * root !== square), (a.exponent - shift) / 2));
}

/** The largest integer whose square is not above n: Newton's iteration from above. */
export function integerRoot(n: bigint): bigint {
  let root = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** The number as an integer of the same kind: exact where there is nothing behind the point. */
export function roundToInteger(env: Environment, value: Real): { readonly result: Real; readonly inexact: boolean } {
  if (value.kind !== 'finite' || value.exponent >= 0) return { result: value, inexact: false };
  const { significand, inexact, up } = roundAt(env.rounding, value, 0);
  env.roundedUp = up;
  return { result: significand === 0n ? zero(value.sign) : finite(value.sign, significand, 0), inexact };
}

/** -1, 0, 1 as a is below, equal to, above b. */
export function compare(a: Real, b: Real): -1 | 0 | 1 {
  const [rankA, rankB] = [rank(a), rank(b)];
  if (rankA !== rankB) return rankA < rankB ? -1 : 1;
  if (a.kind !== 'finite' || b.kind !== 'finite') return 0;
  const magnitude = compareMagnitudes(a, b);
  if (magnitude === 0) return 0;
  return (magnitude === 1) === (a.sign === 0) ? 1 : -1;
}

/** -infinity, negative, zero, positive, +infinity. */
const rank = ({ kind, sign }: Real): number => {
  if (kind === 'zero') return 0;
  const magnitude = kind === 'finite' ? 1 : 2;
  return sign === 1 ? -magnitude : magnitude;
};

function compareMagnitudes(a: Finite, b: Finite): -1 | 0 | 1 {
  const [leadA, leadB] = [leadingExponent(a), leadingExponent(b)];
  if (leadA !== leadB) return leadA < leadB ? -1 : 1;
  const exponent = Math.min(a.exponent, b.exponent);
  const left = a.significand << BigInt(a.exponent - exponent);
  const right = b.significand << BigInt(b.exponent - exponent);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** A remainder, and what is known of the quotient. */
export interface Remainder {
  readonly result: Real | Nan;
  /** Low bits of the quotient's magnitude; 0 while the reduction is not complete. */
  readonly quotient: bigint;
  /** The exponents were too far apart to get it done at once: the result is congruent, and smaller. */
  readonly partial: boolean;
}

const complete = (result: Real | Nan): Remainder => ({ result, quotient: 0n, partial: false });

/**
 * What is left of a divided by b, where the quotient is rounded to an integer as FPREM (`TO_ZERO`) or FPREM1 (`NEAREST`)
 * does. It is always exact. Where the exponents differ by 64 or more, one step of the reduction.
 */
export function remainder(
  env: Environment,
  target: Target,
  a: Real,
  b: Real,
  how: typeof TO_ZERO | typeof NEAREST,
): Remainder {
  if (a.kind === 'infinity' || b.kind === 'zero') return complete(invalid(env));
  if (a.kind === 'zero') return complete(a);
  if (b.kind === 'infinity') return complete(round(env, target, a));
  const distance = leadingExponent(a) - leadingExponent(b);
  const exponent = Math.min(a.exponent, b.exponent);
  const divisor = b.significand << BigInt(b.exponent - exponent);
  if (distance < 64) {
    const dividend = a.significand << BigInt(a.exponent - exponent);
    let quotient = dividend / divisor;
    let rest = dividend - quotient * divisor;
    const twice = 2n * rest;
    if (how === NEAREST && (twice > divisor || (twice === divisor && (quotient & 1n) === 1n))) {
      quotient++;
      rest -= divisor;
    }
    if (rest === 0n) return { result: zero(a.sign), quotient, partial: false };
    const sign = (rest < 0n ? 1 - a.sign : a.sign) as Sign;
    return { result: round(env, target, finite(sign, rest < 0n ? -rest : rest, exponent)), quotient, partial: false };
  }
  // Some multiple of b times 2^(distance - n) is taken off, with n in [32, 63]: SDM 2A "FPREM".
  const taken = distance - partialStep(distance);
  const unit = b.exponent + taken;
  const at = Math.min(a.exponent, unit);
  const step = b.significand << BigInt(unit - at);
  const rest = (a.significand << BigInt(a.exponent - at)) % step;
  const result = rest === 0n ? zero(a.sign) : round(env, target, finite(a.sign, rest, at));
  return { result, quotient: 0n, partial: true };
}

/**
 * How many bits of the quotient one step works out. The SDM leaves it open between 32 and 63; this is what processors of
 * both makers do: the exponents' distance is a multiple of 32 afterwards, but for one.
 */
const partialStep = (distance: number): number => 32 + (distance & 31);
