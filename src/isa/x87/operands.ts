// What an x87 instruction reads from memory and writes to it, by format, and what NaNs become.
// Sources: SDM 1 "Operating on SNaNs and QNaNs" (§4.8.3.5, table 4-7), "x87 FPU Data Types" (§8.2); SDM 2A "FLD", "FST", "FIST".

import {
  BCD_INDEFINITE,
  type Environment,
  F32,
  F64,
  F80,
  type Float,
  type Format,
  fromBcd,
  fromInteger,
  INDEFINITE,
  INVALID,
  isDenormal,
  isSignaling,
  type Nan,
  pack,
  quieted,
  type Real,
  type Rounding,
  round,
  toBcd,
  toInteger,
  unpack,
} from '../softfloat/index.js';
import { DENORMAL } from '../softfloat/rounding.js';

/** How an operand is held in memory: a float of so many bits, a signed integer, 18 packed decimals. */
export type MemoryFormat = 'f32' | 'f64' | 'f80' | 'i16' | 'i32' | 'i64' | 'bcd';

const FLOATS = { f32: F32, f64: F64, f80: F80 } as const;
const INTEGER_BITS = { i16: 16, i32: 32, i64: 64 } as const;

const isFloatFormat = (format: MemoryFormat): format is 'f32' | 'f64' | 'f80' => format in FLOATS;

/** A value that an instruction works on, and whether it was denormal. */
export interface Source {
  readonly value: Float;
  readonly denormal: boolean;
}

const sourceOf = (format: Format, bits: bigint): Source => {
  const value = unpack(format, bits);
  return { value, denormal: value.kind === 'finite' && isDenormal(format, bits) };
};

/** What is in a register. */
export const registerSource = (bits: bigint): Source => sourceOf(F80, bits);

/** What is in memory. */
export function memorySource(format: MemoryFormat, bits: bigint): Source {
  if (isFloatFormat(format)) return sourceOf(FLOATS[format], bits);
  if (format === 'bcd') return { value: fromBcd(bits), denormal: false };
  return { value: fromInteger(BigInt.asIntN(INTEGER_BITS[format], bits)), denormal: false };
}

/** What a load puts into a register. Loads of 80 bits copy; shorter floats raise what they are. */
export function loaded(env: Environment, format: MemoryFormat, bits: bigint): bigint {
  if (format === 'f80') return bits;
  const { value, denormal } = memorySource(format, bits);
  if (isSignaling(value)) env.flags |= INVALID;
  if (denormal) env.flags |= DENORMAL;
  return pack(F80, value.kind === 'nan' ? quieted(value) : (value as Real));
}

/** What a store of a register puts into memory; integers and decimals rounded as `rounding` says. */
export function stored(env: Environment, format: MemoryFormat, bits: bigint, rounding: Rounding): bigint {
  if (format === 'f80') return bits;
  const { value } = registerSource(bits);
  if (isFloatFormat(format)) return pack(FLOATS[format], narrowed(env, FLOATS[format], value));
  const real = isReal(value) ? value : undefined;
  if (!real) env.flags |= INVALID;
  if (format === 'bcd') return (real && toBcd(env, real, rounding)) ?? BCD_INDEFINITE;
  const width = INTEGER_BITS[format];
  return (real && toInteger(env, real, width, rounding)) ?? 1n << BigInt(width - 1);
}

/** What is stored where the register is empty. */
export function emptyStored(format: MemoryFormat): bigint {
  if (isFloatFormat(format)) return pack(FLOATS[format], INDEFINITE);
  return format === 'bcd' ? BCD_INDEFINITE : 1n << BigInt(INTEGER_BITS[format] - 1);
}

function narrowed(env: Environment, format: Format, value: Float): Real | Nan {
  if (value.kind === 'unsupported' || isSignaling(value)) env.flags |= INVALID;
  if (value.kind === 'unsupported') return INDEFINITE;
  if (value.kind === 'nan') return quieted(value);
  return value.kind === 'finite' ? round(env, format, value) : value;
}

export const isReal = (value: Float): value is Real => value.kind !== 'nan' && value.kind !== 'unsupported';

/**
 * The result where an operand is no number: the NaN, of two the one with the larger significand, quieted; undefined when all
 * are numbers. Raises invalid for signaling NaNs and unsupported encodings.
 */
export function nanResult(env: Environment, ...values: readonly Float[]): Nan | undefined {
  if (values.some(({ kind }) => kind === 'unsupported')) {
    env.flags |= INVALID;
    return INDEFINITE;
  }
  const nans = values.filter((value): value is Nan => value.kind === 'nan');
  if (nans.some(isSignaling)) env.flags |= INVALID;
  const [first, second] = nans;
  if (!first || !second) return first && quieted(first);
  return quieted(chosen(first, second));
}

/** A signaling NaN gives way to a quiet one; then the larger significand, then the positive one. */
function chosen(a: Nan, b: Nan): Nan {
  if (isSignaling(a) !== isSignaling(b)) return isSignaling(a) ? b : a;
  if (a.significand !== b.significand) return a.significand > b.significand ? a : b;
  return a.sign === 0 ? a : b;
}
