// What a Linux kernel finds out about itself without a fault: checkers, lock-up detectors, corrupted structures.
// Sources: Linux mm/kasan/report.c, mm/kfence/report.c, mm/kmsan/report.c, kernel/kcsan/report.c, lib/ubsan.c,
// kernel/watchdog.c, kernel/watchdog_hld.c, kernel/rcu/tree_stall.h, kernel/hung_task.c, mm/memory.c print_bad_pte, mm/page_alloc.c
// bad_page, arch/x86/mm/extable.c (unchecked MSR), arch/x86/kernel/cpu/mce.

import type { CrashKind, Facts } from '../facts.js';
import { type Format, parseWord } from './format.js';

const ofLinux = (kind: CrashKind, headline: string, facts: Facts = {}): Facts => ({
  system: 'linux',
  kind,
  headline,
  ...facts,
});

export const LINUX_REPORT_FORMATS: readonly Format[] = [
  {
    name: 'KASAN, KMSAN, KCSAN, KFENCE',
    origin: 'linux',
    hint: /BUG: K[A-Z]+: /,
    pattern: /BUG: (KASAN|KMSAN|KCSAN|KFENCE): ([\w -]+?) in ([\w.$]+(?:\+0x[0-9a-f]+\/0x[0-9a-f]+)?)/,
    stage: 0,
    role: 'begins',
    read: (m) =>
      ofLinux('sanitizer', m[0], {
        accessWords: { hint: m[2] as string },
        ...((m[3] as string).includes('+') ? { ripSymbol: m[3] as string } : {}),
      }),
    samples: [
      {
        line: 'BUG: KASAN: slab-use-after-free in l2cap_send_cmd+0x187/0x8d0 net/bluetooth/l2cap_core.c:954',
        states: {
          kind: 'sanitizer',
          accessWords: { hint: 'slab-use-after-free' },
          ripSymbol: 'l2cap_send_cmd+0x187/0x8d0',
        },
      },
      {
        line: 'BUG: KCSAN: data-race in __ip_append_data / __ip_append_data',
        states: { kind: 'sanitizer', accessWords: { hint: 'data-race' } },
      },
    ],
  },
  {
    name: 'UBSAN',
    origin: 'linux',
    hint: 'UBSAN: ',
    pattern: /UBSAN: ([\w -]+?) in (\S+:\d+(?::\d+)?)/,
    stage: 0,
    role: 'begins',
    read: (m) => ofLinux('sanitizer', m[0], { accessWords: { hint: m[1] as string } }),
    samples: [
      {
        line: 'UBSAN: shift-out-of-bounds in ./include/linux/log2.h:57:13',
        states: { kind: 'sanitizer', accessWords: { hint: 'shift-out-of-bounds' } },
      },
    ],
  },
  {
    name: 'access that a checker found',
    origin: 'linux',
    hint: / (?:of size \d+ at addr|to 0x[0-9a-f]+ of \d+ bytes)/,
    pattern:
      /\b(read|write)(?: \(marked\))? (?:of size \d+ at addr ([0-9a-f]{16}) by task (\S{1,15})\/(\d+)|to 0x([0-9a-f]{16}) of \d+ bytes by (?:task (\d+)|interrupt) on cpu (\d+))/i,
    stage: undefined,
    role: 'inside',
    within: ({ address }) => address === undefined,
    read: (m) => ({
      address: parseWord((m[2] ?? m[5]) as string),
      accessWords: { access: (m[1] as string).toLowerCase() as 'read' },
      ...(m[3] === undefined ? {} : { task: m[3], pid: Number(m[4]) }),
      // KCSAN's traces have no header of their own.
      ...(m[5] === undefined ? {} : { trace: [] }),
    }),
    samples: [
      {
        line: 'Read of size 8 at addr ffff8880271a4000 by task kworker/u9:2/5837',
        states: { address: 0xffff8880271a4000n, accessWords: { access: 'read' }, task: 'kworker/u9:2', pid: 5837 },
        given: { kind: 'sanitizer' },
      },
      {
        line: 'read to 0xffff8881035d4b6c of 4 bytes by task 8877 on cpu 1:',
        states: { address: 0xffff8881035d4b6cn, trace: [] },
        given: { kind: 'sanitizer' },
      },
    ],
  },
  {
    name: 'soft lockup',
    origin: 'linux',
    hint: 'soft lockup - CPU#',
    pattern: /BUG: soft lockup - CPU#(\d+) stuck for (\d+)s!(?: \[(.+):(\d+)\])?/,
    stage: 0,
    role: 'begins',
    read: (m) =>
      ofLinux('soft-lockup', m[0], {
        cpu: Number(m[1]),
        ...(m[3] === undefined ? {} : { task: m[3] }),
      }),
    samples: [
      {
        line: 'watchdog: BUG: soft lockup - CPU#45 stuck for 22s! [km_target_creat:49068]',
        states: { kind: 'soft-lockup', cpu: 45, task: 'km_target_creat' },
      },
    ],
  },
  {
    name: 'hard lockup',
    origin: 'linux',
    hint: /Watchdog detected (?:hard )?LOCKUP on cpu/i,
    pattern: /Watchdog detected (?:hard )?LOCKUP on cpu (\d+)/i,
    stage: 0,
    role: 'begins',
    read: (m) => ofLinux('hard-lockup', m[0], { cpu: Number(m[1]), trace: [] }),
    samples: [
      {
        line: 'NMI watchdog: Watchdog detected hard LOCKUP on cpu 1',
        states: { kind: 'hard-lockup', cpu: 1 },
      },
    ],
  },
  {
    name: 'RCU stall',
    origin: 'linux',
    hint: /INFO: rcu_\w+ (?:self-)?detected (?:expedited )?stall/,
    pattern: /INFO: (rcu_\w+) (?:self-)?detected (?:expedited )?stalls? on CPU/,
    stage: 0,
    role: 'begins',
    read: (m) => ofLinux('rcu-stall', m[0]),
    samples: [{ line: 'rcu: INFO: rcu_preempt self-detected stall on CPU', states: { kind: 'rcu-stall' } }],
  },
  {
    name: 'hung task',
    origin: 'linux',
    hint: ' blocked for more than ',
    pattern: /INFO: task (.{1,15}):(\d+) blocked for more than (\d+) seconds/,
    stage: 0,
    role: 'begins',
    read: (m) => ofLinux('hung-task', m[0], { task: m[1] as string, pid: Number(m[2]) }),
    samples: [
      {
        line: 'INFO: task jbd2/sda2-8:349 blocked for more than 120 seconds.',
        states: { kind: 'hung-task', task: 'jbd2/sda2-8', pid: 349 },
      },
    ],
  },
  {
    name: 'machine check',
    origin: 'linux',
    hint: 'Machine Check',
    pattern: /\[Hardware Error\]: CPU (\d+): Machine Check(?: Exception)?: [0-9a-f]+ Bank \d+: ([0-9a-f]{16})/,
    stage: undefined,
    role: 'begins',
    read: (m) => ofLinux('machine-check', m[0], { cpu: Number(m[1]), vector: 18 }),
    samples: [
      {
        line: 'mce: [Hardware Error]: CPU 3: Machine Check Exception: 5 Bank 4: b200000000070f0f',
        states: { kind: 'machine-check', cpu: 3 },
      },
    ],
  },
  {
    name: 'unchecked MSR access',
    origin: 'linux',
    hint: 'unchecked MSR access error: ',
    pattern:
      /unchecked MSR access error: (RDMSR from|WRMSR to) 0x([0-9a-f]+)(?:.* at rIP: 0x([0-9a-f]{16})(?: \(([\w.$]+\+0x[0-9a-f]+\/0x[0-9a-f]+)\))?)?/,
    stage: 0,
    role: 'begins',
    read: (m) =>
      ofLinux('warning', m[0], {
        vector: 13,
        registers: { rcx: parseWord(m[2] as string), ...(m[3] === undefined ? {} : { rip: parseWord(m[3]) }) },
        ...(m[4] === undefined ? {} : { ripSymbol: m[4] }),
      }),
    samples: [
      {
        line: 'unchecked MSR access error: RDMSR from 0x852 at rIP: 0xffffffff8a8a3ac4 (native_read_msr+0x4/0x40)',
        states: {
          kind: 'warning',
          vector: 13,
          registers: { rcx: 0x852n, rip: 0xffffffff8a8a3ac4n },
          ripSymbol: 'native_read_msr+0x4/0x40',
        },
      },
    ],
  },
  {
    name: 'bad page map',
    origin: 'linux',
    hint: 'BUG: Bad page map in process',
    pattern: /BUG: Bad page map in process (\S+) +pte:([0-9a-f]{8,16}) pmd:([0-9a-f]{8,16})/,
    stage: 0,
    role: 'begins',
    read: (m) => ofLinux('bug', m[0], { task: m[1] as string, accessWords: { hint: 'bad page map' } }),
    samples: [
      {
        line: 'BUG: Bad page map in process oom_reaper  pte:6353826300000000 pmd:00000000',
        states: { kind: 'bug', task: 'oom_reaper', accessWords: { hint: 'bad page map' } },
      },
    ],
  },
  {
    name: 'BUG of another kind',
    origin: 'linux',
    hint: 'BUG: ',
    pattern: /\bBUG: (?!K[A-Z]+:|unable to|kernel NULL|soft lockup|\S+ stack guard|stack guard)([A-Za-z][^!\n]{3,200})/,
    stage: 0,
    role: 'begins',
    read: (m) => ofLinux('bug', m[0].trim()),
    samples: [
      {
        line: 'BUG: sleeping function called from invalid context at mm/slab.h:421',
        states: { kind: 'bug', headline: 'BUG: sleeping function called from invalid context at mm/slab.h:421' },
      },
    ],
  },
];
