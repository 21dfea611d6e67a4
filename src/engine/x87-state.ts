// The x87 of the vCPU that runs, where generated code has it (layout.ts), as isa/x87 wants it.

import type { X87State } from '../isa/x87/state.js';
import { X87_CONTROL, X87_EXPONENT, X87_STATUS, X87_TAGS, x87Address } from './layout.js';

/** A view of the running state: what it writes is what the next instruction sees. */
export class RunningX87 implements X87State {
  readonly #view: DataView;

  constructor(view: DataView) {
    this.#view = view;
  }

  get control(): number {
    return this.#view.getUint16(X87_CONTROL, true);
  }
  set control(value: number) {
    this.#view.setUint16(X87_CONTROL, value, true);
  }

  get status(): number {
    return this.#view.getUint16(X87_STATUS, true);
  }
  set status(value: number) {
    this.#view.setUint16(X87_STATUS, value, true);
  }

  get tags(): number {
    return this.#view.getUint16(X87_TAGS, true);
  }
  set tags(value: number) {
    this.#view.setUint16(X87_TAGS, value, true);
  }

  readRegister(number: number): bigint {
    const address = x87Address(number);
    const exponent = BigInt(this.#view.getUint16(address + X87_EXPONENT, true));
    return (exponent << 64n) | this.#view.getBigUint64(address, true);
  }
  writeRegister(number: number, value: bigint): void {
    const address = x87Address(number);
    this.#view.setBigUint64(address, BigInt.asUintN(64, value), true);
    this.#view.setUint16(address + X87_EXPONENT, Number(value >> 64n), true);
  }
}
