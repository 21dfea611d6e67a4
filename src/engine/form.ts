// A form: all that must be known of an instruction to generate the code that executes it; everything else is in its record.
// Two instructions of one form share a handler. `add eax, [rbx+8]` and `add edi, [rsp-64]` do.

import { FS } from '../abi/registers.js';
import type { Instruction, MemoryOperand, Operand } from '../isa/instruction.js';
import { NO_REGISTER } from '../isa/instruction.js';
import type { Bits, Meaning } from '../isa/meaning/semantics.js';

/**
 * How a memory operand's address is made: 'base' base + displacement · 'index' base + index * scale + displacement ·
 * 'segment' the same plus the base of FS or GS.
 */
export type AddressShape = 'base' | 'index' | 'segment';

export type OperandForm =
  | { readonly kind: 'register'; readonly bits: Bits }
  | { readonly kind: 'memory'; readonly bits: Bits; readonly shape: AddressShape }
  | { readonly kind: 'immediate'; readonly bits: Bits }
  | { readonly kind: 'relative' }
  | { readonly kind: 'segment'; readonly register: number }
  | { readonly kind: 'other' };

export interface Form {
  readonly meaning: Meaning;
  readonly bits: Bits;
  readonly addressBits: 32 | 64;
  readonly condition: number;
  readonly repeat: 'rep' | 'repne' | undefined;
  readonly operands: readonly OperandForm[];
}

export function formOf(instruction: Instruction): Form {
  return {
    meaning: instruction.row.means,
    bits: (instruction.operandSize * 8) as Bits,
    addressBits: instruction.addressSize === 4 ? 32 : 64,
    condition: instruction.row.condition,
    repeat: instruction.repeat,
    operands: instruction.operands.map((operand) => operandForm(operand, instruction.addressSize)),
  };
}

function operandForm(operand: Operand, addressSize: 4 | 8): OperandForm {
  switch (operand.kind) {
    case 'register':
      return { kind: 'register', bits: (operand.size * 8) as Bits };
    case 'memory':
      return { kind: 'memory', bits: memoryBits(operand), shape: addressShape(operand, addressSize) };
    case 'immediate':
      return { kind: 'immediate', bits: (operand.size * 8) as Bits };
    case 'relative':
      return { kind: 'relative' };
    case 'segment':
      return { kind: 'segment', register: operand.register };
    default:
      return { kind: 'other' };
  }
}

/** Operands larger than a word (far pointers, 16 bytes) are read piece by piece by their meaning. */
const memoryBits = ({ size }: MemoryOperand): Bits => (size === 1 || size === 2 || size === 4 ? size * 8 : 64) as Bits;

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
      case 'memory':
        return `${operand.shape}${operand.bits}`;
      case 'immediate':
        return `i${operand.bits}`;
      case 'segment':
        return `s${operand.register}`;
      default:
        return operand.kind;
    }
  });
  return `${meaning}/${form.bits}/${form.addressBits}/${form.condition}/${form.repeat ?? ''}/${operands.join()}`;
}
