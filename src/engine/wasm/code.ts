// The body of one WebAssembly function, written instruction by instruction.
// Source: WebAssembly Core Specification 2.0 "Binary Format > Instructions" (§5.4).
// Knows the integer and vector (vector-ops.ts) instructions that the engine uses; no scalar floats, tables or bulk memory.
// Checks that blocks balance, and leaves types to WebAssembly's own validation.
//
//   const code = new Code({ parameters: ['i32'], results: ['i64'] });
//   code.localGet(0);
//   code.load('i64.load32_s', 8);

import { invariant } from '../../base/failures.js';
import type { NumericOp, Sink } from '../../isa/meaning/expression.js';
import type { LaneVectorOp, VectorOp } from '../../isa/meaning/vector.js';
import { Bytes } from './bytes.js';
import {
  LANE_VECTOR_OPERATORS,
  VECTOR_CONSTANT,
  VECTOR_LOADS,
  VECTOR_OPERATORS,
  VECTOR_PREFIX,
  VECTOR_SHUFFLE,
  VECTOR_STORES,
  type VectorLoadOp,
  type VectorStoreOp,
} from './vector-ops.js';

export type ValueType = 'i32' | 'i64' | 'v128';

export interface FunctionType {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

export type LoadOp =
  | 'i32.load'
  | 'i32.load8_u'
  | 'i32.load16_u'
  | 'i64.load'
  | 'i64.load8_s'
  | 'i64.load8_u'
  | 'i64.load16_s'
  | 'i64.load16_u'
  | 'i64.load32_s'
  | 'i64.load32_u';

export type StoreOp = 'i32.store' | 'i32.store8' | 'i64.store' | 'i64.store8' | 'i64.store16' | 'i64.store32';

export const TYPE_CODES: Readonly<Record<ValueType, number>> = { i32: 0x7f, i64: 0x7e, v128: 0x7b };
const NO_RESULT = 0x40;

const LOADS: Readonly<Record<LoadOp, number>> = {
  'i32.load': 0x28,
  'i64.load': 0x29,
  'i32.load8_u': 0x2d,
  'i32.load16_u': 0x2f,
  'i64.load8_s': 0x30,
  'i64.load8_u': 0x31,
  'i64.load16_s': 0x32,
  'i64.load16_u': 0x33,
  'i64.load32_s': 0x34,
  'i64.load32_u': 0x35,
};

const STORES: Readonly<Record<StoreOp, number>> = {
  'i32.store': 0x36,
  'i64.store': 0x37,
  'i32.store8': 0x3a,
  'i64.store8': 0x3c,
  'i64.store16': 0x3d,
  'i64.store32': 0x3e,
};

/** Operators that the engine itself needs beside those of meanings. */
export type EngineOp = 'i32.sub' | 'i32.eq' | 'i32.ne' | 'i32.lt_s' | 'i32.lt_u' | 'i32.shl' | 'i32.shr_u';

const OPERATORS: Readonly<Record<NumericOp | EngineOp, number>> = {
  select: 0x1b,
  'i32.eqz': 0x45,
  'i32.eq': 0x46,
  'i32.ne': 0x47,
  'i32.lt_s': 0x48,
  'i32.lt_u': 0x49,
  'i64.eqz': 0x50,
  'i64.eq': 0x51,
  'i64.ne': 0x52,
  'i64.lt_s': 0x53,
  'i64.lt_u': 0x54,
  'i32.add': 0x6a,
  'i32.sub': 0x6b,
  'i32.and': 0x71,
  'i32.or': 0x72,
  'i32.xor': 0x73,
  'i32.shl': 0x74,
  'i32.shr_u': 0x76,
  'i64.clz': 0x79,
  'i64.ctz': 0x7a,
  'i64.popcnt': 0x7b,
  'i64.add': 0x7c,
  'i64.sub': 0x7d,
  'i64.mul': 0x7e,
  'i64.div_s': 0x7f,
  'i64.div_u': 0x80,
  'i64.rem_s': 0x81,
  'i64.rem_u': 0x82,
  'i64.and': 0x83,
  'i64.or': 0x84,
  'i64.xor': 0x85,
  'i64.shl': 0x86,
  'i64.shr_s': 0x87,
  'i64.shr_u': 0x88,
  'i64.rotl': 0x89,
  'i64.rotr': 0x8a,
  'i32.wrap_i64': 0xa7,
  'i64.extend_i32_u': 0xad,
  'i64.extend8_s': 0xc2,
  'i64.extend16_s': 0xc3,
  'i64.extend32_s': 0xc4,
};

/** A block that can be left, or a loop that can be gone round, by `branch`. */
export interface Label {
  /** How many blocks were open around it. */
  readonly depth: number;
}

export class Code implements Sink {
  readonly type: FunctionType;
  readonly #bytes = new Bytes();
  readonly #locals: ValueType[] = [];
  /** Locals that are free to be given out again, by type. */
  #free: Record<ValueType, number[]> = { i32: [], i64: [], v128: [] };
  #depth = 0;

  constructor(type: FunctionType) {
    this.type = type;
  }

  // ---- locals

  /** A local, which may hold anything at first. */
  local(type: ValueType): number {
    const free = this.#free[type].pop();
    if (free !== undefined) return free;
    this.#locals.push(type);
    return this.type.parameters.length + this.#locals.length - 1;
  }

  /** Runs `write`, and frees the locals that it took. */
  withLocals(write: () => void): void {
    const before = { i32: [...this.#free.i32], i64: [...this.#free.i64], v128: [...this.#free.v128] };
    const count = this.#locals.length;
    write();
    this.#locals.forEach((type, index) => {
      if (index >= count) before[type].push(this.type.parameters.length + index);
    });
    this.#free = before;
  }

  localGet(local: number): void {
    this.#indexed(0x20, local);
  }
  localSet(local: number): void {
    this.#indexed(0x21, local);
  }
  localTee(local: number): void {
    this.#indexed(0x22, local);
  }

  // ---- values

  constant32(value: number): void {
    this.#bytes.byte(0x41);
    this.#bytes.signed(value);
  }
  constant64(value: bigint): void {
    this.#bytes.byte(0x42);
    this.#bytes.signed64(value);
  }
  constant128(value: bigint): void {
    this.#vector(VECTOR_CONSTANT);
    for (let at = 0n; at < 128n; at += 8n) this.#bytes.byte(Number((value >> at) & 0xffn));
  }
  operate(op: NumericOp | EngineOp | VectorOp): void {
    if (op in VECTOR_OPERATORS) this.#vector(VECTOR_OPERATORS[op as VectorOp]);
    else this.#bytes.byte(OPERATORS[op as NumericOp | EngineOp]);
  }
  lane(op: LaneVectorOp, lane: number): void {
    this.#vector(LANE_VECTOR_OPERATORS[op]);
    this.#bytes.byte(lane);
  }
  shuffle(bytes: readonly number[]): void {
    this.#vector(VECTOR_SHUFFLE);
    this.#bytes.append(bytes);
  }
  /** The address is on the stack; `offset` bytes are added to it. No alignment is claimed. */
  load(op: LoadOp, offset = 0): void {
    this.#memory(LOADS[op], offset);
  }
  /** The address and the value are on the stack. */
  store(op: StoreOp, offset = 0): void {
    this.#memory(STORES[op], offset);
  }
  loadVector(op: VectorLoadOp, offset = 0): void {
    this.#vector(VECTOR_LOADS[op]);
    this.#place(offset);
  }
  /** The address and the vector are on the stack. */
  storeVector(op: VectorStoreOp, offset = 0): void {
    this.#vector(VECTOR_STORES[op]);
    this.#place(offset);
    // All but v128.store name a lane: the lowest.
    if (op !== 'v128.store') this.#bytes.byte(0);
  }
  drop(): void {
    this.#bytes.byte(0x1a);
  }

  // ---- control

  block(write: (label: Label) => void): void {
    this.#nested(0x02, NO_RESULT, write);
  }
  loop(write: (label: Label) => void): void {
    this.#nested(0x03, NO_RESULT, write);
  }
  /** The condition is on the stack. */
  if(then: () => void, otherwise?: () => void): void {
    this.#nested(0x04, NO_RESULT, () => {
      then();
      if (!otherwise) return;
      this.#bytes.byte(0x05);
      otherwise();
    });
  }
  /** The condition is on the stack; both sides push a value of the type. */
  ifElse(type: ValueType, then: () => void, otherwise: () => void): void {
    this.#nested(0x04, TYPE_CODES[type], () => {
      then();
      this.#bytes.byte(0x05);
      otherwise();
    });
  }
  branch(label: Label): void {
    this.#indexed(0x0c, this.#distance(label));
  }
  /** The condition is on the stack. */
  branchIf(label: Label): void {
    this.#indexed(0x0d, this.#distance(label));
  }
  /** The index is on the stack; one that has no label goes to `otherwise`. */
  branchTable(labels: readonly Label[], otherwise: Label): void {
    this.#indexed(0x0e, labels.length);
    for (const label of labels) this.#bytes.unsigned(this.#distance(label));
    this.#bytes.unsigned(this.#distance(otherwise));
  }
  return(): void {
    this.#bytes.byte(0x0f);
  }
  unreachable(): void {
    this.#bytes.byte(0x00);
  }
  call(functionIndex: number): void {
    this.#indexed(0x10, functionIndex);
  }
  /** The arguments and then the index into table 0 are on the stack. */
  callIndirect(typeIndex: number): void {
    this.#indexed(0x11, typeIndex);
    this.#bytes.byte(0);
  }

  /** The finished body, as it stands in the code section. */
  body(): Bytes {
    invariant(this.#depth === 0, 'every block is closed when a function ends');
    const body = new Bytes();
    body.unsigned(this.#locals.length);
    for (const type of this.#locals) {
      body.unsigned(1);
      body.byte(TYPE_CODES[type]);
    }
    body.append(this.#bytes.view());
    body.byte(0x0b);
    return body;
  }

  #nested(opcode: number, blockType: number, write: (label: Label) => void): void {
    this.#bytes.byte(opcode);
    this.#bytes.byte(blockType);
    const label = { depth: this.#depth++ };
    write(label);
    this.#depth--;
    this.#bytes.byte(0x0b);
  }

  #distance(label: Label): number {
    return this.#depth - 1 - label.depth;
  }

  #indexed(opcode: number, index: number): void {
    this.#bytes.byte(opcode);
    this.#bytes.unsigned(index);
  }

  #memory(opcode: number, offset: number): void {
    this.#bytes.byte(opcode);
    this.#place(offset);
  }

  #place(offset: number): void {
    this.#bytes.unsigned(0);
    this.#bytes.unsigned(offset);
  }

  #vector(opcode: number): void {
    this.#bytes.byte(VECTOR_PREFIX);
    this.#bytes.unsigned(opcode);
  }
}
