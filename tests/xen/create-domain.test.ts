// A domain as it stands before its first instruction.

import { describe, expect, test } from 'vitest';
import { CS, RSI, SS } from '../../src/abi/registers.js';
import { maddr, mfnToMaddr } from '../../src/base/addresses.js';
import { DATA, Guest, PAGES } from './guest.js';
import { auditBooks } from './recount.js';

describe.each(['4.1', '4.17'] as const)('a domain built for Xen %s', (profile) => {
  const guest = new Guest({ profile });

  test('starts with the registers of the start-of-day state', () => {
    const { registers } = guest;
    expect(registers.rip).toBe(guest.built.entry);
    expect(registers.gpr[RSI]).toBe(guest.built.startInfo);
    expect(guest.vcpu.kernelSp).toBe(guest.built.stackEnd);
    expect(registers.rflags).toBe(0x202n);
    expect([registers.selectors[CS], registers.selectors[SS]]).toEqual([0xe033, 0xe02b]);
    expect(guest.vcpu).toMatchObject({
      kernelMode: true,
      runState: 'runnable',
      cpu: 3,
      kernelSp: guest.built.stackEnd,
    });
  });

  test('has its L4 pinned and loaded, and its books balance', () => {
    const l4 = guest.page(guest.built.l4);
    // One reference each: owner, pin, CR3, and the read-only mapping of the initial area.
    expect(l4).toMatchObject({ type: 4, typeCount: 2, pinned: true, validated: true, refs: 4 });
    expect(guest.vcpu.mmu.root).toBe(guest.built.l4);
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test('finds its entries marked by Xen: kernel pages US and bit 52, upper levels US', () => {
    expect(guest.l1eValue(DATA) & 0xfff0_0000_0000_0fffn & ~0x60n).toBe(0x0010_0000_0000_0007n);
    expect(guest.entry(guest.table(4), 511) & 0x7n).toBe(7n);
  });

  test("finds its own tables read-only, and the M2P in Xen's part of the address space", () => {
    expect(guest.access(guest.built.ptBase, 'write')).toBe(0x7);
    expect(guest.access(guest.built.ptBase, 'read')).toBe(true);
    const m2p = 0xffff_8000_0000_0000n + BigInt(guest.mfn(5)) * 8n;
    expect(guest.peek(m2p)).toBe(5n);
    expect(guest.access(m2p, 'read')).toBe(true);
    expect(guest.access(m2p, 'write')).toBe(0x7);
  });

  test('has all events masked, and each page known by its pfn', () => {
    const { memory, built, hypervisor } = guest;
    const masks = Array.from({ length: 32 }, (_, slot) =>
      memory.read8(maddr(mfnToMaddr(built.sharedInfo) + slot * 64 + 1)),
    );
    expect(masks).toEqual(new Array(32).fill(1));
    expect(built.p2m.map((frame) => hypervisor.m2p.lookup(frame))).toEqual(
      Array.from({ length: PAGES }, (_, pfn) => pfn),
    );
  });
});
