// The table of instructions: every row, in an order that says nothing except which of two equally short encodings the
// assembler prefers (the earlier).

import type { Row } from '../instruction.js';
import { arithmeticRows } from './arith.js';
import { bitRows } from './bits.js';
import { controlRows } from './control.js';
import { flagRows } from './flags.js';
import { hintRows } from './hints.js';
import { moveRows } from './move.js';
import { sseFloatRows } from './sse-float.js';
import { sse4Rows } from './sse4.js';
import { stackRows } from './stack.js';
import { stringRows } from './string.js';
import { systemRows } from './system.js';
import { vectorIntegerRows } from './vector-integer.js';
import { vectorMoveRows } from './vector-moves.js';
import { vectorStateRows } from './vector-state.js';
import { x87Rows } from './x87.js';

/** Every form of every instruction that Paravane knows; a row's `index` is its place here. */
export const rows: readonly Row[] = [
  ...moveRows,
  ...arithmeticRows,
  ...bitRows,
  ...stackRows,
  ...controlRows,
  ...stringRows,
  ...flagRows,
  ...hintRows,
  ...systemRows,
  ...x87Rows,
  ...vectorMoveRows,
  ...vectorIntegerRows,
  ...sse4Rows,
  ...sseFloatRows,
  ...vectorStateRows,
].map((row, index) => ({ index, ...row }));
