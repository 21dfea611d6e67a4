// From a statement to bytes: of all rows of that name that can say it, the one with the fewest bytes, and of equally
// short ones the one that stands first in the table.

import { DS, ES, RBX, RDI, RSI, RSP } from '../../abi/registers.js';
import { InputError } from '../../base/failures.js';
import { encode } from '../encode.js';
import {
  type IntegerSize,
  type MemoryOperand,
  NO_REGISTER,
  type Operand,
  type OperandSource,
  type OperandSpec,
  type OperandWidth,
  RIP,
  type Row,
} from '../instruction.js';
import { rows } from '../rows/index.js';
import { widthBytes } from '../sizes.js';
import type { MemoryReference, Statement, StatementOperand, Value } from './statement.js';

export interface Place {
  readonly address: bigint;
  /** Where a symbol is. */
  readonly resolve: (name: string) => bigint;
  /** Forms shorter than this are not taken: whoever lays out code lets no instruction shrink again, so that it ends. */
  readonly atLeast: number;
}

/** The bytes of a statement at a place. Throws InputError when no row can say it, or when a size is left open. */
export function select(statement: Statement, place: Place): Uint8Array {
  const name = statement.mnemonic.toLowerCase();
  const candidates = rowsByMnemonic.get(statement.mnemonic);
  if (!candidates) throw new InputError(`no instruction is called ${name}`);
  const found = candidates
    .filter((row) => takes(row, statement))
    .flatMap((row) =>
      sizesToTry(row, statement).flatMap((operandSize) => attempt(row, operandSize, statement, place) ?? []),
    );
  const openSizes = new Set(found.map(({ openSize }) => openSize).filter((size) => size !== undefined));
  if (openSizes.size > 1)
    throw new InputError(`${name}: the size of the memory operand is open: say byte, word, dword or qword`);
  const best = found
    .filter(({ bytes }) => bytes.length >= place.atLeast)
    .sort((a, b) => Number(a.row.alias) - Number(b.row.alias) || a.bytes.length - b.bytes.length)[0];
  if (best) return best.bytes;
  // Their two operands may change places, and only one order has a form with memory.
  const [first, second] = statement.operands;
  if (isReference(second) && (name === 'test' || name === 'xchg'))
    return select({ ...statement, operands: [second, first as StatementOperand] }, place);
  throw new InputError(`no form of ${name} takes these operands`);
}

interface Found {
  readonly row: Row;
  readonly bytes: Uint8Array;
  /** The bytes that this form would access where the statement does not say how many. */
  readonly openSize: number | undefined;
}

const rowsByMnemonic: ReadonlyMap<string, readonly Row[]> = groupByMnemonic();

function groupByMnemonic(): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.mnemonic);
    if (group) group.push(row);
    else groups.set(row.mnemonic, [row]);
  }
  return groups;
}

const isReference = (operand: StatementOperand | undefined): operand is MemoryReference =>
  typeof operand === 'object' && operand.kind === 'reference';

const followsPrefixes = (width: OperandWidth): boolean =>
  width === 'v' || width === 'z' || width === 'y' || width === 'p';

const isRegister = (operand: StatementOperand): boolean => typeof operand === 'object' && operand.kind === 'register';

/** Are there as many operands as the row has, and each of a kind that it has there? Sizes are another question. */
function takes(row: Row, { operands }: Statement): boolean {
  if (row.silent) return operands.length === 0;
  return operands.length === row.operands.length && operands.every((operand, i) => takesKind(row.operands[i], operand));
}

const TAKEN_BY = {
  value: ['I', 'Is', 'J', 'one'],
  reference: ['E', 'M', 'O', 'W', 'Q', 'T'],
  register: ['E', 'R', 'G', 'Z', 'fixed-register'],
  segment: ['S', 'fixed-segment'],
  control: ['C'],
  debug: ['D'],
  xmm: ['V', 'W', 'U'],
  mm: ['P', 'Q', 'N'],
  st: ['ST', 'STi'],
} as const satisfies Record<string, readonly OperandSource[]>;

function takesKind(spec: OperandSpec | undefined, operand: StatementOperand): boolean {
  const kind = typeof operand === 'bigint' || operand.kind === 'symbol' ? 'value' : operand.kind;
  const sources: readonly OperandSource[] = TAKEN_BY[kind];
  return spec !== undefined && sources.includes(spec.source);
}

const SIZES = { byte: [1], f64: [8], d64: [8, 2], prefix: [4, 2, 8], y: [4, 8] } as const;

/** Operand sizes, the row's own first. Another needs somebody to ask for it: a prefix, a register, a memory size. */
function sizesToTry(row: Row, statement: Statement): readonly IntegerSize[] {
  const { operandSize } = row.encoding;
  const sizes = SIZES[row.sizing].filter((size) => operandSize === 0 || operandSize === size);
  if (statement.operandSize !== undefined) return sizes.filter((size) => size === statement.operandSize);
  // Memory of no stated size asks for every size, which `select` then refuses; but a push without a size is of 8 bytes.
  const asked = statement.operands.some(
    (operand, i) =>
      followsPrefixes(row.operands[i]?.width ?? 'none') &&
      (isRegister(operand) ||
        (isReference(operand) && (operand.size !== undefined || row.sizing === 'prefix' || row.sizing === 'y'))),
  );
  return asked ? sizes : sizes.slice(0, 1);
}

/** The statement as this row and size would say it, or undefined. */
function attempt(row: Row, operandSize: IntegerSize, statement: Statement, place: Place): Found | undefined {
  const references = statement.operands.filter(isReference);
  const registers = references
    .flatMap(({ base, index }) => [base, index])
    .filter((register) => typeof register === 'object');
  const isShort = registers[0]?.size === 4 || references[0]?.base === 'eip';
  const addressSize = statement.addressSize ?? (row.encoding.addressSize || (isShort ? 4 : 8));
  if (registers.some(({ size }) => size !== addressSize)) return undefined;

  const encodeFor = (next: bigint | undefined): Uint8Array | undefined => {
    const converted = row.operands.map((spec, i) =>
      row.silent
        ? silentOperand(spec, operandSize, statement.segment)
        : convert(spec, statement.operands[i], operandSize, place, next),
    );
    if (converted.some((operand) => operand === undefined)) return undefined;
    return encode({
      row,
      operandSize,
      addressSize,
      lock: statement.lock ?? false,
      repeat: statement.repeat,
      operands: converted as Operand[],
      displacementBytes: references[0] && displacementBytes(references[0]),
    });
  };
  const draft = encodeFor(undefined);
  // What depends on where the next instruction is never changes the length, so the second time is right.
  const isRelative =
    references.some(({ base }) => typeof base === 'string') || row.operands.some(({ source }) => source === 'J');
  const bytes = draft && isRelative ? encodeFor(place.address + BigInt(draft.length)) : draft;
  if (!bytes) return undefined;
  const open = statement.operands.findIndex((operand) => isReference(operand) && operand.size === undefined);
  const openWidth = row.operands[open]?.width ?? 'none';
  return { row, bytes, openSize: openWidth === 'none' ? undefined : widthBytes(openWidth, operandSize) };
}

/** A symbol's address may still move, so it never goes into one byte. */
const displacementBytes = ({ displacement, displacementBytes: asked }: MemoryReference): 1 | 4 | undefined =>
  typeof displacement === 'object' ? 4 : asked;

/** An operand that the mnemonic stands for. */
function silentOperand(spec: OperandSpec, operandSize: IntegerSize, override: number | undefined): Operand {
  const size = widthBytes(spec.width, operandSize);
  if (spec.source === 'fixed-register')
    return { kind: 'register', register: spec.fixed, size: size as IntegerSize, high: false };
  const base = spec.source === 'X' ? RSI : spec.source === 'Y' ? RDI : RBX;
  const segment = spec.source === 'Y' ? ES : (override ?? DS);
  return { kind: 'memory', base, index: NO_REGISTER, scale: 1, displacement: 0n, segment, size };
}

function convert(
  spec: OperandSpec,
  operand: StatementOperand | undefined,
  operandSize: IntegerSize,
  place: Place,
  next: bigint | undefined,
): Operand | undefined {
  if (operand === undefined) return undefined;
  if (isReference(operand)) return convertMemory(spec, operand, operandSize, place, next);
  if (typeof operand === 'object' && operand.kind !== 'symbol') return operand;
  const value = numberOf(operand, place);
  const size = widthBytes(spec.width, operandSize) as IntegerSize;
  switch (spec.source) {
    case 'J':
      return { kind: 'relative', displacement: next === undefined ? 0 : Number(BigInt.asIntN(64, value - next)) };
    case 'I':
    case 'one':
      return immediate(value, size);
    case 'Is':
      return immediate(value, operandSize);
    default:
      return undefined;
  }
}

const numberOf = (value: Value, place: Place): bigint =>
  typeof value === 'bigint' ? value : place.resolve(value.name) + value.addend;

/** A number that `size` bytes hold, as signed or as unsigned. */
function immediate(value: bigint, size: IntegerSize): Operand | undefined {
  const bits = 8 * size;
  const pattern = BigInt.asUintN(bits, value);
  if (pattern !== value && BigInt.asIntN(bits, value) !== value) return undefined;
  return { kind: 'immediate', value: pattern, size };
}

function convertMemory(
  spec: OperandSpec,
  reference: MemoryReference,
  operandSize: IntegerSize,
  place: Place,
  next: bigint | undefined,
): MemoryOperand | undefined {
  const written = reference.displacement ?? 0n;
  const isTarget = typeof reference.base === 'string' && typeof written === 'object';
  const value = numberOf(written, place);
  const base = typeof reference.base === 'string' ? RIP : (reference.base?.register ?? NO_REGISTER);
  const index = reference.index?.register ?? NO_REGISTER;
  const scale = reference.scale ?? 1;
  // rSP cannot be an index, but unscaled the two may change places.
  const swap = index === RSP && scale === 1 && base !== RIP;
  return {
    kind: 'memory',
    base: swap ? index : base,
    index: swap ? base : index,
    scale,
    displacement: isTarget ? (next === undefined ? 0n : BigInt.asIntN(64, value - next)) : BigInt.asIntN(64, value),
    segment: reference.segment ?? DS,
    size: spec.width === 'none' ? 0 : (reference.size ?? widthBytes(spec.width, operandSize)),
  };
}
