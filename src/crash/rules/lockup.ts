// A CPU that no longer does what it must: watchdogs and RCU.

import { isKind } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const lockup: Diagnosis = {
  id: 'lockup',
  verdict: ({ facts }) => {
    const cpu = facts.cpu === undefined ? 'a CPU' : `CPU ${facts.cpu}`;
    return facts.kind === 'hard-lockup' || facts.kind === 'watchdog'
      ? `${cpu} stopped answering, interrupts included, and the watchdog noticed`
      : `${cpu} ran one thing for too long and let nothing else run`;
  },
  family: 'stuck',
  requires: [
    {
      when: isKind('soft-lockup', 'hard-lockup', 'rcu-stall', 'watchdog'),
      weight: 20,
      says: ({ facts }) => `"${facts.headline}"`,
    },
  ],
  clues: [
    {
      when: ({ facts }) =>
        facts.trace?.some(({ symbol }) => /flush_tlb|smp_call_function|on_each_cpu/.test(symbol ?? '')),
      weight: 1,
      says: 'the trace waits for other CPUs to answer (TLB shoot-down, cross-CPU call): the CPU to blame is one that does not',
    },
    {
      when: ({ facts }) => facts.trace?.some(({ symbol }) => /spin_lock|queued_spin|rwlock/.test(symbol ?? '')),
      weight: 1,
      says: 'the trace waits for a lock: the CPU to blame is the one that holds it',
    },
  ],
  explanation: () =>
    'A watchdog looks whether each CPU still takes its timer interrupt and lets its threads run. The place where the CPU was found is not where something faulted: it is where it was at that moment. It loops, waits for a lock, or waits for another CPU that does not answer.',
  next: () => [
    'Compare several reports: code that is in all of them is the loop.',
    'Get the traces of all CPUs (sysrq-l, Xen debug key d): the culprit may be another one. In a guest, see whether its vCPUs were scheduled at all.',
  ],
  sources: [
    'Linux Documentation/admin-guide/lockup-watchdogs.rst, Documentation/RCU/stallwarn.rst',
    'Xen arch/x86/nmi.c',
  ],
  examples: [
    'corpus/linux-5.4-soft-lockup-tlb-shootdown.log',
    'corpus/linux-5.3-rcu-stall.log',
    'corpus/xen-4.14-watchdog-core-scheduling.log',
  ],
};
