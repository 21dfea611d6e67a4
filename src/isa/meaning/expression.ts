// The values of which meanings are made: expressions over 64-bit and 32-bit integers with WebAssembly's arithmetic.
// Source: WebAssembly Core Specification 1.0 "Integer Operations" (§4.3.2).
//
// An expression is what pushes one value when it is emitted. It has no effect and reads no state, so where it is emitted does
// not matter; state is read into locals by `Semantics`. Constants are folded when an expression is built: this is what makes
// one meaning serve an interpreter, whose operands come out of a record, and a compiler, whose operands are constants.
// An expression that does any work may be emitted once; `Semantics.keep` gives one that may be used again.

import { invariant } from '../../base/failures.js';
import { s64, u64 } from '../../base/words.js';
import type { LaneVectorOp, VectorOp } from './vector.js';

/** WebAssembly's integer instructions that meanings use, by their names in its text format. */
export type NumericOp =
  | `i64.${'add' | 'sub' | 'mul' | 'div_s' | 'div_u' | 'rem_s' | 'rem_u' | 'and' | 'or' | 'xor' | 'shl' | 'shr_s'}`
  | `i64.${'shr_u' | 'rotl' | 'rotr' | 'clz' | 'ctz' | 'popcnt' | 'eqz' | 'eq' | 'ne' | 'lt_s' | 'lt_u'}`
  | `i64.${'extend8_s' | 'extend16_s' | 'extend32_s' | 'extend_i32_u'}`
  | `i32.${'eqz' | 'and' | 'or' | 'xor' | 'add' | 'wrap_i64'}`
  | 'select';

/** Takes the instructions of an expression in the order in which a stack machine runs them. */
export interface Sink {
  constant64(value: bigint): void;
  constant32(value: number): void;
  constant128(value: bigint): void;
  operate(op: NumericOp | VectorOp): void;
  /** An operation on one lane of a vector. */
  lane(op: LaneVectorOp, lane: number): void;
  /** The bytes of two vectors, picked by number. */
  shuffle(bytes: readonly number[]): void;
}

type Push = (sink: Sink) => void;

abstract class Expression<Value extends bigint | number> {
  readonly #push: Push;
  readonly #reusable: boolean;
  #emitted = false;
  /** The value where it is known already. */
  readonly constant: Value | undefined;

  protected constructor(push: Push, reusable: boolean, constant: Value | undefined) {
    this.#push = push;
    this.#reusable = reusable;
    this.constant = constant;
  }

  emit(sink: Sink): void {
    invariant(this.#reusable || !this.#emitted, 'an expression that does work is emitted once: bind it with keep()');
    this.#emitted = true;
    this.#push(sink);
  }
}

/** A 64-bit integer. Comparisons and the like give an `I32`. */
export class I64 extends Expression<bigint> {
  /** An expression of the caller's own making; `reusable` when emitting it again gives the same value at no cost. */
  static of(push: Push, { reusable }: { readonly reusable: boolean }): I64 {
    return new I64(push, reusable, undefined);
  }

  /** Taken modulo 2^64. */
  static constant(value: bigint): I64 {
    return new I64((sink) => sink.constant64(u64(value)), true, u64(value));
  }

  add(other: I64 | bigint): I64 {
    return isZero(other) ? this : this.#with('i64.add', other, (a, b) => a + b);
  }
  sub(other: I64 | bigint): I64 {
    return isZero(other) ? this : this.#with('i64.sub', other, (a, b) => a - b);
  }
  mul(other: I64 | bigint): I64 {
    return this.#with('i64.mul', other, (a, b) => a * b);
  }
  and(other: I64 | bigint): I64 {
    return this.#with('i64.and', other, (a, b) => a & b);
  }
  or(other: I64 | bigint): I64 {
    return isZero(other) ? this : this.#with('i64.or', other, (a, b) => a | b);
  }
  xor(other: I64 | bigint): I64 {
    return isZero(other) ? this : this.#with('i64.xor', other, (a, b) => a ^ b);
  }
  not(): I64 {
    return this.xor(-1n);
  }
  negate(): I64 {
    return I64.constant(0n).#with('i64.sub', this, (a, b) => a - b);
  }

  // Division by zero, and the one signed quotient that does not fit, stop a WebAssembly program: a meaning raises #DE first.
  // Constants are not folded here, for the same reason.
  divideUnsigned(other: I64): I64 {
    return this.#with('i64.div_u', other);
  }
  divideSigned(other: I64): I64 {
    return this.#with('i64.div_s', other);
  }
  remainderUnsigned(other: I64): I64 {
    return this.#with('i64.rem_u', other);
  }
  remainderSigned(other: I64): I64 {
    return this.#with('i64.rem_s', other);
  }

  // Shift and rotate counts are taken modulo 64.
  shiftLeft(count: I64 | bigint): I64 {
    return isZero(count) ? this : this.#with('i64.shl', count, (a, b) => a << (b & 63n));
  }
  shiftRight(count: I64 | bigint): I64 {
    return isZero(count) ? this : this.#with('i64.shr_u', count, (a, b) => a >> (b & 63n));
  }
  shiftRightSigned(count: I64 | bigint): I64 {
    return isZero(count) ? this : this.#with('i64.shr_s', count, (a, b) => s64(a) >> (b & 63n));
  }
  rotateLeft(count: I64 | bigint): I64 {
    return this.#with('i64.rotl', count, (a, b) => (a << (b & 63n)) | (a >> (64n - (b & 63n))));
  }
  rotateRight(count: I64 | bigint): I64 {
    return this.#with('i64.rotr', count, (a, b) => (a >> (b & 63n)) | (a << (64n - (b & 63n))));
  }

  /** Zero bits above the highest one; 64 for zero. */
  leadingZeros(): I64 {
    return this.#alone('i64.clz', (a) => BigInt(64 - (a === 0n ? 0 : a.toString(2).length)));
  }
  /** Zero bits below the lowest one; 64 for zero. */
  trailingZeros(): I64 {
    return this.#alone('i64.ctz', (a) => (a === 0n ? 64n : BigInt((a & -a).toString(2).length - 1)));
  }
  ones(): I64 {
    return this.#alone('i64.popcnt', (a) => BigInt(a.toString(2).replaceAll('0', '').length));
  }

  /** The low `bits` bits read as two's complement. */
  signExtend(bits: number): I64 {
    if (bits === 64) return this;
    const op = bits === 32 ? 'i64.extend32_s' : bits === 16 ? 'i64.extend16_s' : 'i64.extend8_s';
    return this.#alone(op, (a) => BigInt.asIntN(bits, a));
  }
  /** The low `bits` bits read as unsigned. */
  zeroExtend(bits: number): I64 {
    return bits === 64 ? this : this.and((1n << BigInt(bits)) - 1n);
  }

  isZero(): I32 {
    const { constant } = this;
    if (constant !== undefined) return I32.constant(constant === 0n ? 1 : 0);
    return I32.of(
      (sink) => {
        this.emit(sink);
        sink.operate('i64.eqz');
      },
      { reusable: false },
    );
  }
  isNotZero(): I32 {
    return this.#compare('i64.ne', 0n, (a, b) => a !== b);
  }
  equals(other: I64 | bigint): I32 {
    return this.#compare('i64.eq', other, (a, b) => a === b);
  }
  differs(other: I64 | bigint): I32 {
    return this.#compare('i64.ne', other, (a, b) => a !== b);
  }
  below(other: I64 | bigint): I32 {
    return this.#compare('i64.lt_u', other, (a, b) => a < b);
  }
  less(other: I64 | bigint): I32 {
    return this.#compare('i64.lt_s', other, (a, b) => s64(a) < s64(b));
  }
  isNegative(): I32 {
    return this.less(0n);
  }

  /** Bit `index` as 0 or 1. */
  bit(index: number): I32 {
    return this.shiftRight(BigInt(index)).and(1n).low();
  }
  /** The low half. */
  low(): I32 {
    const { constant } = this;
    if (constant !== undefined) return I32.constant(Number(constant & 0xffff_ffffn));
    return I32.of(
      (sink) => {
        this.emit(sink);
        sink.operate('i32.wrap_i64');
      },
      { reusable: false },
    );
  }

  #with(op: NumericOp, other: I64 | bigint, fold?: (a: bigint, b: bigint) => bigint): I64 {
    const right = typeof other === 'bigint' ? I64.constant(other) : other;
    if (fold && this.constant !== undefined && right.constant !== undefined)
      return I64.constant(fold(this.constant, right.constant));
    return new I64((sink) => emitBoth(sink, this, right, op), false, undefined);
  }

  #alone(op: NumericOp, fold: (a: bigint) => bigint): I64 {
    if (this.constant !== undefined) return I64.constant(fold(this.constant));
    const push: Push = (sink) => {
      this.emit(sink);
      sink.operate(op);
    };
    return new I64(push, false, undefined);
  }

  #compare(op: NumericOp, other: I64 | bigint, fold: (a: bigint, b: bigint) => boolean): I32 {
    const right = typeof other === 'bigint' ? I64.constant(other) : other;
    if (this.constant !== undefined && right.constant !== undefined)
      return I32.constant(fold(this.constant, right.constant) ? 1 : 0);
    return I32.of((sink) => emitBoth(sink, this, right, op), { reusable: false });
  }
}

/** A 32-bit integer; mostly a truth value, 0 or 1. */
export class I32 extends Expression<number> {
  static of(push: Push, { reusable }: { readonly reusable: boolean }): I32 {
    return new I32(push, reusable, undefined);
  }

  /** Taken modulo 2^32. */
  static constant(value: number): I32 {
    return new I32((sink) => sink.constant32(value | 0), true, value | 0);
  }

  and(other: I32): I32 {
    return this.#with('i32.and', other, (a, b) => a & b);
  }
  or(other: I32): I32 {
    return this.#with('i32.or', other, (a, b) => a | b);
  }
  xor(other: I32): I32 {
    return this.#with('i32.xor', other, (a, b) => a ^ b);
  }
  /** 1 for 0, and 0 for anything else. */
  not(): I32 {
    if (this.constant !== undefined) return I32.constant(this.constant === 0 ? 1 : 0);
    const push: Push = (sink) => {
      this.emit(sink);
      sink.operate('i32.eqz');
    };
    return new I32(push, false, undefined);
  }
  /** As a 64-bit value, unsigned. */
  wide(): I64 {
    if (this.constant !== undefined) return I64.constant(BigInt(this.constant >>> 0));
    return I64.of(
      (sink) => {
        this.emit(sink);
        sink.operate('i64.extend_i32_u');
      },
      { reusable: false },
    );
  }
  /** `yes` where this is not 0, else `no`; both are evaluated. */
  select(yes: I64 | bigint, no: I64 | bigint): I64 {
    const one = typeof yes === 'bigint' ? I64.constant(yes) : yes;
    const other = typeof no === 'bigint' ? I64.constant(no) : no;
    if (this.constant !== undefined) return this.constant !== 0 ? one : other;
    return I64.of(
      (sink) => {
        one.emit(sink);
        other.emit(sink);
        this.emit(sink);
        sink.operate('select');
      },
      { reusable: false },
    );
  }

  #with(op: NumericOp, other: I32, fold: (a: number, b: number) => number): I32 {
    if (this.constant !== undefined && other.constant !== undefined)
      return I32.constant(fold(this.constant, other.constant));
    return new I32((sink) => emitBoth(sink, this, other, op), false, undefined);
  }
}

const isZero = (value: I64 | bigint): boolean => (typeof value === 'bigint' ? value : value.constant) === 0n;

function emitBoth(sink: Sink, left: I64 | I32, right: I64 | I32, op: NumericOp): void {
  left.emit(sink);
  right.emit(sink);
  sink.operate(op);
}
