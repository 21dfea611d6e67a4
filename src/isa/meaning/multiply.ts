// Multiplication and division. SDM 2A "DIV", "IDIV", "IMUL"; SDM 2B "MUL".
// 128-bit products are made of 32-bit halves; a 128-bit dividend that is not just a 64-bit one goes to the platform.
// Of the flags that the SDM leaves undefined, multiplication changes none; division: see `setFlagsOfDivision`.

import { X86_EXC_DE } from '../../abi/exceptions.js';
import { RAX, RDX } from '../../abi/registers.js';
import type { I32 } from './expression.js';
import { I64 } from './expression.js';
import { setCarryAndOverflow, setFlagsOfDivision } from './flags.js';
import type { Location, Meaning, Semantics } from './semantics.js';

const HALF = 0xffff_ffffn;

/** The high 64 bits of an unsigned 64 by 64 bit product. Both are kept. */
function highProduct(cpu: Semantics, left: I64, right: I64): I64 {
  const [leftLow, rightLow] = [cpu.keep(left.and(HALF)), cpu.keep(right.and(HALF))];
  const [leftHigh, rightHigh] = [cpu.keep(left.shiftRight(32n)), cpu.keep(right.shiftRight(32n))];
  const middle = cpu.keep(leftHigh.mul(rightLow).add(leftLow.mul(rightLow).shiftRight(32n)));
  const other = leftLow.mul(rightHigh).add(middle.and(HALF));
  return leftHigh.mul(rightHigh).add(middle.shiftRight(32n)).add(other.shiftRight(32n));
}

/** The same, signed: each negative factor counts 2^64 too much. */
function highProductSigned(cpu: Semantics, left: I64, right: I64): I64 {
  return highProduct(cpu, left, right)
    .sub(left.shiftRightSigned(63n).and(right))
    .sub(right.shiftRightSigned(63n).and(left));
}

/** The high half of an accumulator twice as wide as `bits`: AH, DX, EDX, RDX. */
const upperHalf = (cpu: Semantics): Location => (cpu.bits === 8 ? cpu.ah() : cpu.register(RDX, cpu.bits));

/** CF and OF say that the product does not fit its low half; the others are undefined and left as they are. */
function setFlagsOfProduct(cpu: Semantics, overflow: I32): void {
  const carry = cpu.keep(overflow.wide());
  setCarryAndOverflow(cpu, carry, carry);
}

export const mul: Meaning = (cpu) => {
  const accumulator = cpu.register(RAX, cpu.bits);
  const [left, right] = [accumulator.read(), cpu.operand(0).read()];
  const low = cpu.keep(left.mul(right));
  const high = cpu.keep(cpu.bits === 64 ? highProduct(cpu, left, right) : low.shiftRight(BigInt(cpu.bits)));
  accumulator.write(low);
  upperHalf(cpu).write(high);
  setFlagsOfProduct(cpu, high.isNotZero());
};

export const imul: Meaning = (cpu) => {
  const accumulator = cpu.register(RAX, cpu.bits);
  const [left, right] = [accumulator.readSigned(), cpu.operand(0).readSigned()];
  const low = cpu.keep(left.mul(right));
  const high = cpu.keep(cpu.bits === 64 ? highProductSigned(cpu, left, right) : low.shiftRight(BigInt(cpu.bits)));
  accumulator.write(low);
  upperHalf(cpu).write(high);
  const overflow = cpu.bits === 64 ? high.differs(low.shiftRightSigned(63n)) : low.differs(low.signExtend(cpu.bits));
  setFlagsOfProduct(cpu, overflow);
};

/** Two operands, or three with an immediate: only the low half is kept. */
export const imulTwo: Meaning = (cpu) => {
  const destination = cpu.operand(0);
  const left = cpu.operandCount === 3 ? cpu.operand(1).readSigned() : destination.readSigned();
  const right = cpu.operand(cpu.operandCount - 1).readSigned();
  const product = cpu.keep(left.mul(right));
  const overflow = cpu.keepBit(
    cpu.bits === 64
      ? highProductSigned(cpu, left, right).differs(product.shiftRightSigned(63n))
      : product.differs(product.signExtend(cpu.bits)),
  );
  destination.write(product);
  setFlagsOfProduct(cpu, overflow);
};

export const div: Meaning = (cpu) => {
  const divisor = cpu.operand(0).read();
  cpu.raiseIf(divisor.isZero(), X86_EXC_DE);
  if (cpu.bits === 64) {
    divide128(cpu, 'divideUnsigned', divisor);
    return;
  }
  const dividend = wideAccumulator(cpu);
  const quotient = cpu.keep(dividend.divideUnsigned(divisor));
  cpu.raiseIf(quotient.shiftRight(BigInt(cpu.bits)).isNotZero(), X86_EXC_DE);
  writeQuotient(cpu, quotient, cpu.keep(dividend.remainderUnsigned(divisor)));
};

export const idiv: Meaning = (cpu) => {
  const divisor = cpu.operand(0).readSigned();
  cpu.raiseIf(divisor.isZero(), X86_EXC_DE);
  if (cpu.bits === 64) {
    divide128(cpu, 'divideSigned', divisor);
    return;
  }
  const dividend = cpu.bits === 32 ? wideAccumulator(cpu) : cpu.keep(wideAccumulator(cpu).signExtend(2 * cpu.bits));
  raiseIfUnrepresentable(cpu, dividend, divisor);
  const quotient = cpu.keep(dividend.divideSigned(divisor));
  cpu.raiseIf(quotient.differs(quotient.signExtend(cpu.bits)), X86_EXC_DE);
  writeQuotient(cpu, quotient, cpu.keep(dividend.remainderSigned(divisor)));
};

/** -2^63 / -1, which WebAssembly will not divide. */
function raiseIfUnrepresentable(cpu: Semantics, dividend: I64, divisor: I64): void {
  cpu.raiseIf(dividend.equals(-(1n << 63n)).and(divisor.equals(-1n)), X86_EXC_DE);
}

/** AX, DX:AX or EDX:EAX as one value, zero-extended. */
function wideAccumulator(cpu: Semantics): I64 {
  if (cpu.bits === 8) return cpu.register(RAX, 16).read();
  const high = cpu.register(RDX, cpu.bits).read();
  return cpu.keep(high.shiftLeft(BigInt(cpu.bits)).or(cpu.register(RAX, cpu.bits).read()));
}

function writeQuotient(cpu: Semantics, quotient: I64, remainder: I64): void {
  cpu.register(RAX, cpu.bits).write(quotient);
  upperHalf(cpu).write(remainder);
  setFlagsOfDivision(cpu);
}

/** RDX:RAX divided by 64 bits. Nearly always RDX only extends RAX, and one division does. */
function divide128(cpu: Semantics, service: 'divideUnsigned' | 'divideSigned', divisor: I64): void {
  const isSigned = service === 'divideSigned';
  const [low, high] = [cpu.register(RAX, 64).read(), cpu.register(RDX, 64).read()];
  const quotient = cpu.variable(I64.constant(0n));
  const remainder = cpu.variable(I64.constant(0n));
  cpu.when(
    isSigned ? high.equals(low.shiftRightSigned(63n)) : high.isZero(),
    () => {
      if (isSigned) raiseIfUnrepresentable(cpu, low, divisor);
      quotient.set(isSigned ? low.divideSigned(divisor) : low.divideUnsigned(divisor));
      remainder.set(isSigned ? low.remainderSigned(divisor) : low.remainderUnsigned(divisor));
    },
    () => {
      const [fits, quotientOfAll, remainderOfAll] = cpu.ask(service, high, low, divisor) as readonly [I64, I64, I64];
      cpu.raiseIf(fits.isZero(), X86_EXC_DE);
      quotient.set(quotientOfAll);
      remainder.set(remainderOfAll);
    },
  );
  writeQuotient(cpu, quotient.get(), remainder.get());
}
