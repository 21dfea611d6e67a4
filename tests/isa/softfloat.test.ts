// Soft-float against the processor that runs the tests, by way of JavaScript's numbers (64 bits, and 32 by Math.fround;
// nearest), and against laws that hold in every rounding mode. x87 and flags: recorded vectors (tests/engine/x87-vectors.test.ts).

import { describe, expect, test } from 'vitest';
import { type Random, random } from '../../src/base/random.js';
import * as float from '../../src/isa/softfloat/index.js';

const { F32, F64, scalar } = float;
const view = new DataView(new ArrayBuffer(8));

const bits64 = (value: number): bigint => {
  view.setFloat64(0, value);
  return view.getBigUint64(0);
};
const number64 = (bits: bigint): number => {
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
};
const bits32 = (value: number): bigint => {
  view.setFloat32(0, value);
  return BigInt(view.getUint32(0));
};
const number32 = (bits: bigint): number => {
  view.setUint32(0, Number(bits));
  return view.getFloat32(0);
};

/** Bits of a number, often at an edge: of few significant bits, an extreme exponent, or a neighbour of another. */
function pattern(dice: Random, format: float.Format): bigint {
  const all = (1n << BigInt(format.bits)) - 1n;
  const random64 = (BigInt(dice.next32()) << 32n) | BigInt(dice.next32());
  const fractionBits = format.exponentShift;
  const exponents = (1n << (BigInt(format.bits) - 1n - fractionBits)) - 1n;
  const sign = BigInt(dice.below(2)) << BigInt(format.bits - 1);
  const near = [
    0n,
    1n,
    2n,
    exponents - 1n,
    exponents,
    exponents >> 1n,
    (exponents >> 1n) + BigInt(dice.below(60)) - 30n,
  ];
  const exponent = near[dice.below(near.length)] as bigint;
  const fraction = [0n, 1n, random64, random64, (1n << fractionBits) - 1n, 1n << (fractionBits - 1n)];
  if (dice.oneIn(3)) return random64 & all;
  const chosen = (fraction[dice.below(fraction.length)] as bigint) & ((1n << fractionBits) - 1n);
  return sign | (exponent << fractionBits) | chosen;
}

const OPERATIONS = [
  ['add', (a: number, b: number) => a + b],
  ['subtract', (a: number, b: number) => a - b],
  ['multiply', (a: number, b: number) => a * b],
  ['divide', (a: number, b: number) => a / b],
] as const;
const FORMATS = [
  ['64', F64, number64, bits64],
  ['32', F32, number32, bits32],
] as const;

describe.each(FORMATS)('%s bits', (_, format, numberOf, bitsOf) => {
  const isNan = (bits: bigint): boolean => Number.isNaN(numberOf(bits));

  test.each(OPERATIONS)('%s rounds to nearest as the processor does', (operation, native) => {
    const dice = random(0xf10a);
    for (let round = 0; round < 20_000; round++) {
      const [a, b] = [pattern(dice, format), pattern(dice, format)];
      const ours = scalar.binary(float.environment(), format, operation, a, b);
      const theirs = native(numberOf(a), numberOf(b));
      if (Number.isNaN(theirs)) expect(isNan(ours), `${a} ${b}`).toBe(true);
      else expect(ours, `${a.toString(16)} ${operation} ${b.toString(16)}`).toBe(bitsOf(theirs));
    }
  });

  test('square roots, integers and comparisons, too', () => {
    const dice = random(0xf10b);
    const env = float.environment();
    for (let round = 0; round < 20_000; round++) {
      const [a, b] = [pattern(dice, format), pattern(dice, format)];
      const root = scalar.squareRoot(env, format, a);
      const theirs = Math.sqrt(numberOf(a));
      if (Number.isNaN(theirs)) expect(isNan(root)).toBe(true);
      else expect(root, a.toString(16)).toBe(bitsOf(theirs));
      const floor = scalar.roundToInteger(env, format, a, float.DOWN, true);
      if (!isNan(a)) expect(floor, a.toString(16)).toBe(bitsOf(Math.floor(numberOf(a))));
      const order = scalar.ordering(env, format, a, b, false);
      const [x, y] = [numberOf(a), numberOf(b)];
      expect(order).toBe(x < y ? -1 : x > y ? 1 : x === y ? 0 : undefined);
      if (Math.abs(x) < 2 ** 31)
        expect(scalar.floatToInteger(env, format, a, 32, float.TO_ZERO)).toBe(BigInt(Math.trunc(x) >>> 0));
    }
  });

  test.each(OPERATIONS)('%s: down is at most up, and they differ by one place just when inexact', (operation) => {
    const dice = random(0xf10c);
    for (let round = 0; round < 10_000; round++) {
      const [a, b] = [pattern(dice, format), pattern(dice, format)];
      const results = ([float.DOWN, float.UP, float.TO_ZERO, float.NEAREST] as const).map((rounding) => {
        const env = float.environment({ rounding });
        return { bits: scalar.binary(env, format, operation, a, b), flags: env.flags };
      });
      const [down, up, toZero, nearest] = results as [Result, Result, Result, Result];
      if (isNan(down.bits)) continue;
      const [low, high] = [numberOf(down.bits), numberOf(up.bits)];
      expect(low <= high).toBe(true);
      expect([down.bits, up.bits]).toContain(nearest.bits);
      expect(numberOf(toZero.bits)).toBe(low >= 0 && !Object.is(low, -0) ? low : high);
      const isInexact = (down.flags & float.INEXACT) !== 0;
      // An exact zero of a difference is -0 when rounding down.
      if (numberOf(down.bits) !== 0) expect(isInexact).toBe(down.bits !== up.bits);
      const apart = down.bits > up.bits ? down.bits - up.bits : up.bits - down.bits;
      if (low !== 0 && high !== 0) expect(apart <= 1n, `${a} ${b}`).toBe(true);
    }
  });
});

interface Result {
  readonly bits: bigint;
  readonly flags: number;
}

test('from 64 to 32 bits and back, as Math.fround does', () => {
  const dice = random(0xf10d);
  for (let round = 0; round < 20_000; round++) {
    const a = pattern(dice, F64);
    const single = scalar.convert(float.environment(), F64, F32, a);
    const theirs = Math.fround(number64(a));
    if (Number.isNaN(theirs)) continue;
    expect(single, a.toString(16)).toBe(bits32(theirs));
    expect(scalar.convert(float.environment(), F32, F64, single)).toBe(bits64(theirs));
  }
});

describe('flags', () => {
  const one = bits64(1);
  const table: readonly (readonly [string, 'add' | 'multiply' | 'divide', bigint, bigint, number])[] = [
    ['exact', 'add', one, one, 0],
    ['one third', 'divide', one, bits64(3), float.INEXACT],
    ['1 / 0', 'divide', one, 0n, float.DIVIDE_BY_ZERO],
    ['0 / 0', 'divide', 0n, 0n, float.INVALID],
    ['largest + largest', 'add', bits64(Number.MAX_VALUE), bits64(Number.MAX_VALUE), float.OVERFLOW | float.INEXACT],
    ['smallest, exact', 'multiply', 1n, one, float.DENORMAL],
    ['smallest / 2', 'multiply', 1n, bits64(0.5), float.DENORMAL | float.UNDERFLOW | float.INEXACT],
    ['exact denormal', 'multiply', 0x0010_0000_0000_0000n, bits64(0.5), 0],
    ['signaling NaN', 'add', 0x7ff0_0000_0000_0001n, one, float.INVALID],
    ['quiet NaN and denormal', 'add', 0x7ff8_0000_0000_0001n, 1n, 0],
  ];
  test.each(table)('%s', (_, operation, a, b, flags) => {
    const env = float.environment();
    scalar.binary(env, F64, operation, a, b);
    expect(env.flags).toBe(flags);
  });

  test('DAZ and FTZ', () => {
    const env = scalar.mxcsrEnvironment(0x9fc0);
    expect(scalar.binary(env, F64, 'add', 1n, 2n)).toBe(0n);
    expect(env.flags).toBe(0);
    expect(scalar.binary(env, F64, 'multiply', 0x8010_0000_0000_0000n, bits64(0.5))).toBe(1n << 63n);
    expect(env.flags).toBe(float.UNDERFLOW | float.INEXACT);
  });
});
