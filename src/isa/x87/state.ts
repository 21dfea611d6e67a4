// The x87's registers as its instructions see them, wherever they are kept.
// Sources: SDM 1 "x87 FPU Data Registers" (§8.1.2), "x87 FPU Status Register" (§8.1.3), "x87 FPU Control Word" (§8.1.5),
// "x87 FPU Tag Word" (§8.1.7).
//
//   status   15  14  13:11  10  9   8   7   6   5  4  3  2  1  0
//            B   C3  TOP    C2  C1  C0  ES  SF  PE UE OE ZE DE IE
//   control  15:13  12  11:10  9:8  7:6  5  4  3  2  1  0
//            0      X   RC     PC   1    PM UM OM ZM DM IM

/** The registers. Numbered registers are physical: ST(i) is (TOP + i) mod 8, MMi is i. */
export interface X87State {
  control: number;
  status: number;
  /** Bit n: register n is not empty (the abridged tag word of FXSAVE). */
  tags: number;
  /** 80 bits. */
  readRegister(number: number): bigint;
  writeRegister(number: number, value: bigint): void;
}

export const STACK_FAULT = 1 << 6;
/** Some exception is unmasked and has been raised; B says the same. */
export const SUMMARY = 1 << 7;
export const BUSY = 1 << 15;
export const C0 = 1 << 8;
export const C1 = 1 << 9;
export const C2 = 1 << 10;
export const C3 = 1 << 14;
export const TOP_SHIFT = 11;

export const PRECISION_SHIFT = 8;
export const ROUNDING_SHIFT = 10;
/** What FNINIT sets. */
export const INITIAL_CONTROL = 0x37f;

/** The status word with ES and B as the flags and the masks make them. */
export function withSummary(status: number, control: number): number {
  const pending = (status & ~control & 63) !== 0;
  return pending ? status | SUMMARY | BUSY : status & ~(SUMMARY | BUSY);
}

/** The control word as it reads back after a load. */
export const controlWord = (value: number): number => (value & 0x1f7f) | 0x40;

/** Empty, in both bits of a register's tag. */
const EMPTY = 3;

/** The tag word of FNSTENV: two bits for each register, which say what is in it. */
export function fullTagWord(state: X87State): number {
  let word = 0;
  for (let register = 0; register < 8; register++)
    word |= ((state.tags >> register) & 1 ? tagOf(state.readRegister(register)) : EMPTY) << (2 * register);
  return word;
}

/** 0 a normal number, 1 zero, 2 anything else. */
function tagOf(bits: bigint): number {
  const exponent = (bits >> 64n) & 0x7fffn;
  const significand = BigInt.asUintN(64, bits);
  if (exponent === 0n) return significand === 0n ? 1 : 2;
  return exponent === 0x7fffn || significand >> 63n === 0n ? 2 : 0;
}

/** The abridged tags that a full tag word stands for: only what is empty is remembered. */
export function tagsOf(word: number): number {
  let tags = 0;
  for (let register = 0; register < 8; register++) if (((word >> (2 * register)) & 3) !== EMPTY) tags |= 1 << register;
  return tags;
}
