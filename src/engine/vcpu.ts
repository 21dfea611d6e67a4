// A virtual CPU's registers. While it runs they are in RUNNING_STATE, where generated code works on them; otherwise in a
// buffer of its own of the same layout (layout.ts). Flags are kept lazily in both (isa/meaning/flags.ts).
// Leaves out debug registers, and RF, which is never set between two instructions here: whoever makes
// an exception frame puts it into the image (SDM 3A "Masking Instruction Breakpoints", §6.8.3: set for faults).

import { RFLAGS_FIXED, RFLAGS_IF, RFLAGS_RF } from '../abi/registers.js';
import type { VcpuRegisters } from '../abi/vcpu-registers.js';
import { invariant } from '../base/failures.js';
import { I64 } from '../isa/meaning/expression.js';
import { carriesOfStatus, resultOfStatus, STATUS_FLAGS, statusWord } from '../isa/meaning/flags.js';
import type { Mmu } from '../mmu/index.js';
import {
  FLAG_CARRIES,
  FLAG_RESULT,
  gprAddress,
  MXCSR,
  RIP,
  RUNNING_STATE,
  SEGMENT_BASES,
  SELECTORS,
  STATE_BYTES,
  SYSTEM_FLAGS,
  TASK_SWITCHED,
  X87_CONTROL,
  xmmAddress,
} from './layout.js';
import type { EngineHost } from './services.js';
import { type X87Image, X87Registers } from './x87-state.js';

/** The value of an expression that is made of constants only. */
function constantOf({ constant }: I64): bigint {
  invariant(constant !== undefined, 'an expression of constants is folded');
  return constant;
}

/** As FNINIT and a reset leave them: all exceptions masked, rounding to nearest; x87 with 64 bits of precision. */
const INITIAL_MXCSR = 0x1f80;
const INITIAL_X87_CONTROL = 0x037f;

/**
 * Made by `Engine.createVcpu`; all registers 0 but for IF, which a PV guest has always set, and the control words of
 * floating point.
 */
export class Vcpu implements VcpuRegisters {
  readonly mmu: Mmu;
  readonly host: EngineHost;
  readonly #saved = new DataView(new ArrayBuffer(STATE_BYTES));
  /** Where the registers are now. */
  #state: DataView = this.#saved;
  /** While it executes: where it is. */
  #executingRip: (() => bigint) | undefined;

  constructor(mmu: Mmu, host: EngineHost) {
    this.mmu = mmu;
    this.host = host;
    this.rflags = BigInt(RFLAGS_IF);
    this.mxcsr = INITIAL_MXCSR;
    this.#state.setUint16(X87_CONTROL - RUNNING_STATE, INITIAL_X87_CONTROL, true);
  }

  readGpr(index: number): bigint {
    return this.#read(gprAddress(checked(index, 16)));
  }
  writeGpr(index: number, value: bigint): void {
    this.#write(gprAddress(checked(index, 16)), value);
  }

  /** While code runs (seen from an event): of the instruction that is executed, on a wrong path of one on that path. */
  get rip(): bigint {
    return this.#executingRip?.() ?? this.#read(RIP);
  }
  set rip(value: bigint) {
    this.#write(RIP, value);
  }

  get rflags(): bigint {
    const status = statusWord(I64.constant(this.#read(FLAG_RESULT)), I64.constant(this.#read(FLAG_CARRIES)));
    return this.#read(SYSTEM_FLAGS) | constantOf(status) | BigInt(RFLAGS_FIXED);
  }
  set rflags(value: bigint) {
    const word = I64.constant(value);
    this.#write(FLAG_RESULT, constantOf(resultOfStatus(word)));
    this.#write(FLAG_CARRIES, constantOf(carriesOfStatus(word)));
    this.#write(SYSTEM_FLAGS, value & ~STATUS_FLAGS & ~BigInt(RFLAGS_FIXED | RFLAGS_RF));
  }

  readSelector(segment: number): number {
    return this.#state.getUint16(SELECTORS - RUNNING_STATE + 2 * checked(segment, 6), true);
  }
  writeSelector(segment: number, selector: number): void {
    this.#state.setUint16(SELECTORS - RUNNING_STATE + 2 * checked(segment, 6), selector, true);
  }

  readSegmentBase(segment: number): bigint {
    return this.#read(SEGMENT_BASES + 8 * checked(segment, 6));
  }
  /** FS or GS: the others have none in 64-bit mode. */
  writeSegmentBase(segment: number, base: bigint): void {
    invariant(segment === 4 || segment === 5, 'only FS and GS have a base');
    this.#write(SEGMENT_BASES + 8 * segment, base);
  }

  /** An XMM register, 0..15, as a number of 128 bits. */
  readXmm(index: number): bigint {
    const address = xmmAddress(checked(index, 16));
    return (this.#read(address + 8) << 64n) | this.#read(address);
  }
  writeXmm(index: number, value: bigint): void {
    const address = xmmAddress(checked(index, 16));
    this.#write(address, BigInt.asUintN(64, value));
    this.#write(address + 8, BigInt.asUintN(64, value >> 64n));
  }

  get mxcsr(): number {
    return this.#state.getUint32(MXCSR - RUNNING_STATE, true);
  }
  /** Bits that do not exist are not checked: LDMXCSR and FXRSTOR have done that. */
  set mxcsr(value: number) {
    this.#state.setUint32(MXCSR - RUNNING_STATE, value, true);
  }

  /** The x87, whole. ES and B of the status word are what they are said to be. */
  get x87(): X87Image {
    return new X87Registers(this.#state, RUNNING_STATE).image;
  }
  set x87(image: X87Image) {
    new X87Registers(this.#state, RUNNING_STATE).image = image;
  }

  get taskSwitched(): boolean {
    return this.#state.getUint32(TASK_SWITCHED - RUNNING_STATE, true) !== 0;
  }
  set taskSwitched(value: boolean) {
    this.#state.setUint32(TASK_SWITCHED - RUNNING_STATE, value ? 1 : 0, true);
  }

  /** For the engine: moves the registers to where generated code works on them. */
  load(running: DataView): void {
    copy(this.#saved, running);
    this.#state = running;
  }
  /** For the engine: takes the registers back. */
  unload(): void {
    copy(this.#state, this.#saved);
    this.#state = this.#saved;
  }
  /** For the engine: execution begins, or ends. */
  setExecuting(rip: (() => bigint) | undefined): void {
    this.#executingRip = rip;
  }

  #read(address: number): bigint {
    return this.#state.getBigUint64(address - RUNNING_STATE, true);
  }
  #write(address: number, value: bigint): void {
    this.#state.setBigUint64(address - RUNNING_STATE, value, true);
  }
}

function checked(index: number, count: number): number {
  invariant(Number.isInteger(index) && index >= 0 && index < count, `a register number is below ${count}`);
  return index;
}

function copy(from: DataView, to: DataView): void {
  const bytes = new Uint8Array(from.buffer, from.byteOffset, STATE_BYTES);
  new Uint8Array(to.buffer, to.byteOffset, STATE_BYTES).set(bytes);
}
