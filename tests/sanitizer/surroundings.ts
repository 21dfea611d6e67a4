// Surroundings for tests without a machine: one vCPU with a handler, no hypercalls, no symbols; every flush was asked for.

import type { Surroundings } from '../../src/sanitizer/index.js';

export const QUIET: Surroundings = {
  readEntry: () => undefined,
  levelOf: () => undefined,
  place: (vcpu) => ({ vcpu, rip: 0x1000n, stack: [] }),
  running: () => 0,
  callOf: () => undefined,
  flushCause: () => 'asked',
  handlesFaults: () => true,
  frameUse: () => undefined,
  symbolOf: () => undefined,
};
