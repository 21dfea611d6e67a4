// Bit tests, bit scans, counts, byte order. SDM 2A "BSF", "BSR", "BSWAP", "BT" …, "LZCNT"; SDM 2B "MOVBE", "POPCNT", "TZCNT".
// Bit tests change CF alone; the other flags, which the SDM leaves undefined, stay as they were.

import { I64 } from './expression.js';
import { setCarry, setFlagsWithZero, setZeroAlone, setZeroAndCarry } from './flags.js';
import type { Location, Meaning, Semantics } from './semantics.js';

/**
 * The word that holds the bit, and the bit's number in it (kept). A register operand as bit number reaches beyond a memory
 * operand: it counts, signed, from the operand's first bit.
 */
function locateBit(cpu: Semantics, isNumberImmediate: boolean): { readonly word: Location; readonly bit: I64 } {
  const number = cpu.operand(1).readSigned();
  const bit = cpu.keep(number.and(BigInt(cpu.bits - 1)));
  if (!cpu.isMemory(0) || isNumberImmediate) return { word: cpu.operand(0), bit };
  const words = number.shiftRightSigned(BigInt(Math.log2(cpu.bits)));
  const address = cpu.effectiveAddress(0).add(words.shiftLeft(BigInt(Math.log2(cpu.bits / 8))));
  return { word: cpu.memory(cpu.keep(address.zeroExtend(cpu.addressBits)), cpu.bits, { of: 0 }), bit };
}

export const bt: Meaning = (cpu) => {
  const { word, bit } = locateBit(cpu, cpu.isImmediate(1));
  setCarry(cpu, word.read().shiftRight(bit).and(1n));
};

const changeBit =
  (change: (value: I64, mask: I64) => I64): Meaning =>
  (cpu) => {
    const { word, bit } = locateBit(cpu, cpu.isImmediate(1));
    const place = word.modify();
    place.write(change(place.value, I64.constant(1n).shiftLeft(bit)));
    setCarry(cpu, place.value.shiftRight(bit).and(1n));
  };

export const bts: Meaning = changeBit((value, mask) => value.or(mask));
export const btr: Meaning = changeBit((value, mask) => value.and(mask.not()));
export const btc: Meaning = changeBit((value, mask) => value.xor(mask));

/**
 * With a source of 0 the destination stays as it was: AMD documents it, Intel's processors do it. ZF says so; of the flags
 * that are undefined, PF follows the bit's number.
 */
const scan =
  (find: (source: I64) => I64): Meaning =>
  (cpu) => {
    const source = cpu.operand(1).read();
    const none = cpu.keepBit(source.isZero());
    const found = cpu.keep(find(source));
    cpu.when(none.not(), () => cpu.operand(0).write(found));
    setFlagsWithZero(cpu, cpu.keep(none.select(0n, found)), I64.constant(0n), none);
  };

export const bsf: Meaning = scan((source) => source.trailingZeros());
export const bsr: Meaning = scan((source) => I64.constant(63n).sub(source.leadingZeros()));

/** ZF says that the count is 0, CF that it is the operand size (no bit was found). */
const count =
  (of: (cpu: Semantics, source: I64) => I64): Meaning =>
  (cpu) => {
    const source = cpu.operand(1).read();
    const zeros = cpu.keep(of(cpu, source));
    cpu.operand(0).write(zeros);
    setZeroAndCarry(cpu, zeros.isZero(), source.isZero());
  };

/** A bit set just above the operand ends the count there. */
export const tzcnt: Meaning = count((cpu, source) =>
  (cpu.bits === 64 ? source : source.or(1n << BigInt(cpu.bits))).trailingZeros(),
);
export const lzcnt: Meaning = count((cpu, source) => source.leadingZeros().sub(BigInt(64 - cpu.bits)));

/** All flags are 0 but ZF; PF too, whatever the result. */
export const popcnt: Meaning = (cpu) => {
  const ones = cpu.keep(cpu.operand(1).read().ones());
  cpu.operand(0).write(ones);
  setZeroAlone(cpu, ones.isZero());
};

/** The value's bytes in the opposite order. */
function swapBytes(cpu: Semantics, value: I64): I64 {
  const swapPieces = (x: I64, bits: bigint, mask: bigint): I64 =>
    cpu.keep(x.shiftRight(bits).and(mask).or(x.and(mask).shiftLeft(bits)));
  const inPairs = swapPieces(value, 8n, 0x00ff_00ff_00ff_00ffn);
  if (cpu.bits === 16) return inPairs;
  const inFours = swapPieces(inPairs, 16n, 0x0000_ffff_0000_ffffn);
  return cpu.bits === 32 ? inFours : inFours.rotateLeft(32n);
}

/** Of a 16-bit register undefined to the SDM; processors then give 0. */
export const bswap: Meaning = (cpu) => {
  const register = cpu.operand(0);
  register.write(cpu.bits === 16 ? I64.constant(0n) : swapBytes(cpu, register.read()));
};

export const movbe: Meaning = (cpu) => {
  cpu.operand(0).write(swapBytes(cpu, cpu.operand(1).read()));
};
