// Grant tables: what a guest grants, who may use it, and the marks that Xen leaves meanwhile.

import { describe, expect, test } from 'vitest';
import * as G from '../../src/abi/grant-table.js';
import { type Maddr, type Mfn, maddr, mfnToMaddr } from '../../src/base/addresses.js';
import type { FrameUse } from '../../src/xen/grants.js';
import { grant_table_op } from '../../src/xen/hypercalls/grant_table_op.js';
import { DomU, NOT_MAPPED, SCRATCH } from './domu.js';

const [EPERM, ESRCH, EFAULT, EINVAL, ENOSYS] = [1, 3, 14, 22, 38];
const SELF = 0x7ff0;
const LIST = SCRATCH + 0x800n;

const setup = (g: DomU, frames: number, dom = SELF, list = LIST): number | [number, number] => {
  const at = g.struct([
    [2, dom],
    [4, frames],
    [2, 77],
    [8, list],
  ]);
  const result = g.call(grant_table_op, G.GNTTABOP_setup_table, at, 1);
  return result === 0 ? [0, g.view(at + 8n, 2).getInt16(0, true)] : result;
};

const entry = (g: DomU, ref: number): Maddr => maddr(mfnToMaddr(g.domain.grants.frames[0] as Mfn) + ref * 8);

/** Fills entry `ref` as a guest does, for dom0 unless said otherwise. */
function grant(g: DomU, ref: number, frame: number, flags = G.GTF_permit_access, domid = 0): void {
  g.memory.write16(maddr(entry(g, ref) + 2), domid);
  g.memory.write32(maddr(entry(g, ref) + 4), frame);
  g.memory.write16(entry(g, ref), flags);
}
const flags = (g: DomU, ref: number): number => g.memory.read16(entry(g, ref));

describe('setting up', () => {
  test('the table grows, and its frames are told', () => {
    const g = new DomU();
    expect(setup(g, 2)).toEqual([0, 0]);
    expect(g.domain.grants.frames).toHaveLength(2);
    expect([g.u64(LIST), g.u64(LIST + 8n)]).toEqual(g.domain.grants.frames.map(BigInt));
    expect(setup(g, 1)).toEqual([0, 0]);
    expect(g.domain.grants.frames).toHaveLength(2);
    const page = g.hypervisor.page(g.domain.grants.frames[0] as Mfn);
    expect([page?.owner === g.domain, page?.xenHeap]).toEqual([true, true]);
  });

  test.each<[string, (g: DomU) => unknown, unknown]>([
    ['too many frames', (g) => setup(g, 65), [0, G.GNTST_general_error]],
    ["dom0's table", (g) => setup(g, 1, 0), [0, G.GNTST_permission_denied]],
    ["nobody's table", (g) => setup(g, 1, 99), [0, G.GNTST_bad_domain]],
    ['a bad list', (g) => setup(g, 1, SELF, NOT_MAPPED), [0, G.GNTST_bad_virt_addr]],
    ["a list in Xen's part", (g) => setup(g, 1, SELF, 0xffff_8000_0000_0000n), -EFAULT],
    ['two at once', (g) => g.call(grant_table_op, G.GNTTABOP_setup_table, SCRATCH, 2), -EINVAL],
    ['a negative count', (g) => g.call(grant_table_op, G.GNTTABOP_copy, SCRATCH, 0x8000_0000), -EINVAL],
    ['a bad pointer', (g) => g.call(grant_table_op, G.GNTTABOP_setup_table, NOT_MAPPED, 1), -EFAULT],
    ['dump_table', (g) => g.call(grant_table_op, G.GNTTABOP_dump_table, SCRATCH, 1), -ENOSYS],
    [
      'set_version 1',
      (g) => [g.call(grant_table_op, G.GNTTABOP_set_version, g.struct([[4, 1]]), 1), g.u32(SCRATCH)],
      [0, 1],
    ],
    [
      'set_version 2',
      (g) => [g.call(grant_table_op, G.GNTTABOP_set_version, g.struct([[4, 2]]), 1), g.u32(SCRATCH)],
      [-ENOSYS, 1],
    ],
    ['set_version 3', (g) => g.call(grant_table_op, G.GNTTABOP_set_version, g.struct([[4, 3]]), 1), -EINVAL],
    [
      'get_version',
      (g) => [
        g.call(
          grant_table_op,
          G.GNTTABOP_get_version,
          g.struct([
            [2, SELF],
            [4, 0],
          ]),
          1,
        ),
        g.u32(SCRATCH + 4n),
      ],
      [0, 1],
    ],
    [
      "dom0's version",
      (g) =>
        g.call(
          grant_table_op,
          G.GNTTABOP_get_version,
          g.struct([
            [2, 0],
            [4, 0],
          ]),
          1,
        ),
      -EPERM,
    ],
    [
      "nobody's version",
      (g) =>
        g.call(
          grant_table_op,
          G.GNTTABOP_get_version,
          g.struct([
            [2, 9],
            [4, 0],
          ]),
          1,
        ),
      -ESRCH,
    ],
  ])('%s', (_, act, expected) => {
    expect(act(new DomU())).toEqual(expected);
  });

  test.each([
    ['4.1', 32],
    ['4.17', 64],
  ] as const)('%s: query_size says that %d frames are the most', (profile, most) => {
    const g = new DomU({ profile });
    setup(g, 1);
    const at = g.struct([
      [2, SELF],
      [4, 0],
      [4, 0],
      [2, 77],
    ]);
    expect(g.call(grant_table_op, G.GNTTABOP_query_size, at, 1)).toBe(0);
    expect([g.u32(at + 4n), g.u32(at + 8n), g.view(at + 12n, 2).getInt16(0, true)]).toEqual([1, most, 0]);
  });
});

describe('using a grant', () => {
  /** A guest with its table set up; entry 9 grants the frame of pfn 1099 as asked. */
  function granting(entryFlags: number = G.GTF_permit_access, domid = 0): DomU {
    const g = new DomU();
    setup(g, 1);
    grant(g, 9, g.built.p2m[1099] as number, entryFlags, domid);
    return g;
  }
  const acquire = (g: DomU, access: 'read' | 'write'): FrameUse => {
    const use = g.domain.grants.acquire(9, 0, access);
    if (typeof use === 'number') throw new Error(`refused: ${use}`);
    return use;
  };

  test('marks the entry while it lasts: two readers and a writer', () => {
    const g = granting();
    const [first, second, writer] = [acquire(g, 'read'), acquire(g, 'read'), acquire(g, 'write')];
    expect(first.mfn).toBe(g.built.p2m[1099]);
    expect(flags(g, 9)).toBe(G.GTF_permit_access | G.GTF_reading | G.GTF_writing);
    writer.release();
    expect(flags(g, 9)).toBe(G.GTF_permit_access | G.GTF_reading);
    first.release();
    expect(flags(g, 9)).toBe(G.GTF_permit_access | G.GTF_reading);
    second.release();
    expect(flags(g, 9)).toBe(G.GTF_permit_access);
  });

  test('holds the frame: it is nobody else to give away, nor a page table, until it is released', () => {
    const g = granting();
    const page = g.hypervisor.page(g.built.p2m[1099] as Mfn)!;
    const before = [page.refs, page.typeCount];
    const use = acquire(g, 'write');
    expect([page.refs, page.typeCount, page.type]).toEqual([2, 1, 7]);
    use.release();
    expect([page.refs, page.typeCount]).toEqual(before);
  });

  test.each<[string, () => DomU, 'read' | 'write', number]>([
    ['for another domain', () => granting(G.GTF_permit_access, 5), 'read', G.GNTST_general_error],
    ['an empty entry', () => granting(G.GTF_invalid), 'read', G.GNTST_general_error],
    [
      'writing what is granted for reading',
      () => granting(G.GTF_permit_access | G.GTF_readonly),
      'write',
      G.GNTST_general_error,
    ],
  ])('refused: %s', (_, prepare, access, expected) => {
    expect(prepare().domain.grants.acquire(9, 0, access)).toBe(expected);
  });

  test('refused: beyond the table; a frame that is not its own; writing a page table', () => {
    const g = granting();
    expect(g.domain.grants.acquire(512, 0, 'read')).toBe(G.GNTST_bad_gntref);
    grant(g, 10, 0x200);
    expect(g.domain.grants.acquire(10, 0, 'read')).toBe(G.GNTST_general_error);
    grant(g, 11, g.built.l4);
    expect(g.domain.grants.acquire(11, 0, 'write')).toBe(G.GNTST_general_error);
    expect(typeof g.domain.grants.acquire(11, 0, 'read')).toBe('object');
  });

  test('the toolstack fills entries, and makes the table for them', () => {
    const g = new DomU();
    g.domain.grants.offer(G.GNTTAB_RESERVED_XENSTORE, 0, g.built.xenstore.mfn);
    const use = g.domain.grants.acquire(1, 0, 'write');
    expect(use).toMatchObject({ mfn: g.built.xenstore.mfn });
  });
});

describe('GNTTABOP_copy', () => {
  /** Copies 5 bytes; each side is [ref or frame, domid, offset]. The status. */
  function copy(g: DomU, from: readonly number[], to: readonly number[], how: number, length = 5): number {
    const side = ([what = 0, domid = 0, offset = 0]: readonly number[]) =>
      [
        [8, what],
        [2, domid],
        [2, offset],
      ] as const;
    const pad = [[4, 0]] as const;
    const at = g.struct([...side(from), ...pad, ...side(to), ...pad, [2, length], [2, how], [2, 77]]);
    const result = g.call(grant_table_op, G.GNTTABOP_copy, at, 1);
    return result === 0 ? g.view(at + 36n, 2).getInt16(0, true) : result;
  }
  const [A, B] = [FRAME(1098), FRAME(1099)];
  function FRAME(pfn: number): number {
    return 0x1_0000 + pfn;
  }
  const bytesAt = (g: DomU, frame: number, offset: number): number[] => [
    ...g.memory.copyOut(maddr(frame * 4096 + offset), 5),
  ];
  function prepared(): DomU {
    const g = new DomU();
    setup(g, 1);
    g.memory.copyIn(maddr(A * 4096 + 100), Uint8Array.of(1, 2, 3, 4, 5));
    grant(g, 8, A, G.GTF_permit_access, 1);
    grant(g, 9, B, G.GTF_permit_access, 1);
    return g;
  }

  test.each<[string, readonly number[], readonly number[], number]>([
    ['frame to frame', [A, SELF, 100], [B, SELF, 7], 0],
    ['grant to frame', [8, SELF, 100], [B, SELF, 7], G.GNTCOPY_source_gref],
    ['frame to grant', [A, SELF, 100], [9, 1, 7], G.GNTCOPY_dest_gref],
    ['grant to grant', [8, 1, 100], [9, 1, 7], G.GNTCOPY_source_gref | G.GNTCOPY_dest_gref],
  ])('%s', (_, from, to, how) => {
    const g = prepared();
    expect(copy(g, from, to, how)).toBe(G.GNTST_okay);
    expect(bytesAt(g, B, 7)).toEqual([1, 2, 3, 4, 5]);
    expect([flags(g, 8), flags(g, 9)]).toEqual([G.GTF_permit_access, G.GTF_permit_access]);
  });

  test.each<[string, readonly number[], readonly number[], number, number]>([
    ['across the end of a page', [A, SELF, 4092], [B, SELF, 0], 0, G.GNTST_bad_copy_arg],
    ["somebody else's frame", [0x200, SELF, 0], [B, SELF, 0], 0, G.GNTST_bad_page],
    ["another domain's by frame", [A, 1, 0], [B, SELF, 0], 0, G.GNTST_permission_denied],
    ["nobody's grant", [8, 99, 0], [B, SELF, 0], G.GNTCOPY_source_gref, G.GNTST_bad_domain],
    ['a grant that is none', [600, 1, 0], [B, SELF, 0], G.GNTCOPY_source_gref, G.GNTST_bad_gntref],
    ['into a page table', [A, SELF, 0], [FRAME(14), SELF, 0], 0, G.GNTST_bad_page],
  ])('refused: %s', (_, from, to, how, expected) => {
    const g = prepared();
    const l4 = g.built.l4 as number;
    const target = to[0] === FRAME(14) ? [l4, SELF, 0] : to;
    expect(copy(g, from, target, how)).toBe(expected);
    expect([flags(g, 8), flags(g, 9)]).toEqual([G.GTF_permit_access, G.GTF_permit_access]);
  });
});

test('mapping and unmapping fail cleanly, element by element', () => {
  const g = new DomU();
  const map = g.struct([
    [8, 0],
    [4, 2],
    [4, 1],
    [2, 0],
    [2, 77],
    [4, 0],
    [8, 0],
    [8, 0],
    [4, 2],
    [4, 1],
    [2, 99],
    [2, 77],
    [4, 0],
    [8, 0],
  ]);
  expect(g.call(grant_table_op, G.GNTTABOP_map_grant_ref, map, 2)).toBe(0);
  expect([map + 18n, map + 50n].map((at) => g.view(at, 2).getInt16(0, true))).toEqual([
    G.GNTST_general_error,
    G.GNTST_bad_domain,
  ]);
  const unmap = g.struct([
    [8, 0],
    [8, 0],
    [4, 5],
    [2, 77],
    [2, 0],
  ]);
  expect(g.call(grant_table_op, G.GNTTABOP_unmap_grant_ref, unmap, 1)).toBe(0);
  expect(g.view(unmap + 20n, 2).getInt16(0, true)).toBe(G.GNTST_bad_handle);
});
