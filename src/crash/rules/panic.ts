// Any other panic: its message is the reason.

import { headlineText, isKind } from './conditions.js';
import { type Diagnosis, SAYS_SO } from './diagnosis.js';

export const otherPanic: Diagnosis = {
  id: 'panic',
  verdict: ({ facts }) => `the kernel gave up: ${facts.panicMessage ?? facts.headline ?? 'no reason in the text'}`,
  family: 'check',
  fallback: true,
  requires: [{ when: isKind('panic'), weight: SAYS_SO, says: (of) => headlineText(of) }],
  clues: [],
  explanation: () => 'A panic is a decision of the software: it saw no way to go on. Its message says why.',
  next: () => ['Search for the message, and look at the lines before the panic.'],
  sources: ['Linux kernel/panic.c; Xen drivers/char/console.c panic'],
  examples: [],
};
