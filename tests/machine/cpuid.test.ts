// What CPUID shows and what runs agree: every feature that a row needs is shown, and no row is behind one that is not.

import { expect, test } from 'vitest';
import { rows } from '../../src/isa/index.js';
import type { CpuidFeature } from '../../src/isa/instruction.js';
import { hardwareCpuid } from '../../src/machine/cpuid.js';

type Place = readonly [leaf: number, register: 'ebx' | 'ecx' | 'edx', bit: number];

/** SDM 2A "CPUID", AMD 3 "CPUID". */
const PLACES: Readonly<Partial<Record<CpuidFeature, Place>>> = {
  ADX: [7, 'ebx', 19],
  CLFLUSHOPT: [7, 'ebx', 23],
  CLFSH: [1, 'edx', 19],
  CLWB: [7, 'ebx', 24],
  CMPXCHG16B: [1, 'ecx', 13],
  CX8: [1, 'edx', 8],
  FPU: [1, 'edx', 0],
  FXSR: [1, 'edx', 24],
  LZCNT: [0x8000_0001, 'ecx', 5],
  MMX: [1, 'edx', 23],
  MOVBE: [1, 'ecx', 22],
  POPCNT: [1, 'ecx', 23],
  PREFETCHW: [0x8000_0001, 'ecx', 8],
  RDTSCP: [0x8000_0001, 'edx', 27],
  SSE: [1, 'edx', 25],
  SSE2: [1, 'edx', 26],
  SSE3: [1, 'ecx', 0],
  SSE4_1: [1, 'ecx', 19],
  SSE4_2: [1, 'ecx', 20],
  SSSE3: [1, 'ecx', 9],
};

/** Features that only a hypervisor can use; TZCNT, all of BMI1 that there is; XGETBV, likewise of XSAVE. */
const NOT_SHOWN: readonly CpuidFeature[] = ['BMI1', 'INVPCID', 'MONITOR', 'SMAP', 'WBNOINVD', 'XSAVE'];

const shows = ([leaf, register, bit]: Place, cpu: 'intel' | 'amd'): boolean =>
  ((hardwareCpuid(cpu)(leaf, 0)[register] >>> bit) & 1) === 1;

test.each(['intel', 'amd'] as const)('the modelled %s processor shows what its rows need', (cpu) => {
  const needed = new Set(rows.flatMap(({ cpuid }) => cpuid ?? []));
  const missing = [...needed].filter((feature) => {
    const place = PLACES[feature];
    return place ? !shows(place, cpu) : !NOT_SHOWN.includes(feature);
  });
  expect(missing).toEqual([]);
});

test('every feature shown has rows', () => {
  const needed = new Set(rows.flatMap(({ cpuid }) => cpuid ?? []));
  expect(Object.keys(PLACES).filter((feature) => !needed.has(feature as CpuidFeature))).toEqual([]);
});
