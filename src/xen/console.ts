// Xen's own console: the log of the hypervisor, apart from any guest's console. Lines are kept bare; the `(XEN) ` that a
// serial console shows in front of each is the printer's choice.
// Source: Xen 4.17 drivers/char/console.c (conring). Left out: log levels and rate limits by wall-clock time.

import { type Channel, channel } from '../base/events.js';

/** Like Xen's ring, the log forgets its oldest lines, so that a guest cannot fill the host's memory by misbehaving. */
const KEPT_LINES = 4096;

export class XenConsole {
  /** Every line as it is printed. */
  readonly printed: Channel<string> = channel();
  #lines: string[] = [];

  /** The last lines, oldest first; at least the newest 4096. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  print(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length >= 2 * KEPT_LINES) this.#lines = this.#lines.slice(-KEPT_LINES);
    if (this.printed.active) this.printed.emit(line);
  }
}

/** The line as a serial console shows it. */
export const withXenPrefix = (line: string): string => `(XEN) ${line}`;
