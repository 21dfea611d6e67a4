// The walk itself: rights, sizes, reserved bits, error codes, and what it leaves untouched.

import { describe, expect, test } from 'vitest';
import { PHYSICAL_ADDRESS_BITS } from '../../src/abi/paging.js';
import { mfn, vaddr } from '../../src/base/addresses.js';
import { walk } from '../../src/mmu/index.js';
import { tell, World } from './story.js';

describe('error codes', () => {
  // #PF bits: 1 present, 2 write, 4 user, 8 reserved, 10 fetch
  test.each([
    ['a page that is not there', 'set 1000 -> none', 'read 1000 = #PF 4'],
    ['… written', 'set 1000 -> none', 'write 1000 = #PF 6'],
    ['… fetched', 'set 1000 -> none', 'fetch 1000 = #PF 14'],
    ['… read by Xen', 'set 1000 -> none', 'xen read 1000 = #PF 0'],
    ['a read-only page read', 'set 1000 -> 50 US', 'read 1000 = 50'],
    ['… written', 'set 1000 -> 50 US', 'write 1000 = #PF 7'],
    ['… read and written', 'set 1000 -> 50 US', 'update 1000 = #PF 7'],
    ['… written by Xen (CR0.WP)', 'set 1000 -> 50 US', 'xen write 1000 = #PF 3'],
    ['a supervisor page read', 'set 1000 -> 50 RW', 'read 1000 = #PF 5'],
    ['… fetched', 'set 1000 -> 50 RW', 'fetch 1000 = #PF 15'],
    ['… written by Xen', 'set 1000 -> 50 RW', 'xen write 1000 = 50'],
    ['a no-execute page fetched', 'set 1000 -> 50 RW US XD', 'fetch 1000 = #PF 15'],
    ['… written', 'set 1000 -> 50 RW US XD', 'write 1000 = 50'],
    ['a user page fetched by Xen (no SMEP)', 'set 1000 -> 50 US', 'xen fetch 1000 = 50'],
    ['an L4e without a table', 'set L4 1000 -> none', 'read 1000 = #PF 4'],
  ])('%s', (_name, tables, access) => {
    tell('--tlb demand', `${tables}\n${access}`);
  });
});

describe('rights are the AND of all levels, no-execute the OR', () => {
  test.each(['L4', 'L3', 'L2'])('%s', (level) => {
    const page = 'set 1000 -> 50 RW US';
    tell('', `${page}\nset ${level} 1000 -> US\nwrite 1000 = #PF 7\nread 1000 = 50`);
    tell('', `${page}\nset ${level} 1000 -> RW\nread 1000 = #PF 5\nxen write 1000 = 50`);
    tell('', `${page}\nset ${level} 1000 -> RW US XD\nfetch 1000 = #PF 15\nwrite 1000 = 50`);
  });
});

describe('large pages', () => {
  test.each([
    ['set 200000 -> 400 2M RW US', 'write 200000 = 400'],
    ['set 200000 -> 400 2M RW US', 'write 3ff000 = 5ff'],
    ['set 40000000 -> 40000 1G RW US', 'read 40000000 = 40000'],
    ['set 40000000 -> 40000 1G RW US', 'read 7ffff000 = 7ffff'],
    ['set ffff800000000000 -> 8000 2M US', 'read ffff8000001ff000 = 81ff'],
    // Bit 12 of a large leaf is PAT, no part of the frame; bits from 13 on are reserved.
    ['set 200000 -> 401 2M RW US', 'write 200000 = 400'],
    ['set 200000 -> 402 2M RW US', 'write 200000 = #PF f'],
    ['set 40000000 -> 40200 1G RW US', 'read 40000000 = #PF d'],
  ])('%s: %s', (tables, access) => {
    tell('', `${tables}\n${access}`);
  });
});

describe('reserved bits', () => {
  test('a frame beyond the physical address width, at each level', () => {
    for (const level of [1, 2, 3, 4] as const) {
      const world = tell('', 'set 1000 -> 50 RW US\nread 1000 = 50\nflush');
      const entry = world.entryOf(0x1000n, level);
      const value = world.memory.read64(entry);
      world.tables.storeEntry(entry, value | (1n << BigInt(PHYSICAL_ADDRESS_BITS)), { what: 'test' });
      world.tell('read 1000 = #PF d');
      world.tables.storeEntry(entry, value | (1n << BigInt(PHYSICAL_ADDRESS_BITS - 1)), { what: 'test' });
      if (level === 1) world.tell(`read 1000 = ${(0x50 + 2 ** (PHYSICAL_ADDRESS_BITS - 13)).toString(16)}`);
    }
  });

  test('PS in an L4e; but in an L1e the bit is PAT', () => {
    const world = tell('', 'set 1000 -> 50 RW US');
    for (const [level, answer] of [
      [4, '#PF f'],
      [1, '50'],
    ] as const) {
      const entry = world.entryOf(0x1000n, level);
      const value = world.memory.read64(entry);
      world.tables.storeEntry(entry, value | 0x80n, { what: 'test' });
      world.tell(`write 1000 = ${answer}\nflush`);
      world.tables.storeEntry(entry, value, { what: 'test' });
    }
  });

  test('an entry that is not present has none', () => {
    const world = tell('', 'set 1000 -> 50 RW US');
    world.tables.storeEntry(world.entryOf(0x1000n, 1), (1n << 51n) | 0x80n, { what: 'test' });
    world.tell('read 1000 = #PF 4');
  });

  test('software bits and protection keys are free', () => {
    const world = tell('', 'set 1000 -> 50 RW US');
    world.tables.storeEntry(world.entryOf(0x1000n, 1), 0x7ff0_0000_0005_0e07n, { what: 'test' });
    world.tell('write 1000 = 50');
  });

  test('a table in a frame that is no RAM reads as all ones', () => {
    const world = tell('', 'set 1000 -> 50 RW US');
    world.tables.storeEntry(world.entryOf(0x1000n, 2), 0x00f0_0007n, { what: 'test' });
    world.tell('read 1000 = #PF d');
  });
});

describe('walk() as a value', () => {
  const world = tell('', 'set ffffffff84dc7000 -> dc8da RW US A D');

  test('names every entry from CR3 down', () => {
    const { steps, outcome, level, frame, rights } = world.mmu.walk(vaddr(0xffffffff84dc7123n));
    expect(steps.map(({ level, index }) => [level, index])).toEqual([
      [4, 0x1ff],
      [3, 0x1fe],
      [2, 0x026],
      [1, 0x1c7],
    ]);
    expect(steps.at(-1)?.entry).toBe(0xdc8da067n);
    expect(steps.map(({ address, index, table }) => address - table * 4096 - index * 8)).toEqual([0, 0, 0, 0]);
    expect({ outcome, level, frame, rights }).toEqual({ outcome: 'mapped', level: 1, frame: 0xdc8da, rights: 7 });
  });

  test('stops at the entry that ends it', () => {
    const { steps, outcome, level, frame } = walk(world.memory, world.mmu.root, vaddr(0xffffffff00000000n));
    expect({ steps: steps.length, outcome, level, frame }).toEqual({
      steps: 2,
      outcome: 'not-present',
      level: 3,
      frame: undefined,
    });
  });

  test('and from a root that is no RAM', () => {
    const { outcome, level, steps } = walk(world.memory, mfn(0x77), vaddr(0n));
    expect({ outcome, level, entry: steps[0]?.entry }).toEqual({
      outcome: 'reserved',
      level: 4,
      entry: 0xffff_ffff_ffff_ffffn,
    });
  });
});

describe('accessed and dirty', () => {
  test.each([
    ['a read sets A', 'read 1000', '50 RW US A'],
    ['a write sets A and D', 'write 1000', '50 RW US A D'],
    ['a read-modify-write too', 'update 1000', '50 RW US A D'],
    ['a fetch sets A', 'fetch 1000', '50 RW US A'],
    ['Xen is no exception', 'xen write 1000', '50 RW US A D'],
    ['a wrong path sets A, never D', 'spec write 1000', '50 RW US A'],
    ['a write after a read sets D', 'read 1000\nwrite 1000', '50 RW US A D'],
    ['a write on a wrong path after a read does not', 'read 1000\nspec write 1000', '50 RW US A'],
  ])('%s', (_name, accesses, leaf) => {
    for (const tlb of ['coherent', 'demand', 'hoarding', 'random'])
      tell(`--tlb ${tlb}`, `set 1000 -> 50 RW US\n${accesses}\nleaf 1000 = ${leaf}`);
  });

  test('an access that faults on rights sets nothing in the leaf, A above it', () => {
    const world = tell('', 'set 1000 -> 50 US\nwrite 1000 = #PF 7\nleaf 1000 = 50 US');
    const above = world.mmu.walk(vaddr(0x1000n)).steps.slice(0, 3);
    expect(above.map(({ entry }) => entry & 0x20n)).toEqual([0x20n, 0x20n, 0x20n]);
  });

  test('a wrong path that would fault sets A: without A nothing may be cached', () => {
    tell('', 'set 1000 -> 50 US\nspec write 1000 = no\nleaf 1000 = 50 US A\ntlb = 1000->50 US');
  });

  test('in a large page the L2e is the leaf', () => {
    tell('', 'set 200000 -> 400 2M RW US\nwrite 234000 = 434\nleaf 200000 = 400 2M RW US A D');
  });

  test('a table that is its own leaf keeps both bits', () => {
    const world = new World('');
    const root = world.roots[0];
    // One L4 that maps itself: the same entry is L4e, L3e, L2e and L1e of address 0.
    world.tables.storeEntry(world.entryOf(0n, 4), BigInt(root) * 4096n + 7n, { what: 'test' });
    world.tell(`write 0 = ${root.toString(16)}`);
    expect(world.memory.read64(world.entryOf(0n, 4)) & 0x60n).toBe(0x60n);
  });
});
