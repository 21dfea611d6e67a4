// Floating-point arithmetic and comparisons in SSE registers. SDM 2A–2B under each mnemonic; how results come about:
// float-lanes.ts. A scalar instruction works on the lowest lane, and its row says (`Vss`) that the others stay.

import * as float from '../softfloat/index.js';
import { F32, F64, type Format } from '../softfloat/index.js';
import type { LaneOperation } from '../softfloat/vector-operations.js';
import { setStatus } from './flags.js';
import {
  choose,
  type FloatBits,
  inexactIsKnown,
  inexactIsKnownToNearest,
  Lanes,
  type SlowWay,
  slowWay,
} from './float-lanes.js';
import type { Meaning, Semantics } from './semantics.js';
import { type BinaryVectorOp, bytesOfLanes, V128 } from './vector.js';

const { scalar } = float;
const FORMATS: Readonly<Record<FloatBits, Format>> = { 32: F32, 64: F64 };
const shapeOf = (bits: FloatBits): 'f32x4' | 'f64x2' => (bits === 32 ? 'f32x4' : 'f64x2');

/** As many lanes as fit, or only the lowest. */
type Extent = 'packed' | 'scalar';
const laneCount = (bits: FloatBits, extent: Extent): number => (extent === 'scalar' ? 1 : 128 / bits);

/** The four forms of an instruction: PS, SS, PD, SD. */
type Family = Readonly<Record<'ps' | 'ss' | 'pd' | 'sd', Meaning>>;
const family = (make: (bits: FloatBits, extent: Extent) => Meaning): Family => ({
  ps: make(32, 'packed'),
  ss: make(32, 'scalar'),
  pd: make(64, 'packed'),
  sd: make(64, 'scalar'),
});

const laneByLane = (bits: FloatBits, extent: Extent, compute: (format: Format) => LaneOperation): SlowWay =>
  slowWay({
    lanes: laneCount(bits, extent),
    operandBits: bits,
    resultBits: bits,
    compute: compute(FORMATS[bits]),
  });

// ---- sums, products, quotients, roots

type Operation = 'add' | 'subtract' | 'multiply' | 'divide';
const WASM_OPERATIONS = { add: 'add', subtract: 'sub', multiply: 'mul', divide: 'div' } as const;

/** left op right. Of sums a result of zero is exact; of products it may be an underflow. */
function arithmetic(bits: FloatBits, extent: Extent, operation: Operation) {
  const slow = laneByLane(bits, extent, (format) => (env, a, b) => scalar.binary(env, format, operation, a, b));
  return (cpu: Semantics, left: V128, right: V128): V128 => {
    const lanes = new Lanes(cpu, bits, laneCount(bits, extent));
    const mxcsr = cpu.readMxcsr();
    const fast = cpu.keepVector(left.with(`${shapeOf(bits)}.${WASM_OPERATIONS[operation]}`, right));
    const isSum = operation === 'add' || operation === 'subtract';
    // Sums are never rounded up to the least normal number.
    const fits = isSum ? lanes.ordinary(fast) : lanes.aboveLeast(fast);
    const areOrdinary = lanes.ordinary(left).and(lanes.ordinary(right)).and(fits);
    const isFast = inexactIsKnownToNearest(mxcsr).and(lanes.all(areOrdinary));
    return choose(cpu, isFast, fast, () => slow(cpu, mxcsr, left, right));
  };
}

const binary = (operation: Operation): Family =>
  family((bits, extent) => {
    const compute = arithmetic(bits, extent, operation);
    return (cpu) => {
      const destination = cpu.vector(0);
      const right = cpu.vector(1).read();
      destination.write(compute(cpu, destination.read(), right));
    };
  });

export const addFloats = binary('add');
export const subtractFloats = binary('subtract');
export const multiplyFloats = binary('multiply');
export const divideFloats = binary('divide');

/** The neighbours of the destination, then of the source, added or subtracted. */
const horizontal = (bits: FloatBits, operation: 'add' | 'subtract'): Meaning => {
  const compute = arithmetic(bits, 'packed', operation);
  const [evens, odds] =
    bits === 32
      ? ([
          [0, 2, 4, 6],
          [1, 3, 5, 7],
        ] as const)
      : ([
          [0, 2],
          [1, 3],
        ] as const);
  return (cpu) => {
    const destination = cpu.vector(0);
    const right = cpu.vector(1).read();
    const left = destination.read();
    const first = cpu.keepVector(left.shuffle(right, bytesOfLanes(bits, evens)));
    const second = cpu.keepVector(left.shuffle(right, bytesOfLanes(bits, odds)));
    destination.write(compute(cpu, first, second));
  };
};

export const haddps: Meaning = horizontal(32, 'add');
export const haddpd: Meaning = horizontal(64, 'add');
export const hsubps: Meaning = horizontal(32, 'subtract');
export const hsubpd: Meaning = horizontal(64, 'subtract');

/** Subtracts in even lanes, adds in odd ones. */
const addSubtract = (bits: FloatBits): Meaning => {
  const slow = laneByLane(
    bits,
    'packed',
    (format) => (env, a, b, _immediate, lane) =>
      scalar.binary(env, format, (lane & 1) === 0 ? 'subtract' : 'add', a, b),
  );
  const signs = bits === 32 ? 0x0000_0000_8000_0000n : 0x8000_0000_0000_0000n;
  return (cpu) => {
    const lanes = new Lanes(cpu, bits, 128 / bits);
    const destination = cpu.vector(0);
    const right = cpu.vector(1).read();
    const left = destination.read();
    const mxcsr = cpu.readMxcsr();
    const even = bits === 32 ? V128.lanes(64, signs) : V128.constant(signs);
    const fast = cpu.keepVector(left.with(`${shapeOf(bits)}.add`, right.xor(even)));
    const areOrdinary = lanes.ordinary(left).and(lanes.ordinary(right)).and(lanes.ordinary(fast));
    const isFast = inexactIsKnownToNearest(mxcsr).and(lanes.all(areOrdinary));
    destination.write(choose(cpu, isFast, fast, () => slow(cpu, mxcsr, left, right)));
  };
};

export const addsubps: Meaning = addSubtract(32);
export const addsubpd: Meaning = addSubtract(64);

export const squareRoots: Family = family((bits, extent) => {
  const slow = laneByLane(bits, extent, (format) => (env, _a, b) => scalar.squareRoot(env, format, b));
  return (cpu) => {
    const lanes = new Lanes(cpu, bits, laneCount(bits, extent));
    const source = cpu.vector(1).read();
    const mxcsr = cpu.readMxcsr();
    const fast = cpu.keepVector(source.alone(`${shapeOf(bits)}.sqrt`));
    const areOrdinary = lanes.ordinary(source).and(lanes.ordinary(fast));
    const isFast = inexactIsKnownToNearest(mxcsr).and(lanes.all(areOrdinary));
    cpu.vector(0).write(choose(cpu, isFast, fast, () => slow(cpu, mxcsr, source, source)));
  };
});

/** DPPS, DPPD: imm8 says which products count (7:4), and which lanes of the result get their sum (3:0). */
const dotProduct = (bits: FloatBits): Meaning => {
  const format = FORMATS[bits];
  const count = 128 / bits;
  const compute: LaneOperation = (env, a, b, immediate) => {
    const lane = (vector: bigint, index: number): bigint => BigInt.asUintN(bits, vector >> BigInt(index * bits));
    // Products, then sums of two: an exception that is not masked ends it before the next step.
    let raised = 0;
    const endOfStep = (): void => {
      raised |= scalar.raisedFlags(env);
      env.flags = 0;
    };
    let terms: readonly bigint[] = Array.from({ length: count }, (_, i) =>
      (immediate & (0x10 << i)) === 0 ? 0n : scalar.binary(env, format, 'multiply', lane(a, i), lane(b, i)),
    );
    endOfStep();
    while (terms.length > 1 && (raised & ~env.masked) === 0) {
      const before = terms;
      terms = Array.from({ length: before.length / 2 }, (_, i) =>
        scalar.binary(env, format, 'add', before[2 * i] as bigint, before[2 * i + 1] as bigint),
      );
      endOfStep();
    }
    env.flags = raised;
    const [sum = 0n] = terms;
    let result = 0n;
    for (let i = 0; i < count; i++) if ((immediate & (1 << i)) !== 0) result |= sum << BigInt(i * bits);
    return result;
  };
  const slow = slowWay({ lanes: 1, operandBits: 128, resultBits: 128, compute, inSteps: true });
  return (cpu) => {
    const destination = cpu.vector(0);
    const right = cpu.vector(1).read();
    const immediate = cpu.operand(2).read();
    destination.write(slow(cpu, cpu.readMxcsr(), destination.read(), right, immediate));
  };
};

export const dpps: Meaning = dotProduct(32);
export const dppd: Meaning = dotProduct(64);

// ---- comparisons: nothing is raised for numbers that are not denormal

/** The second operand where either is a NaN, or both are zeros: as pmin and pmax with their operands exchanged. */
const minMax = (which: 'min' | 'max'): Family =>
  family((bits, extent) => {
    const slow = laneByLane(bits, extent, (format) => (env, a, b) => scalar.minMax(env, format, which, a, b));
    return (cpu) => {
      const lanes = new Lanes(cpu, bits, laneCount(bits, extent));
      const destination = cpu.vector(0);
      const right = cpu.vector(1).read();
      const left = destination.read();
      const isFast = lanes.all(lanes.comparable(left).and(lanes.comparable(right)));
      const fast = right.with(`${shapeOf(bits)}.p${which}`, left);
      destination.write(choose(cpu, isFast, fast, () => slow(cpu, cpu.readMxcsr(), left, right)));
    };
  });

export const minimum = minMax('min');
export const maximum = minMax('max');

/** What CMPPS's immediate asks: equal, below, below or equal, unordered; with bit 2 the opposite. */
const holds = (predicate: number, order: -1 | 0 | 1 | undefined): boolean => {
  const asked = [order === 0, order === -1, order === -1 || order === 0, order === undefined][predicate & 3] as boolean;
  return (predicate & 4) === 0 ? asked : !asked;
};

/** Of the eight predicates, those with bits 1:0 being 1 or 2 are invalid for quiet NaNs too. */
const asksForOrder = (predicate: number): boolean => (predicate & 3) === 1 || (predicate & 3) === 2;

export const compareFloats: Family = family((bits, extent) => {
  const slow = laneByLane(
    bits,
    extent,
    (format) => (env, a, b, predicate) =>
      holds(predicate, scalar.ordering(env, format, a, b, asksForOrder(predicate))) ? -1n : 0n,
  );
  return (cpu) => {
    const lanes = new Lanes(cpu, bits, laneCount(bits, extent));
    const destination = cpu.vector(0);
    const right = cpu.vector(1).read();
    const left = destination.read();
    const predicate = cpu.keep(cpu.operand(2).read().and(7n));
    const isFast = lanes.all(lanes.comparable(left).and(lanes.comparable(right)));
    const everywhereIf = (value: bigint): V128 => V128.splat(64, predicate.and(3n).equals(value).select(-1n, 0n));
    const result = (op: 'eq' | 'lt' | 'le', value: bigint): V128 => {
      const name: BinaryVectorOp = `${shapeOf(bits)}.${op}`;
      return left.with(name, right).and(everywhereIf(value));
    };
    const inverted = V128.splat(64, predicate.and(4n).isNotZero().select(-1n, 0n));
    const fast = result('eq', 0n).or(result('lt', 1n)).or(result('le', 2n)).xor(inverted);
    destination.write(choose(cpu, isFast, fast, () => slow(cpu, cpu.readMxcsr(), left, right, predicate)));
  };
});

/** As ZF, PF and CF: all three for unordered. */
const FLAGS_OF_ORDER = { '-1': 0x01n, '0': 0x40n, '1': 0n, undefined: 0x45n } as const;

/** COMISS and UCOMISS (a quiet NaN is invalid only for the first), and for 64 bits. */
const compareToFlags = (bits: FloatBits, quietIsInvalid: boolean): Meaning => {
  const slow = laneByLane(
    bits,
    'scalar',
    (format) => (env, a, b) => FLAGS_OF_ORDER[`${scalar.ordering(env, format, a, b, quietIsInvalid)}`],
  );
  return (cpu) => {
    const lanes = new Lanes(cpu, bits, 1);
    const [left, right] = [cpu.vector(0).read(), cpu.vector(1).read()];
    const isFast = lanes.all(lanes.comparable(left).and(lanes.comparable(right)));
    const below = left.with(`${shapeOf(bits)}.lt`, right).and(V128.constant(FLAGS_OF_ORDER['-1']));
    const equal = left.with(`${shapeOf(bits)}.eq`, right).and(V128.constant(FLAGS_OF_ORDER['0']));
    const flags = choose(cpu, isFast, below.or(equal), () => slow(cpu, cpu.readMxcsr(), left, right));
    setStatus(cpu, cpu.keep(flags.lane(32, 0)));
  };
};

export const comiss: Meaning = compareToFlags(32, true);
export const comisd: Meaning = compareToFlags(64, true);
export const ucomiss: Meaning = compareToFlags(32, false);
export const ucomisd: Meaning = compareToFlags(64, false);

// ---- rounding to integers

/** imm8: 3 inexact raises nothing · 2 round as MXCSR says · 1:0 otherwise how. */
export const roundFloats: Family = family((bits, extent) => {
  const slow = laneByLane(bits, extent, (format) => (env, _a, b, immediate) => {
    const rounding = (immediate & 4) !== 0 ? env.rounding : ((immediate & 3) as float.Rounding);
    return scalar.roundToInteger(env, format, b, rounding, (immediate & 8) !== 0);
  });
  const name = shapeOf(bits);
  return (cpu) => {
    const lanes = new Lanes(cpu, bits, laneCount(bits, extent));
    const source = cpu.vector(1).read();
    const immediate = cpu.operand(2).read();
    const mxcsr = cpu.readMxcsr();
    const isQuiet = immediate.and(8n).isNotZero().or(inexactIsKnown(mxcsr));
    const isFast = isQuiet.and(immediate.and(4n).isZero()).and(lanes.all(lanes.ordinary(source)));
    const mode = (value: bigint, rounded: V128): V128 =>
      rounded.and(V128.splat(64, immediate.and(3n).equals(value).select(-1n, 0n)));
    const fast = mode(0n, source.alone(`${name}.nearest`))
      .or(mode(1n, source.alone(`${name}.floor`)))
      .or(mode(2n, source.alone(`${name}.ceil`)))
      .or(mode(3n, source.alone(`${name}.trunc`)));
    cpu.vector(0).write(choose(cpu, isFast, fast, () => slow(cpu, mxcsr, source, source, immediate)));
  };
});
