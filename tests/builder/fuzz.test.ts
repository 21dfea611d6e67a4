// Hostile kernels: whatever the bytes, the builder either builds a domain inside its own frames or says what is wrong.

import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/failures.js';
import { type Random, random } from '../../src/base/random.js';
import { buildDomain, type ElfToWrite, readKernel } from '../../src/builder/index.js';
import { memoryFor, orderFor, SHARED_INFO, sampleKernel, sampleNotes, storageFor } from './sample.js';

const PAGES = 1100;
const storage = storageFor(PAGES);

/** 'built' or 'refused'; anything else that is thrown fails the test. */
function outcome(bytes: Uint8Array): 'built' | 'refused' {
  try {
    const kernel = readKernel(bytes);
    const memory = memoryFor(PAGES, storage);
    const built = buildDomain(kernel, {
      memory,
      frames: orderFor(PAGES),
      sharedInfo: SHARED_INFO,
      xenstorePort: 1,
      consolePort: 2,
    });
    expect(built.p2m).toHaveLength(PAGES);
    return 'built';
  } catch (error) {
    if (error instanceof InputError) return 'refused';
    throw error;
  }
}

const SPECIAL = [0, 1, 0x7f, 0x80, 0xff];

/** Changes a few bytes of what decides everything: headers, notes, section headers; or cuts the file. */
function mutate(bytes: Uint8Array, chance: Random): Uint8Array {
  const copy = bytes.slice();
  const interesting = [
    [0, 64 + 3 * 56],
    [copy.length - 1024, copy.length],
  ] as const;
  for (let count = 1 + chance.below(4); count > 0; count--) {
    const [start, end] = interesting[chance.below(2)] as readonly [number, number];
    const at = start + chance.below(end - start);
    copy[at] = chance.oneIn(2) ? (SPECIAL[chance.below(SPECIAL.length)] as number) : chance.below(256);
  }
  return chance.oneIn(10) ? copy.subarray(0, chance.below(copy.length)) : copy;
}

describe.each<[string, Partial<ElfToWrite>]>([
  ['notes in a segment', { notes: { ...sampleNotes, initP2m: 0x80_0000_0000n, bsdSymtab: 'yes' } }],
  ['notes in a section', { notesIn: 'section' }],
  ['notes in __xen_guest', { notesIn: 'guest-string' }],
])('%s', (name, changes) => {
  test('3000 mutations build or are refused', () => {
    const whole = sampleKernel(changes);
    const chance = random(2013).fork(name);
    const counts = { built: 0, refused: 0 };
    for (let round = 0; round < 3000; round++) counts[outcome(mutate(whole, chance))]++;
    // Both must have been met, else the mutations are too mild or too wild to test anything.
    expect(Math.min(counts.built, counts.refused)).toBeGreaterThan(300);
  });
});
