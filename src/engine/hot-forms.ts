// The forms of instruction that make up nearly all of what compilers emit: they get a case of their own in the interpreter's
// loop. All others are generated when they are first met, and called (interpreter.ts). V8 takes longer to optimise a larger
// loop: one with 1500 cases most of a second (measured on Node 20), so there are about 250.
//
// Written as: operand size, and operands by letters: r register, i immediate, b memory at base + displacement, x memory with
// an index too. A letter followed by a number of bits is an operand of another size than the operand size.

import * as m from '../isa/meaning/index.js';
import type { Bits, Meaning } from '../isa/meaning/semantics.js';
import type { Form, OperandForm } from './form.js';

function operandForm(text: string, bits: Bits): OperandForm {
  const size = text.length > 1 ? (Number(text.slice(1)) as Bits) : bits;
  switch (text[0]) {
    case 'r':
      return { kind: 'register', bits: size };
    case 'i':
      return { kind: 'immediate', bits: size };
    case 'b':
      return { kind: 'memory', bits: size, shape: 'base' };
    case 'x':
      return { kind: 'memory', bits: size, shape: 'index' };
    default:
      return { kind: 'relative' };
  }
}

/** Every combination of the meanings, sizes and operands. */
function forms(
  meanings: readonly Meaning[],
  sizes: readonly Bits[],
  operandTexts: readonly string[],
  condition = -1,
): Form[] {
  return meanings.flatMap((meaning) =>
    sizes.flatMap((bits) =>
      operandTexts.map((text) => ({
        meaning,
        bits,
        addressBits: 64 as const,
        condition,
        repeat: undefined,
        unit: 'integer' as const,
        operands: text === '' ? [] : text.split(',').map((operand) => operandForm(operand, bits)),
      })),
    ),
  );
}

const CONDITIONS = Array.from({ length: 16 }, (_, condition) => condition);

export const hotForms: readonly Form[] = [
  ...forms([m.mov], [32, 64], ['r,r', 'r,i', 'r,b', 'b,r', 'r,x', 'x,r', 'b,i']),
  ...forms([m.mov], [8], ['r,r', 'r,b', 'b,r', 'r,x', 'x,r', 'b,i']),
  ...forms([m.mov], [16], ['b,r', 'r,b']),
  ...forms([m.movzx], [32], ['r,r8', 'r,b8', 'r,x8', 'r,r16', 'r,b16', 'r,x16']),
  ...forms([m.movsx], [64], ['r,r32', 'r,b32', 'r,x32']),
  ...forms([m.movsx], [32], ['r,r8', 'r,b8']),
  ...forms([m.lea], [32, 64], ['r,b64', 'r,x64']),

  ...forms([m.add, m.sub, m.and, m.cmp], [32, 64], ['r,r', 'r,i', 'r,b', 'b,r', 'b,i']),
  ...forms([m.or, m.xor], [32, 64], ['r,r', 'r,i', 'r,b', 'b,r']),
  ...forms([m.test], [32, 64], ['r,r', 'r,i']),
  ...forms([m.cmp], [8], ['r,r', 'r,i', 'b,i', 'r,b', 'b,r', 'x,i', 'x,r']),
  ...forms([m.cmp], [32, 64], ['r,x']),
  ...forms([m.test], [8], ['r,r', 'r,i', 'b,i']),
  ...forms([m.and, m.or], [8], ['r,i', 'r,r', 'b,i']),
  ...forms([m.adc, m.sbb], [32, 64], ['r,r', 'r,i']),
  ...forms([m.inc, m.dec], [32, 64], ['r', 'b']),
  ...forms([m.neg, m.not], [32, 64], ['r']),
  ...forms([m.imulTwo], [32, 64], ['r,r', 'r,r,i']),
  ...forms([m.shl, m.shr, m.sar], [32, 64], ['r,i8', 'r,r8']),
  ...forms([m.rol, m.ror], [32, 64], ['r,i8']),
  ...forms([m.bt], [32, 64], ['r,i8', 'r,r']),
  ...forms([m.cbw, m.cwd], [32, 64], ['']),
  ...forms([m.xchg], [32, 64], ['b,r']),
  ...forms([m.nop], [32, 64], ['', 'b', 'x']),

  ...forms([m.push, m.pop], [64], ['r']),
  ...forms([m.push], [64], ['i', 'b']),
  ...forms([m.leave], [64], ['']),
  ...forms([m.call], [64], ['j', 'r', 'b']),
  ...forms([m.jmp], [64], ['j', 'r', 'b', 'x']),
  ...forms([m.ret], [64], ['']),
  ...CONDITIONS.flatMap((condition) => forms([m.jcc], [64], ['j'], condition)),
  ...[2, 3, 4, 5, 6, 7].flatMap((condition) => forms([m.cmovcc], [32, 64], ['r,r'], condition)),
  ...[2, 3, 4, 5, 6, 7, 12, 13, 14, 15].flatMap((condition) => forms([m.setcc], [8], ['r'], condition)),
];
