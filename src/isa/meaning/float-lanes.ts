// How meanings of SSE's floating point are made: by WebAssembly where its result is x86's and no flag would be raised that is
// not set already, otherwise exactly, by way of the service `float` (softfloat/vector-operations.ts).
// Sources: SDM 1 "MXCSR Control and Status Register" (§10.2.3), "SIMD Floating-Point Exceptions" (§11.5), "Floating-Point
// Exceptions" (§4.9).
//
// The fast way needs operands and results that are zero or normal numbers: then nothing can be raised but inexact, and neither
// DAZ, FTZ nor NaNs matter. Inexact is set once and then stays, in nearly all programs for ever; while it is not set,
// arithmetic goes the slow way to find out.

import { addVectorOperation, type VectorOperation } from '../softfloat/vector-operations.js';
import { I32, I64 } from './expression.js';
import type { Semantics } from './semantics.js';
import { shape, V128 } from './vector.js';

export type FloatBits = 32 | 64;

const PRECISION_FLAG = 1n << 5n;
const PRECISION_MASK = 1n << 12n;
const ROUNDING_CONTROL = 3n << 13n;

/** Of a float's bits without its sign. */
const MAGNITUDE = { 32: 0x7fff_ffffn, 64: 0x7fff_ffff_ffff_ffffn } as const;
const INFINITY = { 32: 0x7f80_0000n, 64: 0x7ff0_0000_0000_0000n } as const;
const LEAST_NORMAL = { 32: 0x0080_0000n, 64: 0x0010_0000_0000_0000n } as const;

/** Vectors of floats of one size, of which the first `lanes` count. */
export class Lanes {
  readonly bits: FloatBits;
  readonly lanes: number;
  readonly #cpu: Semantics;

  constructor(cpu: Semantics, bits: FloatBits, lanes: number) {
    this.#cpu = cpu;
    this.bits = bits;
    this.lanes = lanes;
  }

  /** The floats without their signs; kept. */
  magnitudes(value: V128): V128 {
    return this.#cpu.keepVector(value.and(V128.lanes(this.bits, MAGNITUDE[this.bits])));
  }

  /** Lanes that are zero, or normal numbers. */
  ordinary(value: V128): V128 {
    const size = this.magnitudes(value);
    const isNormal = this.#above(size, LEAST_NORMAL[this.bits] - 1n).and(this.#below(size, INFINITY[this.bits]));
    return isNormal.or(size.with(`${shape(this.bits)}.eq`, V128.constant(0n)));
  }

  /** Lanes that are normal numbers and cannot have been rounded up to the least one. */
  aboveLeast(value: V128): V128 {
    const size = this.magnitudes(value);
    return this.#above(size, LEAST_NORMAL[this.bits]).and(this.#below(size, INFINITY[this.bits]));
  }

  /** Lanes that are neither denormal nor a NaN: what may be compared without a flag. */
  comparable(value: V128): V128 {
    const size = this.magnitudes(value);
    const isLarge = this.#above(size, LEAST_NORMAL[this.bits] - 1n).and(this.#below(size, INFINITY[this.bits] + 1n));
    return isLarge.or(size.with(`${shape(this.bits)}.eq`, V128.constant(0n)));
  }

  /** Lanes whose magnitude has bits that are below these. */
  smallerThan(value: V128, bits: bigint): V128 {
    return this.#below(this.magnitudes(value), bits);
  }

  /** Whether the condition, all ones or zeros in each lane, holds in every lane that counts. */
  all(condition: V128): I32 {
    const wanted = I32.constant((1 << this.lanes) - 1);
    return condition
      .mask(`${shape(this.bits)}.bitmask`)
      .and(wanted)
      .xor(wanted)
      .not();
  }

  #above(value: V128, bound: bigint): V128 {
    return value.with(`${shape(this.bits)}.gt_s`, V128.lanes(this.bits, bound));
  }

  #below(value: V128, bound: bigint): V128 {
    return V128.lanes(this.bits, bound).with(`${shape(this.bits)}.gt_s`, value);
  }
}

/** Whether another inexact result would change nothing: it is masked, and its flag is set. */
export const inexactIsKnown = (mxcsr: I64): I32 =>
  mxcsr.and(PRECISION_FLAG | PRECISION_MASK).equals(PRECISION_FLAG | PRECISION_MASK);

/** The same, and rounding is to nearest, as WebAssembly's is. */
export const inexactIsKnownToNearest = (mxcsr: I64): I32 =>
  mxcsr.and(ROUNDING_CONTROL | PRECISION_FLAG | PRECISION_MASK).equals(PRECISION_FLAG | PRECISION_MASK);

/** What the service works out; the operation has its number from the table. */
export type SlowWay = (cpu: Semantics, mxcsr: I64, a: V128, b: V128, immediate?: I64) => V128;

/** Puts an operation into the table. What it makes writes MXCSR and raises #XM by itself: it comes after all other faults. */
export function slowWay(operation: VectorOperation): SlowWay {
  const number = I64.constant(BigInt(addVectorOperation(operation)));
  return (cpu, mxcsr, a, b, immediate = I64.constant(0n)) => {
    const [aLow, aHigh, bLow, bHigh] = [a.lane(64, 0), a.lane(64, 1), b.lane(64, 0), b.lane(64, 1)];
    const answers = cpu.ask('float', number, mxcsr, aLow, aHigh, bLow, bHigh, immediate);
    const [low, high, control, isUnmasked] = answers as readonly [I64, I64, I64, I64];
    cpu.when(isUnmasked.isNotZero(), () => cpu.raiseFloat(control));
    cpu.writeMxcsr(control);
    return cpu.keepVector(V128.low(low).replace(64, 1, high));
  };
}

/** `fast` where it holds that `isFast`, else what `slow` makes. All that `fast` uses is worked out in either case. */
export function choose(cpu: Semantics, isFast: I32, fast: V128, slow: () => V128): V128 {
  const result = cpu.vectorVariable(fast);
  cpu.when(isFast.not(), () => result.set(slow()));
  return result.get();
}
