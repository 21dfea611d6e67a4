// Moves of vectors: whole, in parts, and between vector registers and general ones. SDM 2B "MOV…", SDM 2A "LDDQU", "MASKMOV…".
// How much is moved, and whether the rest of the destination becomes 0 or stays, is what the rows' operand widths say.
// Left out: that non-temporal stores may be seen late.

import { RDI } from '../../abi/registers.js';
import type { Alignment, Meaning } from './semantics.js';
import { bytesOfLanes, V128 } from './vector.js';

const move =
  (alignment: Alignment): Meaning =>
  (cpu) => {
    cpu.vector(0, alignment).write(cpu.vector(1, alignment).read());
  };

export const movVector: Meaning = move('aligned');
export const movVectorUnaligned: Meaning = move('unaligned');

/** MOVD and MOVQ into a vector register: the rest becomes 0. */
export const movToVector: Meaning = (cpu) => {
  cpu.vector(0).write(V128.low(cpu.operand(1).read()));
};

/** MOVHLPS: the source's high half into the low half. */
export const movHighToLow: Meaning = (cpu) => {
  const source = cpu.vector(1).read();
  cpu.vector(0).write(source.shuffle(source, bytesOfLanes(64, [1, 1])));
};

/** MOVLHPS, MOVHPS and MOVHPD from memory: the source's low half into the high half. */
export const movLowToHigh: Meaning = (cpu) => {
  const destination = cpu.vector(0);
  const source = cpu.vector(1).read();
  destination.write(destination.read().shuffle(source, bytesOfLanes(64, [0, 2])));
};

/** MOVHPS and MOVHPD to memory. */
export const movHighToMemory: Meaning = (cpu) => {
  cpu.operand(0).write(cpu.keep(cpu.vector(1).read().lane(64, 1)));
};

const duplicate =
  (bits: 32 | 64, lanes: readonly number[]): Meaning =>
  (cpu) => {
    const source = cpu.vector(1).read();
    cpu.vector(0).write(source.shuffle(source, bytesOfLanes(bits, lanes)));
  };

export const movddup: Meaning = duplicate(64, [0, 0]);
export const movsldup: Meaning = duplicate(32, [0, 0, 2, 2]);
export const movshdup: Meaning = duplicate(32, [1, 1, 3, 3]);

/**
 * MASKMOVQ, MASKMOVDQU: bytes whose mask has its highest bit set. The others are sure to be writable all the same: what an
 * empty mask does is the processor's choice to the SDM, and this one is Zen 5's.
 */
export const maskmov: Meaning = (cpu) => {
  const [source, mask] = [cpu.vector(1).read(), cpu.vector(2).read()];
  const wanted = cpu.keepVector(V128.constant(0n).with('i8x16.gt_s', mask));
  const address = cpu.register(RDI, cpu.addressBits).read();
  const halves = Array.from({ length: cpu.vector(1).bits / 64 }, (_, half) => {
    const place = cpu.keep(address.add(BigInt(8 * half)).zeroExtend(cpu.addressBits));
    return { half, modification: cpu.memory(place, 64, { of: 0 }).modify() };
  });
  for (const { half, modification } of halves) {
    const ones = cpu.keep(wanted.lane(64, half));
    modification.write(source.lane(64, half).and(ones).or(modification.value.and(ones.not())));
  }
};
