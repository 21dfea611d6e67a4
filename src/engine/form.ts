// A form: all that must be known of an instruction to generate the code that executes it; everything else is in its record.
// Two instructions of one form share a handler. `add eax, [rbx+8]` and `add edi, [rsp-64]` do.

import { FS } from '../abi/registers.js';
import type { Instruction, MemoryOperand, Operand, OperandSpec, Row } from '../isa/instruction.js';
import { NO_REGISTER } from '../isa/instruction.js';
import type { Bits, Meaning, VectorBits } from '../isa/meaning/semantics.js';
import { widthBytes } from '../isa/sizes.js';

/**
 * How a memory operand's address is made: 'base' base + displacement · 'index' base + index * scale + displacement ·
 * 'segment' the same plus the base of FS or GS.
 */
export type AddressShape = 'base' | 'index' | 'segment';

export type OperandForm =
  | { readonly kind: 'register'; readonly bits: Bits }
  /** `bits`: how much of it is used. */
  | { readonly kind: 'xmm' | 'mm'; readonly bits: VectorBits }
  | { readonly kind: 'memory'; readonly bits: VectorBits; readonly shape: AddressShape }
  | { readonly kind: 'immediate'; readonly bits: Bits }
  | { readonly kind: 'relative' }
  | { readonly kind: 'segment' | 'st'; readonly register: number }
  | { readonly kind: 'other' };

export interface Form {
  readonly meaning: Meaning;
  readonly bits: Bits;
  readonly addressBits: 32 | 64;
  readonly condition: number;
  readonly repeat: 'rep' | 'repne' | undefined;
  readonly unit: Row['unit'];
  readonly operands: readonly OperandForm[];
}

export function formOf(instruction: Instruction): Form {
  return {
    meaning: instruction.row.means,
    bits: (instruction.operandSize * 8) as Bits,
    addressBits: instruction.addressSize === 4 ? 32 : 64,
    condition: instruction.row.condition,
    repeat: instruction.repeat,
    unit: instruction.row.unit,
    operands: instruction.operands.map((operand, index) =>
      operandForm(operand, instruction.row.operands[index] as OperandSpec, instruction.addressSize),
    ),
  };
}

function operandForm(operand: Operand, { width }: OperandSpec, addressSize: 4 | 8): OperandForm {
  switch (operand.kind) {
    case 'register':
      return { kind: 'register', bits: (operand.size * 8) as Bits };
    case 'xmm':
    case 'mm':
      return { kind: operand.kind, bits: (widthBytes(width, 8) * 8) as VectorBits };
    case 'memory':
      return { kind: 'memory', bits: memoryBits(operand), shape: addressShape(operand, addressSize) };
    case 'immediate':
      return { kind: 'immediate', bits: (operand.size * 8) as Bits };
    case 'relative':
      return { kind: 'relative' };
    case 'segment':
    case 'st':
      return { kind: operand.kind, register: operand.register };
    default:
      return { kind: 'other' };
  }
}

/** Operands of odd sizes (far pointers, what FXSAVE saves) are read piece by piece by their meaning. */
const memoryBits = ({ size }: MemoryOperand): VectorBits =>
  (size === 1 || size === 2 || size === 4 || size === 16 ? size * 8 : 64) as VectorBits;

function addressShape(operand: MemoryOperand, addressSize: 4 | 8): AddressShape {
  if (operand.segment >= FS) return 'segment';
  return operand.index === NO_REGISTER && addressSize === 8 ? 'base' : 'index';
}

const meaningNumbers = new Map<Meaning, number>();

/** A text that is the same for instructions of the same form, and for no others. */
export function formKey(form: Form): string {
  let meaning = meaningNumbers.get(form.meaning);
  if (meaning === undefined) {
    meaning = meaningNumbers.size;
    meaningNumbers.set(form.meaning, meaning);
  }
  const operands = form.operands.map((operand) => {
    switch (operand.kind) {
      case 'register':
        return `r${operand.bits}`;
      case 'xmm':
      case 'mm':
        return `${operand.kind}${operand.bits}`;
      case 'memory':
        return `${operand.shape}${operand.bits}`;
      case 'immediate':
        return `i${operand.bits}`;
      case 'segment':
        return `s${operand.register}`;
      case 'st':
        return `st${operand.register}`;
      default:
        return operand.kind;
    }
  });
  return `${meaning}/${form.bits}/${form.addressBits}/${form.condition}/${form.repeat ?? ''}/${form.unit}/${operands.join()}`;
}
