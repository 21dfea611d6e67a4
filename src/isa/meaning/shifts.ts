// Shifts and rotates. SDM 2B "RCL/RCR/ROL/ROR", "SAL/SAR/SHL/SHR", "SHLD", "SHRD".
// A count of 0 changes no flag. OF after a count other than 1, which the SDM leaves undefined, is what the last of as many
// single-bit steps would give.

import { I64 } from './expression.js';
import { carryFlag, setCarryAndOverflow, setFlagsOfShift } from './flags.js';
import type { Bits, Meaning, Semantics } from './semantics.js';

/** The count, as the processor takes it: modulo 64 for 64-bit operands, else modulo 32. */
const maskedCount = (cpu: Semantics, index: number): I64 =>
  cpu.keep(
    cpu
      .operand(index)
      .read()
      .and(cpu.bits === 64 ? 63n : 31n),
  );

/** The operand's highest bit, moved to bit 0; `value` is `bits` wide with anything above. */
const topBit = (value: I64, bits: Bits): I64 => value.shiftRight(BigInt(bits - 1)).and(1n);

/** OF after the last step of a shift or rotate to the left: whether it changed the top bit. */
const overflowLeft = (result: I64, bits: Bits, carry: I64): I64 => topBit(result, bits).xor(carry);
/** The same to the right: the bit below the top was the top bit before. */
const overflowRight = (result: I64, bits: Bits): I64 => topBit(result, bits).xor(topBit(result.shiftLeft(1n), bits));

type Direction = 'left' | 'right';

interface Shifted {
  /** Kept; anything may stand above the operand's bits. */
  readonly result: I64;
  /** The last bit shifted out, 0 or 1; kept. */
  readonly carry: I64;
  readonly overflow: I64;
}

/** A shift of operand 0 by operand 1, which sets all flags when the count is not 0. */
const shift =
  (calculate: (cpu: Semantics, value: I64, count: I64) => Shifted): Meaning =>
  (cpu) => {
    const count = maskedCount(cpu, cpu.operandCount - 1);
    const destination = cpu.operand(0).modify();
    const { result, carry, overflow } = calculate(cpu, destination.value, count);
    destination.write(result);
    cpu.when(count.isNotZero(), () => {
      setFlagsOfShift(cpu, result.signExtend(cpu.bits), carry, overflow);
    });
  };

export const shl: Meaning = shift((cpu, value, count) => {
  const result = cpu.keep(value.shiftLeft(count));
  // In 64 bits the last bit out has come round to bit 0; otherwise it is still there, just above the operand.
  const carry =
    cpu.bits === 64
      ? value.rotateLeft(count)
      : value.zeroExtend(cpu.bits).shiftLeft(count).shiftRight(BigInt(cpu.bits));
  const carryBit = cpu.keep(carry.and(1n));
  return { result, carry: carryBit, overflow: overflowLeft(result, cpu.bits, carryBit) };
});

export const shr: Meaning = shift((cpu, value, count) => {
  const unsigned = cpu.keep(value.zeroExtend(cpu.bits));
  const result = cpu.keep(unsigned.shiftRight(count));
  const carry = cpu.keep(unsigned.shiftRight(count.sub(1n)).and(1n));
  return { result, carry, overflow: overflowRight(result, cpu.bits) };
});

export const sar: Meaning = shift((cpu, value, count) => {
  const result = cpu.keep(value.shiftRightSigned(count));
  return { result, carry: cpu.keep(value.shiftRightSigned(count.sub(1n)).and(1n)), overflow: I64.constant(0n) };
});

/** Operand 0 shifted left while the top bits of operand 1 come in at the bottom. */
export const shld: Meaning = shift((cpu, value, count) => {
  const { bits } = cpu;
  const source = cpu.operand(1).read();
  if (bits === 64) {
    // The second shift is split so that a count of 0 brings in nothing.
    const incoming = source.shiftRight(1n).shiftRight(I64.constant(63n).sub(count));
    const result = cpu.keep(value.shiftLeft(count).or(incoming));
    const carry = cpu.keep(value.rotateLeft(count).and(1n));
    return { result, carry, overflow: overflowLeft(result, bits, carry) };
  }
  return doubleShift(cpu, value, source, count, 'left');
});

/** Operand 0 shifted right while the low bits of operand 1 come in at the top. */
export const shrd: Meaning = shift((cpu, value, count) => {
  const { bits } = cpu;
  const source = cpu.operand(1).read();
  if (bits === 64) {
    const incoming = source.shiftLeft(1n).shiftLeft(I64.constant(63n).sub(count));
    const result = cpu.keep(value.shiftRight(count).or(incoming));
    const carry = cpu.keep(value.shiftRight(count.sub(1n)).and(1n));
    return { result, carry, overflow: overflowRight(result, bits) };
  }
  return doubleShift(cpu, value, source, count, 'right');
});

/**
 * SHLD and SHRD of 32 and 16 bits: both operands chained in one 64-bit word. For 16 bits and counts above 16, where the SDM
 * leaves everything undefined, the source comes in a second time, as on AMD's Zen 5.
 */
function doubleShift(cpu: Semantics, value: I64, source: I64, count: I64, direction: Direction): Shifted {
  const { bits } = cpu;
  const unsigned = cpu.keep(value.zeroExtend(bits));
  const [first, last] = direction === 'left' ? [unsigned, source] : [source, unsigned];
  const chain = cpu.keep(
    bits === 32 ? first.shiftLeft(32n).or(last) : first.shiftLeft(32n).or(source.shiftLeft(16n)).or(last),
  );
  const [down, carryAt] =
    direction === 'left'
      ? [I64.constant(32n).sub(count), I64.constant(bits === 32 ? 64n : 48n).sub(count)]
      : [count, count.sub(1n)];
  const result = cpu.keep(chain.shiftRight(down));
  const carry = cpu.keep(chain.shiftRight(carryAt).and(1n));
  const overflow = direction === 'left' ? overflowLeft(result, bits, carry) : overflowRight(result, bits);
  return { result, carry, overflow };
}

interface Rotated {
  readonly result: I64;
  /** 0 or 1, kept, as they are after a count that is not 0. */
  readonly carry: I64;
  readonly overflow: I64;
}

/** A rotate of operand 0 by operand 1: only CF and OF change, and only when the count is not 0. */
const rotate =
  (calculate: (cpu: Semantics, value: I64, count: I64) => Rotated): Meaning =>
  (cpu) => {
    const count = maskedCount(cpu, 1);
    const destination = cpu.operand(0).modify();
    const { result, carry, overflow } = calculate(cpu, destination.value, count);
    destination.write(result);
    cpu.when(count.isNotZero(), () => setCarryAndOverflow(cpu, carry, overflow));
  };

/** The operand's bits repeated over 64, so that a 64-bit rotate rotates every copy. */
function repeated(cpu: Semantics, value: I64): I64 {
  if (cpu.bits === 64) return value;
  const ones = cpu.bits === 8 ? 0x0101_0101_0101_0101n : cpu.bits === 16 ? 0x0001_0001_0001_0001n : 0x1_0000_0001n;
  return value.zeroExtend(cpu.bits).mul(ones);
}

export const rol: Meaning = rotate((cpu, value, count) => {
  const result = cpu.keep(repeated(cpu, value).rotateLeft(count));
  const carry = cpu.keep(result.and(1n));
  return { result, carry, overflow: overflowLeft(result, cpu.bits, carry) };
});

export const ror: Meaning = rotate((cpu, value, count) => {
  const result = cpu.keep(repeated(cpu, value).rotateRight(count));
  const carry = cpu.keep(topBit(result, cpu.bits));
  return { result, carry, overflow: overflowRight(result, cpu.bits) };
});

/** The operand with CF above it is a register of 9, 17, 33 or 65 bits that turns as one. */
const throughCarry = (direction: Direction): Meaning =>
  rotate((cpu, value, count) => {
    const carryIn = carryFlag(cpu.flagCarries());
    const turn = cpu.bits === 64 ? turn65 : turnRing;
    const { result, carry } = turn(cpu, value, count, cpu.keep(carryIn), direction);
    const isLeft = direction === 'left';
    const overflow = isLeft ? overflowLeft(result, cpu.bits, carry) : overflowRight(result, cpu.bits);
    return { result, carry, overflow };
  });

type Turned = Omit<Rotated, 'overflow'>;

/** 65 bits do not fit a word; shifts by 65 - count are split in two, so that none of them is 64. */
function turn65(cpu: Semantics, value: I64, count: I64, carryIn: I64, direction: Direction): Turned {
  const [rest, last] = [cpu.keep(I64.constant(64n).sub(count)), cpu.keep(count.sub(1n))];
  const turned =
    direction === 'left'
      ? value.shiftLeft(count).or(carryIn.shiftLeft(last)).or(value.shiftRight(1n).shiftRight(rest))
      : value.shiftRight(count).or(carryIn.shiftLeft(rest)).or(value.shiftLeft(1n).shiftLeft(rest));
  const result = cpu.keep(count.isZero().select(value, turned));
  return { result, carry: cpu.keep(value.shiftRight(direction === 'left' ? rest : last).and(1n)) };
}

/** Up to 33 bits, with room to turn. */
function turnRing(cpu: Semantics, value: I64, count: I64, carryIn: I64, direction: Direction): Turned {
  const size = I64.constant(BigInt(cpu.bits + 1));
  const ring = cpu.keep(value.zeroExtend(cpu.bits).or(carryIn.shiftLeft(BigInt(cpu.bits))));
  const steps = cpu.bits === 32 ? count : cpu.keep(count.remainderUnsigned(size));
  const others = size.sub(steps);
  const turned =
    direction === 'left'
      ? ring.shiftLeft(steps).or(ring.shiftRight(others))
      : ring.shiftRight(steps).or(ring.shiftLeft(others));
  const result = cpu.keep(turned);
  return { result, carry: cpu.keep(result.shiftRight(BigInt(cpu.bits)).and(1n)) };
}

export const rcl: Meaning = throughCarry('left');
export const rcr: Meaning = throughCarry('right');
