// Saving and restoring the registers of x87, MMX and SSE, and MXCSR. SDM 2A "FXSAVE", "FXRSTOR", "LDMXCSR", "EMMS"; SDM 2B
// "STMXCSR".
//
//  FXSAVE's 512 bytes
//    +0 control (2)  +2 status (2)  +4 tags (1)  +6 opcode (2)
//    +8 instruction's address (8), or (4) and its segment (2)   +16 operand's address, likewise   +24 MXCSR (4)  +28 its mask (4)
//    +32 ST(0) … ST(7), 16 bytes each   +160 XMM0 … XMM15   +416 not touched

import { X86_EXC_GP } from '../../abi/exceptions.js';
import { TOP_SHIFT } from '../x87/state.js';
import { I64 } from './expression.js';
import type { Bits, Location, Meaning, Semantics } from './semantics.js';
import { asControl, operate, waiting, writeStatus } from './x87.js';

const IMAGE_BYTES = 512;
const FIRST_ST = 32;
const FIRST_XMM = 160;
const ST_COUNT = 8;
const XMM_COUNT = 16;
/** The bits of MXCSR that exist: all up to FTZ, with DAZ. */
const MXCSR_MASK = 0xffffn;

/** #GP for bits that do not exist. */
function checkMxcsr(cpu: Semantics, value: I64): void {
  cpu.raiseIf(value.and(~MXCSR_MASK).isNotZero(), X86_EXC_GP, I64.constant(0n));
}

export const ldmxcsr: Meaning = (cpu) => {
  const value = cpu.operand(0).read();
  checkMxcsr(cpu, value);
  cpu.writeMxcsr(value);
};

export const stmxcsr: Meaning = (cpu) => cpu.operand(0).write(cpu.readMxcsr());

/** All x87 registers become empty, and TOP 0. */
export const emms: Meaning = (cpu) => {
  waiting(cpu);
  const status = cpu.x87('status');
  status.write(status.read().and(~(7n << BigInt(TOP_SHIFT))));
  cpu.x87('tags').write(I64.constant(0n));
};

/** The image's address, which must be a multiple of 16. */
function imageBase(cpu: Semantics): I64 {
  const base = cpu.keep(cpu.effectiveAddress(0));
  const linear = cpu.linearAddress(base, { of: 0 });
  cpu.raiseIf(linear.and(15n).isNotZero(), X86_EXC_GP, I64.constant(0n));
  return base;
}

const PAGE_BYTES = 4096n;

/** Makes sure that all of it can be written: its first byte, and where the next page begins, or else its last byte. */
function checkImage(cpu: Semantics, base: I64): void {
  const untilNextPage = cpu.keep(I64.constant(PAGE_BYTES).sub(cpu.linearAddress(base, { of: 0 }).and(PAGE_BYTES - 1n)));
  const last = I64.constant(BigInt(IMAGE_BYTES - 1));
  const second = cpu.keep(base.add(untilNextPage.below(last).select(untilNextPage, last)));
  cpu.memory(base, 8, { of: 0 }).modify();
  cpu.memory(second, 8, { of: 0 }).modify();
}

const field = (cpu: Semantics, base: I64, offset: number, bits: Bits): Location =>
  cpu.memory(cpu.keep(base.add(BigInt(offset))), bits, { of: 0 });

/** An address of 64 bits, or with a selector behind 32: what REX.W says. */
const pointerFields = (cpu: Semantics, base: I64, offset: number): readonly Location[] =>
  cpu.bits === 64 ? [field(cpu, base, offset, 64)] : [field(cpu, base, offset, 32), field(cpu, base, offset + 4, 32)];

export const fxsave: Meaning = (cpu) => {
  const base = imageBase(cpu);
  checkImage(cpu, base);
  const put = (offset: number, bits: Bits, value: I64): void => field(cpu, base, offset, bits).write(value);
  put(0, 16, cpu.x87('control').read());
  put(2, 16, cpu.x87('status').read());
  put(4, 16, cpu.x87('tags').read());
  put(6, 16, cpu.x87('opcode').read());
  const putPointer = (
    offset: number,
    address: 'instruction' | 'operand',
    segment: 'codeSegment' | 'dataSegment',
  ): void => {
    const [whole, selector] = pointerFields(cpu, base, offset) as readonly [Location, Location?];
    whole.write(cpu.x87(address).read());
    selector?.write(cpu.x87(segment).read());
  };
  putPointer(8, 'instruction', 'codeSegment');
  putPointer(16, 'operand', 'dataSegment');
  put(24, 32, cpu.readMxcsr());
  put(28, 32, I64.constant(MXCSR_MASK));
  for (let i = 0; i < ST_COUNT; i++) {
    const [low, high] = operate(cpu, 'register', i) as readonly [I64, I64];
    put(FIRST_ST + 16 * i, 64, low);
    put(FIRST_ST + 16 * i + 8, 64, high);
  }
  for (let i = 0; i < XMM_COUNT; i++)
    cpu.vectorMemory(cpu.keep(base.add(BigInt(FIRST_XMM + 16 * i))), 128, { of: 0 }).write(cpu.xmm(i).read());
};

/** Everything is read before anything changes. */
export const fxrstor: Meaning = (cpu) => {
  const base = imageBase(cpu);
  const get = (offset: number, bits: Bits): I64 => field(cpu, base, offset, bits).read();
  const [control, status, tags, opcode] = [get(0, 16), get(2, 16), get(4, 8), get(6, 16)];
  const pointer = (offset: number): readonly I64[] => pointerFields(cpu, base, offset).map((place) => place.read());
  const [instruction, codeSegment] = pointer(8) as readonly [I64, I64?];
  const [operand, dataSegment] = pointer(16) as readonly [I64, I64?];
  const mxcsr = get(24, 32);
  checkMxcsr(cpu, mxcsr);
  const st = Array.from({ length: ST_COUNT }, (_, i) => [get(FIRST_ST + 16 * i, 64), get(FIRST_ST + 16 * i + 8, 16)]);
  const xmm = Array.from({ length: XMM_COUNT }, (_, i) =>
    cpu.vectorMemory(cpu.keep(base.add(BigInt(FIRST_XMM + 16 * i))), 128, { of: 0 }).read(),
  );

  const top = cpu.keep(status.shiftRight(BigInt(TOP_SHIFT)).and(7n).shiftLeft(16n));
  st.forEach(([low, high], i) => {
    operate(cpu, 'set-register', i, low as I64, (high as I64).or(top));
  });
  xmm.forEach((value, i) => {
    cpu.xmm(i).write(value);
  });
  cpu.writeMxcsr(mxcsr);
  const masks = cpu.keep(asControl(control));
  cpu.x87('control').write(masks);
  writeStatus(cpu, status, masks);
  cpu.x87('tags').write(tags);
  cpu.x87('opcode').write(opcode.and(0x7ffn));
  cpu.x87('instruction').write(instruction);
  cpu.x87('operand').write(operand);
  if (codeSegment) cpu.x87('codeSegment').write(codeSegment);
  if (dataSegment) cpu.x87('dataSegment').write(dataSegment);
};
