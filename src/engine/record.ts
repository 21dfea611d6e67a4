// A decoded instruction as the interpreter reads it: 32 bytes in the code cache.
//
//   0  u16 handler    which function executes it
//   2  u16 a          address of the first register operand (JCC: of its predictor counter, from PREDICTOR)
//   4  u16 b          address of the second
//   6  u16 base       address of the base register, or ZERO; or, without memory, of the third register operand
//   8  u16 index      address of the index register, or ZERO
//  10  u8  scale      how far the index is shifted: 0..3
//  11  u8  segment    of the memory operand, ES 0 … GS 5
//  12  u16 start      offset of the instruction in its page
//  14  u16 end        offset of the next one: up to 15 beyond the page
//  16  i64 displacement of the memory operand (RIP-relative: the whole address); or a second immediate;
//                     or the target of a direct branch
//  24  i64 immediate; of a direct branch, its low half is the address of the record to go to; of an x87 instruction, its
//                     opcode as FNSTENV shows it
//
// Besides instructions there are three kinds of record that are none and retire nothing:
//   RESOLVE  JavaScript says where to go on: not decoded yet, no longer valid, or the instruction crosses the page's end
//   GOTO     goes to the address in `displacement` by way of the fetch TLB
//   LINK     goes to the record at `immediate`

import {
  type Instruction,
  type MemoryOperand,
  NO_REGISTER,
  type Operand,
  RIP as RIP_BASE,
} from '../isa/instruction.js';
import { gprAddress, PREDICTOR_ENTRIES, x87Address, xmmAddress, ZERO } from './layout.js';

export const RECORD_BYTES = 32;
export const HANDLER = 0;
export const REGISTER_A = 2;
export const REGISTER_B = 4;
export const BASE = 6;
export const INDEX = 8;
export const SCALE = 10;
export const SEGMENT = 11;
export const START = 12;
export const END = 14;
export const DISPLACEMENT = 16;
export const IMMEDIATE = 24;

export const RESOLVE = 0;
export const GOTO = 1;
export const LINK = 2;
/** The first handler number of an instruction. */
export const FIRST_FORM = 3;

/** In which field each register operand of an instruction goes, in their order. */
export const REGISTER_FIELDS = [REGISTER_A, REGISTER_B, BASE] as const;

/** In which field each immediate goes. */
export const IMMEDIATE_FIELDS = [IMMEDIATE, DISPLACEMENT] as const;

/** Where in the predictor the counter of a branch at this address is. */
export const predictorIndex = (rip: bigint): number => Number((rip ^ (rip >> 12n)) & BigInt(PREDICTOR_ENTRIES - 1));

/** The address that a near branch goes to. */
export const branchTarget = (operand: Operand & { kind: 'relative' }, nextRip: bigint): bigint =>
  BigInt.asUintN(64, nextRip + BigInt(operand.displacement));

/**
 * Writes all of a record but the link of a branch. `page` is the address of the page's first byte, `start` the instruction's
 * offset in it.
 */
export function writeRecord(
  view: DataView,
  record: number,
  handler: number,
  instruction: Instruction,
  page: bigint,
  start: number,
): void {
  const end = start + instruction.length;
  const nextRip = BigInt.asUintN(64, page + BigInt(end));
  for (let offset = 0; offset < RECORD_BYTES; offset += 8) view.setBigUint64(record + offset, 0n, true);
  view.setUint16(record + HANDLER, handler, true);
  view.setUint16(record + START, start, true);
  view.setUint16(record + END, end, true);
  if (instruction.row.unit === 'x87') view.setUint16(record + IMMEDIATE, x87Opcode(instruction), true);
  let registers = 0;
  let immediates = 0;
  const hasRsi = instruction.row.operands.some(({ source }) => source === 'X');
  for (const [index, operand] of instruction.operands.entries()) {
    // Of two places in memory only [rSI] has room here: isa/meaning/strings.ts.
    if (hasRsi && instruction.row.operands[index]?.source === 'Y') continue;
    switch (operand.kind) {
      case 'register': {
        const address = gprAddress(operand.register) + (operand.high ? 1 : 0);
        view.setUint16(record + REGISTER_FIELDS[registers++]!, address, true);
        break;
      }
      case 'xmm':
      case 'mm': {
        const address = operand.kind === 'xmm' ? xmmAddress(operand.register) : x87Address(operand.register);
        view.setUint16(record + REGISTER_FIELDS[registers++]!, address, true);
        break;
      }
      case 'memory':
        writeMemoryOperand(view, record, operand, nextRip);
        break;
      case 'immediate': {
        const value = BigInt.asIntN(operand.size * 8, operand.value);
        view.setBigInt64(record + IMMEDIATE_FIELDS[immediates++]!, value, true);
        break;
      }
      case 'relative':
        view.setBigUint64(record + DISPLACEMENT, branchTarget(operand, nextRip), true);
        view.setUint16(record + REGISTER_A, predictorIndex(page + BigInt(start)), true);
        break;
      default: // Segment, control and debug registers are part of the form.
    }
  }
}

/** ModRM, and above it the low three bits of the byte before. */
const x87Opcode = ({ row, modrm }: Instruction): number => ((row.encoding.opcode & 7) << 8) | modrm;

function writeMemoryOperand(view: DataView, record: number, operand: MemoryOperand, nextRip: bigint): void {
  const relative = operand.base === RIP_BASE;
  const base = relative || operand.base === NO_REGISTER ? ZERO : gprAddress(operand.base);
  view.setUint16(record + BASE, base, true);
  view.setUint16(record + INDEX, operand.index === NO_REGISTER ? ZERO : gprAddress(operand.index), true);
  view.setUint8(record + SCALE, Math.log2(operand.scale));
  view.setUint8(record + SEGMENT, operand.segment);
  view.setBigInt64(record + DISPLACEMENT, BigInt.asIntN(64, operand.displacement + (relative ? nextRip : 0n)), true);
}
