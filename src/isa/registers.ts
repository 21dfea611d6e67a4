// Registers by name, as operands: for those who write instructions and for the printer, which reads the names back.
// Source: SDM 1 table 3-2 "Addressable General Purpose Registers".

import { GPR_NAMES, SEGMENT_NAMES } from '../abi/registers.js';
import type {
  ControlOperand,
  DebugOperand,
  IntegerSize,
  Operand,
  RegisterOperand,
  SegmentOperand,
  StackOperand,
  VectorOperand,
} from './instruction.js';

const NUMBERED = ['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const LEGACY = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];

/** Names by encoding number, for each size. */
const NAMES: Readonly<Record<IntegerSize, readonly string[]>> = {
  1: ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil', ...NUMBERED.map((name) => `${name}b`)],
  2: [...LEGACY, ...NUMBERED.map((name) => `${name}w`)],
  4: [...LEGACY.map((name) => `e${name}`), ...NUMBERED.map((name) => `${name}d`)],
  8: GPR_NAMES,
};
const HIGH_NAMES = ['ah', 'ch', 'dh', 'bh'];

const register = (number: number, size: IntegerSize, high = false): RegisterOperand => ({
  kind: 'register',
  register: number,
  size,
  high,
});

/** The name of a register as Intel and AT&T write it (AT&T with a % in front). */
export function registerName(operand: Exclude<Operand, { kind: 'memory' | 'immediate' | 'relative' }>): string {
  switch (operand.kind) {
    case 'register':
      return (operand.high ? HIGH_NAMES : NAMES[operand.size])[operand.register] as string;
    case 'segment':
      return SEGMENT_NAMES[operand.register] as string;
    case 'control':
      return `cr${operand.register}`;
    case 'debug':
      return `dr${operand.register}`;
    case 'xmm':
    case 'mm':
      return `${operand.kind}${operand.register}`;
    case 'st':
      return `st(${operand.register})`;
  }
}

/** A register as an operand, of whatever kind. */
export type AnyRegisterOperand =
  | RegisterOperand
  | VectorOperand
  | StackOperand
  | SegmentOperand
  | ControlOperand
  | DebugOperand;

/** Every register by its name. */
export const registersByName: ReadonlyMap<string, AnyRegisterOperand> = new Map(
  [
    ...([1, 2, 4, 8] as const).flatMap((size) => NAMES[size].map((_, number) => register(number, size))),
    ...HIGH_NAMES.map((_, number) => register(number, 1, true)),
    ...SEGMENT_NAMES.map((_, number) => ({ kind: 'segment', register: number }) as const),
    ...Array.from({ length: 16 }, (_, number) => ({ kind: 'control', register: number }) as const),
    ...Array.from({ length: 8 }, (_, number) => ({ kind: 'debug', register: number }) as const),
    ...Array.from({ length: 16 }, (_, number) => ({ kind: 'xmm', register: number }) as const),
    ...Array.from({ length: 8 }, (_, number) => ({ kind: 'mm', register: number }) as const),
    ...Array.from({ length: 8 }, (_, number) => ({ kind: 'st', register: number }) as const),
  ].map((operand) => [registerName(operand), operand]),
);
