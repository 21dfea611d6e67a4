// One line on stderr that says how far a long command has come; nothing at all when stderr is no terminal.

import { count, type Output } from './terminal.js';

export interface Progress {
  step(): void;
  /** Takes the line away. */
  done(): void;
}

export function progressLine(output: Output, total: number): Progress {
  if (output.isTTY !== true) return { step() {}, done() {} };
  let steps = 0;
  return {
    step() {
      steps++;
      output.write(`\r${count(steps)} of ${count(total)} runs`);
    },
    done() {
      output.write('\r\x1b[K');
    },
  };
}
