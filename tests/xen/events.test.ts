// Event channels as a guest sees them: bits in its shared page, and what its hypercalls return.

import { describe, expect, test } from 'vitest';
import * as E from '../../src/abi/event-channel.js';
import { event_channel_op, event_channel_op_compat } from '../../src/xen/hypercalls/event_channel_op.js';
import { DomU, NOT_MAPPED, SCRATCH } from './domu.js';

const [EPERM, ENOENT, ESRCH, EFAULT, EEXIST, EINVAL, ENOSPC, ENOSYS] = [1, 2, 3, 14, 17, 22, 28, 38];
const SELF = 0x7ff0;

/** A guest whose ports 1 and 2 (xenstore, console) wait for dom0. */
const guest = (vcpus = 1): DomU => new DomU({ vcpus });

const bindVirq = (g: DomU, virq: number, vcpu = 0): number =>
  g.call(
    event_channel_op,
    E.EVTCHNOP_bind_virq,
    g.struct([
      [4, virq],
      [4, vcpu],
      [4, 0],
    ]),
  );
const bindIpi = (g: DomU, vcpu: number): number =>
  g.call(
    event_channel_op,
    E.EVTCHNOP_bind_ipi,
    g.struct([
      [4, vcpu],
      [4, 0],
    ]),
  );
const send = (g: DomU, port: number): number => g.call(event_channel_op, E.EVTCHNOP_send, g.struct([[4, port]]));
const close = (g: DomU, port: number): number => g.call(event_channel_op, E.EVTCHNOP_close, g.struct([[4, port]]));
const unmask = (g: DomU, port: number): number => g.call(event_channel_op, E.EVTCHNOP_unmask, g.struct([[4, port]]));
const bindVcpu = (g: DomU, port: number, vcpu: number): number =>
  g.call(
    event_channel_op,
    E.EVTCHNOP_bind_vcpu,
    g.struct([
      [4, port],
      [4, vcpu],
    ]),
  );
/** "interdomain vcpu 0 dom 0 port 1" or an errno. */
function status(g: DomU, port: number): string | number {
  const at = g.struct([
    [2, SELF],
    [4, port],
    [4, 0],
    [4, 0],
    [2, 0],
    [4, 0],
  ]);
  const result = g.call(event_channel_op, E.EVTCHNOP_status, at);
  if (result !== 0) return result;
  const view = g.view(at, 24);
  const vcpu = view.getUint32(12, true);
  const detail = view.getUint32(16, true);
  switch (view.getUint32(8, true)) {
    case E.EVTCHNSTAT_closed:
      return 'closed';
    case E.EVTCHNSTAT_unbound:
      return `unbound vcpu ${vcpu} dom ${view.getUint16(16, true)}`;
    case E.EVTCHNSTAT_interdomain:
      return `interdomain vcpu ${vcpu} dom ${view.getUint16(16, true)} port ${view.getUint32(20, true)}`;
    case E.EVTCHNSTAT_virq:
      return `virq ${detail} vcpu ${vcpu}`;
    default:
      return `ipi vcpu ${vcpu}`;
  }
}
/** The port that the last binding call stored at this offset of its structure. */
const storedPort = (g: DomU, offset: number): number => g.u32(SCRATCH + BigInt(offset));

describe('binding', () => {
  test('ports are given out from the lowest free number', () => {
    const g = guest(2);
    expect([bindVirq(g, E.VIRQ_TIMER), storedPort(g, 8)]).toEqual([0, 3]);
    expect([bindIpi(g, 1), storedPort(g, 4)]).toEqual([0, 4]);
    expect(close(g, 3)).toBe(0);
    expect([bindVirq(g, E.VIRQ_DEBUG, 1), storedPort(g, 8)]).toEqual([0, 3]);
    expect([1, 2, 3, 4, 5].map((port) => status(g, port))).toEqual([
      'unbound vcpu 0 dom 0',
      'unbound vcpu 0 dom 0',
      'virq 1 vcpu 1',
      'ipi vcpu 1',
      'closed',
    ]);
  });

  test.each<[string, (g: DomU) => number, number]>([
    ['a VIRQ twice on a vCPU', (g) => bindVirq(g, E.VIRQ_TIMER) || bindVirq(g, E.VIRQ_TIMER), -EEXIST],
    ['a VIRQ on each of two vCPUs', (g) => bindVirq(g, E.VIRQ_TIMER) || bindVirq(g, E.VIRQ_TIMER, 1), 0],
    ['a domain VIRQ on vCPU 1', (g) => bindVirq(g, E.VIRQ_CONSOLE, 1), -EINVAL],
    ['a VIRQ that is none', (g) => bindVirq(g, 24), -EINVAL],
    ['a VIRQ on a vCPU that is none', (g) => bindVirq(g, E.VIRQ_TIMER, 2), -ENOENT],
    ['an IPI to a vCPU that is none', (g) => bindIpi(g, 7), -ENOENT],
    [
      'a physical interrupt',
      (g) =>
        g.call(
          event_channel_op,
          E.EVTCHNOP_bind_pirq,
          g.struct([
            [4, 9],
            [4, 0],
            [4, 0],
          ]),
        ),
      -EPERM,
    ],
    [
      'to a domain that is none',
      (g) =>
        g.call(
          event_channel_op,
          E.EVTCHNOP_bind_interdomain,
          g.struct([
            [2, 5],
            [4, 1],
            [4, 0],
          ]),
        ),
      -ESRCH,
    ],
    [
      'to dom0, which offers nothing',
      (g) =>
        g.call(
          event_channel_op,
          E.EVTCHNOP_bind_interdomain,
          g.struct([
            [2, 0],
            [4, 1],
            [4, 0],
          ]),
        ),
      -EINVAL,
    ],
    [
      'for another domain',
      (g) =>
        g.call(
          event_channel_op,
          E.EVTCHNOP_alloc_unbound,
          g.struct([
            [2, 0],
            [2, 0],
            [4, 0],
          ]),
        ),
      -EPERM,
    ],
    ['an operation of the FIFO ABI', (g) => g.call(event_channel_op, 11, SCRATCH), -ENOSYS],
    ['a bad pointer', (g) => g.call(event_channel_op, E.EVTCHNOP_send, NOT_MAPPED), -EFAULT],
  ])('%s', (_, act, expected) => {
    expect(act(guest(2))).toBe(expected);
  });

  test('ports run out at 4096', () => {
    const g = guest();
    let result = 0;
    let ports = 2;
    for (; ; ports++) {
      result = g.domain.events.allocUnbound(0);
      if (result < 0) break;
    }
    expect([result, ports]).toEqual([-ENOSPC, 4095]);
  });

  test('a guest binds to its own port: two ends, and both are told', () => {
    const g = guest();
    g.call(
      event_channel_op,
      E.EVTCHNOP_alloc_unbound,
      g.struct([
        [2, SELF],
        [2, SELF],
        [4, 0],
      ]),
    );
    expect(
      g.call(
        event_channel_op,
        E.EVTCHNOP_bind_interdomain,
        g.struct([
          [2, SELF],
          [4, 3],
          [4, 0],
        ]),
      ),
    ).toBe(0);
    expect(storedPort(g, 8)).toBe(4);
    expect([status(g, 3), status(g, 4)]).toEqual([
      'interdomain vcpu 0 dom 1 port 4',
      'interdomain vcpu 0 dom 1 port 3',
    ]);
    expect(g.events().ports).toBe(1n << 4n);
    send(g, 4);
    expect(g.events().ports).toBe((1n << 4n) | (1n << 3n));
    close(g, 3);
    expect([status(g, 3), status(g, 4)]).toEqual(['closed', 'unbound vcpu 0 dom 1']);
  });
});

describe('a backend of dom0', () => {
  test('hears what the guest sends, and sends to it', () => {
    const g = guest();
    let heard = 0;
    const port = g.domain.events.bindBackend(2, () => heard++);
    expect(status(g, 2)).toBe('interdomain vcpu 0 dom 0 port 1');
    expect([send(g, 2), heard]).toEqual([0, 1]);
    expect(g.events().ports).toBe(0n);
    port?.notify();
    expect(g.events()).toEqual({ pending: true, masked: true, selector: 1n, ports: 1n << 2n });
  });

  test('has nothing to say any more once either side has closed', () => {
    const g = guest();
    const port = g.domain.events.bindBackend(2, () => {});
    expect(g.domain.events.bindBackend(2, () => {})).toBeUndefined();
    port?.close();
    expect(status(g, 2)).toBe('unbound vcpu 0 dom 0');
    const again = g.domain.events.bindBackend(2, () => {});
    close(g, 2);
    port?.notify();
    again?.notify();
    expect(g.events().ports).toBe(0n);
  });
});

describe('how an event reaches the guest', () => {
  /** Port 3 is an IPI to vCPU 1 of a guest that has acknowledged everything. */
  function prepared(): DomU {
    const g = guest(2);
    bindIpi(g, 1);
    return g;
  }
  const MASK = 0xa00;

  test('pending bit, selector bit, upcall: all three, on the vCPU that it is bound to', () => {
    const g = prepared();
    send(g, 3);
    expect(g.events(1)).toEqual({ pending: true, masked: true, selector: 1n, ports: 8n });
    expect(g.events(0)).toMatchObject({ pending: false, selector: 0n });
  });

  test('a masked port stays pending until it is unmasked', () => {
    const g = prepared();
    g.setShared64(MASK, 8n);
    send(g, 3);
    expect(g.events(1)).toMatchObject({ pending: false, selector: 0n, ports: 8n });
    expect(unmask(g, 3)).toBe(0);
    expect(g.events(1)).toMatchObject({ pending: true, selector: 1n });
    expect(g.shared64(MASK)).toBe(0n);
  });

  test('unmasking what is not pending tells nothing', () => {
    const g = prepared();
    g.setShared64(MASK, 8n);
    unmask(g, 3);
    expect(g.events(1)).toMatchObject({ pending: false, selector: 0n });
  });

  test('a port that is pending already is not told again', () => {
    const g = prepared();
    send(g, 3);
    g.domain.vcpus[1]!.upcallPending = false;
    send(g, 3);
    expect(g.events(1).pending).toBe(false);
  });

  test('closing a port takes its pending bit along', () => {
    const g = prepared();
    send(g, 3);
    close(g, 3);
    expect(g.events(1).ports).toBe(0n);
  });

  test.each<[string, (g: DomU) => number, number]>([
    ['to a port that is not bound yet', (g) => send(g, 1), 0],
    ['to a free port', (g) => send(g, 9), -EINVAL],
    ['to a VIRQ', (g) => bindVirq(g, 0) || send(g, 4), -EINVAL],
    ['to no port at all', (g) => send(g, 0xffff_ffff), -EINVAL],
  ])('sending %s', (_, act, expected) => {
    expect(act(prepared())).toBe(expected);
  });

  test.each<[string, (g: DomU) => number, number]>([
    ['an unbound port', (g) => bindVcpu(g, 1, 1), 0],
    ['an IPI', (g) => bindVcpu(g, 3, 0), -EINVAL],
    ["a vCPU's own VIRQ", (g) => bindVirq(g, E.VIRQ_TIMER) || bindVcpu(g, 4, 1), -EINVAL],
    ["a domain's VIRQ", (g) => bindVirq(g, E.VIRQ_CONSOLE) || bindVcpu(g, 4, 1), 0],
    ['a free port', (g) => bindVcpu(g, 9, 1), -EINVAL],
    ['to a vCPU that is none', (g) => bindVcpu(g, 1, 5), -ENOENT],
  ])('rebinding %s', (_, act, expected) => {
    expect(act(prepared())).toBe(expected);
  });

  test("a domain's VIRQ that was moved arrives at its new vCPU, and can be closed and bound again", () => {
    const g = prepared();
    bindVirq(g, E.VIRQ_CONSOLE);
    bindVcpu(g, 4, 1);
    g.domain.events.raiseVirq(E.VIRQ_CONSOLE);
    expect([g.events(0).pending, g.events(1).pending]).toEqual([false, true]);
    expect([close(g, 4), bindVirq(g, E.VIRQ_CONSOLE)]).toEqual([0, 0]);
  });

  test('status: beyond the allocated ports there is nothing to be asked about', () => {
    const g = prepared();
    expect([status(g, 63), status(g, 64), status(g, 0xffff_ffff)]).toEqual(['closed', -EINVAL, -EINVAL]);
  });

  test('reset closes everything', () => {
    const g = prepared();
    expect(g.call(event_channel_op, E.EVTCHNOP_reset, g.struct([[2, SELF]]))).toBe(0);
    expect([1, 2, 3].map((port) => status(g, port))).toEqual(['closed', 'closed', 'closed']);
  });
});

test('the old form: command and structure behind one pointer', () => {
  const g = guest();
  const at = g.struct([
    [4, E.EVTCHNOP_bind_virq],
    [4, E.VIRQ_TIMER],
    [4, 0],
    [4, 0],
  ]);
  expect([g.call(event_channel_op_compat, at), g.u32(at + 12n)]).toEqual([0, 3]);
});
