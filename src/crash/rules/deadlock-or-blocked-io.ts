// A task that waits for ever.

import { isKind } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const hungTask: Diagnosis = {
  id: 'deadlock-or-blocked-io',
  verdict: ({ facts }) =>
    `task ${facts.task ?? '(unnamed)'} waits for something that does not come: a lock, or a device`,
  family: 'stuck',
  requires: [{ when: isKind('hung-task'), weight: 20, says: ({ facts }) => `"${facts.headline}"` }],
  clues: [
    {
      when: ({ facts }) => facts.trace?.some(({ symbol }) => /io_schedule|wait_on_page|blk_|bio_/.test(symbol ?? '')),
      weight: 1,
      says: 'it waits for input or output: look at the device and its queue',
    },
  ],
  explanation: () => 'The task slept uninterruptibly (state D) for two minutes. The kernel reports that, and goes on.',
  next: () => [
    'Look what the trace waits for. Several such tasks on one lock: find its owner. On I/O: the disk, or, in a guest, its backend.',
  ],
  sources: ['Linux kernel/hung_task.c'],
  examples: ['corpus/linux-2.6.38-hung-task-syslog.log'],
};
