// Operations of SSE on the floats of whole vectors, lane by lane, for all that WebAssembly's vectors cannot do: see scalar.ts.
// Meanings name an operation by its number in a table that they fill when they are loaded (meaning/vector-float.ts).
// Source: SDM 1 "SIMD Floating-Point Exceptions" (§11.5): the flags of all lanes are collected, and if an exception that comes
// before the result is unmasked in any lane, no lane reports one that comes after it.

import { invariant } from '../../base/failures.js';
import type { Environment } from './rounding.js';
import { isUnmasked, mxcsrEnvironment, raisedFlags } from './scalar.js';

/** One lane of the result from those of both operands, with an immediate. Notes exceptions in `env`. */
export type LaneOperation = (env: Environment, a: bigint, b: bigint, immediate: number, lane: number) => bigint;

export interface VectorOperation {
  readonly lanes: number;
  /** Sizes of a lane of the operands, and of the result. */
  readonly operandBits: number;
  readonly resultBits: number;
  readonly compute: LaneOperation;
  /** It works in steps, and notes of each the flags that the step is to raise: not only those before the result. */
  readonly inSteps?: boolean;
}

export interface VectorResult {
  /** Lanes behind the operation's last are 0. */
  readonly value: bigint;
  readonly mxcsr: number;
  /** An exception that is not masked was raised: the value is not to be used. */
  readonly isUnmasked: boolean;
}

const operations: VectorOperation[] = [];

/** Adds an operation; its number. */
export const addVectorOperation = (operation: VectorOperation): number => operations.push(operation) - 1;

/** Carries out operation `number` on vectors of 128 bits, under an MXCSR. */
export function computeVector(number: number, mxcsr: number, a: bigint, b: bigint, immediate: number): VectorResult {
  const operation = operations[number];
  invariant(operation, `there is a vector operation ${number}`);
  const { lanes, operandBits, resultBits, compute, inSteps = false } = operation;
  const env = mxcsrEnvironment(mxcsr);
  let value = 0n;
  let flags = 0;
  for (let lane = 0; lane < lanes; lane++) {
    const shift = BigInt(lane * operandBits);
    const operand = (vector: bigint): bigint => BigInt.asUintN(operandBits, vector >> shift);
    env.flags = 0;
    value |=
      BigInt.asUintN(resultBits, compute(env, operand(a), operand(b), immediate, lane)) << BigInt(lane * resultBits);
    flags |= env.flags;
  }
  env.flags = flags;
  return { value, mxcsr: mxcsr | (inSteps ? flags : raisedFlags(env)), isUnmasked: isUnmasked(env) };
}
