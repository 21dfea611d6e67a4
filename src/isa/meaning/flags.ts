// The six arithmetic flags as two words that an operation can leave behind without working any flag out.
//
//   result   the result, sign-extended to 64 bits
//   carries  63 62 61                 9 8 7           4 3 2 1 0
//            +--+--+------------------+-+-------------+-+---+-+
//            |C |C^O|       0         |P|      0      |A| 0 |S|
//            +--+--+------------------+-+-------------+-+---+-+
//            C    the carry out of the highest bit: CF
//            C^O  the carry into the highest bit: OF is their difference
//            A    the carry out of bit 3: AF
//            P, S flip PF and SF: only for values that no result has (POPF, SAHF, undefined flags); otherwise 0
//
//   ZF is result = 0, SF is (result < 0) ^ S, PF is (even number of ones in result's low byte) ^ P.
//
// Sources: SDM 1 "Status Flags" (§3.4.3.1), "Condition Codes" (Appendix B). The carry vector is textbook boolean algebra.
// Where the SDM leaves a flag undefined, the meanings do what AMD's Zen 5 was recorded to do (tests/vectors).

import type { I32 } from './expression.js';
import { I64 } from './expression.js';
import type { Bits, Semantics } from './semantics.js';

/** Both carries that CF and OF are made of. */
const TOP = 0xc000_0000_0000_0000n;
const CARRY_OUT = 1n << 63n;
const CARRY_IN = 1n << 62n;
const ADJUST = 1n << 3n;
const PARITY_FLIP_BIT = 8;
const SIGN_FLIP_BIT = 0;

/** Where the flags that these words stand for are in RFLAGS. */
export const STATUS_FLAGS = 0x8d5n;
const [CF, PF, AF, ZF, SF, OF] = [0, 2, 4, 6, 7, 11] as const;

/** The carry word of an operation whose carries out of each bit are `vector` (kept). */
export const carryWord = (vector: I64, bits: Bits): I64 =>
  bits === 64
    ? vector.and(TOP | ADJUST)
    : vector
        .shiftLeft(BigInt(64 - bits))
        .and(TOP)
        .or(vector.and(ADJUST));

/** Carries out of each bit of a sum. All three are kept; carries in at the bottom are in `sum` already. */
export const carriesOfSum = (left: I64, right: I64, sum: I64): I64 => left.and(right).or(left.or(right).and(sum.not()));

/** Borrows out of each bit of `left - right`. All three are kept. */
export const borrowsOfDifference = (left: I64, right: I64, difference: I64): I64 =>
  left.not().and(right).or(left.xor(right).not().and(difference));

/** CF and OF (0 or 1 each) as a carry word without AF. `carry` is kept. */
export const carryAndOverflow = (carry: I64, overflow: I64): I64 =>
  carry.shiftLeft(63n).or(carry.xor(overflow).shiftLeft(62n));

/** Records the flags of a shift by more than 0: AF, which the SDM leaves undefined, is set. */
export function setFlagsOfShift(cpu: Semantics, result: I64, carry: I64, overflow: I64): void {
  cpu.writeFlags(result, carryAndOverflow(carry, overflow).or(ADJUST));
}

/** Records the flags of `left + right`. All are kept, `sum` sign-extended. */
export function setFlagsOfSum(cpu: Semantics, left: I64, right: I64, sum: I64): void {
  cpu.writeFlags(sum, carryWord(cpu.keep(carriesOfSum(left, right, sum)), cpu.bits));
}

/** Records the flags of `left - right`. All are kept, `difference` sign-extended. */
export function setFlagsOfDifference(cpu: Semantics, left: I64, right: I64, difference: I64): void {
  cpu.writeFlags(difference, carryWord(cpu.keep(borrowsOfDifference(left, right, difference)), cpu.bits));
}

/** Records the flags of AND, OR, XOR, TEST: no carries, and AF 0 as processors leave it (SDM: undefined). */
export function setFlagsOfLogic(cpu: Semantics, result: I64): void {
  cpu.writeFlags(result, I64.constant(0n));
}

/** Changes CF and OF (0 or 1 each; `carry` kept) and no other flag. */
export function setCarryAndOverflow(cpu: Semantics, carry: I64, overflow: I64): void {
  cpu.writeFlags(cpu.flagResult(), cpu.flagCarries().and(~TOP).or(carryAndOverflow(carry, overflow)));
}

/** Changes CF (0 or 1) and no other flag: both carries flip together, so that OF stays. */
export function setCarry(cpu: Semantics, carry: I64): void {
  const carries = cpu.flagCarries();
  const flip = cpu.keep(carry.shiftLeft(63n).xor(carries).and(CARRY_OUT));
  cpu.writeFlags(cpu.flagResult(), carries.xor(flip).xor(flip.shiftRight(1n)));
}

/** Changes ZF and no other flag. */
export function setZero(cpu: Semantics, zero: I32): void {
  setFlagsWithZero(cpu, cpu.flagResult(), cpu.flagCarries(), zero);
}

/** Sets CF and ZF as given, leaves OF, and clears the rest: what counting instructions do. */
export function setZeroAndCarry(cpu: Semantics, zero: I32, carry: I32): void {
  const status = statusWord(cpu.flagResult(), cpu.flagCarries()).and(1n << BigInt(OF));
  setStatus(cpu, cpu.keep(status.or(zero.wide().shiftLeft(BigInt(ZF))).or(carry.wide())));
}

/** Sets ZF and clears the other five. */
export function setZeroAlone(cpu: Semantics, zero: I32): void {
  setStatus(cpu, cpu.keep(zero.wide().shiftLeft(BigInt(ZF))));
}

/** What division leaves of the flags, all of them undefined: CF and OF as they were, AF set, the rest clear. */
export function setFlagsOfDivision(cpu: Semantics): void {
  const kept = statusWord(cpu.flagResult(), cpu.flagCarries()).and((1n << BigInt(OF)) | (1n << BigInt(CF)));
  setStatus(cpu, cpu.keep(kept.or(1n << BigInt(AF))));
}

/** Flags that follow from a result and its carry word, but ZF, which is given. All are kept. */
export function setFlagsWithZero(cpu: Semantics, result: I64, carries: I64, zero: I32): void {
  const status = statusWord(result, carries).and(~(1n << BigInt(ZF)));
  setStatus(cpu, cpu.keep(status.or(zero.wide().shiftLeft(BigInt(ZF)))));
}

/** Sets all six flags from their places in RFLAGS (`word` is kept). */
export function setStatus(cpu: Semantics, word: I64): void {
  cpu.writeFlags(resultOfStatus(word), carriesOfStatus(word));
}

/** The carry word of INC and DEC: that of the operation, with `before`'s CF. Both are kept. */
export const keepingCarry = (carries: I64, before: I64): I64 => {
  const overflow = carries.xor(carries.shiftLeft(1n)).and(CARRY_OUT);
  return before.and(CARRY_OUT).or(before.xor(overflow).shiftRight(1n).and(CARRY_IN)).or(carries.and(ADJUST));
};

/** CF as 0 or 1. */
export const carryFlag = (carries: I64): I64 => carries.shiftRight(63n);

/** Whether condition 0..15 of Jcc, SETcc and CMOVcc holds. Both words are kept. */
export function condition(number: number, result: I64, carries: I64): I32 {
  const holds = positiveCondition(number >> 1, result, carries);
  return number & 1 ? holds.not() : holds;
}

/** The eight conditions with an even number. */
function positiveCondition(number: number, result: I64, carries: I64): I32 {
  const overflow = (): I64 => carries.xor(carries.shiftLeft(1n));
  const sign = (): I64 => result.xor(carries.shiftLeft(BigInt(63 - SIGN_FLIP_BIT)));
  switch (number) {
    case 0:
      return overflow().isNegative();
    case 1:
      return carries.isNegative();
    case 2:
      return result.isZero();
    case 3:
      return result.isZero().or(carries.isNegative());
    case 4:
      return sign().isNegative();
    case 5:
      return parity(result, carries);
    case 6:
      return sign().xor(overflow()).isNegative();
    default:
      return result.isZero().or(sign().xor(overflow()).isNegative());
  }
}

const parity = (result: I64, carries: I64): I32 =>
  result
    .and(0xffn)
    .ones()
    .xor(carries.shiftRight(BigInt(PARITY_FLIP_BIT)))
    .not()
    .bit(0);

/** The six flags at their places in RFLAGS, and bit 1, which is always set. Both words are kept. */
export function statusWord(result: I64, carries: I64): I64 {
  const at = (bit: number, value: I32): I64 => value.wide().shiftLeft(BigInt(bit));
  return carryFlag(carries)
    .or(2n)
    .or(at(PF, parity(result, carries)))
    .or(carries.and(ADJUST).shiftLeft(BigInt(AF - 3)))
    .or(at(ZF, result.isZero()))
    .or(at(SF, condition(8, result, carries)))
    .or(at(OF, condition(0, result, carries)));
}

/** The result word for flags at their places in RFLAGS (`word` is kept): 0 for ZF, else 1. */
export const resultOfStatus = (word: I64): I64 => word.shiftRight(BigInt(ZF)).and(1n).xor(1n);

/** The carry word for flags at their places in RFLAGS (`word` is kept), beside `resultOfStatus`. */
export function carriesOfStatus(word: I64): I64 {
  const flag = (bit: number): I64 => word.shiftRight(BigInt(bit)).and(1n);
  return flag(CF)
    .shiftLeft(63n)
    .or(flag(CF).xor(flag(OF)).shiftLeft(62n))
    .or(flag(AF).shiftLeft(3n))
    .or(flag(SF).shiftLeft(BigInt(SIGN_FLIP_BIT)))
    .or(flag(PF).xor(flag(ZF)).shiftLeft(BigInt(PARITY_FLIP_BIT)));
}
