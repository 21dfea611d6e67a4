// What one kind of line looks like and what it states. A format is data: the scanner knows nothing about any system, so a
// new one is added by writing rows (docs/explain.md, "Adding a format"). tests/crash/formats.test.ts runs every row on its
// own samples.

import type { Facts } from '../facts.js';

export interface Format {
  /** For people: "walk entry". Unique within its table. */
  readonly name: string;
  /** Who prints it; undefined: people and tools do (a disassembly listing), and it goes to the crash that is being read. */
  readonly origin: 'xen' | 'linux' | undefined;
  /**
   * What every matching raw line holds: a plain string, or a pattern that is cheap to look for. It keeps a 100 MB log fast.
   * undefined: the line can be anything, and is only looked at right after a line of the format that `follows` names.
   */
  readonly hint: string | RegExp | undefined;
  readonly follows?: string;
  /** Others print such lines too: it is taken only where a prefix says that `origin` did. */
  readonly needsPrefix?: true;
  readonly pattern: RegExp;
  /**
   * Where in its dump the line stands: a line of an earlier stage than the crash has reached begins another crash.
   * undefined: it may stand anywhere.
   */
  readonly stage: number | ((facts: Facts) => number) | undefined;
  /**
   * 'begins': a crash may be said to exist on the strength of this line. 'belongs': it adds to an open crash and, alone,
   * is a fragment. 'inside': it means something only inside an open crash. 'precedes': remembered for the next crash.
   * 'cut': a mark that nothing before it belongs to what follows.
   */
  readonly role: 'begins' | 'belongs' | 'inside' | 'precedes' | 'cut';
  /** The line is the authority on what happened, and holds against what earlier lines said (a panic box). */
  readonly overrules?: true;
  /** False when the line, in a crash that states these facts, is something else. */
  readonly within?: (facts: Facts) => boolean;
  /** What the line states. Never more than it says. undefined: on a closer look it is not this kind of line. */
  readonly read: (match: RegExpExecArray, facts: Facts) => Partial<Facts> | undefined;
  /** Lines as real dumps have them, each with the facts that must come out. */
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly line: string;
  readonly states: Partial<Facts>;
  /** What the crash states already when the line comes. */
  readonly given?: Facts;
}

export const parseWord = (digits: string): bigint => BigInt(`0x${digits}`);
export const parseNumber = (digits: string): number => Number.parseInt(digits, 16);
