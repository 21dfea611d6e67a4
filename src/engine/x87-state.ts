// A vCPU's x87 where the layout has it (layout.ts): as isa/x87 works on it, and whole, for those who save or show it.

import type { X87State } from '../isa/x87/state.js';
import {
  X87_CODE_SEGMENT,
  X87_CONTROL,
  X87_DATA_SEGMENT,
  X87_EXPONENT,
  X87_INSTRUCTION,
  X87_OPCODE,
  X87_OPERAND,
  X87_STATUS,
  X87_TAGS,
  x87Address,
} from './layout.js';

/** All that the x87 holds. */
export interface X87Image {
  readonly control: number;
  readonly status: number;
  /** Bit n: register n is not empty. */
  readonly tags: number;
  /** R0 to R7, not counted from the top; 80 bits each. */
  readonly registers: readonly bigint[];
  /** Of the last instruction that was no control: its opcode's 11 bits, its address, and its memory operand's. */
  readonly opcode: number;
  readonly instruction: bigint;
  readonly operand: bigint;
  readonly codeSegment: number;
  readonly dataSegment: number;
}

const REGISTERS = 8;

/** A view of a running state: what it writes is what the next instruction sees. */
export class X87Registers implements X87State {
  readonly #view: DataView;
  readonly #origin: number;

  /** `origin`: the layout's address of the view's first byte. */
  constructor(view: DataView, origin: number) {
    this.#view = view;
    this.#origin = origin;
  }

  get control(): number {
    return this.#word(X87_CONTROL);
  }
  set control(value: number) {
    this.#setWord(X87_CONTROL, value);
  }

  get status(): number {
    return this.#word(X87_STATUS);
  }
  set status(value: number) {
    this.#setWord(X87_STATUS, value);
  }

  get tags(): number {
    return this.#word(X87_TAGS);
  }
  set tags(value: number) {
    this.#setWord(X87_TAGS, value);
  }

  readRegister(number: number): bigint {
    const address = x87Address(number);
    return (BigInt(this.#word(address + X87_EXPONENT)) << 64n) | this.#long(address);
  }
  writeRegister(number: number, value: bigint): void {
    const address = x87Address(number);
    this.#setLong(address, value);
    this.#setWord(address + X87_EXPONENT, Number(value >> 64n));
  }

  get image(): X87Image {
    return {
      control: this.control,
      status: this.status,
      tags: this.tags,
      registers: Array.from({ length: REGISTERS }, (_, number) => this.readRegister(number)),
      opcode: this.#word(X87_OPCODE),
      instruction: this.#long(X87_INSTRUCTION),
      operand: this.#long(X87_OPERAND),
      codeSegment: this.#word(X87_CODE_SEGMENT),
      dataSegment: this.#word(X87_DATA_SEGMENT),
    };
  }
  set image(image: X87Image) {
    this.control = image.control;
    this.status = image.status;
    this.tags = image.tags;
    image.registers.forEach((value, number) => {
      this.writeRegister(number, value);
    });
    this.#setWord(X87_OPCODE, image.opcode);
    this.#setLong(X87_INSTRUCTION, image.instruction);
    this.#setLong(X87_OPERAND, image.operand);
    this.#setWord(X87_CODE_SEGMENT, image.codeSegment);
    this.#setWord(X87_DATA_SEGMENT, image.dataSegment);
  }

  #word(address: number): number {
    return this.#view.getUint16(address - this.#origin, true);
  }
  #setWord(address: number, value: number): void {
    this.#view.setUint16(address - this.#origin, value, true);
  }
  #long(address: number): bigint {
    return this.#view.getBigUint64(address - this.#origin, true);
  }
  #setLong(address: number, value: bigint): void {
    this.#view.setBigUint64(address - this.#origin, BigInt.asUintN(64, value), true);
  }
}
