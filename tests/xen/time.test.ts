// Time, timers, sleeping and waking, as hypercalls and the shared pages show them.

import { describe, expect, test } from 'vitest';
import { VIRQ_TIMER } from '../../src/abi/event-channel.js';
import * as S from '../../src/abi/sched.js';
import { sched_op, sched_op_compat } from '../../src/xen/hypercalls/sched_op.js';
import { set_timer_op } from '../../src/xen/hypercalls/set_timer_op.js';
import { vcpu_op } from '../../src/xen/hypercalls/vcpu_op.js';
import { publishWallClock, tscScale } from '../../src/xen/time.js';
import { DomU, type DomUOptions, NOT_MAPPED, SCRATCH } from './domu.js';

const [ENOENT, EFAULT, EEXIST, EINVAL, ENOSPC, ENOSYS, ETIME, EPERM, ESRCH, ENXIO] = [
  2, 14, 17, 22, 28, 38, 62, 1, 3, 6,
];
const MS = 1_000_000n;
const SECOND = 1_000_000_000n;
const INFO_TIME = 0x20;

/** A guest with VIRQ_TIMER on port 3 and, unless asked for, no periodic timer. */
function guest(options: DomUOptions & { periodic?: boolean } = {}): DomU {
  const g = new DomU(options);
  g.domain.events.bindVirq(VIRQ_TIMER, 0);
  if (!options.periodic) g.vcpu.time.setPeriod(0n);
  g.acknowledge();
  g.vcpu.upcallMask = false;
  return g;
}

/** When the timer event arrives, in ns, looking at each of these moments; undefined when it does not. */
function firesAt(g: DomU, moments: readonly bigint[]): bigint | undefined {
  for (const moment of moments) {
    g.advanceTo(moment);
    if (g.events().ports & 8n) return moment;
  }
  return undefined;
}

describe('set_timer_op', () => {
  test.each<[string, bigint, bigint | undefined]>([
    ['in 5 ms', 5n * MS, 5n * MS],
    ['at once, for a time in the past', 1n, 0n],
    ['never, for 0', 0n, undefined],
    ['in 100 ms, for a negative time', -5n, 100n * MS],
    ['in 100 ms, for one beyond 13 days', (1n << 50n) + 7n, 100n * MS],
  ])('fires %s', (_, timeout, expected) => {
    const g = guest();
    expect(g.call(set_timer_op, timeout)).toBe(0);
    expect(firesAt(g, [0n, 5n * MS - 1n, 5n * MS, 99n * MS, 100n * MS, 1n << 49n])).toBe(
      expected === 0n ? 5n * MS - 1n : expected,
    );
  });

  test('a new timeout replaces the old one, and 0 takes it away', () => {
    const g = guest();
    g.call(set_timer_op, 5n * MS);
    g.call(set_timer_op, 50n * MS);
    expect(firesAt(g, [5n * MS, 50n * MS])).toBe(50n * MS);
    g.acknowledge();
    g.call(set_timer_op, 60n * MS);
    g.call(set_timer_op, 0);
    expect(firesAt(g, [SECOND])).toBeUndefined();
  });
});

describe('the periodic timer', () => {
  test('ticks every 10 ms from the start', () => {
    const g = guest({ periodic: true });
    const ticks: bigint[] = [];
    for (let now = MS; now <= 50n * MS; now += MS) {
      g.acknowledge();
      if (firesAt(g, [now]) !== undefined) ticks.push(now / MS);
    }
    expect(ticks).toEqual([10n, 20n, 30n, 40n, 50n]);
  });

  test('stands still while the vCPU sleeps, and ticks when it wakes', () => {
    const g = guest({ periodic: true });
    g.call(sched_op, S.SCHEDOP_block);
    expect(firesAt(g, [100n * MS])).toBeUndefined();
    expect(g.vcpu.runState).toBe('blocked');
    g.vcpu.time.wake();
    expect(g.events().ports).toBe(8n);
  });

  test.each<[bigint, number]>([
    [MS - 1n, -EINVAL],
    [MS, 0],
    [1n << 62n, -EINVAL],
  ])('a period of %d ns gives %d', (period, expected) => {
    const g = guest();
    expect(g.call(vcpu_op, S.VCPUOP_set_periodic_timer, 0, g.struct([[8, period]]))).toBe(expected);
  });

  test('can be set and stopped', () => {
    const g = guest();
    g.advanceTo(3n * MS);
    g.call(vcpu_op, S.VCPUOP_set_periodic_timer, 0, g.struct([[8, 2n * MS]]));
    // The last tick was at 0: one is due already.
    expect(g.events().ports).toBe(8n);
    g.acknowledge();
    expect(firesAt(g, [4n * MS, 5n * MS])).toBe(5n * MS);
    g.acknowledge();
    g.call(vcpu_op, S.VCPUOP_stop_periodic_timer, 0, 0);
    expect(firesAt(g, [SECOND])).toBeUndefined();
  });
});

describe('VCPUOP_set_singleshot_timer', () => {
  const arm = (g: DomU, timeout: bigint, flags: number): number =>
    g.call(
      vcpu_op,
      S.VCPUOP_set_singleshot_timer,
      0,
      g.struct([
        [8, timeout],
        [4, flags],
      ]),
    );

  test.each<[DomUOptions['profile'], bigint, number, number, boolean]>([
    ['4.17', 20n * MS, 0, 0, false],
    ['4.17', 5n * MS, 0, 0, true],
    ['4.17', 5n * MS, S.VCPU_SSHOTTMR_future, 0, true],
    ['4.1', 5n * MS, S.VCPU_SSHOTTMR_future, -ETIME, false],
    ['4.1', 20n * MS, S.VCPU_SSHOTTMR_future, 0, false],
  ])('%s: at 10 ms, for %d with flags %d: %d, pending %s', (profile, timeout, flags, expected, pending) => {
    const g = guest({ profile: profile as '4.1' });
    g.advanceTo(10n * MS);
    expect(arm(g, timeout, flags)).toBe(expected);
    expect(g.events().ports === 8n).toBe(pending);
  });

  test('4.1: a time in the past without the flag is due at once', () => {
    const g = guest({ profile: '4.1' });
    g.advanceTo(10n * MS);
    expect(arm(g, MS, 0)).toBe(0);
    expect(firesAt(g, [10n * MS])).toBe(10n * MS);
  });

  test('only on oneself', () => {
    const g = guest({ vcpus: 2 });
    expect(g.call(vcpu_op, S.VCPUOP_set_singleshot_timer, 1, SCRATCH)).toBe(-EINVAL);
    expect(g.call(vcpu_op, S.VCPUOP_stop_singleshot_timer, 1, 0)).toBe(-EINVAL);
    expect(g.call(vcpu_op, S.VCPUOP_stop_singleshot_timer, 0, 0)).toBe(0);
  });
});

describe('sleeping and waking', () => {
  test('block clears the mask and sleeps until an event comes', () => {
    const g = guest();
    g.vcpu.upcallMask = true;
    expect(g.call(sched_op, S.SCHEDOP_block)).toBe(0);
    expect([g.vcpu.runState, g.vcpu.upcallMask]).toEqual(['blocked', false]);
    g.domain.events.raiseVirq(VIRQ_TIMER, 0);
    expect(g.vcpu.runState).toBe('runnable');
  });

  test('block returns at once when an event is pending', () => {
    const g = guest();
    g.domain.events.raiseVirq(VIRQ_TIMER, 0);
    g.vcpu.upcallMask = true;
    g.call(sched_op, S.SCHEDOP_block);
    expect(g.vcpu.runState).toBe('runnable');
  });

  test('a masked port wakes nobody', () => {
    const g = guest();
    g.setShared64(0xa00, 8n);
    g.call(sched_op, S.SCHEDOP_block);
    g.domain.events.raiseVirq(VIRQ_TIMER, 0);
    expect(g.vcpu.runState).toBe('blocked');
  });

  /** SCHEDOP_poll of these ports; they stand at SCRATCH + 0x100. */
  function poll(g: DomU, ports: readonly number[], timeout: bigint): number {
    g.struct(
      ports.map((port) => [4, port] as const),
      SCRATCH + 0x100n,
    );
    return g.call(
      sched_op,
      S.SCHEDOP_poll,
      g.struct([
        [8, SCRATCH + 0x100n],
        [4, ports.length],
        [8, timeout],
      ]),
    );
  }

  test.each<[string, (g: DomU) => void]>([
    ['a polled port, though masked', (g) => g.domain.events.raiseVirq(VIRQ_TIMER, 0)],
    ['its timeout', (g) => g.advanceTo(7n * MS)],
  ])('poll sleeps until %s', (_, wake) => {
    const g = guest();
    g.setShared64(0xa00, ~0n & ((1n << 64n) - 1n));
    expect(poll(g, [3], 7n * MS)).toBe(0);
    expect(g.vcpu.runState).toBe('blocked');
    wake(g);
    expect(g.vcpu.runState).toBe('runnable');
  });

  test('poll does not wake for another port, unless it polls several', () => {
    const other = guest();
    other.domain.events.bindIpi(0);
    other.setShared64(0xa00, 0xffn);
    poll(other, [4], 0n);
    other.domain.events.raiseVirq(VIRQ_TIMER, 0);
    expect(other.vcpu.runState).toBe('blocked');
    const several = guest();
    several.setShared64(0xa00, 0xffn);
    poll(several, [1, 2], 0n);
    several.domain.events.raiseVirq(VIRQ_TIMER, 0);
    expect(several.vcpu.runState).toBe('runnable');
  });

  test('poll returns at once when a port is pending', () => {
    const g = guest();
    g.setShared64(0xa00, 0xffn);
    g.domain.events.raiseVirq(VIRQ_TIMER, 0);
    expect([poll(g, [3], 0n), g.vcpu.runState]).toEqual([0, 'runnable']);
  });

  test.each<[string, (g: DomU) => number, number]>([
    [
      '129 ports',
      (g) =>
        g.call(
          sched_op,
          S.SCHEDOP_poll,
          g.struct([
            [8, SCRATCH],
            [4, 129],
            [8, 0],
          ]),
        ),
      -EINVAL,
    ],
    ['a port that is none', (g) => poll(g, [5000], 0n), -EINVAL],
    [
      'a bad list',
      (g) =>
        g.call(
          sched_op,
          S.SCHEDOP_poll,
          g.struct([
            [8, NOT_MAPPED],
            [4, 1],
            [8, 0],
          ]),
        ),
      -EFAULT,
    ],
    ['a bad pointer', (g) => g.call(sched_op, S.SCHEDOP_poll, NOT_MAPPED), -EFAULT],
  ])('poll refuses %s', (_, act, expected) => {
    const g = guest();
    expect([act(g), g.vcpu.runState]).toEqual([expected, 'runnable']);
  });

  test('yield returns 0', () => {
    expect(guest().call(sched_op, S.SCHEDOP_yield)).toBe(0);
  });
});

describe('shutting down', () => {
  const shutdown = (g: DomU, reason: number): number => g.call(sched_op, S.SCHEDOP_shutdown, g.struct([[4, reason]]));

  test.each([
    [0, 'poweroff'],
    [1, 'reboot'],
    [2, 'suspend'],
    [3, 'crash'],
    [4, 'watchdog'],
    [5, 'soft_reset'],
    [77, 'crash'],
  ])('reason %d ends the domain with %s', (reason, expected) => {
    const g = guest();
    expect([shutdown(g, reason), g.domain.ended?.reason]).toEqual([0, expected]);
  });

  test('a reason announced before counts; the first end is the end', () => {
    const g = guest();
    g.call(sched_op, S.SCHEDOP_shutdown_code, g.struct([[4, 1]]));
    shutdown(g, 0);
    shutdown(g, 3);
    expect(g.domain.ended?.reason).toBe('reboot');
  });

  test('the old form has the reason in a register', () => {
    const g = guest();
    expect([g.call(sched_op_compat, S.SCHEDOP_shutdown, 1), g.domain.ended?.reason]).toEqual([0, 'reboot']);
    expect(g.call(sched_op_compat, S.SCHEDOP_poll, 0)).toBe(-ENOSYS);
  });

  test('a watchdog that is not fed bites', () => {
    const g = guest();
    const watchdog = (id: number, seconds: number): number =>
      g.call(
        sched_op,
        S.SCHEDOP_watchdog,
        g.struct([
          [4, id],
          [4, seconds],
        ]),
      );
    expect([watchdog(0, 0), watchdog(0, 2), watchdog(0, 9), watchdog(0, 9)]).toEqual([-EINVAL, 1, 2, -ENOSPC]);
    g.advanceTo(SECOND);
    expect([watchdog(1, 2), watchdog(2, 0), watchdog(2, 5), watchdog(3, 5)]).toEqual([0, 0, -EINVAL, -EINVAL]);
    g.advanceTo(2n * SECOND);
    expect(g.domain.ended).toBeUndefined();
    g.advanceTo(3n * SECOND);
    expect(g.domain.ended?.reason).toBe('watchdog');
  });

  test.each<[string, (g: DomU) => number, number]>([
    ['an unknown command', (g) => g.call(sched_op, 99), -ENOSYS],
    [
      'another domain',
      (g) =>
        g.call(
          sched_op,
          S.SCHEDOP_remote_shutdown,
          g.struct([
            [2, 9],
            [4, 0],
          ]),
        ),
      -ESRCH,
    ],
    ['pinning', (g) => g.call(sched_op, S.SCHEDOP_pin_override, SCRATCH), -EPERM],
    ['a bad pointer', (g) => g.call(sched_op, S.SCHEDOP_shutdown, NOT_MAPPED), -EFAULT],
  ])('refused: %s', (_, act, expected) => {
    const g = guest();
    expect([act(g), g.domain.ended]).toEqual([expected, undefined]);
  });
});

describe('pvclock', () => {
  test.each([
    [1_000_000_000n, 0x8000_0000, 1],
    [2_000_000_000n, 0x8000_0000, 0],
    [3_000_000_000n, 0xaaaa_aaaa, -1],
    [100_000_000n, 0xa000_0000, 4],
  ])('%d Hz: multiplier and shift', (hz, multiplier, shift) => {
    expect(tscScale(hz)).toEqual({ multiplier, shift });
  });

  test('vcpu_info holds an anchor, its version even, renewed every second', () => {
    const g = guest();
    const read = () => ({
      version: g.shared64(INFO_TIME) & 0xffff_ffffn,
      tsc: g.shared64(INFO_TIME + 8),
      ns: g.shared64(INFO_TIME + 16),
    });
    const first = read();
    expect(first).toMatchObject({ tsc: 0n, ns: 0n });
    g.advanceTo(SECOND - 1n);
    expect(read()).toEqual(first);
    g.advanceTo(3n * SECOND);
    const later = read();
    expect(later).toMatchObject({ tsc: 3n * SECOND, ns: 3n * SECOND });
    expect([first.version % 2n, later.version % 2n, later.version > first.version]).toEqual([0n, 0n, true]);
  });

  test.each([
    ['4.1', 0x1_4000_0000n & 0xffff_ffffn, 0n],
    ['4.17', 0x4000_0000n, 1n],
  ] as const)('%s: the wall clock of system time 0', (profile, low, high) => {
    const g = guest({ profile });
    Object.assign(g.clock, { bootWallNs: 0x1_4000_0000n * SECOND + 5n });
    publishWallClock(g.domain);
    expect([g.shared64(0xc00) >> 32n, g.shared64(0xc08)]).toEqual([low, (high << 32n) | 5n]);
    expect(g.shared64(0xc00) % 2n).toBe(0n);
  });

  test('a registered area gets a copy', () => {
    const g = guest();
    g.advanceTo(5n);
    const area = SCRATCH + 0x200n;
    expect(g.call(vcpu_op, S.VCPUOP_register_vcpu_time_memory_area, 0, g.struct([[8, area]]))).toBe(0);
    expect(g.u64(area + 16n)).toBe(5n);
  });
});

describe('vcpu_op', () => {
  test.each<[string, (g: DomU) => number, number]>([
    ['no such vCPU', (g) => g.call(vcpu_op, S.VCPUOP_is_up, 5), -ENOENT],
    ['no such command', (g) => g.call(vcpu_op, 99, 0), -ENOSYS],
    ['is_up of itself', (g) => g.call(vcpu_op, S.VCPUOP_is_up, 0), 1],
    ['is_up of one never started', (g) => g.call(vcpu_op, S.VCPUOP_is_up, 1), 0],
    ['up before initialise', (g) => g.call(vcpu_op, S.VCPUOP_up, 1), -EINVAL],
    ['initialise of itself', (g) => g.call(vcpu_op, S.VCPUOP_initialise, 0, SCRATCH - 0x1000n), -EEXIST],
    ['initialise from nowhere', (g) => g.call(vcpu_op, S.VCPUOP_initialise, 1, NOT_MAPPED), -EFAULT],
    ['physical id', (g) => g.call(vcpu_op, S.VCPUOP_get_physid, 0, SCRATCH), -EINVAL],
    ['an NMI with an argument', (g) => g.call(vcpu_op, S.VCPUOP_send_nmi, 0, 1), -EINVAL],
    ['an NMI', (g) => g.call(vcpu_op, S.VCPUOP_send_nmi, 0, 0), 0],
  ])('%s', (_, act, expected) => {
    expect(act(guest({ vcpus: 2 }))).toBe(expected);
  });

  test('the last vCPU to go down powers the domain off', () => {
    const g = guest();
    g.call(vcpu_op, S.VCPUOP_down, 0);
    expect(g.domain.ended?.reason).toBe('poweroff');
  });

  test('run states are counted, and kept in a registered area', () => {
    const g = guest();
    const area = SCRATCH + 0x300n;
    g.advanceTo(10n);
    expect(g.call(vcpu_op, S.VCPUOP_register_runstate_memory_area, 0, g.struct([[8, area]]))).toBe(0);
    g.call(sched_op, S.SCHEDOP_block);
    expect([g.u32(area), g.u64(area + 8n)]).toEqual([S.RUNSTATE_blocked, 10n]);
    g.advanceTo(40n);
    g.vcpu.time.wake();
    g.advanceTo(45n);
    const at = SCRATCH + 0x400n;
    expect(g.call(vcpu_op, S.VCPUOP_get_runstate_info, 0, at)).toBe(0);
    const [state, since, ...times] = [g.u32(at), ...[8n, 16n, 24n, 32n, 40n].map((offset) => g.u64(at + offset))];
    expect([state, since, times]).toEqual([S.RUNSTATE_running, 40n, [15n, 0n, 30n, 0n]]);
  });

  describe('register_vcpu_info', () => {
    const register = (g: DomU, mfn: number, offset: number): number =>
      g.call(
        vcpu_op,
        S.VCPUOP_register_vcpu_info,
        0,
        g.struct([
          [8, mfn],
          [4, offset],
          [4, 0],
        ]),
      );
    /** The frame behind SCRATCH + 0x1000. */
    const frame = (g: DomU): number => g.built.p2m[2] as number;

    test('moves what was there, and marks everything as pending', () => {
      const g = guest();
      g.setShared64(0x10, 0x1234n);
      expect(register(g, frame(g), 0x40)).toBe(0);
      const at = SCRATCH + 0x1040n;
      expect([g.u64(at + 8n), g.u64(at + 16n), g.vcpu.upcallPending]).toEqual([2n ** 64n - 1n, 0x1234n, true]);
      g.domain.events.raiseVirq(VIRQ_TIMER, 0);
      expect(g.shared64(8)).toBe(0n);
    });

    test.each<[string, DomUOptions['profile'], (g: DomU) => number, number]>([
      ['twice', '4.17', (g) => register(g, frame(g), 0) || register(g, frame(g), 64), -EINVAL],
      ['across a page', '4.17', (g) => register(g, frame(g), 4096 - 56), -ENXIO],
      ['across a page', '4.1', (g) => register(g, frame(g), 4096 - 56), -EINVAL],
      ['unaligned', '4.17', (g) => register(g, frame(g), 4), -ENXIO],
      ["in somebody else's frame", '4.17', (g) => register(g, 0x200, 0), -EINVAL],
      ['in a page table', '4.17', (g) => register(g, g.built.l4, 0), -EINVAL],
    ])('not %s (%s)', (_, profile, act, expected) => {
      expect(act(guest({ profile: profile as '4.1' }))).toBe(expected);
    });
  });
});

describe('VCPUOP_initialise', () => {
  /** Writes a context over scratch memory (two pages), with these words at these offsets. */
  function context(g: DomU, words: Readonly<Record<number, bigint>> = {}): bigint {
    const bytes = new Uint8Array(5168);
    const view = new DataView(bytes.buffer);
    const fields: Record<number, bigint> = {
      512: 1n << 2n,
      [0x208 + 0x80]: 0xffff_ffff_8000_0abcn,
      [0x208 + 0x88]: 0xe033n,
      [0x208 + 0x98]: 0xffff_ffff_8000_2000n,
      [0x208 + 0x50]: 77n,
      5008: BigInt(g.built.l4) << 12n,
      4976: 0xffff_ffff_8000_2000n,
      5112: 0xffff_ffff_8000_0100n,
      5144: 0x1000n,
      5152: 0x2000n,
      5160: 0x3000n,
      ...words,
    };
    for (const [offset, value] of Object.entries(fields)) view.setBigUint64(Number(offset), value, true);
    g.poke(SCRATCH, bytes);
    return SCRATCH;
  }

  test('gives a vCPU its registers, tables and callbacks; up starts it', () => {
    const g = guest({ vcpus: 2 });
    expect(g.call(vcpu_op, S.VCPUOP_initialise, 1, context(g))).toBe(0);
    const vcpu = g.domain.vcpus[1]!;
    expect(vcpu.runState).toBe('offline');
    expect(vcpu.registers.rip).toBe(0xffff_ffff_8000_0abcn);
    expect([vcpu.registers.readGpr(0), vcpu.registers.readGpr(4)]).toEqual([77n, 0xffff_ffff_8000_2000n]);
    expect(vcpu.registers.readSelector(1)).toBe(0xe033);
    expect([vcpu.registers.readSegmentBase(4), vcpu.registers.readSegmentBase(5), vcpu.inactiveGsBase]).toEqual([
      0x1000n,
      0x2000n,
      0x3000n,
    ]);
    expect(vcpu.eventCallback.address).toBe(0xffff_ffff_8000_0100n);
    expect(vcpu.mmu.root).toBe(g.built.l4);
    expect([g.call(vcpu_op, S.VCPUOP_up, 1), vcpu.runState]).toEqual([0, 'runnable']);
    expect([g.call(vcpu_op, S.VCPUOP_down, 1), vcpu.runState, g.domain.ended]).toEqual([0, 'offline', undefined]);
  });

  test.each<[string, Record<number, bigint>]>([
    ['a rip that is not canonical', { [0x208 + 0x80]: 1n << 50n }],
    ['a frame that is no L4', { 5008: 0x1_0001n << 12n }],
    ['no kernel mode and no user tables', { 512: 0n }],
    ['user tables that are none', { 4992: 0x1_0001n << 12n }],
    ['too many GDT entries', { 4960: 8193n }],
    ['a GDT in a writable frame', { 4960: 1n, 4832: 0x1_0001n }],
    ['an LDT off a page', { 4816: 8n, 4824: 1n }],
  ])('refused: %s; all references are given back', (_, words) => {
    const g = guest({ vcpus: 2 });
    const l4 = g.hypervisor.page(g.built.l4)!;
    const before = [l4.refs, l4.typeCount];
    expect(g.call(vcpu_op, S.VCPUOP_initialise, 1, context(g, words))).toBe(-EINVAL);
    expect([l4.refs, l4.typeCount]).toEqual(before);
    expect(g.domain.vcpus[1]!.initialised).toBe(false);
  });
});
