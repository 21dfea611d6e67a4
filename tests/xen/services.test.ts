// memory_op, xen_version, console_io, physdev_op, nmi_op and what a domU is refused, by what they return and store.

import { describe, expect, test } from 'vitest';
import { maddr, mfnToMaddr } from '../../src/base/addresses.js';
import type { Hypercall } from '../../src/xen/hypercall.js';
import { console_io } from '../../src/xen/hypercalls/console_io.js';
import { memory_op } from '../../src/xen/hypercalls/memory_op.js';
import { nmi_op } from '../../src/xen/hypercalls/nmi_op.js';
import { physdev_op, physdev_op_compat } from '../../src/xen/hypercalls/physdev_op.js';
import { domctl, hvm_op, kexec_op, platform_op, sysctl, xenpmu_op } from '../../src/xen/hypercalls/privileged.js';
import { xen_version } from '../../src/xen/hypercalls/xen_version.js';
import { DomU, type DomUOptions, FIRST_MFN, NOT_MAPPED, SCRATCH } from './domu.js';

const [EPERM, ESRCH, ENOMEM, EACCES, EFAULT, EINVAL, ENOSYS] = [1, 3, 12, 13, 14, 22, 38];
const SELF = 0x7ff0;
const LIST = SCRATCH + 0x800n;

describe('memory_op: pages given and taken', () => {
  const [INCREASE, DECREASE, POPULATE] = [0, 1, 6];

  /** A reservation call with this list of frames or pfns. */
  function reserve(g: DomU, op: number, list: readonly (bigint | number)[], order = 0, domid = SELF): number {
    g.struct(
      list.map((entry) => [8, entry] as const),
      LIST,
    );
    return g.call(
      memory_op,
      op,
      g.struct([
        [8, LIST],
        [8, list.length],
        [4, order],
        [4, 0],
        [2, domid],
      ]),
    );
  }
  const pages = (g: DomU): number => g.call(memory_op, 3, g.struct([[2, SELF]]));

  test('pages that are not mapped can be given back, and others taken for them', () => {
    const g = new DomU();
    const [high, higher] = [g.built.p2m[1098] as number, g.built.p2m[1099] as number];
    expect([reserve(g, DECREASE, [high, higher]), pages(g)]).toEqual([2, 1098]);
    expect(g.hypervisor.m2p.lookup(high as never)).toBeUndefined();
    expect([reserve(g, POPULATE, [1099, 1098]), pages(g)]).toEqual([2, 1100]);
    // The last one given back comes first, and knows its new number.
    expect([g.u64(LIST), g.u64(LIST + 8n)]).toEqual([BigInt(higher), BigInt(high)]);
    expect(g.hypervisor.m2p.lookup(higher as never)).toBe(1099);
  });

  test('a page comes back empty', () => {
    const g = new DomU();
    const frame = g.built.p2m[1099] as never;
    g.memory.write64(mfnToMaddr(frame), 42n);
    reserve(g, DECREASE, [frame]);
    reserve(g, POPULATE, [1099]);
    expect([g.u64(LIST), g.memory.read64(mfnToMaddr(frame))]).toEqual([BigInt(frame), 0n]);
  });

  test('a mapped page stays until its last mapping is gone, and is not given back twice', () => {
    const g = new DomU();
    const frame = g.built.p2m[3] as number;
    expect(reserve(g, DECREASE, [frame])).toBe(1);
    expect(g.hypervisor.page(frame)?.owner).toBe(g.domain);
    const before = g.hypervisor.page(frame)?.refs;
    expect([reserve(g, DECREASE, [frame]), g.hypervisor.page(frame)?.refs]).toEqual([1, before]);
  });

  test.each<[string, (g: DomU) => number, number]>([
    ['beyond the maximum', (g) => reserve(g, POPULATE, [2000]), 0],
    ["somebody else's frame", (g) => reserve(g, DECREASE, [0x200]), 0],
    ['no frame at all', (g) => reserve(g, DECREASE, [1n << 60n]), 0],
    ['two of three', (g) => reserve(g, DECREASE, [FIRST_MFN + 1099, FIRST_MFN + 1098, 0x200]), 2],
    ['a larger extent', (g) => reserve(g, DECREASE, [FIRST_MFN + 1099], 9), 0],
    ['for another domain', (g) => reserve(g, DECREASE, [FIRST_MFN + 1099], 0, 5), 0],
    [
      'from a bad list',
      (g) =>
        g.call(
          memory_op,
          DECREASE,
          g.struct([
            [8, NOT_MAPPED],
            [8, 1],
            [4, 0],
            [4, 0],
            [2, SELF],
          ]),
        ),
      0,
    ],
    ['by a bad pointer', (g) => g.call(memory_op, DECREASE, NOT_MAPPED), 0],
    [
      'continued past the end',
      (g) =>
        g.call(
          memory_op,
          DECREASE | (7 << 6),
          g.struct([
            [8, LIST],
            [8, 3],
            [4, 0],
            [4, 0],
            [2, SELF],
          ]),
        ),
      7,
    ],
  ])('%s: counts what was done', (_, act, expected) => {
    expect(act(new DomU())).toBe(expected);
  });

  test('increase_reservation needs no list, and stops at the maximum', () => {
    const g = new DomU({ sparePages: 2 });
    const at = g.struct([
      [8, 0],
      [8, 5],
      [4, 0],
      [4, 0],
      [2, SELF],
    ]);
    expect([g.call(memory_op, INCREASE, at), pages(g)]).toEqual([2, 1102]);
  });
});

describe('memory_op: questions', () => {
  test.each<[string, (g: DomU) => number, number]>([
    ['maximum_ram_page', (g) => g.call(memory_op, 2, 0), FIRST_MFN + 1100],
    ['maximum_reservation', (g) => g.call(memory_op, 4, g.struct([[2, 1]])), 1100],
    ["dom0's reservation", (g) => g.call(memory_op, 3, g.struct([[2, 0]])), -EPERM],
    ["nobody's reservation", (g) => g.call(memory_op, 3, g.struct([[2, 99]])), -ESRCH],
    ['a bad pointer', (g) => g.call(memory_op, 3, NOT_MAPPED), -EFAULT],
    ['add_to_physmap', (g) => g.call(memory_op, 7, SCRATCH), -EACCES],
    ['memory_map', (g) => g.call(memory_op, 9, SCRATCH), -ENOSYS],
    ['machine_memory_map', (g) => g.call(memory_op, 10, SCRATCH), -EPERM],
    [
      'exchange',
      (g) =>
        g.call(
          memory_op,
          11,
          g.struct([
            [8, 0],
            [8, 0],
            [8, 0],
            [2, SELF],
            [8, 0],
            [8, 0],
            [8, 0],
            [2, SELF],
            [8, 0],
          ]),
        ),
      -ENOMEM,
    ],
    ['a command that is none', (g) => g.call(memory_op, 60, SCRATCH), -ENOSYS],
  ])('%s', (_, act, expected) => {
    expect(act(new DomU())).toBe(expected);
  });

  test('maximum_gpfn is what the guest says itself', () => {
    const g = new DomU();
    g.setShared64(0xc10, 1100n);
    expect(g.call(memory_op, 14, g.struct([[2, SELF]]))).toBe(1099);
  });

  test('machphys_mapping: where the M2P is', () => {
    const g = new DomU();
    expect(g.call(memory_op, 12, SCRATCH)).toBe(0);
    expect([0n, 8n, 16n].map((at) => g.u64(SCRATCH + at))).toEqual([
      0xffff_8000_0000_0000n,
      0xffff_8040_0000_0000n,
      0x8_0000_0000n - 1n,
    ]);
  });

  test('machphys_mfn_list: the frames of the M2P', () => {
    const g = new DomU();
    expect(
      g.call(
        memory_op,
        5,
        g.struct([
          [4, 8],
          [8, LIST],
          [4, 0],
        ]),
      ),
    ).toBe(0);
    const [run] = g.hypervisor.m2p.runs;
    expect([g.u32(SCRATCH + 16n), g.u64(LIST)]).toEqual([1, BigInt(run?.table ?? 0)]);
  });
});

describe('xen_version', () => {
  const text = (g: DomU, length: number): string =>
    new TextDecoder().decode(new Uint8Array(g.view(SCRATCH, length).buffer)).split('\0')[0] as string;

  test.each<[DomUOptions, number, string]>([
    [{ profile: '4.1', version: '4.1.3OVM' }, 0x4_0001, '.3OVM'],
    [{ profile: '4.17', version: '4.17.7' }, 0x4_0011, '.7'],
    [{ profile: '4.17', version: 'whatever' }, 0x4_0011, ''],
  ])('%o', (options, expected, extra) => {
    const g = new DomU(options);
    expect([g.call(xen_version, 0), g.call(xen_version, 1, SCRATCH), text(g, 16)]).toEqual([expected, 0, extra]);
  });

  test.each<[DomUOptions['profile'], bigint, readonly number[]]>([
    ['4.1', 0n, [5, 6, 7]],
    ['4.17', 0n, [5, 6, 7, 13, 17]],
    ['4.17', 1n << 3n, [4, 5, 6, 7, 13, 17]],
  ])('%s with vm_assist %d: features %o', (profile, vmAssist, features) => {
    const g = new DomU({ profile: profile as '4.1' });
    g.domain.vmAssist = vmAssist;
    expect(
      g.call(
        xen_version,
        6,
        g.struct([
          [4, 0],
          [4, 0],
        ]),
      ),
    ).toBe(0);
    const bits = g.u32(SCRATCH + 4n);
    expect(Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (bits >>> bit) & 1)).toEqual(features);
  });

  test.each<[string, (g: DomU) => unknown, unknown]>([
    ['capabilities', (g) => [g.call(xen_version, 3, SCRATCH), text(g, 1024)], [0, 'xen-3.0-x86_64 ']],
    ['platform parameters', (g) => [g.call(xen_version, 5, SCRATCH), g.u64(SCRATCH)], [0, 0xffff_8000_0000_0000n]],
    ['page size', (g) => g.call(xen_version, 7, 0), 4096],
    ['changeset', (g) => [g.call(xen_version, 4, SCRATCH), text(g, 64)], [0, 'unavailable']],
    ['compile info', (g) => [g.call(xen_version, 2, SCRATCH), text(g, 64)], [0, 'paravane']],
    ['command line', (g) => [g.call(xen_version, 9, SCRATCH), text(g, 64)], [0, '<denied>']],
    ['build id', (g) => g.call(xen_version, 10, SCRATCH), -EPERM],
    [
      'a submap that is none',
      (g) =>
        g.call(
          xen_version,
          6,
          g.struct([
            [4, 1],
            [4, 0],
          ]),
        ),
      -EINVAL,
    ],
    ['a bad pointer', (g) => g.call(xen_version, 1, NOT_MAPPED), -EFAULT],
    ['a command that is none', (g) => g.call(xen_version, 11, 0), -ENOSYS],
  ])('%s', (_, act, expected) => {
    expect(act(new DomU())).toEqual(expected);
  });
});

describe('console_io', () => {
  const write = (g: DomU, text: string): number => {
    const bytes = new TextEncoder().encode(text);
    g.poke(SCRATCH, bytes);
    return g.call(console_io, 0, bytes.length, SCRATCH);
  };

  test('a release build refuses', () => {
    expect(write(new DomU(), 'hello\n')).toBe(-EPERM);
  });

  test('a debug build prints whole lines, without what cannot be printed', () => {
    const g = new DomU({ debug: true });
    const heard: string[] = [];
    g.hypervisor.emergencyConsole.subscribe(({ bytes }) => heard.push(new TextDecoder().decode(bytes)));
    expect([write(g, 'hel'), write(g, 'lo\n\x1b[1mworld'), write(g, '\r\n')]).toEqual([0, 0, 0]);
    expect(g.hypervisor.console.lines.filter((line) => line.startsWith('(d1)'))).toEqual([
      '(d1) hello',
      '(d1) [1mworld',
    ]);
    expect(heard.join('')).toBe('hello\n\x1b[1mworld\r\n');
  });

  test('a line without an end is printed in pieces', () => {
    const g = new DomU({ debug: true });
    write(g, `${'x'.repeat(450)}\n`);
    const lines = g.hypervisor.console.lines.filter((line) => line.startsWith('(d1)'));
    expect(lines.map((line) => line.length - 5)).toEqual([199, 199, 52]);
  });

  test.each<[string, (g: DomU) => number, number]>([
    ['reading gets nothing', (g) => g.call(console_io, 1, 10, SCRATCH), 0],
    ['a bad pointer', (g) => g.call(console_io, 0, 10, NOT_MAPPED), -EFAULT],
    ['a command that is none', (g) => g.call(console_io, 2, 0, 0), -ENOSYS],
  ])('%s', (_, act, expected) => {
    expect(act(new DomU({ debug: true }))).toBe(expected);
  });
});

describe('physdev_op and nmi_op', () => {
  test.each<[string, (g: DomU) => unknown, unknown]>([
    ['set_iopl', (g) => [g.call(physdev_op, 6, g.struct([[4, 1]])), g.vcpu.iopl], [0, 1]],
    [
      'set_iopl in the old form',
      (g) => [
        g.call(
          physdev_op_compat,
          g.struct([
            [4, 6],
            [8, 2],
          ]),
        ),
        g.vcpu.iopl,
      ],
      [0, 2],
    ],
    ['set_iopl of 4', (g) => [g.call(physdev_op, 6, g.struct([[4, 4]])), g.vcpu.iopl], [-EINVAL, 0]],
    [
      'an I/O bitmap',
      (g) =>
        g.call(
          physdev_op,
          7,
          g.struct([
            [8, LIST],
            [4, 65536],
          ]),
        ),
      0,
    ],
    [
      'one that is too long',
      (g) =>
        g.call(
          physdev_op,
          7,
          g.struct([
            [8, LIST],
            [4, 65537],
          ]),
        ),
      -EINVAL,
    ],
    ['PCI', (g) => g.call(physdev_op, 25, SCRATCH), -EPERM],
    ['a command that is none', (g) => g.call(physdev_op, 99, SCRATCH), -ENOSYS],
    [
      'an NMI handler',
      (g) => [g.call(nmi_op, 0, g.struct([[8, SCRATCH]])), g.vcpu.trapTable[2]?.address],
      [0, SCRATCH],
    ],
    [
      'taken away',
      (g) => [g.call(nmi_op, 0, g.struct([[8, SCRATCH]])), g.call(nmi_op, 1, 0), g.vcpu.trapTable[2]?.address],
      [0, 0, 0n],
    ],
    ['an NMI handler nowhere', (g) => g.call(nmi_op, 0, NOT_MAPPED), -EFAULT],
  ])('%s', (_, act, expected) => {
    expect(act(new DomU())).toEqual(expected);
  });
});

describe('what is for the toolstack', () => {
  test.each<[string, Hypercall, number, number]>([
    ['domctl', domctl, 0x15, -EPERM],
    ['domctl of another version', domctl, 0x7, -EACCES],
    ['sysctl', sysctl, 0x15, -EPERM],
    ['platform_op', platform_op, 0x0300_0001, -EPERM],
    ['platform_op of another version', platform_op, 0, -EACCES],
  ])('%s', (_, hypercall, version, expected) => {
    const g = new DomU();
    expect(
      g.call(
        hypercall,
        g.struct([
          [4, 1],
          [4, version],
        ]),
      ),
    ).toBe(expected);
    expect(g.call(hypercall, NOT_MAPPED)).toBe(-EFAULT);
  });

  test.each([
    ['4.1', -ENOSYS],
    ['4.17', -95],
  ] as const)('%s: no performance counters', (profile, expected) => {
    expect(new DomU({ profile }).call(xenpmu_op, 0, SCRATCH)).toBe(expected);
  });

  test('kexec_op, hvm_op', () => {
    const g = new DomU();
    expect([g.call(kexec_op), g.call(hvm_op, 0), g.call(hvm_op, 1), g.call(hvm_op, 5)]).toEqual([
      -EPERM,
      -EINVAL,
      -EINVAL,
      -ENOSYS,
    ]);
  });
});

test("a frame of Xen's that is shared with the guest cannot be given back", () => {
  const g = new DomU();
  g.struct([[8, g.domain.sharedInfo]], LIST);
  const at = g.struct([
    [8, LIST],
    [8, 1],
    [4, 0],
    [4, 0],
    [2, SELF],
  ]);
  g.call(memory_op, 1, at);
  expect(g.hypervisor.page(g.domain.sharedInfo)?.owner).toBe(g.domain);
  expect(g.memory.read8(maddr(mfnToMaddr(g.domain.sharedInfo) + 1))).toBe(1);
});
