// Types of corpus.mjs, for the tests.

import type { Reading } from '../src/crash/index.js';

export interface Expected {
  readonly system: string;
  readonly kind: string;
  readonly firstCause: string | null;
  readonly crashes: number;
  readonly tlb: boolean;
}

export interface ComparedField {
  readonly name: string;
  readonly wanted: unknown;
  readonly got: unknown;
  readonly right: boolean;
}

export interface ComparedEntry {
  readonly name: string;
  readonly expected: Expected;
  readonly fields: readonly ComparedField[];
}

export const CORPUS: string;
export function compare(expected: Expected, reading: Reading): readonly ComparedField[];
export function checkCorpus(explain: (text: string) => Reading, folder?: string): readonly ComparedEntry[];
