// Where the interpreter finds operands and registers, and how it goes on: the interpreter's `Target` of a generator. Operands
// come out of the record that is being executed (record.ts), registers are in memory (layout.ts).
// Two kinds: code inside the loop of `run`, and a function of its own that the loop calls.

import { RSP } from '../abi/registers.js';
import { invariant } from '../base/failures.js';
import { I32, I64 } from '../isa/meaning/expression.js';
import type { Bits } from '../isa/meaning/semantics.js';
import type { OperandForm } from './form.js';
import {
  loadOp,
  type RegisterReference,
  type SlowFunctions,
  storeOp,
  type Target,
  type VectorReference,
} from './generator.js';
import { EXIT, ExitCode, gprAddress, PAGE, PREDICTOR, SEGMENT_BASES, SELECTORS, xmmAddress } from './layout.js';
import * as record from './record.js';
import type { Code, FunctionType, Label } from './wasm/code.js';

// The parameters that `run` and a form's own function have in common.
export const RECORD = 0;
export const BUDGET = 1;
export const CONTEXT = 2;

/** `run`: -> ExitCode. A form's own function: -> the next record; if it sets EXIT, the record at which to stop. */
export const EXECUTE: FunctionType = { parameters: ['i32', 'i32', 'i32'], results: ['i32'] };

/** Functions of the core module that instructions call. */
export interface CoreFunctions extends SlowFunctions {
  /** (address i64, record, budget) -> the record for the instruction at an address. */
  readonly lookup: number;
  /** (taken i32, record, budget). */
  readonly mispredicted: number;
}

/** The interpreter's side of a generator: operands out of the record, registers in memory. */
export abstract class RecordTarget implements Target {
  readonly slow: CoreFunctions;
  protected readonly code: Code;
  readonly #predicts: boolean;

  constructor(code: Code, functions: CoreFunctions, predicts: boolean) {
    this.code = code;
    this.slow = functions;
    this.#predicts = predicts;
  }

  pushContext(): void {
    this.code.localGet(CONTEXT);
  }

  pushPosition(): void {
    this.code.localGet(RECORD);
    this.code.localGet(BUDGET);
  }

  readRegister(reference: RegisterReference, bits: Bits, signed: boolean): I64 {
    return this.#value(() => {
      const offset = this.#pushRegisterAddress(reference);
      this.code.load(loadOp(bits, signed), offset);
    });
  }

  writeRegister(reference: RegisterReference, bits: Bits, value: I64): void {
    const offset = this.#pushRegisterAddress(reference);
    // A 32-bit result clears the upper half.
    (bits === 32 ? value.low().wide() : value).emit(this.code);
    this.code.store(bits === 32 ? 'i64.store' : storeOp(bits), offset);
  }

  pushVectorAddress(reference: VectorReference): number {
    if ('operand' in reference) return this.#pushRegisterAddress(reference);
    this.code.constant32(0);
    return xmmAddress(reference.xmm);
  }

  immediate(index: number): I64 {
    const field = record.IMMEDIATE_FIELDS[index];
    invariant(field !== undefined, 'a record has room for two immediates');
    return this.field64(field);
  }

  address(operand: OperandForm & { kind: 'memory' }, rspAhead: bigint): I64 {
    let address = this.#registerAt(record.BASE).add(this.field64(record.DISPLACEMENT));
    if (rspAhead !== 0n) address = address.add(this.#baseIsRsp().select(rspAhead, 0n));
    if (operand.shape === 'base') return address;
    const scale = this.#value(() => {
      this.code.localGet(RECORD);
      this.code.load('i64.load8_u', record.SCALE);
    });
    return address.add(this.#registerAt(record.INDEX).shiftLeft(scale));
  }

  segmentBase(): I64 {
    return this.#value(() => {
      this.code.localGet(RECORD);
      this.code.load('i32.load8_u', record.SEGMENT);
      this.code.constant32(3);
      this.code.operate('i32.shl');
      this.code.load('i64.load', SEGMENT_BASES);
    });
  }

  rip(): I64 {
    const start = this.#value(() => {
      this.code.localGet(RECORD);
      this.code.load('i64.load16_u', record.START);
    });
    return this.readState(PAGE).add(start);
  }

  x87Opcode(): I64 {
    return this.field64(record.IMMEDIATE);
  }

  operandSelector(): I64 {
    return this.#value(() => {
      this.code.localGet(RECORD);
      this.code.load('i32.load8_u', record.SEGMENT);
      this.code.constant32(1);
      this.code.operate('i32.shl');
      this.code.load('i64.load16_u', SELECTORS);
    });
  }

  readState(address: number): I64 {
    return this.#value(() => {
      this.code.constant32(0);
      this.code.load('i64.load', address);
    });
  }

  writeState(address: number, value: I64): void {
    this.code.constant32(0);
    value.emit(this.code);
    this.code.store('i64.store', address);
  }

  nextRip(): I64 {
    const end = this.#value(() => {
      this.code.localGet(RECORD);
      this.code.load('i64.load16_u', record.END);
    });
    return this.readState(PAGE).add(end);
  }

  branch(condition: I32 | undefined): void {
    if (condition === undefined) {
      this.#pushLink();
      this.goOn();
      return;
    }
    const taken = this.code.local('i32');
    condition.emit(this.code);
    this.code.localSet(taken);
    if (this.#predicts) this.#predict(taken);
    this.code.localGet(taken);
    this.code.if(() => {
      this.#pushLink();
      this.goOn();
    });
  }

  again(condition: I32): void {
    condition.emit(this.code);
    this.code.if(() => {
      this.code.localGet(RECORD);
      this.goOn();
    });
  }

  abstract jump(target: I64): void;
  abstract leave(exit: number): void;
  abstract pauseIf(condition: I32): void;
  /** Goes on to the record whose address is on the stack. */
  abstract goOn(): void;

  /** To the record behind this one. */
  goToNext(): void {
    this.code.localGet(RECORD);
    this.code.constant32(record.RECORD_BYTES);
    this.code.operate('i32.add');
    this.goOn();
  }

  #pushLink(): void {
    this.code.localGet(RECORD);
    this.code.load('i32.load', record.IMMEDIATE);
  }

  /** Compares with the branch's two-bit counter, and moves it one step towards what happened. */
  #predict(taken: number): void {
    const { code } = this;
    const [address, counter] = [code.local('i32'), code.local('i32')];
    code.localGet(RECORD);
    code.load('i32.load16_u', record.REGISTER_A);
    code.localGet(CONTEXT);
    code.operate('i32.add');
    code.localTee(address);
    code.load('i32.load8_u', PREDICTOR);
    code.localTee(counter);
    code.constant32(1);
    code.operate('i32.shr_u');
    code.localGet(taken);
    code.operate('i32.ne');
    code.if(() => {
      code.localGet(taken);
      this.pushPosition();
      code.call(this.slow.mispredicted);
    });
    code.localGet(address);
    code.localGet(counter);
    code.localGet(taken);
    code.ifElse(
      'i32',
      () => {
        code.localGet(counter);
        code.constant32(3);
        code.operate('i32.lt_u');
      },
      () => {
        code.constant32(0);
        code.localGet(counter);
        code.constant32(0);
        code.operate('i32.ne');
        code.operate('i32.sub');
      },
    );
    code.operate('i32.add');
    code.store('i32.store8', PREDICTOR);
  }

  /** Pushes what, with the returned offset, is the address of a register. */
  #pushRegisterAddress(reference: RegisterReference): number {
    if ('register' in reference) {
      this.code.constant32(0);
      return gprAddress(reference.register) + (reference.high ? 1 : 0);
    }
    const field = record.REGISTER_FIELDS[reference.operand];
    invariant(field !== undefined, 'a record has room for three registers');
    this.code.localGet(RECORD);
    this.code.load('i32.load16_u', field);
    return 0;
  }

  /** The 64-bit register whose address is in the field. */
  #registerAt(field: number): I64 {
    return this.#value(() => {
      this.code.localGet(RECORD);
      this.code.load('i32.load16_u', field);
      this.code.load('i64.load');
    });
  }

  #baseIsRsp(): I32 {
    return I32.of(
      () => {
        this.code.localGet(RECORD);
        this.code.load('i32.load16_u', record.BASE);
        this.code.constant32(gprAddress(RSP));
        this.code.operate('i32.eq');
      },
      { reusable: false },
    );
  }

  /** A 64-bit field of the record. */
  field64(field: number): I64 {
    return this.#value(() => {
      this.code.localGet(RECORD);
      this.code.load('i64.load', field);
    });
  }

  #value(push: () => void): I64 {
    return I64.of(push, { reusable: false });
  }
}

/** Inside the loop of `run`. */
export class LoopTarget extends RecordTarget {
  readonly #labels: LoopLabels;

  constructor(code: Code, functions: CoreFunctions, predicts: boolean, labels: LoopLabels) {
    super(code, functions, predicts);
    this.#labels = labels;
  }

  jump(target: I64): void {
    target.emit(this.code);
    this.code.localSet(this.#labels.jumpTarget);
    this.code.branch(this.#labels.jump);
  }
  leave(exit: number): void {
    this.code.constant32(0);
    this.code.constant32(exit);
    this.code.store('i32.store', EXIT);
    this.code.branch(this.#labels.exit);
  }
  pauseIf(): void {
    invariant(false, 'an instruction that may pause the run is none of the hot ones');
  }
  goOn(): void {
    this.code.localSet(RECORD);
    this.code.branch(this.#labels.next);
  }
}

export interface LoopLabels {
  readonly next: Label;
  readonly jump: Label;
  readonly exit: Label;
  /** The local that `jump` goes to. */
  readonly jumpTarget: number;
}

/** In a function of its own: (record, budget, context) -> next record. */
export class FunctionTarget extends RecordTarget {
  jump(target: I64): void {
    target.emit(this.code);
    this.pushPosition();
    this.code.call(this.slow.lookup);
    this.code.return();
  }
  leave(exit: number): void {
    this.code.constant32(0);
    this.code.constant32(exit);
    this.code.store('i32.store', EXIT);
    this.code.localGet(RECORD);
    this.code.return();
  }
  pauseIf(condition: I32): void {
    this.code.constant32(0);
    condition.select(BigInt(ExitCode.pause), 0n).low().emit(this.code);
    this.code.store('i32.store', EXIT);
  }
  goOn(): void {
    this.code.return();
  }
}
