// Between formats, integers and packed decimals.
// Sources: SDM 1 "Indefinite" results of conversions (§8.2.1, §4.8.3.7), "Packed BCD Integers" (§4.7.1); SDM 2A "FBLD", "FBSTP",
// "FIST", "CVTSD2SI".

import { bitLength, type Finite, finite, type Real, zero } from './format.js';
import { type Environment, INEXACT, INVALID, type Rounding, roundAt } from './rounding.js';

/** A signed integer as a number; 0 is positive. */
export function fromInteger(value: bigint): Real {
  if (value === 0n) return zero(0);
  return finite(value < 0n ? 1 : 0, value < 0n ? -value : value, 0);
}

/**
 * The integer nearest as `rounding` says, in two's complement of so many bits; undefined, with invalid raised, where it does
 * not fit (NaNs are the caller's to refuse). Raises inexact.
 */
export function toInteger(env: Environment, value: Real, bits: number, rounding: Rounding): bigint | undefined {
  const limit = 1n << BigInt(bits - 1);
  const rounded = magnitude(value, bits, rounding);
  const number = rounded && (value.sign === 1 ? -rounded.significand : rounded.significand);
  if (rounded === undefined || number === undefined || number >= limit || number < -limit) {
    env.flags |= INVALID;
    return undefined;
  }
  env.roundedUp = rounded.up;
  if (rounded.inexact) env.flags |= INEXACT;
  return BigInt.asUintN(bits, number);
}

const NOTHING = { significand: 0n, inexact: false, up: false };

/** The magnitude as an integer; undefined where it has more than `bits` bits for sure. */
function magnitude(value: Real, bits: number, rounding: Rounding): ReturnType<typeof roundAt> | undefined {
  if (value.kind === 'zero') return NOTHING;
  if (value.kind === 'infinity' || exceeds(value, bits)) return undefined;
  return roundAt(rounding, value, 0);
}

const exceeds = ({ significand, exponent }: Finite, bits: number): boolean => bitLength(significand) + exponent > bits;

// Packed decimal, 10 bytes:
//   79    78:72    71:0
//   sign  ignored  18 digits of 4 bits
const DIGITS = 18;
const BCD_SIGN = 1n << 79n;
const MOST_BCD = 10n ** BigInt(DIGITS);
/** What cannot be packed is stored as this. */
export const BCD_INDEFINITE = 0xffff_c000_0000_0000_0000n;

/** The number that 18 digits stand for. A digit above 9 counts as its value, as processors do (to the SDM undefined). */
export function fromBcd(packed: bigint): Real {
  let value = 0n;
  for (let digit = DIGITS - 1; digit >= 0; digit--) value = value * 10n + ((packed >> BigInt(4 * digit)) & 15n);
  const sign = (packed & BCD_SIGN) === 0n ? 0 : 1;
  return value === 0n ? zero(sign) : finite(sign, value, 0);
}

/** The number rounded to an integer of 18 digits; undefined, with invalid raised, where it has more. Raises inexact. */
export function toBcd(env: Environment, value: Real, rounding: Rounding): bigint | undefined {
  const rounded = magnitude(value, 64, rounding);
  if (rounded === undefined || rounded.significand >= MOST_BCD) {
    env.flags |= INVALID;
    return undefined;
  }
  env.roundedUp = rounded.up;
  if (rounded.inexact) env.flags |= INEXACT;
  const digits = BigInt(`0x${rounded.significand.toString(10)}`);
  return digits | (value.sign === 1 ? BCD_SIGN : 0n);
}
