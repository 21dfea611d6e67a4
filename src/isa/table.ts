// The rows arranged for the decoder: by opcode and ModRM.reg, the most particular row first.

import { invariant } from '../base/failures.js';
import type { Encoding, OpcodeMap, Row } from './instruction.js';
import { rows } from './rows/index.js';

/** What stands behind an opcode: nothing, a row without ModRM, or rows that need ModRM to be told apart. */
export const NO_ROW = 0;
export const WITHOUT_MODRM = 1;
export const WITH_MODRM = 2;

const opcodeKinds = new Uint8Array(4 << 8);
/** By map, opcode and reg. Undefined where there is no row. */
const candidateLists: (Row[] | undefined)[] = new Array(4 << 11).fill(undefined);

/** NO_ROW, WITHOUT_MODRM or WITH_MODRM for an opcode of a map. */
export const opcodeKind = (map: OpcodeMap, opcode: number): number => opcodeKinds[(map << 8) | opcode] as number;

/** The rows of an opcode that ModRM.reg `reg` allows (0 where there is no ModRM): the first that fits is the one. */
export const candidates = (map: OpcodeMap, opcode: number, reg: number): readonly Row[] =>
  candidateLists[(map << 11) | (opcode << 3) | reg] ?? [];

/**
 * How much an encoding asks for. Of two rows that fit the same bytes the one that asks for more is meant (ENDBR64
 * before the reserved no-operation that it was made from).
 */
export function particularity(encoding: Encoding): number {
  const mandatory = { any: 0, NFx: 1, NP: 2, '66': 2, F2: 2, F3: 2 }[encoding.mandatory];
  const form = { either: 0, ignored: 0, memory: 1, register: 2 }[encoding.form];
  const fixedBits = encoding.modrmMask.toString(2).replaceAll('0', '').length;
  return (
    mandatory +
    form +
    fixedBits +
    Math.sign(encoding.operandSize) +
    Math.sign(encoding.addressSize) +
    Number(encoding.rexBClear)
  );
}

function enter(row: Row): void {
  const { map, opcode, opcodeRegister, modrm, modrmMask, modrmValue } = row.encoding;
  const kind = modrm ? WITH_MODRM : WITHOUT_MODRM;
  for (let code = opcode; code <= opcode + (opcodeRegister ? 7 : 0); code++) {
    const present = opcodeKind(map, code);
    invariant(
      present === NO_ROW || present === kind,
      `all rows of the opcode of ${row.encodingText} have ModRM, or none`,
    );
    opcodeKinds[(map << 8) | code] = kind;
    for (let reg = 0; reg < (modrm ? 8 : 1); reg++) {
      if ((((reg << 3) ^ modrmValue) & modrmMask & 0x38) !== 0) continue;
      const place = (map << 11) | (code << 3) | reg;
      const list = candidateLists[place] ?? [];
      list.push(row);
      candidateLists[place] = list;
    }
  }
}

for (const row of rows) enter(row);
for (const list of candidateLists)
  if (list && list.length > 1) list.sort((a, b) => particularity(b.encoding) - particularity(a.encoding));
