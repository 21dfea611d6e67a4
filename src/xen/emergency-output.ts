// What a guest writes with console_io: gathered into lines, which Xen prints on its own console as "(d1) text".
// Source: Xen 4.17 drivers/char/console.c (guest_console_write). Left out: the serial line and VGA, and dom0's raw output.

import type { Domain } from './domain.js';

/** Xen's DOMAIN_PBUF_SIZE: a longer line is printed in pieces. */
const LINE_BYTES = 200;

/** Gathers one domain's lines. */
export class EmergencyOutput {
  readonly #domain: Domain;
  #line = '';

  constructor(domain: Domain) {
    this.#domain = domain;
  }

  /** Takes any bytes: what is neither printable nor a line end or tab is left out. */
  write(bytes: Uint8Array): void {
    const { emergencyConsole } = this.#domain.hypervisor;
    if (emergencyConsole.active) emergencyConsole.emit({ domain: this.#domain, bytes });
    for (const byte of bytes) {
      if ((byte >= 0x20 && byte < 0x7f) || byte === 9) this.#line += String.fromCharCode(byte);
      if (byte === 10 || this.#line.length >= LINE_BYTES - 1) this.#print();
    }
  }

  #print(): void {
    this.#domain.hypervisor.console.print(`(d${this.#domain.id}) ${this.#line}`);
    this.#line = '';
  }
}
