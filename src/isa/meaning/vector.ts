// Values of 128 bits in meanings: expressions over WebAssembly's v128, used where its lanes do bit for bit what SSE's do.
// Source: WebAssembly Core Specification 2.0 "Vector Instructions" (§2.4.3, §4.3.2). Operations have their names there.
//
// As with I64, an expression has no effect and reads no state; one that does any work is emitted once (`keepVector`).
// Floating-point operations of WebAssembly give any NaN they like: whoever uses one makes sure that no NaN comes of it.

import { invariant } from '../../base/failures.js';
import { I32, I64, type Sink } from './expression.js';

/** Two vectors in, one out. */
export type BinaryVectorOp =
  | `v128.${'and' | 'andnot' | 'or' | 'xor'}`
  | `i8x16.${'swizzle' | 'narrow_i16x8_s' | 'narrow_i16x8_u' | 'avgr_u' | 'eq'}`
  | `i16x8.${'narrow_i32x4_s' | 'narrow_i32x4_u' | 'avgr_u' | 'eq' | 'mul' | 'q15mulr_sat_s'}`
  | `${'i8x16' | 'i16x8'}.${'add' | 'sub'}_sat_${'s' | 'u'}`
  | `${'i8x16' | 'i16x8' | 'i32x4' | 'i64x2'}.${'add' | 'sub' | 'gt_s'}`
  | `${'i8x16' | 'i16x8' | 'i32x4'}.${'min' | 'max'}_${'s' | 'u'}`
  | `i16x8.extmul_${'low' | 'high'}_i8x16_${'s' | 'u'}`
  | `i32x4.extmul_${'low' | 'high'}_i16x8_${'s' | 'u'}`
  | `i64x2.extmul_${'low' | 'high'}_i32x4_${'s' | 'u'}`
  | `i32x4.${'eq' | 'mul' | 'dot_i16x8_s'}`
  | 'i64x2.eq'
  | `${'f32x4' | 'f64x2'}.${'add' | 'sub' | 'mul' | 'div' | 'pmin' | 'pmax' | 'eq' | 'ne' | 'lt' | 'le'}`;

/** One vector in, one out. */
export type UnaryVectorOp =
  | 'v128.not'
  | `${'i8x16' | 'i16x8' | 'i32x4'}.abs`
  | 'i16x8.extadd_pairwise_i8x16_u'
  | 'i32x4.extadd_pairwise_i16x8_u'
  | `i16x8.extend_${'low' | 'high'}_i8x16_${'s' | 'u'}`
  | `i32x4.extend_${'low' | 'high'}_i16x8_${'s' | 'u'}`
  | `i64x2.extend_${'low' | 'high'}_i32x4_${'s' | 'u'}`
  | `${'f32x4' | 'f64x2'}.${'sqrt' | 'ceil' | 'floor' | 'trunc' | 'nearest'}`
  | 'f32x4.demote_f64x2_zero'
  | 'f64x2.promote_low_f32x4'
  | 'f32x4.convert_i32x4_s'
  | 'f64x2.convert_low_i32x4_s'
  | 'i32x4.trunc_sat_f32x4_s'
  | 'i32x4.trunc_sat_f64x2_s_zero';

/** A vector and a count, taken modulo the lane's bits. */
export type ShiftVectorOp = `${'i16x8' | 'i32x4' | 'i64x2'}.${'shl' | 'shr_u' | 'shr_s'}`;

/** A vector in, a number of 32 bits out. */
export type MaskVectorOp = 'v128.any_true' | `${'i8x16' | 'i16x8' | 'i32x4' | 'i64x2'}.${'all_true' | 'bitmask'}`;

/** A number of 32 or 64 bits in every lane. */
export type SplatVectorOp = 'i8x16.splat' | 'i16x8.splat' | 'i32x4.splat' | 'i64x2.splat';

/** Reads one lane (the first four as 32-bit numbers), or replaces one. */
export type LaneVectorOp =
  | 'i8x16.extract_lane_u'
  | 'i16x8.extract_lane_u'
  | 'i32x4.extract_lane'
  | 'i64x2.extract_lane'
  | `${'i8x16' | 'i16x8' | 'i32x4' | 'i64x2'}.replace_lane`;

export type VectorOp = BinaryVectorOp | UnaryVectorOp | ShiftVectorOp | MaskVectorOp | SplatVectorOp | 'v128.bitselect';

/** How large a lane is. */
export type LaneBits = 8 | 16 | 32 | 64;
const SHAPES = { 8: 'i8x16', 16: 'i16x8', 32: 'i32x4', 64: 'i64x2' } as const;
/** The name of integer lanes of this size. */
export const shape = <Lane extends LaneBits>(bits: Lane): (typeof SHAPES)[Lane] => SHAPES[bits];

type Push = (sink: Sink) => void;

/** 128 bits. */
export class V128 {
  readonly #push: Push;
  readonly #reusable: boolean;
  #emitted = false;

  private constructor(push: Push, reusable: boolean) {
    this.#push = push;
    this.#reusable = reusable;
  }

  /** An expression of the caller's own making; `reusable` when emitting it again gives the same value at no cost. */
  static of(push: Push, { reusable }: { readonly reusable: boolean }): V128 {
    return new V128(push, reusable);
  }

  /** Bits 127:0 of a number. */
  static constant(value: bigint): V128 {
    return new V128((sink) => sink.constant128(BigInt.asUintN(128, value)), true);
  }

  /** The same lane again and again. */
  static lanes(bits: LaneBits, lane: bigint): V128 {
    let value = 0n;
    for (let at = 0n; at < 128n; at += BigInt(bits)) value |= BigInt.asUintN(bits, lane) << at;
    return V128.constant(value);
  }

  /** The number's low bits in every lane. */
  static splat(bits: LaneBits, value: I64): V128 {
    return new V128((sink) => {
      (bits === 64 ? value : value.low()).emit(sink);
      sink.operate(`${SHAPES[bits]}.splat`);
    }, false);
  }

  /** The number in bits 63:0, and zeros above. */
  static low(value: I64): V128 {
    return V128.constant(0n).replace(64, 0, value);
  }

  emit(sink: Sink): void {
    invariant(
      this.#reusable || !this.#emitted,
      'an expression that does work is emitted once: bind it with keepVector()',
    );
    this.#emitted = true;
    this.#push(sink);
  }

  with(op: BinaryVectorOp, other: V128): V128 {
    return new V128((sink) => {
      this.emit(sink);
      other.emit(sink);
      sink.operate(op);
    }, false);
  }

  alone(op: UnaryVectorOp): V128 {
    return new V128((sink) => {
      this.emit(sink);
      sink.operate(op);
    }, false);
  }

  and(other: V128): V128 {
    return this.with('v128.and', other);
  }
  or(other: V128): V128 {
    return this.with('v128.or', other);
  }
  xor(other: V128): V128 {
    return this.with('v128.xor', other);
  }
  not(): V128 {
    return this.alone('v128.not');
  }

  /** Every lane shifted by the same count, which is below the lane's bits. */
  shift(op: ShiftVectorOp, count: I64 | bigint): V128 {
    const by = typeof count === 'bigint' ? I64.constant(count) : count;
    return new V128((sink) => {
      this.emit(sink);
      by.low().emit(sink);
      sink.operate(op);
    }, false);
  }

  /** Where this has a one, the bit of `one`, elsewhere that of `zero`. */
  choose(one: V128, zero: V128): V128 {
    return new V128((sink) => {
      one.emit(sink);
      zero.emit(sink);
      this.emit(sink);
      sink.operate('v128.bitselect');
    }, false);
  }

  /** Bytes picked by number: 0 to 15 of this one, 16 to 31 of the other. */
  shuffle(other: V128, bytes: readonly number[]): V128 {
    invariant(bytes.length === 16 && bytes.every((byte) => byte >= 0 && byte < 32), 'a shuffle picks 16 of 32 bytes');
    return new V128((sink) => {
      this.emit(sink);
      other.emit(sink);
      sink.shuffle(bytes);
    }, false);
  }

  /** One lane, zero-extended. */
  lane(bits: LaneBits, lane: number): I64 {
    const push: Push = (sink) => {
      this.emit(sink);
      sink.lane(
        bits < 32 ? `${SHAPES[bits as 8 | 16]}.extract_lane_u` : `${SHAPES[bits as 32 | 64]}.extract_lane`,
        lane,
      );
    };
    return bits === 64 ? I64.of(push, { reusable: false }) : I32.of(push, { reusable: false }).wide();
  }

  /** With one lane replaced by the number's low bits. */
  replace(bits: LaneBits, lane: number, value: I64): V128 {
    return new V128((sink) => {
      this.emit(sink);
      (bits === 64 ? value : value.low()).emit(sink);
      sink.lane(`${SHAPES[bits]}.replace_lane`, lane);
    }, false);
  }

  mask(op: MaskVectorOp): I32 {
    return I32.of(
      (sink) => {
        this.emit(sink);
        sink.operate(op);
      },
      { reusable: false },
    );
  }
}

/** For `shuffle`: the bytes of lanes, by lane number: 0 up of this one, then those of the other. */
export const bytesOfLanes = (bits: LaneBits, lanes: readonly number[]): readonly number[] =>
  lanes.flatMap((lane) => Array.from({ length: bits / 8 }, (_, byte) => (lane * bits) / 8 + byte));
