// The operations of the x87 by name and number: what meanings (meaning/x87.ts) ask for, and how the machine does it. Operations
// on a stack register get its number i; those on memory get its bytes, as a low and a high word.

import { NEAREST, TO_ZERO } from '../softfloat/index.js';
import { type Arithmetic, type Constant, type Store, X87 } from './machine.js';
import type { MemoryFormat } from './operands.js';
import { fullTagWord, TOP_SHIFT, type X87State } from './state.js';
import type { Transcendental } from './transcendentals.js';

interface Request {
  readonly x87: X87;
  readonly state: X87State;
  readonly i: number;
  readonly bits: bigint;
  /** A top of the stack, where the operation is told one. */
  readonly top: number;
}

type Words = readonly bigint[];
/** Changes the registers and answers nothing. */
type Action = (request: Request) => void;
/** Answers, and may change registers. */
type Question = (request: Request) => Words;

const ARITHMETIC: readonly Arithmetic[] = ['add', 'mul', 'sub', 'subr', 'div', 'divr'];
const OPERANDS = ['f32', 'f64', 'i16', 'i32'] as const;
const LOADS: readonly MemoryFormat[] = ['f32', 'f64', 'f80', 'i16', 'i32', 'i64', 'bcd'];
const CONSTANTS: readonly Constant[] = ['one', 'log2Of10', 'log2OfE', 'pi', 'log10Of2', 'lnOf2', 'zero'];
const TRANSCENDENTALS: readonly Transcendental[] = [
  'f2xm1',
  'fyl2x',
  'fyl2xp1',
  'fptan',
  'fpatan',
  'fsin',
  'fcos',
  'fsincos',
];

/** stores (1), low word, high word, and what status (15:0) and tags (23:16) become once memory has taken it. */
const answerOfStore = ({ stores, bits, status, tags }: Store): Words => [
  stores ? 1n : 0n,
  BigInt.asUintN(64, bits),
  bits >> 64n,
  BigInt(status | (tags << 16)),
];

const physical = ({ state, i }: Request): number => ((state.status >> TOP_SHIFT) + i) & 7;

/** An operation for each key, which is also the rest of its name. */
const forEach = <Key extends string, Result>(
  prefix: string,
  keys: readonly Key[],
  operation: (request: Request, key: Key) => Result,
): readonly (readonly [string, (request: Request) => Result])[] =>
  keys.map((key) => [`${prefix}${key}`, (request) => operation(request, key)]);

const ACTIONS: readonly (readonly [string, Action])[] = [
  ...forEach('load ', LOADS, ({ x87, bits }, format) => x87.load(format, bits)),
  ['load', ({ x87, i }) => x87.loadRegister(i)],
  ['store', ({ x87, i }) => x87.storeRegister(i, false)],
  ['store-pop', ({ x87, i }) => x87.storeRegister(i, true)],
  ['store-pop-unchecked', ({ x87, i }) => x87.storeUnchecked(i)],
  ['exchange', ({ x87, i }) => x87.exchange(i)],
  ['move-if', ({ x87, i, bits }) => x87.moveIf(i, bits !== 0n)],
  ...forEach('constant ', CONSTANTS, ({ x87 }, constant) => x87.loadConstant(constant)),

  ...ARITHMETIC.flatMap((operation) => [
    // Into ST(0); into ST(i), where what is subtracted or divided is told from ST(i), too; and the same with a pop.
    [operation, ({ x87, i }: Request) => x87.arithmetic(operation, 0, i, false)] as const,
    [`${operation} to`, ({ x87, i }: Request) => x87.arithmetic(operation, i, 0, false)] as const,
    [`${operation}-pop to`, ({ x87, i }: Request) => x87.arithmetic(operation, i, 0, true)] as const,
    ...forEach(`${operation} `, OPERANDS, ({ x87, bits }, format) => x87.arithmeticWithMemory(operation, format, bits)),
  ]),
  ['square-root', ({ x87 }) => x87.squareRoot()],
  ['round', ({ x87 }) => x87.roundToInteger()],
  ['scale', ({ x87 }) => x87.scale()],
  ['extract', ({ x87 }) => x87.extract()],
  ['remainder', ({ x87 }) => x87.remainder(TO_ZERO)],
  ['remainder-nearest', ({ x87 }) => x87.remainder(NEAREST)],
  ['change-sign', ({ x87 }) => x87.changeSign()],
  ['absolute', ({ x87 }) => x87.absolute()],
  ...forEach('', TRANSCENDENTALS, ({ x87 }, name) => x87.transcendental(name)),

  ...forEach('compare ', OPERANDS, ({ x87, bits }, format) => x87.compareWithMemory(format, bits, 0)),
  ...forEach('compare-pop ', OPERANDS, ({ x87, bits }, format) => x87.compareWithMemory(format, bits, 1)),
  ['compare', ({ x87, i }) => x87.compare(i, 'none', 0)],
  ['compare-pop', ({ x87, i }) => x87.compare(i, 'none', 1)],
  ['compare-pop-pop', ({ x87, i }) => x87.compare(i, 'none', 2)],
  ['compare-quiet', ({ x87, i }) => x87.compare(i, 'quiet', 0)],
  ['compare-quiet-pop', ({ x87, i }) => x87.compare(i, 'quiet', 1)],
  ['compare-quiet-pop-pop', ({ x87, i }) => x87.compare(i, 'quiet', 2)],
  ['compare-zero', ({ x87 }) => x87.compareWithZero()],
  ['examine', ({ x87 }) => x87.examine()],

  ['rotate-up', ({ x87 }) => x87.rotate(1)],
  ['rotate-down', ({ x87 }) => x87.rotate(-1)],
  ['free', ({ x87, i }) => x87.free(i, false)],
  ['free-pop', ({ x87, i }) => x87.free(i, true)],

  // For FRSTOR: of the stack whose top is in the bits above the sign.
  ['set-register', ({ state, i, top, bits }) => state.writeRegister((top + i) & 7, bits)],
];

const QUESTIONS: readonly (readonly [string, Question])[] = [
  ...forEach('store ', LOADS, ({ x87 }, format) => answerOfStore(x87.store(format, false, false))),
  ...forEach('store-pop ', LOADS, ({ x87 }, format) => answerOfStore(x87.store(format, true, false))),
  ...forEach('truncate-pop ', ['i16', 'i32', 'i64'], ({ x87 }, format) => answerOfStore(x87.store(format, true, true))),
  // CF, PF and ZF as they stand in EFLAGS.
  ['flags', ({ x87, i }) => [BigInt(x87.compareToFlags(i, 'none', 0))]],
  ['flags-pop', ({ x87, i }) => [BigInt(x87.compareToFlags(i, 'none', 1))]],
  ['flags-quiet', ({ x87, i }) => [BigInt(x87.compareToFlags(i, 'quiet', 0))]],
  ['flags-quiet-pop', ({ x87, i }) => [BigInt(x87.compareToFlags(i, 'quiet', 1))]],
  // For FNSAVE and FNSTENV.
  ['tag-word', ({ state }) => [BigInt(fullTagWord(state))]],
  [
    'register',
    (request) => {
      const bits = request.state.readRegister(physical(request));
      return [BigInt.asUintN(64, bits), bits >> 64n];
    },
  ],
];

/** Bits of a request's number: the operation, and above them i. */
const OPERATION_BITS = 8;
const NUMBERS = new Map([...ACTIONS, ...QUESTIONS].map(([name], number) => [name, number]));

/** What an operation on ST(i) is asked for with; undefined when there is none of that name. */
export function x87Request(name: string, i = 0): number | undefined {
  const number = NUMBERS.get(name);
  return number === undefined ? undefined : number | (i << OPERATION_BITS);
}

/** Does what `request` (of `x87Request`) says; the answer's words are unsigned. */
export function runX87(state: X87State, request: number, low: bigint, high: bigint): readonly bigint[] {
  const number = request & ((1 << OPERATION_BITS) - 1);
  const bits = low | (BigInt.asUintN(16, high) << 64n);
  const top = Number((high >> 16n) & 7n);
  const asked = { x87: new X87(state), state, i: request >> OPERATION_BITS, bits, top };
  const question = QUESTIONS[number - ACTIONS.length]?.[1];
  if (question) return question(asked);
  ACTIONS[number]![1](asked);
  return [];
}
