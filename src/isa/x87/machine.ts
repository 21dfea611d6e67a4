// What x87 instructions do to the registers: stack, flags, condition codes, and what masked and unmasked exceptions leave.
// Sources: SDM 1 "Programming with the x87 FPU" (§8), above all "x87 FPU Floating-Point Exception Conditions" (§8.5) and
// "Handling" (§8.6); SDM 2A under each mnemonic. Where the manual is silent: what a Zen 5 does (tests/vectors/README.md).
//
// Nothing here faults: an exception that is not masked sets ES, and the next waiting instruction raises #MF (meaning/x87.ts).
// Instruction and data pointers and the opcode are the meaning's affair.

import * as float from '../softfloat/index.js';
import {
  emptyStored,
  isReal,
  loaded,
  type MemoryFormat,
  memorySource,
  nanResult,
  registerSource,
  type Source,
  stored,
} from './operands.js';
import {
  C0,
  C1,
  C2,
  C3,
  PRECISION_SHIFT,
  ROUNDING_SHIFT,
  STACK_FAULT,
  TOP_SHIFT,
  withSummary,
  type X87State,
} from './state.js';
import { type Transcendental, transcendentals } from './transcendentals.js';

const CONDITIONS = C0 | C1 | C2 | C3;
const SIGN = 1n << 79n;
const INDEFINITE = float.pack(float.F80, float.INDEFINITE);
/** By how much an unmasked overflow or underflow moves the exponent. */
const WRAP = 24576;
/** The significant bits by the PC field; 1 is reserved and means 64. */
const PRECISIONS = [24, 64, 53, 64] as const;

export type Arithmetic = 'add' | 'mul' | 'sub' | 'subr' | 'div' | 'divr';
/** Which NaNs are no invalid operation in a comparison. */
export type Unordered = 'quiet' | 'none';
export type Constant = keyof typeof float.CONSTANTS | 'one' | 'zero';

/** EFLAGS as a comparison sets them. */
const [CF, PF, ZF] = [1, 4, 64];
const UNORDERED = -2;
type Order = -1 | 0 | 1 | typeof UNORDERED;
const CODES_OF_ORDER: Readonly<Record<Order, number>> = { [-1]: C0, 0: C3, 1: 0, [UNORDERED]: C0 | C2 | C3 };
const FLAGS_OF_ORDER: Readonly<Record<Order, number>> = { [-1]: CF, 0: ZF, 1: 0, [UNORDERED]: CF | PF | ZF };

/** A store as it will be: nothing is changed until memory has taken it. */
export interface Store {
  /** Whether anything is stored: not with an unmasked exception. */
  readonly stores: boolean;
  readonly bits: bigint;
  readonly status: number;
  readonly tags: number;
}

export class X87 {
  readonly #state: X87State;

  constructor(state: X87State) {
    this.#state = state;
  }

  // ---- loads and stores

  load(format: MemoryFormat, bits: bigint): void {
    if (this.#pushFaults()) return;
    const env = this.#environment();
    const value = loaded(env, format, bits);
    // A denormal operand is loaded even when the exception is not masked.
    this.#finish(env, () => this.#push(value), float.INVALID);
  }

  /** FLD ST(i). */
  loadRegister(i: number): void {
    if (!this.#isFull(i)) {
      this.#underflow(() => this.#push(INDEFINITE));
      return;
    }
    if (this.#pushFaults()) return;
    const value = this.#read(i);
    this.#finish(this.#environment(), () => this.#push(value));
  }

  loadConstant(constant: Constant): void {
    if (this.#pushFaults()) return;
    const value = this.#constant(constant);
    this.#finish(this.#environment(), () => this.#push(float.pack(float.F80, value)));
  }

  /** Rounded as RC says, which raises nothing. */
  #constant(constant: Constant): float.Real {
    if (constant === 'zero') return float.zero(0);
    if (constant === 'one') return float.finite(0, 1n, 0);
    return float.round(this.#environment(), float.F80, float.CONSTANTS[constant]);
  }

  /** What FST, FIST, FBSTP and FISTTP (`truncates`) would store, and what becomes of status and tags when it is stored. */
  store(format: MemoryFormat, pops: boolean, truncates: boolean): Store {
    const state = this.#state;
    const isEmpty = !this.#isFull(0);
    const env = { ...this.#environment(), wrapExponent: 0 };
    const bits = isEmpty
      ? emptyStored(format)
      : stored(env, format, this.#read(0), truncates ? float.TO_ZERO : env.rounding);
    if (isEmpty) env.flags |= float.INVALID;
    const unmasked = env.flags & ~env.masked;
    const refused = (unmasked & (float.BEFORE_RESULT | float.OVERFLOW | float.UNDERFLOW)) !== 0;
    // What is not stored is not rounded either.
    const flags = refused ? env.flags & ~float.INEXACT : env.flags;
    const codes = env.roundedUp && (flags & float.INEXACT) !== 0 && !isEmpty ? C1 : 0;
    const status = (state.status & ~C1) | codes | flags | (isEmpty ? STACK_FAULT : 0);
    const popped = pops && !refused;
    return {
      stores: !refused,
      bits,
      status: withSummary(
        popped ? (status & ~(7 << TOP_SHIFT)) | (((this.#top + 1) & 7) << TOP_SHIFT) : status,
        state.control,
      ),
      tags: popped ? state.tags & ~(1 << this.#physical(0)) : state.tags,
    };
  }

  /** FST ST(i), FSTP ST(i). */
  storeRegister(i: number, pops: boolean): void {
    const move = (value: bigint): void => {
      this.#write(i, value);
      if (pops) this.#pop();
    };
    if (!this.#isFull(0)) this.#underflow(() => move(INDEFINITE));
    else this.#finish(this.#environment(), () => move(this.#read(0)));
  }

  /** FSTPNCE: an empty register is not stored, and raises nothing. */
  storeUnchecked(i: number): void {
    this.#changeCodes(C1, 0);
    if (this.#isFull(0)) this.#write(i, this.#read(0));
    this.#pop();
  }

  exchange(i: number): void {
    const [top, other] = [this.#valueOrIndefinite(0), this.#valueOrIndefinite(i)];
    const swap = (): void => {
      this.#write(0, other);
      this.#write(i, top);
    };
    if (!this.#isFull(0) || !this.#isFull(i)) this.#underflow(swap);
    else this.#finish(this.#environment(), swap);
  }

  /** FCMOVcc: the condition was found out by the caller. C1 stays, but for a stack fault. */
  moveIf(i: number, condition: boolean): void {
    if (!this.#isFull(0) || !this.#isFull(i)) this.#underflow(() => this.#write(0, INDEFINITE));
    else if (condition) this.#write(0, this.#read(i));
  }

  // ---- arithmetic

  /** ST(destination) becomes ST(destination) op ST(other), or with `r` the other way round. */
  arithmetic(operation: Arithmetic, destination: number, other: number, pops: boolean): void {
    const isFull = this.#isFull(destination) && this.#isFull(other);
    this.#arithmetic(operation, destination, isFull ? registerSource(this.#read(other)) : undefined, pops);
  }

  arithmeticWithMemory(operation: Arithmetic, format: MemoryFormat, bits: bigint): void {
    this.#arithmetic(operation, 0, this.#isFull(0) ? memorySource(format, bits) : undefined, false);
  }

  #arithmetic(operation: Arithmetic, destination: number, other: Source | undefined, pops: boolean): void {
    const write = (value: bigint): void => {
      this.#write(destination, value);
      if (pops) this.#pop();
    };
    if (!other) {
      this.#underflow(() => write(INDEFINITE));
      return;
    }
    const env = this.#environment();
    const own = registerSource(this.#read(destination));
    const [left, right] = operation.endsWith('r') ? [other, own] : [own, other];
    const result = this.#numbersOnly(env, [left, right], ([a, b]) => {
      const target = this.#target();
      switch (operation) {
        case 'add':
          return float.add(env, target, a!, b!);
        case 'mul':
          return float.multiply(env, target, a!, b!);
        case 'sub':
        case 'subr':
          return float.subtract(env, target, a!, b!);
        default:
          return float.divide(env, target, a!, b!);
      }
    });
    this.#finish(env, () => write(float.pack(float.F80, result)));
  }

  squareRoot(): void {
    this.#unary((env, [value]) => float.squareRoot(env, this.#target(), value!));
  }

  roundToInteger(): void {
    this.#unary((env, [value]) => {
      const { result, inexact } = float.roundToInteger(env, value!);
      if (inexact) env.flags |= float.INEXACT;
      return result;
    });
  }

  changeSign(): void {
    this.#bits((value) => value ^ SIGN);
  }

  absolute(): void {
    this.#bits((value) => value & ~SIGN);
  }

  #bits(change: (value: bigint) => bigint): void {
    if (!this.#isFull(0)) this.#underflow(() => this.#write(0, INDEFINITE));
    else this.#finish(this.#environment(), () => this.#write(0, change(this.#read(0))));
  }

  /** FSCALE. */
  scale(): void {
    this.#binary(0, false, (env, [value, power]) => scaled(env, value!, power!));
  }

  /** FPREM, FPREM1. The quotient's low three bits go to C0, C3 and C1. */
  remainder(how: typeof float.TO_ZERO | typeof float.NEAREST): void {
    // Without a remainder C0 and C3 stay as they are.
    let [cleared, set] = [0, 0];
    this.#changeCodes(C2, 0);
    this.#binary(
      0,
      false,
      (env, [value, divisor]) => {
        const { result, quotient, partial } = float.remainder(env, float.F80, value!, divisor!, how);
        if (result.kind === 'nan') return result;
        const bit = (index: bigint, code: number): number => ((quotient >> index) & 1n ? code : 0);
        [cleared, set] = [CONDITIONS, partial ? C2 : bit(2n, C0) | bit(1n, C3) | bit(0n, C1)];
        return result;
      },
      () => this.#changeCodes(cleared, set),
    );
  }

  /** FXTRACT: the exponent stays, the significand is pushed. */
  extract(): void {
    this.#pushing((env, value) => {
      if (value.kind === 'infinity') return [float.infinity(0), value];
      if (value.kind === 'zero') {
        env.flags |= float.DIVIDE_BY_ZERO;
        return [float.infinity(1), value];
      }
      const exponent = float.leadingExponent(value);
      const significand = float.finite(value.sign, value.significand, value.exponent - exponent);
      return [float.fromInteger(BigInt(exponent)), significand];
    });
  }

  // ---- transcendental functions

  transcendental(name: Transcendental): void {
    const { operands, leaves, isAngle, compute } = transcendentals[name];
    const target = float.F80;
    if (operands === 2) {
      this.#binary(1, true, (env, [top, other]) => compute(env, target, top!, other!)[0] as float.Real | float.Nan);
      return;
    }
    if (isAngle) this.#changeCodes(C2, 0);
    if (leaves === 2) this.#pushing((env, value) => compute(env, target, value, value));
    else this.#unary((env, [value]) => compute(env, target, value!, value!)[0]);
  }

  // ---- comparisons

  /** FCOM, FUCOM with ST(i): the codes; then pops so many. */
  compare(i: number, quiet: Unordered, pops: number): void {
    const other = this.#isFull(i) ? registerSource(this.#read(i)) : undefined;
    this.#compare(other, quiet, pops, (order) => {
      this.#setCodes(CODES_OF_ORDER[order]);
    });
  }

  compareWithMemory(format: MemoryFormat, bits: bigint, pops: number): void {
    this.#compare(memorySource(format, bits), 'none', pops, (order) => {
      this.#setCodes(CODES_OF_ORDER[order]);
    });
  }

  /** FTST. */
  compareWithZero(): void {
    this.#compare({ value: float.zero(0), denormal: false }, 'none', 0, (order) => {
      this.#setCodes(CODES_OF_ORDER[order]);
    });
  }

  /** FCOMI, FUCOMI: gives CF, PF and ZF. C1 stays. */
  compareToFlags(i: number, quiet: Unordered, pops: number): number {
    let flags = 0;
    const other = this.#isFull(i) ? registerSource(this.#read(i)) : undefined;
    const kept = other && this.#isFull(0) ? this.#state.status & C1 : 0;
    this.#compare(other, quiet, pops, (order) => {
      flags = FLAGS_OF_ORDER[order];
    });
    this.#changeCodes(0, kept);
    return flags;
  }

  /** The order is told even when an unmasked exception forbids to pop. */
  #compare(other: Source | undefined, quiet: Unordered, pops: number, tell: (order: Order) => void): void {
    const pop = (): void => {
      for (let i = 0; i < pops; i++) this.#pop();
    };
    if (!other || !this.#isFull(0)) {
      tell(UNORDERED);
      this.#underflow(pop);
      return;
    }
    const env = this.#environment();
    const own = registerSource(this.#read(0));
    const values = [own.value, other.value];
    if (values.every(isReal)) {
      if (own.denormal || other.denormal) env.flags |= float.DENORMAL;
      const [a, b] = values as [float.Real, float.Real];
      tell(float.compare(a, b));
    } else {
      const isInvalid = (value: float.Float): boolean =>
        value.kind === 'unsupported' || float.isSignaling(value) || (quiet === 'none' && value.kind === 'nan');
      if (values.some(isInvalid)) env.flags |= float.INVALID;
      tell(UNORDERED);
    }
    this.#finish(env, pop);
  }

  /** FXAM: what kind of value ST(0) is. */
  examine(): void {
    const bits = this.#read(0);
    const { value, denormal } = registerSource(bits);
    const sign = bits & SIGN ? C1 : 0;
    this.#setCodes(sign | (this.#isFull(0) ? CLASSES[denormal ? 'denormal' : value.kind] : C3 | C0));
  }

  // ---- the stack itself

  rotate(by: 1 | -1): void {
    this.#changeCodes(C1, 0);
    this.#setTop(this.#top + by);
  }

  /** FFREE; FFREEP pops besides. */
  free(i: number, pops: boolean): void {
    this.#changeCodes(C1, 0);
    this.#state.tags &= ~(1 << this.#physical(i));
    if (pops) this.#pop();
  }

  // ---- how operations go

  #environment(): float.Environment {
    const { control } = this.#state;
    return float.environment({
      rounding: ((control >> ROUNDING_SHIFT) & 3) as float.Rounding,
      masked: control & 63,
      wrapExponent: WRAP,
    });
  }

  /** What add, subtract, multiply, divide and square root round to. */
  #target(): float.Target {
    const precision = PRECISIONS[((this.#state.control >> PRECISION_SHIFT) & 3) as 0 | 1 | 2 | 3];
    return { ...float.F80, precision };
  }

  /** Works out a result from numbers; NaNs and unsupported encodings have theirs already. */
  #numbersOnly(
    env: float.Environment,
    sources: readonly Source[],
    compute: (values: readonly float.Real[]) => float.Real | float.Nan,
  ): float.Real | float.Nan {
    const values = sources.map(({ value }) => value);
    const nan = nanResult(env, ...values);
    if (nan) return nan;
    const result = compute(values as float.Real[]);
    const isRefused = (env.flags & (float.INVALID | float.DIVIDE_BY_ZERO)) !== 0;
    if (!isRefused && sources.some(({ denormal }) => denormal)) env.flags |= float.DENORMAL;
    return result;
  }

  /** ST(0) becomes what is computed of it; undefined leaves it alone, and sets C2. */
  #unary(compute: (env: float.Environment, values: readonly float.Real[]) => float.Real | float.Nan | undefined): void {
    if (!this.#isFull(0)) {
      this.#underflow(() => this.#write(0, INDEFINITE));
      return;
    }
    const env = this.#environment();
    let isLeft = false;
    const source = registerSource(this.#read(0));
    const result = this.#numbersOnly(env, [source], (values) => {
      const computed = compute(env, values);
      isLeft = computed === undefined;
      return computed ?? float.INDEFINITE;
    });
    this.#finish(env, () => {
      if (isLeft) this.#changeCodes(0, C2);
      else this.#write(0, float.pack(float.F80, result));
    });
  }

  /** ST(destination) becomes what is computed of ST(0) and ST(1). */
  #binary(
    destination: 0 | 1,
    pops: boolean,
    compute: (env: float.Environment, values: readonly float.Real[]) => float.Real | float.Nan,
    setCodes: () => void = () => {},
  ): void {
    const write = (value: bigint): void => {
      this.#write(destination, value);
      if (pops) this.#pop();
      setCodes();
    };
    if (!this.#isFull(0) || !this.#isFull(1)) {
      this.#underflow(() => write(INDEFINITE));
      return;
    }
    const env = this.#environment();
    const sources = [registerSource(this.#read(0)), registerSource(this.#read(1))];
    const result = this.#numbersOnly(env, sources, (values) => compute(env, values));
    this.#finish(env, () => write(float.pack(float.F80, result)));
  }

  /** ST(0) becomes one result, and the other is pushed; no results leave it alone, and set C2. */
  #pushing(compute: (env: float.Environment, value: float.Real) => readonly (float.Real | float.Nan)[]): void {
    const both = (first: bigint, second: bigint): void => {
      this.#write(0, first);
      this.#push(second);
    };
    if (!this.#isFull(0)) {
      this.#underflow(() => both(INDEFINITE, INDEFINITE));
      return;
    }
    if (this.#isFull(7)) {
      this.#overflow(() => both(INDEFINITE, INDEFINITE));
      return;
    }
    const env = this.#environment();
    const source = registerSource(this.#read(0));
    let results: readonly (float.Real | float.Nan)[] | undefined;
    const nan = this.#numbersOnly(env, [source], ([value]) => {
      results = compute(env, value!);
      return float.INDEFINITE;
    });
    this.#finish(env, () => {
      const [first = nan, second = nan] = results ?? [];
      if (results?.length === 0) this.#changeCodes(0, C2);
      else both(float.pack(float.F80, first), float.pack(float.F80, second));
    });
  }

  /** Raises what was found, and lets the result be written unless an unmasked exception among `forbidding` was. */
  #finish(env: float.Environment, write: () => void, forbidding: number = float.BEFORE_RESULT): void {
    const state = this.#state;
    const before = env.flags & forbidding;
    const isRefused = (before & ~env.masked) !== 0;
    const flags = isRefused ? before : env.flags;
    const rounded = !isRefused && env.roundedUp && (flags & float.INEXACT) !== 0 ? C1 : 0;
    state.status = (state.status & ~C1) | flags | rounded;
    if (!isRefused) write();
    state.status = withSummary(state.status, state.control);
  }

  /** An empty register was read: invalid, with the masked response `respond`. */
  #underflow(respond: () => void): void {
    this.#stackFault(0, respond);
  }

  #overflow(respond: () => void): void {
    this.#stackFault(C1, respond);
  }

  #stackFault(code: number, respond: () => void): void {
    const state = this.#state;
    state.status = (state.status & ~C1) | STACK_FAULT | float.INVALID | code;
    if (state.control & float.INVALID) respond();
    state.status = withSummary((state.status & ~C1) | code, state.control);
  }

  /** Whether there is no room to push; if so, the fault has been raised and answered. */
  #pushFaults(): boolean {
    if (!this.#isFull(7)) return false;
    this.#overflow(() => this.#push(INDEFINITE));
    return true;
  }

  // ---- registers

  get #top(): number {
    return (this.#state.status >> TOP_SHIFT) & 7;
  }
  #setTop(top: number): void {
    this.#state.status = (this.#state.status & ~(7 << TOP_SHIFT)) | ((top & 7) << TOP_SHIFT);
  }
  #physical(i: number): number {
    return (this.#top + i) & 7;
  }
  #isFull(i: number): boolean {
    return ((this.#state.tags >> this.#physical(i)) & 1) !== 0;
  }
  #read(i: number): bigint {
    return this.#state.readRegister(this.#physical(i));
  }
  #valueOrIndefinite(i: number): bigint {
    return this.#isFull(i) ? this.#read(i) : INDEFINITE;
  }
  #write(i: number, value: bigint): void {
    const register = this.#physical(i);
    this.#state.writeRegister(register, value);
    this.#state.tags |= 1 << register;
  }
  #push(value: bigint): void {
    this.#setTop(this.#top - 1);
    this.#write(0, value);
  }
  #pop(): void {
    this.#state.tags &= ~(1 << this.#physical(0));
    this.#setTop(this.#top + 1);
  }
  #setCodes(codes: number): void {
    this.#changeCodes(CONDITIONS, codes);
  }
  #changeCodes(cleared: number, set: number): void {
    this.#state.status = (this.#state.status & ~cleared) | set;
  }
}

const CLASSES = {
  unsupported: 0,
  nan: C0,
  finite: C2,
  infinity: C2 | C0,
  zero: C3,
  denormal: C3 | C2,
} as const;

/** No exponent of a result is further away than this from that of its operand. */
const MOST_SCALE = 1 << 17;

/** FSCALE: the number times 2 to the power, which is cut off to an integer. */
function scaled(env: float.Environment, value: float.Real, power: float.Real): float.Real | float.Nan {
  if (power.kind === 'infinity') {
    const impossible = power.sign === 0 ? 'zero' : 'infinity';
    if (value.kind === impossible) {
      env.flags |= float.INVALID;
      return float.INDEFINITE;
    }
    return power.sign === 0 ? float.infinity(value.sign) : float.zero(value.sign);
  }
  if (value.kind !== 'finite') return value;
  return float.round(env, float.F80, { ...value, exponent: value.exponent + wholePower(power) });
}

function wholePower(power: float.Finite | float.Zero): number {
  if (power.kind === 'zero') return 0;
  const isFar = float.leadingExponent(power) > Math.log2(MOST_SCALE);
  const magnitude = isFar ? MOST_SCALE : Number(float.roundAt(float.TO_ZERO, power, 0).significand);
  return power.sign === 1 ? -magnitude : magnitude;
}
