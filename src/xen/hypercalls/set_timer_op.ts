// set_timer_op: one VIRQ_TIMER at an absolute system time, for the calling vCPU.
// Source: Xen 4.17 common/sched/core.c (do_set_timer_op). Left out: the log line about a huge timeout.

import type { Hypercall } from '../hypercall.js';

/** Always succeeds; 0 stops the timer. */
export const set_timer_op: Hypercall = (vcpu, [timeoutNs]) => {
  vcpu.time.setTimer(timeoutNs);
  return 0;
};
