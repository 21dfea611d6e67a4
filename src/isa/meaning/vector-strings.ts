// PCMPxSTRx, which compare strings in SSE registers, and CRC32. SDM 2B "PCMPESTRI", "PCMPESTRM", "PCMPISTRI", "PCMPISTRM";
// SDM 2A "CRC32". The comparison itself is string-compare.ts.

import { RAX, RCX, RDX } from '../../abi/registers.js';
import { IMPLICIT_LENGTH } from '../string-compare.js';
import { I64 } from './expression.js';
import { setStatus } from './flags.js';
import type { Meaning, Semantics } from './semantics.js';
import { bytesOfLanes, V128 } from './vector.js';

/** Sets the flags; a bit for each character, and the immediate. Lengths in rAX and rDX, or where the strings end. */
function compare(cpu: Semantics, lengths: 'explicit' | 'implicit'): { readonly found: I64; readonly immediate: I64 } {
  const [a, b] = [cpu.vector(0).read(), cpu.vector(1, 'unaligned').read()];
  const immediate = cpu.operand(2).read();
  const length = (register: number): I64 => {
    if (lengths === 'implicit') return I64.constant(BigInt(IMPLICIT_LENGTH));
    // A length of that very number would be taken for another thing; all above 16 are alike.
    const value = cpu.register(register, cpu.bits).readSigned();
    const [isLong, isShort] = [value.less(-16n), I64.constant(16n).less(value)];
    return cpu.keep(isLong.or(isShort).select(16n, value));
  };
  const halves = [a.lane(64, 0), a.lane(64, 1), b.lane(64, 0), b.lane(64, 1)];
  const answers = cpu.ask('compareStrings', ...halves, length(RAX), length(RDX), immediate);
  const [found, flags] = answers as readonly [I64, I64];
  setStatus(cpu, flags);
  return { found, immediate };
}

/** ECX: the number of the first character found, or with bit 6 the last; the number of all when there is none. */
const index =
  (lengths: 'explicit' | 'implicit'): Meaning =>
  (cpu) => {
    const { found, immediate } = compare(cpu, lengths);
    const count = cpu.keep(immediate.bit(0).select(8n, 16n));
    const first = found.trailingZeros();
    const last = I64.constant(63n).sub(found.leadingZeros());
    const number = immediate.bit(6).select(last, first);
    cpu.register(RCX, 32).write(found.isZero().select(count, number));
  };

export const pcmpestri: Meaning = index('explicit');
export const pcmpistri: Meaning = index('implicit');

/** XMM0: the bits as they are, or with bit 6 each as wide as a character. */
const mask =
  (lengths: 'explicit' | 'implicit'): Meaning =>
  (cpu) => {
    const { found, immediate } = compare(cpu, lengths);
    const bits = V128.splat(16, found);
    const own = V128.constant(0x80402010_08040201_80402010_08040201n);
    const low = V128.splat(8, found);
    const perByte = low
      .shuffle(V128.splat(8, found.shiftRight(8n)), bytesOfLanes(64, [0, 2]))
      .and(own)
      .with('i8x16.eq', own);
    const ownWords = V128.constant(0x00800040_00200010_00080004_00020001n);
    const perWord = bits.and(ownWords).with('i16x8.eq', ownWords);
    const everywhereIf = (condition: I64): V128 => V128.splat(64, I64.constant(0n).sub(condition));
    const isWide = everywhereIf(immediate.shiftRight(6n).and(1n));
    const isWord = everywhereIf(immediate.and(1n));
    cpu.xmm(0).write(isWide.choose(isWord.choose(perWord, perByte), V128.low(found)));
  };

export const pcmpestrm: Meaning = mask('explicit');
export const pcmpistrm: Meaning = mask('implicit');

/** The Castagnoli polynomial, its bits reversed: the sum is kept with the highest power in bit 0. */
const POLYNOMIAL = 0x82f6_3b78n;

/** A bit at a time: subtract the polynomial where a one is shifted out. */
export const crc32: Meaning = (cpu) => {
  const destination = cpu.operand(0);
  const source = cpu.operand(1);
  const value = source.read();
  const mixed = destination.read().zeroExtend(32).xor(value);
  const rest = cpu.variable(mixed);
  const left = cpu.variable(I64.constant(BigInt(source.bits)));
  cpu.repeatWhile(() => {
    const now = rest.get();
    rest.set(now.shiftRight(1n).xor(I64.constant(0n).sub(now.and(1n)).and(POLYNOMIAL)));
    left.set(left.get().sub(1n));
    return left.get().isNotZero();
  });
  destination.write(rest.get());
};
