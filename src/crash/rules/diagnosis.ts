// What a diagnosis is: data. One file for each, with its conditions, its explanation, its sources and its examples; nothing
// else has to be touched to add one, but its line in rules/index.ts. How: docs/explain.md, "Adding a diagnosis".

import type { Case } from '../derive/case.js';
import type { Truth } from '../derive/truth.js';

export interface Diagnosis {
  /** Kebab case, stable: `--json` and the corpus name a cause by it. */
  readonly id: string;
  /** One sentence without a full stop. */
  readonly verdict: string | ((of: Case) => string);
  readonly family: Family;
  /** Each must hold. One that the text leaves open keeps the diagnosis possible, and no more. */
  readonly requires: readonly Clue[];
  /** What speaks for it and against it beside that. */
  readonly clues: readonly Clue[];
  /** What happened, told to somebody who has not met it before. */
  readonly explanation: (of: Case) => string;
  /** What to do now, most useful first. */
  readonly next: (of: Case) => readonly string[];
  /** Title, then number or commit. */
  readonly sources: readonly string[];
  /** Known cases that look the same. */
  readonly alike?: readonly KnownCase[];
  /** Told only when no other diagnosis is. */
  readonly fallback?: true;
  /** Crash texts that this diagnosis explains, as paths under tests/crash; each must rank it first. */
  readonly examples: readonly string[];
}

/**
 * 'stale-translation': the CPU used what memory no longer says · 'fault': the CPU did what memory says · 'check': software
 * found it and stopped · 'stuck': nothing faulted, nothing moved on · 'hardware' · 'unknown'.
 */
export type Family = 'stale-translation' | 'fault' | 'check' | 'stuck' | 'hardware' | 'unknown';

export interface Clue {
  /** Three-valued: undefined where the text does not tell. */
  readonly when: (of: Case) => Truth;
  /** How much it weighs when it holds: above 0 for the diagnosis, below 0 against it. */
  readonly weight: number;
  readonly says: string | ((of: Case) => string);
  /** What it means that it does not hold. Nothing, unless given. */
  readonly otherwise?: { readonly weight: number; readonly says: string | ((of: Case) => string) };
  /** What in a text, or what experiment, would decide it. */
  readonly wanted?: string;
}

export interface KnownCase {
  /** "Linux b22227944b8f (2013)". */
  readonly name: string;
  readonly words: string;
}

/** From certain to unlikely. A text alone makes nothing certain but what software says of itself. */
export type Certainty = 'certain' | 'very likely' | 'likely' | 'possible' | 'unlikely';

export interface Judgement {
  readonly diagnosis: Diagnosis;
  readonly score: number;
  readonly certainty: Certainty;
  readonly evidenceFor: readonly string[];
  readonly evidenceAgainst: readonly string[];
  /** A requirement is neither met nor refuted: the text has lost what would tell. */
  readonly open: boolean;
  /** What would tell. */
  readonly wanted: readonly string[];
}

/** The weight of what software says of itself: enough to be certain. */
export const SAYS_SO = 20;

/** Scores from which a word may be used. */
const CERTAINTIES: readonly (readonly [number, Certainty])[] = [
  [20, 'certain'],
  [10, 'very likely'],
  [6, 'likely'],
  [3, 'possible'],
];
/** The highest score of a diagnosis of which a requirement is open: possible, and no more. */
const OPEN_LIMIT = 5;

export const certaintyOf = (score: number): Certainty => CERTAINTIES.find(([from]) => score >= from)?.[1] ?? 'unlikely';

/**
 * What a diagnosis makes of a case; undefined when a requirement does not hold. What the text leaves open counts as the worst
 * it could be: a text that loses lines never makes anything more certain.
 */
export function judge(diagnosis: Diagnosis, of: Case): Judgement | undefined {
  const evidenceFor: string[] = [];
  const evidenceAgainst: string[] = [];
  const wanted: string[] = [];
  let score = 0;
  let open = false;
  const weigh = (clue: Clue, truth: Truth): void => {
    const weights = [clue.weight, clue.otherwise?.weight ?? 0] as const;
    if (truth === undefined) {
      score += Math.min(...weights, 0);
      if (clue.wanted !== undefined) wanted.push(clue.wanted);
      return;
    }
    const weight = truth ? weights[0] : weights[1];
    const says = truth ? clue.says : clue.otherwise?.says;
    score += weight;
    if (says !== undefined && weight !== 0) (weight > 0 ? evidenceFor : evidenceAgainst).push(inWords(says, of));
  };
  for (const clue of diagnosis.requires) {
    const truth = clue.when(of);
    if (truth === false) return undefined;
    open ||= truth === undefined;
    weigh(clue, truth);
  }
  for (const clue of diagnosis.clues) weigh(clue, clue.when(of));
  const limited = open ? Math.min(score, OPEN_LIMIT) : score;
  return { diagnosis, score: limited, open, certainty: certaintyOf(limited), evidenceFor, evidenceAgainst, wanted };
}

export const inWords = (words: string | ((of: Case) => string), of: Case): string =>
  typeof words === 'string' ? words : words(of);
