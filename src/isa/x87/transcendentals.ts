// FSIN and its like on every kind of number: infinities, zeros and the range of each; the series are softfloat's.
// Sources: SDM 2A "F2XM1", "FCOS", "FPATAN", "FPTAN", "FSIN", "FSINCOS", "FYL2X", "FYL2XP1" (tables of results).

import * as float from '../softfloat/index.js';

export type Transcendental = 'f2xm1' | 'fyl2x' | 'fyl2xp1' | 'fptan' | 'fpatan' | 'fsin' | 'fcos' | 'fsincos';

interface Definition {
  /** ST(0), or ST(0) and ST(1), which then are popped down to one result. */
  readonly operands: 1 | 2;
  /** Two results: the first stays in ST(0), the second is pushed. */
  readonly leaves: 1 | 2;
  /** Of an angle: C2 tells whether it was out of range. */
  readonly isAngle: boolean;
  /** No results: the operand is out of range and stays. */
  readonly compute: (
    env: float.Environment,
    target: float.Target,
    top: float.Real,
    other: float.Real,
  ) => readonly (float.Real | float.Nan)[];
}

function invalid(env: float.Environment): float.Nan {
  env.flags |= float.INVALID;
  return float.INDEFINITE;
}

/** Numbers of this exponent and above have no sine. */
const ANGLE_LIMIT = 63;

const ONE = float.finite(0, 1n, 0);
const MINUS_ONE = float.finite(1, 1n, 0);
const ALMOST_ONE = float.finite(0, (1n << 128n) - 1n, -128);

/** A function of an angle: of 0 it gives `ofZero`, of infinity nothing, of large numbers not even that. */
const ofAngle =
  (
    ofZero: (zero: float.Zero) => readonly float.Real[],
    compute: (value: float.Finite) => readonly float.Finite[],
  ): Definition['compute'] =>
  (env, target, top) => {
    if (top.kind === 'infinity') return [invalid(env), invalid(env)];
    if (top.kind === 'zero') return ofZero(top);
    if (float.leadingExponent(top) >= ANGLE_LIMIT) return [];
    // What is exact is 1; of two results the first has the last word on how it was rounded.
    const round = (result: float.Finite): float.Real => (result === ONE ? ONE : float.round(env, target, result));
    return compute(top).toReversed().map(round).toReversed();
  };

export const transcendentals: Readonly<Record<Transcendental, Definition>> = {
  fsin: {
    isAngle: true,
    operands: 1,
    leaves: 1,
    compute: ofAngle(
      (zero) => [zero],
      (value) => [float.sineAndCosine(value).sine],
    ),
  },
  fcos: {
    isAngle: true,
    operands: 1,
    leaves: 1,
    compute: ofAngle(
      () => [ONE],
      (value) => [float.sineAndCosine(value).cosine],
    ),
  },
  fsincos: {
    isAngle: true,
    operands: 1,
    leaves: 2,
    compute: ofAngle(
      (zero) => [zero, ONE],
      (value) => {
        const { sine, cosine } = float.sineAndCosine(value);
        return [sine, cosine];
      },
    ),
  },
  fptan: {
    isAngle: true,
    operands: 1,
    leaves: 2,
    compute: ofAngle(
      (zero) => [zero, ONE],
      (value) => [float.tangent(value), ONE],
    ),
  },

  f2xm1: {
    isAngle: false,
    operands: 1,
    leaves: 1,
    compute: (env, target, top) => {
      if (top.kind === 'zero') return [top];
      if (top.kind === 'infinity') return [top.sign === 0 ? top : float.finite(1, 1n, 0)];
      if (float.leadingExponent(top) < 0) return [float.round(env, target, float.exp2Minus1(top))];
      // Even what is exact counts as inexact: 1 comes out as a little less than itself.
      env.flags |= float.INEXACT;
      if (float.compare(top, ONE) === 0) return [float.round(env, target, ALMOST_ONE)];
      if (float.compare(top, MINUS_ONE) === 0) return [float.finite(1, 1n, -1)];
      // Beyond 1 the result is undefined: the operand stays.
      return [top];
    },
  },

  fpatan: {
    isAngle: false,
    operands: 2,
    leaves: 1,
    compute: (env, target, x, y) => [arcTangent(env, target, y, x)],
  },

  fyl2x: {
    isAngle: false,
    operands: 2,
    leaves: 1,
    compute: (env, target, x, y) => [timesLogarithm(env, target, y, x)],
  },

  fyl2xp1: {
    isAngle: false,
    operands: 2,
    leaves: 1,
    compute: (env, target, x, y) => {
      if (x.kind === 'finite') {
        if (float.leadingExponent(x) < -1) return [product(env, target, y, float.log2Of1Plus(x))];
        // Beyond ±(1 - √½) the result is undefined: it is still the logarithm, as long as there is one, and else x.
        const sum = float.exactSum(x, ONE, 128);
        if (sum?.sign === 0) return [timesLogarithm(env, target, y, sum)];
        if (y.kind !== 'finite') return [{ ...y, sign: (1 - y.sign) as float.Sign }];
        env.flags |= float.INEXACT;
        return [x];
      }
      if (x.kind === 'zero')
        return [y.kind === 'infinity' ? invalid(env) : float.zero((x.sign ^ y.sign) as float.Sign)];
      if (x.sign === 1 || y.kind === 'zero') return [invalid(env)];
      return [float.infinity(y.sign)];
    },
  },
};

/** y times a logarithm that is not 0. */
function product(
  env: float.Environment,
  target: float.Target,
  y: float.Real,
  logarithm: float.Finite,
): float.Real | float.Nan {
  const result = float.multiply(env, target, y, logarithm);
  // No logarithm counts as exact, not even that of a power of two.
  if (y.kind === 'finite') env.flags |= float.INEXACT;
  if (result.kind === 'finite' && float.leadingExponent(result) < target.minExponent) env.flags |= float.UNDERFLOW;
  return result;
}

function timesLogarithm(
  env: float.Environment,
  target: float.Target,
  y: float.Real,
  x: float.Real,
): float.Real | float.Nan {
  if (x.kind === 'zero') {
    if (y.kind === 'zero') return invalid(env);
    if (y.kind === 'infinity') return float.infinity((1 - y.sign) as float.Sign);
    env.flags |= float.DIVIDE_BY_ZERO;
    return float.infinity((1 - y.sign) as float.Sign);
  }
  if (x.sign === 1) return invalid(env);
  if (x.kind === 'infinity') return y.kind === 'zero' ? invalid(env) : float.infinity(y.sign);
  const logarithm = float.log2(x);
  if (logarithm === undefined) return y.kind === 'infinity' ? invalid(env) : float.zero(y.sign);
  return product(env, target, y, logarithm);
}

/** The angle of the point (x, y): all the cases with zeros and infinities are directions, too. */
function arcTangent(env: float.Environment, target: float.Target, y: float.Real, x: float.Real): float.Real {
  const inDirection = (eighths: number): float.Real => {
    if (eighths === 0) return float.zero(y.sign);
    const { significand, exponent } = float.CONSTANTS.pi;
    return float.round(env, target, float.finite(y.sign, significand * BigInt(eighths), exponent - 2));
  };
  const isLeft = x.sign === 1;
  if (y.kind === 'infinity') return inDirection(x.kind === 'infinity' ? (isLeft ? 3 : 1) : 2);
  if (x.kind === 'infinity' || y.kind === 'zero') return inDirection(isLeft ? 4 : 0);
  if (x.kind === 'zero') return inDirection(2);
  return float.round(env, target, float.angle(y, x));
}
