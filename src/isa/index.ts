// The x86-64 instructions as rows, and what reads them: decoder, assembler, printers. How to read a row: docs/isa.md.

export {
  type AssembledSection,
  type AssembledSymbol,
  Assembler,
  assembleText,
  type Program,
  type SectionOptions,
} from './assemble/assembler.js';
export {
  type MemoryReference,
  mem,
  reg,
  type Statement,
  type StatementOperand,
  type SymbolReference,
  symbol,
  type Value,
} from './assemble/statement.js';
export { decode } from './decode.js';
export { type EncodeRequest, encode } from './encode.js';
export {
  type CpuidFeature,
  type DecodeFailure,
  type Instruction,
  type IntegerSize,
  MAX_INSTRUCTION_BYTES,
  type MemoryOperand,
  NO_REGISTER,
  type Operand,
  type OperandSpec,
  type RegisterOperand,
  RIP,
  type Row,
} from './instruction.js';
export { type PrintOptions, printAtt, printIntel } from './print.js';
export { registerName } from './registers.js';
export { rows } from './rows/index.js';
