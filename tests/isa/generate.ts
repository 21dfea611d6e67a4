// Random bytes that mean a given row: every addressing form, size and prefix that it allows, and some that it ignores.

import type { Random } from '../../src/base/random.js';
import type { Row } from '../../src/isa/instruction.js';

const MAP_BYTES = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as const;
const IDLE_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67] as const;

/** Bytes with a random tail. A few mean another row (one that is more particular) or nothing (LOCK on a register). */
export function randomEncoding(row: Row, dice: Random): Uint8Array {
  const { mandatory, operandSize, map, opcode, opcodeRegister, modrm, addressSize } = row.encoding;
  const prefixes: number[] = [];
  while (dice.oneIn(4)) prefixes.push(IDLE_PREFIXES[dice.below(IDLE_PREFIXES.length)] as number);
  if (addressSize === 4) prefixes.push(0x67);
  if (row.lockable && dice.oneIn(4)) prefixes.push(0xf0);
  const isMandatory = mandatory === 'F2' || mandatory === 'F3';
  if (row.repeats !== 'none' && dice.oneIn(2)) prefixes.push(dice.oneIn(2) ? 0xf2 : 0xf3);
  if (mandatory === '66' || operandSize === 2 || (mandatory !== 'NP' && operandSize === 0 && dice.oneIn(3)))
    prefixes.push(0x66);
  if (isMandatory) prefixes.push(mandatory === 'F2' ? 0xf2 : 0xf3);
  const wide = operandSize === 8 && row.sizing === 'prefix';
  const rex = wide || dice.oneIn(2) ? [0x40 | dice.below(16) | (wide ? 8 : 0)] : [];
  return Uint8Array.of(
    ...prefixes,
    ...rex,
    ...MAP_BYTES[map],
    opcode | (opcodeRegister ? dice.below(8) : 0),
    ...(modrm ? [randomModrm(row, dice)] : []),
    ...Array.from({ length: 13 }, () => dice.below(256)),
  );
}

function randomModrm(row: Row, dice: Random): number {
  const { modrmMask, modrmValue, form } = row.encoding;
  const free = (dice.below(256) & ~modrmMask) | modrmValue;
  if (form === 'register') return free | 0xc0;
  if (form === 'memory' && free >= 0xc0) return free & 0x3f;
  return free;
}
