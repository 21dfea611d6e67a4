// Requests about page tables, one line each: what a guest asks for, what comes back from each Xen, and what Xen says about it.

import { describe, expect, test } from 'vitest';
import * as call from '../../src/abi/hypercalls.js';
import * as op from '../../src/abi/mmu-ops.js';
import type { Mfn } from '../../src/base/addresses.js';
import { BASE, DATA, Guest, pte, SPARE_PFN } from './guest.js';
import { auditBooks } from './recount.js';

const PROFILES = ['4.1', '4.17'] as const;

const map = (guest: Guest, address: bigint, entry: bigint, flags: bigint | number = 0): bigint =>
  guest.call(call.__HYPERVISOR_update_va_mapping, address, entry, flags);

const ext = (guest: Guest, ...words: (bigint | number)[]): bigint =>
  guest.call(call.__HYPERVISOR_mmuext_op, guest.poke(DATA, ...words), 1, 0, 0x7ff0);

/** One mmu_update request; `command` goes into the pointer's low bits. */
const update = (guest: Guest, table: Mfn, index: number, entry: bigint, command = 0, foreign = 0x7ff0): bigint => {
  const pointer = BigInt(table) * 4096n + BigInt(index * 8 + command);
  return guest.call(call.__HYPERVISOR_mmu_update, guest.poke(DATA, pointer, entry), 1, 0, foreign);
};

/** A frame of the M2P. */
const XEN_FRAME = 0x400;

const spare = (guest: Guest, index = 0): Mfn => guest.mfn(SPARE_PFN + index);

describe('an L1e as a guest gives it, and as Xen stores it', () => {
  test.each([
    ['a kernel page', 0x63n, 0x0010_0000_0000_0067n],
    ['a kernel page, read-only, no-execute', (1n << 63n) | 0x61n, (1n << 63n) | 0x0010_0000_0000_0065n],
    ['a user page', 0x67n, 0x167n],
    ['marked as a kernel page already', 0x0010_0000_0000_0067n, 0x0010_0000_0000_0067n],
    ['a global kernel page keeps G', 0x163n, 0x0010_0000_0000_0167n],
    ['software bits are kept', (0x5n << 53n) | 0xe63n, (0x5n << 53n) | 0x0010_0000_0000_0e67n],
  ])('%s', (_, given, stored) => {
    const guest = new Guest();
    expect(map(guest, DATA, pte(spare(guest), given))).toBe(0n);
    expect(guest.l1eValue(DATA)).toBe(pte(spare(guest), stored));
  });

  test('one that is not present is stored as it is', () => {
    const guest = new Guest();
    expect(map(guest, DATA, 0xdead_beef_0000_0ffen)).toBe(0n);
    expect(guest.memory.read64(guest.l1e(DATA))).toBe(0xdead_beef_0000_0ffen);
  });
});

describe('what update_va_mapping refuses', () => {
  const cases: readonly [string, (guest: Guest) => bigint, number, number, string | undefined, string | undefined][] = [
    [
      'a writable mapping of a page table',
      (guest) => pte(guest.table(1), 0x63),
      -22,
      -16,
      'Bad type (saw 1',
      'Bad type (saw 2',
    ],
    ['an uncached page', (guest) => pte(spare(guest), 0x73), -22, -22, 'Bad L1 flags 10', 'Bad L1 flags 10'],
    ['a page with the PAT bit', (guest) => pte(spare(guest), 0xe3), -22, -22, 'Bad L1 flags 80', 'Bad L1 flags 80'],
    [
      'I/O memory',
      () => pte(0xfee00, 0x63),
      -22,
      -1,
      'Non-privileged (7) attempt to map I/O space 000fee00',
      'd7 non-privileged attempt to map MMIO space fee00',
    ],
    [
      "a page of Xen's",
      () => pte(XEN_FRAME, 0x63),
      -22,
      -16,
      'Error getting mfn 400 (pfn ffffffffffffffff) from L1 entry 0000000000400063 for l1e_owner=7, pg_owner=7',
      'pg_owner d7 l1e_owner d7, but real_pg_owner d-1',
    ],
    ['the frame number all ones', () => 0x000f_ffff_ffff_f063n, -22, -22, undefined, undefined],
  ];
  test.each(cases)('%s', (_, entry, errno41, errno417, words41, words417) => {
    for (const profile of PROFILES) {
      const guest = new Guest({ profile, debug: true });
      const before = guest.l1eValue(DATA);
      expect(map(guest, DATA, entry(guest))).toBe(BigInt(profile === '4.1' ? errno41 : errno417));
      expect(guest.l1eValue(DATA)).toBe(before);
      expect(auditBooks(guest.hypervisor)).toEqual([]);
      const words = profile === '4.1' ? words41 : words417;
      const prefix = profile === '4.1' ? /^mm\.c:\d+:d7 / : /^arch\/x86\/mm\.c:\d+:d7v0 /;
      if (words === undefined) expect(guest.log).toEqual([]);
      else expect(guest.log.some((line) => prefix.test(line) && line.includes(words))).toBe(true);
    }
  });

  test('4.17 says nothing in a release build, 4.1 always', () => {
    for (const profile of PROFILES) {
      const guest = new Guest({ profile });
      map(guest, DATA, pte(spare(guest), 0x73));
      expect(guest.log).toEqual(profile === '4.1' ? ['mm.c:1784:d7 Bad L1 flags 10'] : []);
    }
  });

  test.each([
    ['no L1 table there', BASE + 0x4000_0000n],
    ["Xen's part of the address space", 0xffff_8000_0000_0000n],
    ['a non-canonical address', 0x0000_8000_0000_0000n],
  ])('%s: -EINVAL, in silence', (_, address) => {
    const guest = new Guest({ debug: true });
    expect(map(guest, address, 0n)).toBe(-22n);
    expect(guest.log).toEqual([]);
  });

  test('it may map shared_info, but not make a table of it', () => {
    const guest = new Guest({ profile: '4.17' });
    const { sharedInfo } = guest.built;
    expect(map(guest, DATA, pte(sharedInfo, 0x63))).toBe(0n);
    expect(guest.peek(DATA)).toBe(0x0100n);
    expect(ext(new Guest(), op.MMUEXT_PIN_L1_TABLE, sharedInfo)).toBe(-22n);
  });
});

describe('mmu_update', () => {
  test.each(PROFILES)('Xen %s: an L1 table is audited, a writable page is not', (profile) => {
    const guest = new Guest({ profile });
    const l1 = guest.table(1);
    expect(update(guest, l1, 8, pte(spare(guest), 0x63))).toBe(0n);
    expect(guest.entry(l1, 8)).toBe(pte(spare(guest), 0x0010_0000_0000_0067n));
    const data = guest.mfnAt(BASE + 0x2000n);
    expect(update(guest, data, 8, 0x1234_5678_9abc_def0n)).toBe(0n);
    expect(guest.entry(data, 8)).toBe(0x1234_5678_9abc_def0n);
    expect(guest.page(data).typeCount).toBe(1);
    expect(update(guest, l1, 8, pte(guest.table(2), 0x63))).toBe(profile === '4.1' ? -22n : -16n);
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test('PRESERVE_AD keeps A and D of the entry that is there', () => {
    const guest = new Guest();
    const l1 = guest.table(1);
    update(guest, l1, 8, pte(spare(guest), 0x63));
    expect(update(guest, l1, 8, pte(spare(guest), 0x03), op.MMU_PT_UPDATE_PRESERVE_AD)).toBe(0n);
    expect(guest.entry(l1, 8) & 0xfffn).toBe(0x67n);
    expect(update(guest, l1, 8, pte(spare(guest), 0x03))).toBe(0n);
    expect(guest.entry(l1, 8) & 0xfffn).toBe(0x07n);
  });

  test('the machine-to-phys table may be changed for pages of its own', () => {
    const guest = new Guest();
    expect(update(guest, spare(guest), 0, 0x77n, op.MMU_MACHPHYS_UPDATE)).toBe(0n);
    expect(guest.hypervisor.m2p.lookup(spare(guest))).toBe(0x77);
    expect(update(guest, spare(guest), 0, (1n << 64n) - 1n, op.MMU_MACHPHYS_UPDATE)).toBe(0n);
    expect(guest.hypervisor.m2p.lookup(spare(guest))).toBeUndefined();
    expect(update(guest, XEN_FRAME as Mfn, 0, 1n, op.MMU_MACHPHYS_UPDATE)).toBe(-22n);
  });

  test.each([
    ['an unknown command', 5, 0x7ff0, -38, -38],
    ['NO_TRANSLATE came after 4.1', 3, 0x7ff0, -38, 0],
    ['its own number as foreign domain', 0, 7, -3, -3],
    ['a domain that is not there', 0, 9, -3, -3],
    ["dom_xen's pages", 0, 0x7ff2, -3, -1],
    ["another domain's tables", 0, (10 << 16) | 0x7ff0, -22, -3],
    ['its own tables, by number', 0, (8 << 16) | 0x7ff0, 0, 0],
  ])('%s', (_, command, foreign, errno41, errno417) => {
    for (const profile of PROFILES) {
      const guest = new Guest({ profile });
      const result = update(guest, guest.table(1), 8, 0n, command, foreign);
      expect(result).toBe(BigInt(profile === '4.1' ? errno41 : errno417));
    }
  });

  test.each(PROFILES)(
    "Xen %s: Xen's slots of an L4 are not the guest's, and others' upper entries neither",
    (profile) => {
      const guest = new Guest({ profile, debug: true });
      expect(update(guest, guest.table(4), 258, 0n)).toBe(-22n);
      expect(guest.log.at(-1)).toMatch(
        profile === '4.1' ? /Illegal L4 update/ : /L4 update in Xen-private area, slot 0x102/,
      );
      expect(update(guest, guest.table(4), 255, 0n)).toBe(0n);
      expect(update(guest, guest.table(2), 300, pte(spare(guest), 0xe7))).toBe(-22n);
      expect(guest.log.some((line) => line.includes(profile === '4.1' ? 'map superpage' : 'Bad L2 flags 80'))).toBe(
        true,
      );
    },
  );

  test('it stops at the first request that fails and says how many were done', () => {
    const guest = new Guest();
    const l1 = BigInt(guest.table(1)) * 4096n;
    const done = DATA + 0x800n;
    const requests = guest.poke(DATA, l1 + 64n, 0n, l1 + 72n, pte(guest.built.l4, 0x63), l1 + 80n, 0n);
    expect(guest.call(call.__HYPERVISOR_mmu_update, requests, 3, done, 0x7ff0)).toBe(-22n);
    expect(guest.peek(done)).toBe(1n);
    expect(guest.call(call.__HYPERVISOR_mmu_update, 0x1234n, 3, done, 0x7ff0)).toBe(-14n);
    expect(guest.peek(done)).toBe(0n);
  });
});

describe('tables of tables', () => {
  /** A spare page with one entry; pinned as a table of some level. */
  const tryPin = (guest: Guest, level: number, entry: bigint): bigint => {
    guest.memory.write64((spare(guest) * 4096) as never, entry);
    return ext(guest, op.MMUEXT_PIN_L1_TABLE + level - 1, spare(guest));
  };

  test.each(PROFILES)('Xen %s: a failing audit leaves no trace', (profile) => {
    const guest = new Guest({ profile, debug: true });
    guest.memory.write64((spare(guest) * 4096 + 8) as never, pte(guest.table(1), 0x63));
    expect(tryPin(guest, 1, pte(spare(guest, 1), 0x63))).toBe(profile === '4.1' ? -22n : -16n);
    expect(guest.page(spare(guest))).toMatchObject({ type: 0, typeCount: 0, refs: 1, pinned: false });
    expect(guest.page(spare(guest, 1))).toMatchObject({ typeCount: 0, refs: 1 });
    expect(auditBooks(guest.hypervisor)).toEqual([]);
    expect(
      guest.log.filter((line) => /Failure|Error (-16 )?while/.test(line)).map((line) => line.replace(/^\S+ /, '')),
    ).toEqual(
      profile === '4.1'
        ? [
            'Failure in alloc_l1_table: entry 1',
            expect.stringMatching(/^Error while validating mfn 1044c \(pfn 44c\) for type 1000000000000000: caf=/),
            'Error while pinning mfn 1044c',
          ]
        : [
            'Failure -16 in promote_l1_table: slot 0x1',
            expect.stringMatching(/^Error while validating mfn 1044c \(pfn 44c\) for type 2000000000000000: caf=/),
            'Error -16 while pinning mfn 1044c',
          ],
    );
  });

  test.each([
    ['a page that is mapped writably', 1, (guest: Guest) => guest.mfnAt(DATA), -22n],
    ['a table of another level', 1, (guest: Guest) => guest.table(2), -22n],
    ["a frame that is not the guest's", 1, () => XEN_FRAME, -22n],
    ['a table of its level', 2, (guest: Guest) => guest.table(2), 0n],
  ] as const)('pinning %s as L%i', (_, level, frame, result) => {
    const guest = new Guest();
    expect(ext(guest, op.MMUEXT_PIN_L1_TABLE + level - 1, frame(guest))).toBe(result);
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test('a page can be pinned once, unpinned once', () => {
    const guest = new Guest();
    const frame = spare(guest);
    expect(ext(guest, op.MMUEXT_PIN_L3_TABLE, frame)).toBe(0n);
    expect(ext(guest, op.MMUEXT_PIN_L3_TABLE, frame)).toBe(-22n);
    expect(ext(guest, op.MMUEXT_UNPIN_TABLE, frame)).toBe(0n);
    expect(guest.page(frame)).toMatchObject({ type: 3, typeCount: 0, refs: 1 });
    expect(ext(guest, op.MMUEXT_UNPIN_TABLE, frame)).toBe(-22n);
  });

  describe('linear', () => {
    test.each([
      ['read-only, to itself', 4, (guest: Guest) => pte(spare(guest), 0x65), 0n],
      ['writable, to itself', 4, (guest: Guest) => pte(spare(guest), 0x67), -22n],
      ['read-only, to another of its level', 2, (guest: Guest) => pte(guest.table(2), 0x65), 0n],
      ['writable, to another of its level', 2, (guest: Guest) => pte(guest.table(2), 0x67), -22n],
      ['to one two levels up', 2, (guest: Guest) => pte(guest.table(3), 0x65), -22n],
    ] as const)('%s (L%i)', (_, level, entry, result) => {
      const guest = new Guest();
      expect(tryPin(guest, level, entry(guest))).toBe(result);
      expect(auditBooks(guest.hypervisor)).toEqual([]);
      if (result === 0n) expect(ext(guest, op.MMUEXT_UNPIN_TABLE, spare(guest))).toBe(0n);
      expect(auditBooks(guest.hypervisor)).toEqual([]);
    });

    test('there is one level of nesting only', () => {
      const guest = new Guest();
      expect(tryPin(guest, 2, pte(guest.table(2), 0x65))).toBe(0n);
      guest.memory.write64((spare(guest, 1) * 4096) as never, pte(spare(guest), 0x65));
      expect(ext(guest, op.MMUEXT_PIN_L2_TABLE, spare(guest, 1))).toBe(-22n);
      expect(auditBooks(guest.hypervisor)).toEqual([]);
    });

    test('making such an entry writable later is refused', () => {
      const guest = new Guest();
      expect(tryPin(guest, 2, pte(guest.table(2), 0x65))).toBe(0n);
      expect(update(guest, spare(guest), 0, pte(guest.table(2), 0x67))).toBe(-22n);
    });
  });
});

describe('other operations of mmuext_op', () => {
  test.each(PROFILES)('Xen %s: base pointers take an L4 only', (profile) => {
    const guest = new Guest({ profile });
    expect(ext(guest, op.MMUEXT_NEW_BASEPTR, guest.table(3))).toBe(-22n);
    expect(ext(guest, op.MMUEXT_NEW_BASEPTR, guest.built.l4)).toBe(0n);
    expect(ext(guest, op.MMUEXT_NEW_USER_BASEPTR, guest.built.l4)).toBe(0n);
    expect(guest.page(guest.built.l4).typeCount).toBe(3);
    expect(ext(guest, op.MMUEXT_NEW_USER_BASEPTR, 0)).toBe(0n);
    expect(guest.vcpu.userTable).toBeUndefined();
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test('a page can be cleared and copied when it may be written', () => {
    const guest = new Guest();
    guest.memory.write64((spare(guest) * 4096 + 16) as never, 0x1234n);
    expect(ext(guest, op.MMUEXT_COPY_PAGE, spare(guest, 1), spare(guest))).toBe(0n);
    expect(guest.entry(spare(guest, 1), 2)).toBe(0x1234n);
    expect(ext(guest, op.MMUEXT_CLEAR_PAGE, spare(guest))).toBe(0n);
    expect(guest.entry(spare(guest), 2)).toBe(0n);
    expect(ext(guest, op.MMUEXT_CLEAR_PAGE, guest.table(1))).toBe(-22n);
    expect(ext(guest, op.MMUEXT_COPY_PAGE, guest.table(1), spare(guest))).toBe(-22n);
  });

  test.each([
    ['FLUSH_CACHE without devices', op.MMUEXT_FLUSH_CACHE, 0n, 0n, -22, -13],
    ['MARK_SUPER', op.MMUEXT_MARK_SUPER, 0n, 0n, -38, -95],
    ['a number that means nothing', 99, 0n, 0n, -38, -38],
    ['SET_LDT off a page boundary', op.MMUEXT_SET_LDT, DATA + 8n, 4n, -22, -22],
    ['SET_LDT with too many entries', op.MMUEXT_SET_LDT, DATA, 8193n, -22, -22],
    ["SET_LDT in Xen's hole", op.MMUEXT_SET_LDT, 0xffff_8000_0000_0000n, 4n, -22, -22],
    ['SET_LDT', op.MMUEXT_SET_LDT, DATA, 4n, 0, 0],
    ['TLB_FLUSH_MULTI with a bad pointer', op.MMUEXT_TLB_FLUSH_MULTI, 0n, 0x1234n, -22, -22],
    ['INVLPG_ALL of an address that is none', op.MMUEXT_INVLPG_ALL, 1n << 60n, 0n, 0, 0],
  ])('%s', (_, command, arg1, arg2, errno41, errno417) => {
    for (const profile of PROFILES)
      expect(ext(new Guest({ profile }), command, arg1, arg2)).toBe(BigInt(profile === '4.1' ? errno41 : errno417));
  });
});

test('a store carries the label of the hypercall that made it', () => {
  const guest = new Guest();
  const whys: string[] = [];
  guest.events.subscribe((event) => {
    if (event.kind === 'table-store' || event.kind === 'invalidate') whys.push(event.why.what);
  });
  map(guest, DATA, pte(spare(guest), 0x63), op.UVMF_INVLPG);
  const label = 'update_va_mapping(ffffffff80001000, 1044c063, 2) at ffffffff80000123';
  expect(whys).toEqual([label, label]);
});
