// Operations of SSE on single numbers of 32 or 64 bits, bit patterns in and out: what WebAssembly cannot do, with rounding
// modes, flags, NaNs, DAZ and FTZ as MXCSR has them.
// Sources: SDM 1 "SSE/SSE2/SSE3 Exceptions" (§11.5), "SIMD Floating-Point Exception Conditions" (table 4-7 "Rules for Handling
// NaNs"), "Denormals-Are-Zeros", "Flush-To-Zero" (§10.2.3); SDM 2 "ADDSD", "MINSD", "CMPSD", "COMISD", "ROUNDSD", "CVTSD2SI".
//
// An unmasked exception is found by its flag: `isUnmasked(env)`; the result is then not to be used.

import * as arithmetic from './arithmetic.js';
import { fromInteger, toInteger } from './convert.js';
import {
  type Float,
  type Format,
  isDenormal,
  isSignaling,
  type Nan,
  pack,
  quieted,
  type Real,
  unpack,
  zero,
} from './format.js';
import {
  BEFORE_RESULT,
  DENORMAL,
  type Environment,
  environment,
  INEXACT,
  INVALID,
  type Rounding,
  round,
} from './rounding.js';

// MXCSR:
//   15   14:13  12:7              6    5:0
//   FTZ  RC     masks of 5:0      DAZ  flags
const MXCSR_DAZ = 1 << 6;
const MXCSR_MASK_SHIFT = 7;
const MXCSR_RC_SHIFT = 13;
const MXCSR_FTZ = 1 << 15;

/** The environment that an MXCSR describes, with no flags yet. */
export const mxcsrEnvironment = (mxcsr: number): Environment =>
  environment({
    rounding: ((mxcsr >> MXCSR_RC_SHIFT) & 3) as Rounding,
    masked: (mxcsr >> MXCSR_MASK_SHIFT) & 63,
    wrapExponent: Number.POSITIVE_INFINITY,
    flushToZero: (mxcsr & MXCSR_FTZ) !== 0,
    denormalsAreZero: (mxcsr & MXCSR_DAZ) !== 0,
  });

/** Whether an exception was found that is not masked. */
export const isUnmasked = ({ flags, masked }: Environment): boolean => (flags & ~masked) !== 0;

/** The flags to be added to MXCSR: with an unmasked one of those found before there is a result, no later ones. */
export const raisedFlags = ({ flags, masked }: Environment): number =>
  (flags & BEFORE_RESULT & ~masked) === 0 ? flags : flags & BEFORE_RESULT;

const OPERATIONS = {
  add: arithmetic.add,
  subtract: arithmetic.subtract,
  multiply: arithmetic.multiply,
  divide: arithmetic.divide,
} as const;
export type BinaryOperation = keyof typeof OPERATIONS;

/** a op b in the format. */
export function binary(env: Environment, format: Format, operation: BinaryOperation, a: bigint, b: bigint): bigint {
  const [left, right] = [operand(env, format, a), operand(env, format, b)];
  const nan = nanOfTwo(env, left, right);
  if (nan) return pack(format, nan);
  const flagsBefore = env.flags;
  const result = OPERATIONS[operation](env, format, left as Real, right as Real);
  // Invalid and division by zero come before the operands' being denormal.
  if ((env.flags & ~flagsBefore & BEFORE_RESULT) === 0) noteDenormals(env, format, a, b);
  return pack(format, result);
}

export function squareRoot(env: Environment, format: Format, a: bigint): bigint {
  const value = operand(env, format, a);
  const nan = nanOfTwo(env, value, value);
  if (nan) return pack(format, nan);
  const result = arithmetic.squareRoot(env, format, value as Real);
  if ((env.flags & INVALID) === 0) noteDenormals(env, format, a);
  return pack(format, result);
}

/** MINSD, MAXSD: the second operand where one is a NaN, or both are zeros. */
export function minMax(env: Environment, format: Format, which: 'min' | 'max', a: bigint, b: bigint): bigint {
  const order = ordering(env, format, a, b, true);
  const takesFirst = which === 'min' ? order === -1 : order === 1;
  return pack(format, operand(env, format, takesFirst ? a : b) as Real | Nan);
}

/**
 * -1, 0, 1 as a is below, equal to, above b; undefined: unordered. A quiet NaN raises invalid where the comparison says so
 * (COMISD, CMPLTSD); a signaling one does always.
 */
export function ordering(
  env: Environment,
  format: Format,
  a: bigint,
  b: bigint,
  quietIsInvalid: boolean,
): -1 | 0 | 1 | undefined {
  const [left, right] = [operand(env, format, a), operand(env, format, b)];
  if (left.kind === 'nan' || right.kind === 'nan') {
    if (quietIsInvalid || isSignaling(left) || isSignaling(right)) env.flags |= INVALID;
    return undefined;
  }
  noteDenormals(env, format, a, b);
  return arithmetic.compare(left as Real, right as Real);
}

/** From one format to another: CVTSS2SD, CVTSD2SS. */
export function convert(env: Environment, from: Format, to: Format, a: bigint): bigint {
  const value = operand(env, from, a);
  const nan = nanOfTwo(env, value, value);
  if (nan) return pack(to, nan);
  noteDenormals(env, from, a);
  return pack(to, value.kind === 'finite' ? round(env, to, value) : (value as Real));
}

/** A signed integer in the format: CVTSI2SD. */
export function integerToFloat(env: Environment, to: Format, value: bigint): bigint {
  const number = fromInteger(value);
  return pack(to, number.kind === 'finite' ? round(env, to, number) : number);
}

/** The integer, or 80…0 with invalid raised: CVTSD2SI, and with `TO_ZERO` CVTTSD2SI. Denormals raise nothing here. */
export function floatToInteger(env: Environment, from: Format, a: bigint, bits: 32 | 64, rounding: Rounding): bigint {
  const value = operand(env, from, a);
  const indefinite = 1n << BigInt(bits - 1);
  if (value.kind === 'nan') {
    env.flags |= INVALID;
    return indefinite;
  }
  return toInteger(env, value as Real, bits, rounding) ?? indefinite;
}

/** ROUNDSD: to an integer in the same format; `quietly` raises no inexact. */
export function roundToInteger(
  env: Environment,
  format: Format,
  a: bigint,
  rounding: Rounding,
  quietly: boolean,
): bigint {
  const value = operand(env, format, a);
  const nan = nanOfTwo(env, value, value);
  if (nan) return pack(format, nan);
  const { result, inexact } = arithmetic.roundToInteger({ ...env, rounding }, value as Real);
  if (inexact && !quietly) env.flags |= INEXACT;
  return pack(format, result);
}

/** The value, where denormals may count as zeros. */
function operand(env: Environment, format: Format, bits: bigint): Float {
  const value = unpack(format, bits);
  return env.denormalsAreZero && value.kind === 'finite' && isDenormal(format, bits) ? zero(value.sign) : value;
}

/** The result if an operand is a NaN: the first that is one, quieted. */
function nanOfTwo(env: Environment, a: Float, b: Float): Nan | undefined {
  if (isSignaling(a) || isSignaling(b)) env.flags |= INVALID;
  if (a.kind === 'nan') return quieted(a);
  return b.kind === 'nan' ? quieted(b) : undefined;
}

function noteDenormals(env: Environment, format: Format, ...patterns: readonly bigint[]): void {
  if (!env.denormalsAreZero && patterns.some((bits) => isDenormal(format, bits))) env.flags |= DENORMAL;
}
