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
  /** The largest value of the exponent field: infinities and NaNs. */
  readonly specialExponent: number;
  // Where fields are, as big integers.
  readonly signShift: bigint;
  readonly exponentShift: bigint;
  readonly significandMask: bigint;
  /** The leading bit where it is not stored; 0 where it is. */
  readonly impliedBit: bigint;
  readonly leadingBit: bigint;
  /** How far a significand is shifted to stand where F80's does. */
  readonly alignment: bigint;
}

/** `significandBits`: precision - 1, or precision where the leading bit is stored. */
function format(bits: 32 | 64 | 80, significandBits: number, precision: number, maxExponent: number): Format {
  const leadingBit = 1n << BigInt(precision - 1);
  return {
    precision,
    minExponent: 1 - maxExponent,
    maxExponent,
    bits,
    specialExponent: 2 * maxExponent + 1,
    signShift: BigInt(bits - 1),
    exponentShift: BigInt(significandBits),
    significandMask: (1n << BigInt(significandBits)) - 1n,
    impliedBit: significandBits < precision ? leadingBit : 0n,
    leadingBit,
    alignment: BigInt(64 - precision),
  };
}

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

const scratch = new DataView(new ArrayBuffer(8));
/** Below this a big integer has a number that is finite. */
const MOST_NUMBER = 1n << 1000n;

/** Bits up to the highest that is set; 0 for 0. */
export function bitLength(value: bigint): number {
  if (value >= MOST_NUMBER) return 1000 + bitLength(value >> 1000n);
  if (value === 0n) return 0;
  scratch.setFloat64(0, Number(value));
  const length = (scratch.getUint16(0) >> 4) - 1022;
  // The conversion may have rounded up to a power of two.
  const isPower = (scratch.getUint32(0) & 0xf_ffff) === 0 && scratch.getUint32(4) === 0;
  return isPower && value >> BigInt(length - 1) === 0n ? length - 1 : length;
}

/** The exponent of the leading bit. */
export const leadingExponent = ({ significand, exponent }: Finite): number => exponent + bitLength(significand) - 1;

/** Whether the bits are a denormal number's; F80's pseudo-denormals, whose integer bit is set, are among them. */
export function isDenormal({ exponentShift, specialExponent, significandMask }: Format, pattern: bigint): boolean {
  const exponent = Number((pattern >> exponentShift) & 0xffffn) & specialExponent;
  return exponent === 0 && (pattern & significandMask) !== 0n;
}

/** The value that the bits stand for. A finite one has the exponent of its last place. */
export function unpack(format: Format, pattern: bigint): Float {
  const { precision, minExponent, specialExponent } = format;
  const sign = (pattern >> format.signShift) & 1n ? 1 : 0;
  const biased = Number((pattern >> format.exponentShift) & 0xffffn) & specialExponent;
  const stored = pattern & format.significandMask;
  const lastPlace = minExponent - precision + 1;
  if (biased === 0) return stored === 0n ? zero(sign) : finite(sign, stored, lastPlace);
  const significand = stored | format.impliedBit;
  if (significand < format.leadingBit) return { kind: 'unsupported' };
  if (biased < specialExponent) return finite(sign, significand, lastPlace + biased - 1);
  return significand === format.leadingBit
    ? infinity(sign)
    : { kind: 'nan', sign, significand: significand << format.alignment };
}

/** The bits of a value that the format can hold exactly (a NaN loses what does not fit). */
export function pack(format: Format, value: Real | Nan): bigint {
  const { precision, minExponent, significandMask } = format;
  const fields = (exponent: number, significand: bigint): bigint => {
    const magnitude = (BigInt(exponent) << format.exponentShift) | (significand & significandMask);
    return value.sign === 0 ? magnitude : magnitude | (1n << format.signShift);
  };
  switch (value.kind) {
    case 'zero':
      return fields(0, 0n);
    case 'infinity':
      return fields(format.specialExponent, format.leadingBit);
    case 'nan':
      return fields(format.specialExponent, value.significand >> format.alignment);
    case 'finite': {
      const lead = leadingExponent(value);
      const shift = value.exponent - (Math.max(lead, minExponent) - precision + 1);
      const { significand } = value;
      const aligned =
        shift === 0 ? significand : shift > 0 ? significand << BigInt(shift) : significand >> BigInt(-shift);
      return fields(lead < minExponent ? 0 : lead - minExponent + 1, aligned);
    }
  }
}
