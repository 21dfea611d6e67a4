// A vCPU's x87, MMX and SSE registers as the 512 bytes that FXSAVE64 makes of them: what a hypervisor passes on and takes over
// (`fpu_ctxt` of Xen's vcpu_guest_context). The layout is drawn in isa/meaning/vector-state.ts.

import { invariant } from '../base/failures.js';
import { controlWord, TOP_SHIFT, withSummary } from '../isa/x87/state.js';
import type { Vcpu } from './vcpu.js';

export const FX_IMAGE_BYTES = 512;
const [FIRST_ST, FIRST_XMM] = [32, 160];
/** The bits of MXCSR that exist. */
const MXCSR_MASK = 0xffff;

/** Bytes 416 and up, which FXSAVE leaves alone, are 0. */
export function readFxImage(vcpu: Vcpu): Uint8Array {
  const image = new Uint8Array(FX_IMAGE_BYTES);
  const view = new DataView(image.buffer);
  const { control, status, tags, opcode, instruction, operand, registers } = vcpu.x87;
  [control, status, tags, opcode].forEach((word, i) => {
    view.setUint16(2 * i, word, true);
  });
  view.setBigUint64(8, instruction, true);
  view.setBigUint64(16, operand, true);
  view.setUint32(24, vcpu.mxcsr, true);
  view.setUint32(28, MXCSR_MASK, true);
  for (let i = 0; i < 8; i++) put128(view, FIRST_ST + 16 * i, registers[numberOf(status, i)] as bigint);
  for (let i = 0; i < 16; i++) put128(view, FIRST_XMM + 16 * i, vcpu.readXmm(i));
  return image;
}

/** Bits of MXCSR and of the control word that do not exist are dropped, as nobody is there to take a #GP. */
export function writeFxImage(vcpu: Vcpu, image: Uint8Array): void {
  invariant(image.length === FX_IMAGE_BYTES, 'an image of FXSAVE has 512 bytes');
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const word = (offset: number): number => view.getUint16(offset, true);
  const registers = new Array<bigint>(8).fill(0n);
  for (let i = 0; i < 8; i++) registers[numberOf(word(2), i)] = BigInt.asUintN(80, get128(view, FIRST_ST + 16 * i));
  const control = controlWord(word(0));
  vcpu.x87 = {
    ...vcpu.x87,
    control,
    status: withSummary(word(2), control),
    tags: word(4) & 0xff,
    opcode: word(6) & 0x7ff,
    instruction: view.getBigUint64(8, true),
    operand: view.getBigUint64(16, true),
    registers,
  };
  vcpu.mxcsr = view.getUint32(24, true) & MXCSR_MASK;
  for (let i = 0; i < 16; i++) vcpu.writeXmm(i, get128(view, FIRST_XMM + 16 * i));
}

/** The number of ST(i). */
const numberOf = (status: number, i: number): number => ((status >> TOP_SHIFT) + i) & 7;

function put128(view: DataView, offset: number, value: bigint): void {
  view.setBigUint64(offset, BigInt.asUintN(64, value), true);
  view.setBigUint64(offset + 8, value >> 64n, true);
}

const get128 = (view: DataView, offset: number): bigint =>
  (view.getBigUint64(offset + 8, true) << 64n) | view.getBigUint64(offset, true);
