// Binary floating-point formats of x86, and a value taken out of one: sign, significand and exponent as plain numbers.
// Sources: SDM 1 "Floating-Point Data Types" (§4.2.2), "Real Numbers and Floating-Point Formats" (§4.8), "Unsupported Double
// Extended-Precision Floating-Point Encodings and Pseudo-Denormals" (§8.2.2); IEEE 754-2008 "Binary interchange formats" (§3.4).
//
//            sign  exponent  integer bit  fraction
//   F32      31    30:23     implied      22:0
//   F64      63    62:52     implied      51:0
//   F80      79    78:64     63           62:0
//
// Leaves out F16 and BF16. BCD and integers are in convert.ts.

/** What a number must fit to be stored: significant bits, and the exponents that its leading bit may have. */
export interface Target {
  /** Bits of a significand, the leading one included. */
  readonly precision: number;
  /** Exponents of the leading bit of normal numbers: [minExponent, maxExponent]. */
  readonly minExponent: number;
  readonly maxExponent: number;
}

/** A format in which numbers are stored. */
export interface Format extends Target {
  readonly bits: 32 | 64 | 80;
  /** Bits below the exponent: precision - 1, or precision where the integer bit is stored. */
  readonly significandBits: number;
}

const format = (bits: 32 | 64 | 80, significandBits: number, precision: number, maxExponent: number): Format => ({
  bits,
  significandBits,
  precision,
  minExponent: 1 - maxExponent,
  maxExponent,
});

export const F32: Format = format(32, 23, 24, 127);
export const F64: Format = format(64, 52, 53, 1023);
export const F80: Format = format(80, 64, 64, 16383);

/** 1 for negative. */
export type Sign = 0 | 1;

/** ±significand × 2^exponent; the significand is above 0 and of any length, so that results can be exact. */
export interface Finite {
  readonly kind: 'finite';
  readonly sign: Sign;
  readonly significand: bigint;
  readonly exponent: number;
}
export interface Zero {
  readonly kind: 'zero';
  readonly sign: Sign;
}
export interface Infinity {
  readonly kind: 'infinity';
  readonly sign: Sign;
}
/** The significand is aligned as in F80, integer bit 63 set, in whatever format the NaN was. */
export interface Nan {
  readonly kind: 'nan';
  readonly sign: Sign;
  readonly significand: bigint;
}
/** An encoding of F80 that has had no meaning since the 387: unnormals, pseudo-infinities, pseudo-NaNs. */
export interface Unsupported {
  readonly kind: 'unsupported';
}

/** A number, or an infinity: what arithmetic works on once NaNs are out of the way. */
export type Real = Finite | Zero | Infinity;
export type Float = Real | Nan | Unsupported;

export const INTEGER_BIT = 1n << 63n;
export const QUIET_BIT = 1n << 62n;

export const finite = (sign: Sign, significand: bigint, exponent: number): Finite => ({
  kind: 'finite',
  sign,
  significand,
  exponent,
});
export const zero = (sign: Sign): Zero => ({ kind: 'zero', sign });
export const infinity = (sign: Sign): Infinity => ({ kind: 'infinity', sign });
/** The default NaN of x86, "real indefinite": negative, quiet, payload 0. */
export const INDEFINITE: Nan = { kind: 'nan', sign: 1, significand: INTEGER_BIT | QUIET_BIT };

export const isQuiet = (nan: Nan): boolean => (nan.significand & QUIET_BIT) !== 0n;
export const quieted = (nan: Nan): Nan => ({ ...nan, significand: nan.significand | QUIET_BIT });
export const isSignaling = (value: Float): boolean => value.kind === 'nan' && !isQuiet(value);

export const negated = <Value extends Real | Nan>(value: Value): Value => ({
  ...value,
  sign: (1 - value.sign) as Sign,
});

/** Bits up to the highest that is set; 0 for 0. */
export function bitLength(value: bigint): number {
  let above = 0;
  let rest = value;
  while (rest > 0xffff_ffff_ffff_ffffn) {
    // Halves what is left to look at, or nearly: significands are short, and exact results seldom above 256 bits.
    const step = rest >> 64n > 0xffff_ffff_ffff_ffffn ? 128 : 64;
    rest >>= BigInt(step);
    above += step;
  }
  const high = Number(rest >> 32n);
  return above + (high === 0 ? 32 - Math.clz32(Number(rest)) : 64 - Math.clz32(high));
}

/** The exponent of the leading bit. */
export const leadingExponent = ({ significand, exponent }: Finite): number => exponent + bitLength(significand) - 1;

/** Whether the bits are a denormal number's; F80's pseudo-denormals, whose integer bit is set, are among them. */
export function isDenormal({ bits, significandBits }: Format, pattern: bigint): boolean {
  const exponentMask = ((1n << BigInt(bits - 1 - significandBits)) - 1n) << BigInt(significandBits);
  return (pattern & exponentMask) === 0n && (pattern & ((1n << BigInt(significandBits)) - 1n)) !== 0n;
}

/** The value that the bits stand for. A finite one has the exponent of its last place. */
export function unpack({ bits, significandBits, precision, minExponent }: Format, pattern: bigint): Float {
  const sign = Number((pattern >> BigInt(bits - 1)) & 1n) as Sign;
  const exponentMask = (1 << (bits - 1 - significandBits)) - 1;
  const biased = Number(pattern >> BigInt(significandBits)) & exponentMask;
  const stored = pattern & ((1n << BigInt(significandBits)) - 1n);
  const lastPlace = minExponent - precision + 1;
  if (biased === 0) return stored === 0n ? zero(sign) : finite(sign, stored, lastPlace);
  const implied = significandBits < precision ? 1n << BigInt(significandBits) : 0n;
  const significand = stored | implied;
  if (significand >> BigInt(precision - 1) === 0n) return { kind: 'unsupported' };
  if (biased < exponentMask) return finite(sign, significand, lastPlace + biased - 1);
  const aligned = significand << BigInt(64 - precision);
  return aligned === INTEGER_BIT ? infinity(sign) : { kind: 'nan', sign, significand: aligned };
}

/** The bits of a value that the format can hold exactly (a NaN loses what does not fit). */
export function pack(
  { bits, significandBits, precision, minExponent, maxExponent }: Format,
  value: Real | Nan,
): bigint {
  const signBit = BigInt(value.sign) << BigInt(bits - 1);
  const stored = (significand: bigint): bigint => significand & ((1n << BigInt(significandBits)) - 1n);
  const withExponent = (biased: number): bigint => signBit | (BigInt(biased) << BigInt(significandBits));
  const special = maxExponent - minExponent + 2;
  switch (value.kind) {
    case 'zero':
      return signBit;
    case 'infinity':
      return withExponent(special) | stored(INTEGER_BIT >> BigInt(64 - precision));
    case 'nan':
      return withExponent(special) | stored(value.significand >> BigInt(64 - precision));
    case 'finite': {
      const lead = leadingExponent(value);
      const lastPlace = Math.max(lead, minExponent) - precision + 1;
      const shift = value.exponent - lastPlace;
      const significand = shift >= 0 ? value.significand << BigInt(shift) : value.significand >> BigInt(-shift);
      return withExponent(lead < minExponent ? 0 : lead - minExponent + 1) | stored(significand);
    }
  }
}
