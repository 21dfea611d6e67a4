// From an exact result to one that a format can hold: rounding, overflow and underflow, and the flags that they raise.
// Sources: SDM 1 "Rounding" (§4.8.4), "Overview of Floating-Point Exceptions" (§4.9), "Numeric Overflow Exception (#O)"
// (§8.5.4), "Numeric Underflow Exception (#U)" (§8.5.5). x86 finds out whether a result is tiny after rounding.

import { bitLength, type Finite, finite, infinity, type Real, type Sign, type Target, zero } from './format.js';

// Exceptions, as bits: at the same places in the x87 status and control words, and (masks 7 higher) in MXCSR.
export const INVALID = 1;
export const DENORMAL = 2;
export const DIVIDE_BY_ZERO = 4;
export const OVERFLOW = 8;
export const UNDERFLOW = 16;
export const INEXACT = 32;
/** Exceptions that are found before there is a result: unmasked, they leave the destination alone. */
export const BEFORE_RESULT = INVALID | DENORMAL | DIVIDE_BY_ZERO;
export const ALL_EXCEPTIONS = 63;

/** How to round, numbered as the RC fields of the x87 control word and of MXCSR are. */
export type Rounding = 0 | 1 | 2 | 3;
export const NEAREST = 0;
export const DOWN = 1;
export const UP = 2;
export const TO_ZERO = 3;

/** What an operation is told beside its operands, and what it tells beside its result. */
export interface Environment {
  readonly rounding: Rounding;
  /** The exceptions that are masked. */
  readonly masked: number;
  /**
   * By how much an unmasked overflow or underflow moves the exponent back into the range, for the handler to find the
   * result (x87 registers); 0 where it leaves no result (x87 stores); Infinity where besides it is inexact only if digits
   * were lost (SSE).
   */
  readonly wrapExponent: number;
  /** Tiny results become zero while underflow is masked (MXCSR.FZ). */
  readonly flushToZero: boolean;
  /** Denormal operands count as zeros, and raise nothing (MXCSR.DAZ). */
  readonly denormalsAreZero: boolean;
  /** The exceptions found so far; operations only add. */
  flags: number;
  /** Whether the last rounding made the magnitude larger (C1 of the x87 status word). */
  roundedUp: boolean;
}

/** An environment in which every exception is masked, or what else is asked for. */
export const environment = (fields: Partial<Environment> = {}): Environment => ({
  rounding: NEAREST,
  masked: ALL_EXCEPTIONS,
  wrapExponent: 0,
  flushToZero: false,
  denormalsAreZero: false,
  flags: 0,
  roundedUp: false,
  ...fields,
});

/** A significand cut off at some place. */
interface Cut {
  readonly significand: bigint;
  readonly inexact: boolean;
  readonly up: boolean;
}

/** Whether a positive remainder makes the magnitude go up; `half`: -1 it is less than a half, 0 just that, 1 more. */
function goesUp(rounding: Rounding, sign: Sign, isOdd: boolean, half: number): boolean {
  switch (rounding) {
    case NEAREST:
      return half > 0 || (half === 0 && isOdd);
    case DOWN:
      return sign === 1;
    case UP:
      return sign === 0;
    case TO_ZERO:
      return false;
  }
}

/** The number in units of 2^lastPlace, rounded to an integer. */
export function roundAt(rounding: Rounding, { sign, significand, exponent }: Finite, lastPlace: number): Cut {
  const shift = lastPlace - exponent;
  if (shift <= 0) return { significand: significand << BigInt(-shift), inexact: false, up: false };
  // Far below the last place every number is like any other.
  if (shift > bitLength(significand) + 1) {
    const up = goesUp(rounding, sign, false, -1);
    return { significand: up ? 1n : 0n, inexact: true, up };
  }
  const kept = significand >> BigInt(shift);
  const rest = significand - (kept << BigInt(shift));
  if (rest === 0n) return { significand: kept, inexact: false, up: false };
  const half = 1n << BigInt(shift - 1);
  const up = goesUp(rounding, sign, (kept & 1n) === 1n, rest > half ? 1 : rest === half ? 0 : -1);
  return { significand: up ? kept + 1n : kept, inexact: true, up };
}

/**
 * Rounds to what the target can hold, and raises overflow, underflow and inexact. The value is exact, or has two more bits
 * than the target's precision and a last bit that stands for all that is below it ("sticky").
 */
export function round(env: Environment, target: Target, value: Finite): Real {
  const { precision, minExponent, maxExponent } = target;
  const width = bitLength(value.significand);
  const lastPlace = value.exponent + width - precision;
  const cut = roundAt(env.rounding, value, lastPlace);
  // Rounding up may have made one bit more.
  const lead = lastPlace + bitLength(cut.significand) - 1;
  if (lead < minExponent) return roundTiny(env, target, value, cut, lastPlace);
  env.roundedUp = cut.up;
  if (cut.inexact) env.flags |= INEXACT;
  if (lead <= maxExponent) return finite(value.sign, cut.significand, lastPlace);
  env.flags |= OVERFLOW;
  if ((env.masked & OVERFLOW) === 0 && env.wrapExponent !== 0) {
    if (env.wrapExponent === Number.POSITIVE_INFINITY) return infinity(value.sign);
    if (lead - env.wrapExponent <= maxExponent)
      return finite(value.sign, cut.significand, lastPlace - env.wrapExponent);
    // Too large even so (FSCALE): infinity, however it is rounded.
    env.flags |= INEXACT;
    env.roundedUp = true;
    return infinity(value.sign);
  }
  return overflowed(env, target, value.sign);
}

/** What is too large: infinity, or the largest number where rounding does not go there. */
function overflowed(env: Environment, { precision, maxExponent }: Target, sign: Sign): Real {
  env.flags |= INEXACT;
  env.roundedUp = goesUp(env.rounding, sign, true, 1);
  if (env.roundedUp) return infinity(sign);
  return finite(sign, (1n << BigInt(precision)) - 1n, maxExponent - precision + 1);
}

/** What is too small to be normal, and has been rounded as if it were not. */
function roundTiny(env: Environment, target: Target, value: Finite, cut: Cut, lastPlace: number): Real {
  const { precision, minExponent } = target;
  const isMasked = (env.masked & UNDERFLOW) !== 0;
  if (!isMasked) env.flags |= UNDERFLOW;
  if (!isMasked && env.wrapExponent === Number.POSITIVE_INFINITY) {
    if (cut.inexact) env.flags |= INEXACT;
    return zero(value.sign);
  }
  if (!isMasked && env.wrapExponent !== 0) {
    const lead = lastPlace + env.wrapExponent + bitLength(cut.significand) - 1;
    if (lead >= minExponent) {
      env.roundedUp = cut.up;
      if (cut.inexact) env.flags |= INEXACT;
      return finite(value.sign, cut.significand, lastPlace + env.wrapExponent);
    }
    // Too small even so: zero, however it is rounded.
    env.flags |= INEXACT;
    env.roundedUp = false;
    return zero(value.sign);
  }
  if (isMasked && env.flushToZero) {
    env.flags |= UNDERFLOW | INEXACT;
    return zero(value.sign);
  }
  const denormal = roundAt(env.rounding, value, minExponent - precision + 1);
  env.roundedUp = denormal.up;
  if (denormal.inexact) env.flags |= UNDERFLOW | INEXACT;
  return denormal.significand === 0n
    ? zero(value.sign)
    : finite(value.sign, denormal.significand, minExponent - precision + 1);
}

/** The value with its last bit set if anything was lost below it. */
export const sticky = (significand: bigint, lost: boolean): bigint => (lost ? significand | 1n : significand);
