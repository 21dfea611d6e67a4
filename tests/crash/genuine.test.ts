// Faults that memory explains: the same machinery must give them their right names, and never call them stale.

import { describe, expect, test } from 'vitest';
import { randomReport } from '../../scripts/crash-laws.mjs';
import { random } from '../../src/base/random.js';
import { explain, print } from '../../src/crash/index.js';
import { type Sketch, sketch, UPPER } from './reports.js';

const [L4, L3, L2] = UPPER;
const NX = 1n << 63n;
const KERNEL = 1n << 52n;

/** One line each: what happened, and what it must be called. */
const CASES: readonly (readonly [string, Sketch, string])[] = [
  ['null pointer', { errorCode: 0, vaddr: 0x144n, entries: [0n] }, 'null-pointer-dereference'],
  ['call through null', { errorCode: 0x10, vaddr: 0n, rip: 0n, entries: [0n] }, 'jump-through-null-pointer'],
  ['vmemmap not there yet', { errorCode: 0, vaddr: 0xffffea000005b2d0n, entries: [0n] }, 'kernel-area-not-mapped'],
  ['KASAN shadow', { errorCode: 2, vaddr: 0xfffffbfff0480fben, entries: [0n] }, 'kernel-area-not-mapped'],
  ['L1 entry empty', { errorCode: 2, entries: [L4, L3, L2, 0n] }, 'kernel-area-not-mapped'],
  ['program page missing', { errorCode: 6, vaddr: 0x7f0000001000n, entries: [L4, L3, L2, 0n] }, 'wild-pointer'],
  ['write to constants', { errorCode: 3, entries: [L4, L3, L2, KERNEL | 0xdc8da025n] }, 'write-to-read-only-page'],
  [
    "write to cr3's table",
    { errorCode: 3, entries: [L4, L3, L2, KERNEL | 0xdc8da025n], cr3: 0xdc8da000n },
    'write-to-page-table',
  ],
  [
    'write to a table that the walk goes through',
    { errorCode: 3, entries: [L4, L3, L2, KERNEL | 0xdc8b2025n] },
    'write-to-page-table',
  ],
  [
    'write to a boot table, rightly read-only',
    { errorCode: 3, entries: [L4, L3, L2, KERNEL | 0xdc8da025n], pfns: [0x1789n, 0x178dn, 0x4defn, 0x4dc7n] },
    'write-to-page-table',
  ],
  ['upper level read-only', { errorCode: 3, entries: [L4, L3, L2 & ~2n, 0xdc8da067n] }, 'write-to-read-only-page'],
  ['jump to data', { errorCode: 0x11, entries: [L4, L3, L2, NX | 0xdc8da067n] }, 'execute-nx'],
  ['reserved bit', { errorCode: 0xb, entries: [L4, L3, L2, 0x8000dc8da067n] }, 'reserved-bit-set'],
  ["Xen's own area", { errorCode: 1, vaddr: 0xffff820000000000n, entries: [0xc3f18063n] }, 'xen-private-access'],
  ['hole in the M2P', { errorCode: 0, vaddr: 0xffff803000000000n, entries: [L4, 0n] }, 'xen-private-access'],
  ['US clear', { errorCode: 1, entries: [L4, L3, L2, 0xdc8da063n] }, 'supervisor-page-from-user'],
  ['mapped in between', { errorCode: 0, entries: [L4, L3, L2, 0xdc8da067n] }, 'mapped-since'],
  ['#GP on a wild pointer', { vector: 13, errorCode: 0 }, 'unexplained'],
  ['#UD, as BUG() is', { vector: 6 }, 'failed-assertion'],
  ['#DE', { vector: 0 }, 'division-by-zero'],
];

describe.each(['4.1', '4.17'] as const)('printed by Xen %s', (form) => {
  test.each(CASES)('%s', (_, what, verdict) => {
    const [explanation] = explain(print(sketch({ ...what, form }))).crashes;
    expect(explanation?.verdict.id).toBe(verdict);
    expect(explanation?.verdict.family).not.toBe('stale-translation');
  });
});

/** Error code, leaf entry, and which staleness it is: rights that memory grants and the CPU denied. */
test.each([
  ['write', 3, 0xdc8da067n],
  ['read of a page that had no US', 1, 0xdc8da067n],
  ['fetch from a page that had NX', 0x11, 0xdc8da025n],
  ['program write', 7, 0xdc8da167n],
] as const)('a stale %s is called stale', (_, errorCode, leaf) => {
  const [explanation] = explain(print(sketch({ errorCode, entries: [L4, L3, L2, leaf] }))).crashes;
  expect(explanation?.verdict.id).toBe('stale-tlb-entry');
});

test('law: what memory forbids, or does not map, is never called stale', () => {
  const chance = random(7);
  let judged = 0;
  for (let round = 0; round < 1500; round++) {
    const [explanation] = explain(print(randomReport(chance))).crashes;
    if (explanation?.walk?.allowsAccess === true || explanation?.contradictions.length !== 0) continue;
    judged++;
    expect(explanation?.verdict.family).not.toBe('stale-translation');
  }
  expect(judged).toBeGreaterThan(500);
});
