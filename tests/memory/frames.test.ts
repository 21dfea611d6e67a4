// The order in which a domain gets its frames, Xen's own frames, and the M2P.

import { describe, expect, test } from 'vitest';
import { mfn, pfn } from '../../src/base/addresses.js';
import { EmulatorBug, InputError } from '../../src/base/failures.js';
import {
  addOrderedFrames,
  ascending,
  descending,
  FrameAllocator,
  type FrameOrder,
  frameCount,
  INVALID_M2P_ENTRY,
  M2P_RUN_FRAMES,
  M2p,
  MachineMemory,
  orderedMfn,
} from '../../src/memory/index.js';

const memoryOf = (storageFrames: number): MachineMemory =>
  new MachineMemory({
    memory: new WebAssembly.Memory({ initial: Math.ceil(storageFrames / 16) }),
    storageOffset: 0,
    storageFrames,
    maxMfn: 2 ** 24,
  });

describe('frame order', () => {
  test('the host of the 2013 dumps: mfn + pfn is c56a1 for low pfns and e16a1 for later ones', () => {
    const order: FrameOrder = [descending(0x4000, 0xc56a1), descending(0x4000, 0xe16a1 - 0x4000)];
    expect(frameCount(order)).toBe(0x8000);
    const pairs = [0x1789, 0x178d, 0x4def, 0x4dc7].map((frame) => orderedMfn(order, pfn(frame))?.toString(16));
    expect(pairs).toEqual(['c3f18', 'c3f14', 'dc8b2', 'dc8da']);
    expect(orderedMfn(order, pfn(0x8000))).toBeUndefined();
  });

  test('extents in both directions', () => {
    const memory = memoryOf(16);
    const order = [ascending(3, 0x100), descending(2, 0x50), ascending(1, 0)];
    const frames = addOrderedFrames(memory, order);
    expect(frames).toEqual([0x100, 0x101, 0x102, 0x50, 0x4f, 0]);
    expect(frames.map((frame) => memory.isRam(frame))).toEqual(frames.map(() => true));
    expect(frames).toEqual(frames.map((_, i) => orderedMfn(order, pfn(i))));
  });

  test.each<[string, FrameOrder, string]>([
    ['a frame twice', [ascending(3, 0x100), descending(3, 0x104)], 'frame order: mfn 102 is given out twice'],
    ['one that is RAM already', [ascending(1, 0x7)], 'frame order: mfn 7 is given out twice'],
    ['below zero', [descending(3, 1)], 'frame order: mfn -1 is outside 0..ffffff'],
    ['beyond the last', [ascending(2, 0xffffff)], 'frame order: mfn 1000000 is outside 0..ffffff'],
    ['more than can be stored', [ascending(16, 0x100)], 'frame order: 16 frames asked for, 15 can be stored'],
  ])('%s is refused, and nothing is added', (_name, order, message) => {
    const memory = memoryOf(16);
    memory.addFrame(mfn(7));
    expect(() => addOrderedFrames(memory, order)).toThrow(new InputError(message));
    expect(memory.frames).toEqual([7]);
  });
});

describe("Xen's own frames", () => {
  test('come zeroed from their own range, until it is used up', () => {
    const memory = memoryOf(8);
    const allocator = new FrameAllocator({ memory, firstMfn: 0x200, endMfn: 0x203 });
    expect([1, 2, 3, 4].map(() => allocator.allocate())).toEqual([0x200, 0x201, 0x202, undefined]);
  });

  test('until the storage is used up', () => {
    const allocator = new FrameAllocator({ memory: memoryOf(2), firstMfn: 0x200, endMfn: 0x300 });
    expect([1, 2, 3].map(() => allocator.allocate())).toEqual([0x200, 0x201, undefined]);
    expect(allocator.allocateRun(1, 1)).toBeUndefined();
  });

  test('can be given back, and come zeroed again', () => {
    const memory = memoryOf(8);
    const allocator = new FrameAllocator({ memory, firstMfn: 0x200, endMfn: 0x300 });
    const frame = allocator.allocate();
    expect(frame).toBe(0x200);
    memory.fillFrame(mfn(0x200), 0xff);
    allocator.free(mfn(0x200));
    expect(allocator.allocate()).toBe(0x200);
    expect(memory.frameBytes(mfn(0x200)).every((byte) => byte === 0)).toBe(true);
    allocator.free(mfn(0x200));
    expect(() => allocator.free(mfn(0x200))).toThrow(EmulatorBug);
    expect(() => allocator.free(mfn(0x201))).toThrow(EmulatorBug);
  });

  test('in aligned runs', () => {
    const memory = memoryOf(64);
    const allocator = new FrameAllocator({ memory, firstMfn: 0x201, endMfn: 0x300 });
    expect(allocator.allocateRun(16, 16)).toBe(0x210);
    expect(allocator.allocate()).toBe(0x220);
    expect(allocator.allocateRun(48, 16)).toBeUndefined();
  });
});

describe('M2P', () => {
  const make = (): { memory: MachineMemory; m2p: M2p } => {
    const memory = memoryOf(2 * M2P_RUN_FRAMES + 8);
    return { memory, m2p: new M2p(memory, new FrameAllocator({ memory, firstMfn: 0x1001, endMfn: 0x2000 })) };
  };

  test('says by which pfn the owner knows a frame', () => {
    const { m2p } = make();
    for (const frame of [0xc3f18, 0xdc8da]) expect(m2p.cover(mfn(frame))).toBe(true);
    m2p.set(mfn(0xdc8da), pfn(0x4dc7));
    m2p.set(mfn(0xc3f18), pfn(0));
    expect([0xdc8da, 0xc3f18, 0xc3f19, 5].map((frame) => m2p.lookup(mfn(frame)))).toEqual([
      0x4dc7,
      0,
      undefined,
      undefined,
    ]);
    m2p.set(mfn(0xdc8da), undefined);
    expect(m2p.lookup(mfn(0xdc8da))).toBeUndefined();
  });

  test('lies in 2 MiB runs of real frames, one for each GiB that has RAM', () => {
    const { memory, m2p } = make();
    for (const frame of [0xdc8da, 0x10, 0xc3f18, 0xfffff]) m2p.cover(mfn(frame));
    expect(m2p.runs).toEqual([
      { first: 0, table: 0x1400 },
      { first: 0xc0000, table: 0x1200 },
    ]);
    m2p.set(mfn(0xdc8da), pfn(0x4dc7));
    const entry = (0x1200 * 4096 + (0xdc8da - 0xc0000) * 8) as Parameters<MachineMemory['read64']>[0];
    expect(memory.read64(entry)).toBe(0x4dc7n);
    expect(memory.copyOut(entry, 16).slice(8)).toEqual(new Uint8Array(8).fill(0xff));
    expect(INVALID_M2P_ENTRY).toBe(2n ** 64n - 1n);
  });

  test('covers no more than there are frames for', () => {
    const { m2p } = make();
    const covered = [0, 0x40000, 0x80000].map((frame) => m2p.cover(mfn(frame)));
    expect(covered).toEqual([true, true, false]);
    expect(m2p.lookup(mfn(0x80000))).toBeUndefined();
    expect(() => m2p.set(mfn(0x80000), pfn(1))).toThrow(EmulatorBug);
  });
});
