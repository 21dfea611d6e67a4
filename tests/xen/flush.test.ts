// Which flushes happen, and when: the policies, Xen's clock, and the seed's sequence of calls under each of them.

import { describe, expect, test } from 'vitest';
import * as call from '../../src/abi/hypercalls.js';
import * as op from '../../src/abi/mmu-ops.js';
import { type Level, PTE_RW } from '../../src/abi/paging.js';
import { vpnToVaddr } from '../../src/base/addresses.js';
import { FLUSH_POLICIES, parseFlushPolicy, printFlushPolicy } from '../../src/xen/flush.js';
import { BASE, DATA, Guest, type GuestOptions, pte } from './guest.js';

describe('the notation', () => {
  test.each(FLUSH_POLICIES)('%s is printed as it is read', (text) => {
    expect(printFlushPolicy(parseFlushPolicy(text))).toBe(text);
  });
  test.each([
    ['xen-4.2', '--flush xen-4.2: expected one of abi, xen-4.1, xen-4.17, xen-4.17,xpti'],
    ['', '--flush : expected one of abi, xen-4.1, xen-4.17, xen-4.17,xpti'],
    ['xen-4.1,xpti', '--flush xen-4.1,xpti: only xen-4.17 has XPTI (xen-4.17,xpti)'],
    ['abi,xpti', '--flush abi,xpti: only xen-4.17 has XPTI (xen-4.17,xpti)'],
  ])('%j is refused in words', (text, message) => {
    expect(() => parseFlushPolicy(text)).toThrow(message);
  });
});

/** What the MMUs are told and what is stored, one word for each: flush, cr3, invlpg ADDRESS, store. */
function listen(guest: Guest): string[] {
  const heard: string[] = [];
  guest.events.subscribe((event) => {
    const cpu = 'vcpu' in event && event.vcpu > 0 ? `@${event.vcpu}` : '';
    // The CPU's own setting of A and D is no news here.
    if (event.kind === 'table-store') heard.push(...(event.why.what.startsWith('A/D') ? [] : ['store']));
    else if (event.kind === 'invalidate' && event.scope.kind === 'all') heard.push(`flush${cpu}`);
    else if (event.kind === 'invalidate' && event.scope.kind === 'non-global') heard.push(`cr3${cpu}`);
    else if (event.kind === 'invalidate' && event.scope.kind === 'page')
      heard.push(`invlpg${cpu} ${vpnToVaddr(event.scope.page).toString(16)}`);
  });
  return heard;
}

/** What one hypercall made of it. */
function during(heard: string[], act: () => unknown): string {
  heard.length = 0;
  act();
  return heard.join(', ');
}

const ext = (guest: Guest, ...words: (bigint | number)[]): bigint =>
  guest.call(call.__HYPERVISOR_mmuext_op, guest.poke(DATA, ...words), 1, 0, 0x7ff0);

/** The seed's guest up to the page that it recycles first: it runs on tables of its own, the toolstack's three are free. */
function onOwnTables(options: GuestOptions): { guest: Guest; heard: string[] } {
  const guest = new Guest(options);
  const own = { 4: BASE + 0x2000n, 3: BASE + 0x3000n, 2: BASE + 0x4000n } as const;
  for (const level of [4, 3, 2] as const) {
    for (let index = 0; index < 512; index++)
      guest.poke(own[level] + BigInt(index * 8), guest.entry(guest.table(level), index));
  }
  guest.poke(own[4] + 511n * 8n, pte(guest.mfnAt(own[3]), 0x67));
  guest.poke(own[3] + 510n * 8n, pte(guest.mfnAt(own[2]), 0x67));
  for (const level of [4, 3, 2] as const)
    expect(guest.call(call.__HYPERVISOR_update_va_mapping, own[level], pte(guest.mfnAt(own[level]), 0x61), 0)).toBe(0n);
  expect(ext(guest, op.MMUEXT_PIN_L4_TABLE, guest.mfnAt(own[4]))).toBe(0n);
  expect(ext(guest, op.MMUEXT_UNPIN_TABLE, guest.built.l4)).toBe(0n);
  const heard = listen(guest);
  const loaded = during(heard, () => ext(guest, op.MMUEXT_NEW_BASEPTR, guest.mfnAt(own[4])));
  expect(loaded).toBe(guest.hypervisor.config.flush.xpti ? 'flush, cr3, flush, flush' : 'cr3, flush');
  return { guest, heard };
}

/** Makes one of the toolstack's tables (in the order L4, L3, L2 from ptBase) writable. */
const recycle = (guest: Guest, level: Level, flags: number): bigint => {
  const address = guest.built.ptBase + BigInt(4 - level) * 4096n;
  return guest.call(call.__HYPERVISOR_update_va_mapping, address, pte(guest.mfnAt(address), 0x63), flags);
};

describe("the seed's calls: after the load of CR3, the old L4, L3 and L2 are made writable", () => {
  test.each([
    ['4.1', 'xen-4.1', 'flush, store', 'store', 'store'],
    ['4.17', 'xen-4.17', 'flush, store', 'store', 'store'],
    ['4.1', 'abi', 'store', 'store', 'store'],
    ['4.17', 'abi', 'store', 'store', 'store'],
    ['4.17', 'xen-4.17,xpti', 'flush, flush, store, flush', 'flush, store, flush', 'flush, store, flush'],
  ] as const)('Xen %s under %s: L4 %s; L3 %s; L2 %s', (profile, flush, ...expected) => {
    const { guest, heard } = onOwnTables({ profile, flush });
    heard.length = 0;
    const seen = ([4, 3, 2] as const).map((level) => during(heard, () => expect(recycle(guest, level, 0)).toBe(0n)));
    expect(seen).toEqual(expected);
  });

  test('with UVMF_INVLPG each store is followed by an INVLPG of the page', () => {
    const { guest, heard } = onOwnTables({ profile: '4.1' });
    const page = (index: number): string => (guest.built.ptBase + BigInt(index) * 4096n).toString(16);
    expect(during(heard, () => recycle(guest, 4, op.UVMF_INVLPG))).toBe(`flush, store, invlpg ${page(0)}`);
    expect(during(heard, () => recycle(guest, 3, op.UVMF_INVLPG))).toBe(`store, invlpg ${page(1)}`);
  });

  test.each([
    ['xen-4.1', 0, [true, 0x7, true]],
    ['xen-4.1', op.UVMF_INVLPG, [true, true, true]],
    ['abi', 0, [0x7, 0x7, 0x7]],
    ['xen-4.17,xpti', 0, [true, true, true]],
  ] as const)(
    'a page that was read after CR3 was loaded: under %s, flags %i, writes give %j',
    (flush, flags, outcome) => {
      const { guest } = onOwnTables({
        profile: '4.17',
        flush,
        staleness: { tlb: 'hoarding', refill: 'none', cpu: 'intel' },
      });
      const seen = ([4, 3, 2] as const).map((level) => {
        const address = guest.built.ptBase + BigInt(4 - level) * 4096n;
        // What a wrong path would load, before the last flush for L4, after it for L3; the L2 is left alone under Xen's rules.
        if (level !== 2 || flush === 'abi') guest.access(address, 'read');
        recycle(guest, level, flags);
        return guest.access(address, 'write');
      });
      expect(seen).toEqual(outcome);
    },
  );
});

describe('the clock', () => {
  test('a page that becomes writable again after being writable is no change of type', () => {
    const guest = new Guest();
    const heard = listen(guest);
    const map = (flags: number) =>
      during(heard, () => guest.call(call.__HYPERVISOR_update_va_mapping, DATA, pte(guest.mfnAt(DATA), flags), 0));
    expect(map(0x61)).toBe('store');
    expect(map(0x63)).toBe('store');
  });

  test('a page that becomes a table is flushed first, unless the CPU was flushed since it was last writable', () => {
    const guest = new Guest();
    const heard = listen(guest);
    const table = BASE + 0x2000n;
    const pinAsL1 = () => during(heard, () => expect(ext(guest, op.MMUEXT_PIN_L1_TABLE, guest.mfnAt(table))).toBe(0n));
    const map = (flags: number) =>
      guest.call(call.__HYPERVISOR_update_va_mapping, table, pte(guest.mfnAt(table), flags), 0);
    map(0x61);
    expect(pinAsL1()).toBe('flush');
    ext(guest, op.MMUEXT_UNPIN_TABLE, guest.mfnAt(table));
    // The same type again needs no flush; a type that ended before the last flush needs none either.
    expect(pinAsL1()).toBe('');
    ext(guest, op.MMUEXT_UNPIN_TABLE, guest.mfnAt(table));
    expect(during(heard, () => ext(guest, op.MMUEXT_TLB_FLUSH_LOCAL))).toBe('flush');
    expect(during(heard, () => map(0x63))).toBe('store');
  });

  test('INVLPG does not tick it, and a switch between kernel and user does not either', () => {
    const guest = new Guest();
    const before = guest.hypervisor.tlbClock.now;
    ext(guest, op.MMUEXT_INVLPG_LOCAL, DATA);
    expect(guest.hypervisor.tlbClock.now).toBe(before);
    ext(guest, op.MMUEXT_TLB_FLUSH_LOCAL);
    expect(guest.hypervisor.tlbClock.now).toBe(before + 1);
    expect(guest.vcpu.flushTime).toBe(before + 1);
  });
});

describe('upper-level entries by mmu_update', () => {
  const setL2e = (guest: Guest, value: bigint): bigint =>
    guest.call(
      call.__HYPERVISOR_mmu_update,
      guest.poke(DATA, (BigInt(guest.table(2)) << 12n) | (300n * 8n), value),
      1,
      0,
      0x7ff0,
    );
  test.each([
    ['4.1', 'xen-4.1', 'store'],
    ['4.17', 'xen-4.17', 'store, flush'],
    ['4.17', 'abi', 'store'],
  ] as const)('Xen %s under %s: %s', (profile, flush, expected) => {
    const guest = new Guest({ profile, flush });
    const heard = listen(guest);
    expect(during(heard, () => expect(setL2e(guest, 0n)).toBe(0n))).toBe(expected);
    expect(during(heard, () => expect(setL2e(guest, pte(0, 0x81))).toBe(-22n))).toBe('');
  });

  test('xen-4.17 flushes even when a later request of the batch fails', () => {
    const guest = new Guest({ profile: '4.17' });
    const heard = listen(guest);
    const l2e = (BigInt(guest.table(2)) << 12n) | (300n * 8n);
    const done = DATA + 0x800n;
    const batch = () =>
      guest.call(call.__HYPERVISOR_mmu_update, guest.poke(DATA, l2e, 0n, l2e, pte(0, 0x81)), 2, done, 0x7ff0);
    expect(during(heard, () => expect(batch()).toBe(-22n))).toBe('store, flush');
    expect(guest.peek(done)).toBe(1n);
  });
});

describe('two vCPUs', () => {
  const two = (): { guest: Guest; heard: string[] } => {
    const guest = new Guest({ vcpus: 2 });
    const second = guest.domain.vcpus[1]!;
    second.dirty = true;
    return { guest, heard: listen(guest) };
  };
  test.each([
    ['TLB_FLUSH_LOCAL', op.MMUEXT_TLB_FLUSH_LOCAL, 'flush'],
    ['TLB_FLUSH_ALL', op.MMUEXT_TLB_FLUSH_ALL, 'flush, flush@1'],
    ['INVLPG_ALL', op.MMUEXT_INVLPG_ALL, 'invlpg ffffffff80001000, invlpg@1 ffffffff80001000'],
  ])('%s', (_, command, expected) => {
    const { guest, heard } = two();
    expect(during(heard, () => ext(guest, command, DATA))).toBe(expected);
  });

  test.each([
    [0b01n, 'flush'],
    [0b10n, 'flush@1'],
    [0b11n, 'flush, flush@1'],
    [~0n, 'flush, flush@1'],
  ])('TLB_FLUSH_MULTI with mask %i: %s', (mask, expected) => {
    const { guest, heard } = two();
    const pointer = guest.poke(DATA + 0x800n, mask);
    expect(during(heard, () => ext(guest, op.MMUEXT_TLB_FLUSH_MULTI, 0, pointer))).toBe(expected);
  });

  test('update_va_mapping takes a pointer to a mask, or ALL', () => {
    const { guest, heard } = two();
    const pointer = guest.poke(DATA + 0x800n, 0b10n);
    const entry = guest.l1eValue(DATA);
    const update = (flags: bigint) =>
      during(heard, () => guest.call(call.__HYPERVISOR_update_va_mapping, DATA, entry, flags));
    expect(update(pointer | 2n)).toBe('store, invlpg@1 ffffffff80001000');
    expect(update(4n | 1n)).toBe('store, flush, flush@1');
  });

  test('a change of type flushes only CPUs that were not flushed since', () => {
    const { guest, heard } = two();
    const table = BASE + 0x2000n;
    guest.call(call.__HYPERVISOR_update_va_mapping, table, guest.l1eValue(table) & ~PTE_RW, 0);
    ext(guest, op.MMUEXT_TLB_FLUSH_LOCAL);
    expect(during(heard, () => ext(guest, op.MMUEXT_PIN_L1_TABLE, guest.mfnAt(table)))).toBe('flush@1');
  });
});

describe('4.1 flushes what was asked for even when the update failed; 4.17 does not', () => {
  test.each([
    ['4.1', 'invlpg ffffffff80001000'],
    ['4.17', ''],
  ] as const)('Xen %s', (profile, expected) => {
    const guest = new Guest({ profile });
    const heard = listen(guest);
    const bad = () => guest.call(call.__HYPERVISOR_update_va_mapping, DATA, pte(guest.built.l4, 0x63), op.UVMF_INVLPG);
    expect(during(heard, () => expect(bad()).toBe(profile === '4.1' ? -22n : -16n))).toBe(expected);
  });
});
