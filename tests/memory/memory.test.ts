// Machine memory: frames by number, accesses, marks on code.

import { describe, expect, test } from 'vitest';
import { type Maddr, type Mfn, maddr, mfn, mfnToMaddr } from '../../src/base/addresses.js';
import { EmulatorBug } from '../../src/base/failures.js';
import { random } from '../../src/base/random.js';
import { MachineMemory } from '../../src/memory/index.js';

const at = (frame: number, offset = 0): Maddr => (mfnToMaddr(mfn(frame)) + offset) as Maddr;

/** 64 KiB: one page for the engine, and slots for eight frames. */
function memoryWith(...frames: readonly number[]): MachineMemory {
  const memory = new MachineMemory({
    memory: new WebAssembly.Memory({ initial: 1 }),
    storageOffset: 4096,
    storageFrames: 8,
    maxMfn: 2 ** 24,
  });
  for (const frame of frames) memory.addFrame(mfn(frame));
  return memory;
}

describe('frames', () => {
  test('take slots in the order in which they come, whatever their numbers', () => {
    const memory = memoryWith(0xdc8da, 0, 2 ** 24 - 1, 0xc3f18);
    expect([0xdc8da, 0, 2 ** 24 - 1, 0xc3f18].map((frame) => memory.hostOffset(frame))).toEqual([
      4096, 8192, 12288, 16384,
    ]);
    expect(memory.frames).toEqual([0xdc8da, 0, 2 ** 24 - 1, 0xc3f18]);
    expect(memory.freeSlots).toBe(4);
  });

  test.each([1, 0xdc8db, 2 ** 24, 2 ** 40 - 1, -1, Number.NaN, 0.5, 2 ** 52])('%d is no RAM', (frame) => {
    const memory = memoryWith(0xdc8da, 7);
    expect(memory.isRam(frame)).toBe(false);
    expect(memory.hostOffset(frame)).toBe(-1);
    expect(memory.isCode(frame as Mfn)).toBe(false);
  });

  test('are zero when they are added, and again when they are cleared', () => {
    const memory = memoryWith(9);
    const isZero = (): boolean => memory.frameBytes(mfn(9)).every((byte) => byte === 0);
    expect(isZero()).toBe(true);
    memory.fillFrame(mfn(9), 0xaa);
    expect(isZero()).toBe(false);
    memory.fillFrame(mfn(9), 0);
    expect(isZero()).toBe(true);
  });

  test.each([
    ['twice', () => memoryWith(5, 5)],
    ['beyond maxMfn', () => memoryWith(2 ** 24)],
    ['that are no whole number', () => memoryWith(1.5)],
    ['beyond the storage', () => memoryWith(0, 1, 2, 3, 4, 5, 6, 7, 8)],
  ])('cannot be added %s', (_name, add) => {
    expect(add).toThrow(EmulatorBug);
  });
});

describe('accesses', () => {
  test('are little-endian, at any alignment', () => {
    const memory = memoryWith(0x100);
    memory.write64(at(0x100, 3), 0x1122334455667788n);
    expect(memory.read8(at(0x100, 3))).toBe(0x88);
    expect(memory.read16(at(0x100, 4))).toBe(0x6677);
    expect(memory.read32(at(0x100, 7))).toBe(0x11223344);
    expect(memory.read64(at(0x100, 3))).toBe(0x1122334455667788n);
    memory.write8(at(0x100, 3), 0x1ff);
    memory.write16(at(0x100, 4), 0xffff);
    memory.write32(at(0x100, 8), 0xdeadbeef);
    expect(memory.read64(at(0x100, 3))).toBe(0xadbeef4455ffffffn);
  });

  test.each([
    ['read beyond the frame', (m: MachineMemory) => m.read64(at(0x100, 4089))],
    ['write beyond the frame', (m: MachineMemory) => m.write32(at(0x100, 4093), 0)],
    ['read of no RAM', (m: MachineMemory) => m.read8(at(0x105))],
    ['write to no RAM', (m: MachineMemory) => m.write64(at(0x105), 0n)],
    ['read beyond every frame', (m: MachineMemory) => m.read8(maddr(2 ** 51))],
    ['frameBytes of no RAM', (m: MachineMemory) => m.frameBytes(mfn(0x105))],
    ['markCode of no RAM', (m: MachineMemory) => m.markCode(mfn(0x105))],
    ['copyOut that runs into no RAM', (m: MachineMemory) => m.copyOut(at(0x101, 4000), 200)],
  ])('%s is our own bug', (_name, access) => {
    expect(() => access(memoryWith(0x100, 0x101))).toThrow(EmulatorBug);
  });

  test('copies cross frames that lie apart in storage', () => {
    const memory = memoryWith(0x101, 0x300, 0x100, 0x102);
    const bytes = Uint8Array.from({ length: 9000 }, (_, i) => i % 251);
    memory.copyIn(at(0x100, 100), bytes);
    expect(memory.copyOut(at(0x100, 100), 9000)).toEqual(bytes);
    expect(memory.read8(at(0x101, 0))).toBe((4096 - 100) % 251);
    expect(memory.frameBytes(mfn(0x300)).some((byte) => byte !== 0)).toBe(false);
  });

  test('the words that page walks read are the same memory', () => {
    const memory = memoryWith(7);
    memory.write32(at(7, 8), 0x89abcdef);
    expect(memory.words[(memory.hostOffset(7) + 8) >>> 2]).toBe(0x89abcdef | 0);
  });

  test('any access equals the same access to a plain array', () => {
    const memory = memoryWith(0x20, 0x1fff);
    const plain = new Map([0x20, 0x1fff].map((frame) => [frame, new DataView(new ArrayBuffer(4096))]));
    const draw = random(11);
    for (let i = 0; i < 5000; i++) {
      const frame = draw.oneIn(2) ? 0x20 : 0x1fff;
      const view = plain.get(frame)!;
      const offset = draw.below(4089);
      const value = (BigInt(draw.next32()) << 32n) | BigInt(draw.next32());
      const size = draw.below(4);
      if (size === 0) memory.write8(at(frame, offset), Number(value & 0xffn));
      if (size === 0) view.setUint8(offset, Number(value & 0xffn));
      if (size === 1) memory.write16(at(frame, offset), Number(value & 0xffffn));
      if (size === 1) view.setUint16(offset, Number(value & 0xffffn), true);
      if (size === 2) memory.write32(at(frame, offset), Number(value & 0xffffffffn));
      if (size === 2) view.setUint32(offset, Number(value & 0xffffffffn), true);
      if (size === 3) memory.write64(at(frame, offset), value);
      if (size === 3) view.setBigUint64(offset, value, true);
    }
    for (const [frame, view] of plain) expect(memory.frameBytes(mfn(frame))).toEqual(new Uint8Array(view.buffer));
  });
});

describe('marks on code', () => {
  test.each<[string, (m: MachineMemory) => void]>([
    ['write8', (m) => m.write8(at(0x100, 4095), 1)],
    ['write16', (m) => m.write16(at(0x100), 1)],
    ['write32', (m) => m.write32(at(0x100), 1)],
    ['write64', (m) => m.write64(at(0x100), 1n)],
    ['copyIn', (m) => m.copyIn(at(0xff, 4090), new Uint8Array(10))],
    ['fillFrame', (m) => m.fillFrame(mfn(0x100), 0)],
    ['copyFrame', (m) => m.copyFrame(mfn(0xff), mfn(0x100))],
  ])('%s clears the mark and tells, once', (_name, write) => {
    const memory = memoryWith(0xff, 0x100);
    const told: Mfn[] = [];
    memory.onCodeWrite((frame) => told.push(frame));
    write(memory);
    expect(told).toEqual([]);
    memory.markCode(mfn(0x100));
    expect(memory.isCode(mfn(0x100))).toBe(true);
    write(memory);
    expect(memory.isCode(mfn(0x100))).toBe(false);
    write(memory);
    expect(told).toEqual([0x100]);
  });

  test('the listener sees the new bytes, may mark again, and can be removed', () => {
    const memory = memoryWith(0x100);
    const seen: number[] = [];
    const stop = memory.onCodeWrite((frame) => {
      seen.push(memory.read8(at(frame)));
      memory.markCode(frame);
    });
    memory.markCode(mfn(0x100));
    memory.write8(at(0x100), 1);
    memory.write8(at(0x100), 2);
    stop();
    memory.write8(at(0x100), 3);
    expect(seen).toEqual([1, 2]);
  });

  test('looking clears nothing', () => {
    const memory = memoryWith(0x100, 0x101);
    memory.markCode(mfn(0x100));
    memory.read64(at(0x100));
    memory.copyOut(at(0x100), 4096);
    memory.frameBytes(mfn(0x100));
    memory.copyFrame(mfn(0x100), mfn(0x101));
    expect(memory.isCode(mfn(0x100))).toBe(true);
  });
});
