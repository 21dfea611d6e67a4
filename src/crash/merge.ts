// Adding what one line states to what a crash states already; and whether the two can be of one crash.

import { type CrashKind, type Facts, LIST_LIMITS, type StatedCode } from './facts.js';

type MutableFacts = { -readonly [Key in keyof Facts]: Facts[Key] };

/** Said once, by the first line that does; later lines may word it otherwise. */
const FIRST_WINS = ['kind', 'headline', 'panicMessage', 'taint', 'hardware', 'wording'] as const;
const LISTS = ['stack', 'trace', 'remarks'] as const;
const RECORDS = ['registers', 'selectors', 'walk', 'accessWords'] as const;

/** Kinds that say less than any other: they never replace one. */
const VAGUE: readonly (CrashKind | undefined)[] = ['exception', 'panic', 'fragment'];

/** `facts` and `more` together. Where both state a thing, `facts` holds; lists grow up to their limits. */
export function merge(facts: Facts, more: Facts): Facts {
  const merged: MutableFacts & Record<string, unknown> = { ...more, ...facts };
  for (const key of RECORDS)
    if (more[key] !== undefined) merged[key as string] = { ...more[key], ...(facts[key] as object | undefined) };
  for (const key of LISTS)
    if (more[key] !== undefined)
      merged[key as string] = [...(facts[key] ?? []), ...more[key]].slice(0, LIST_LIMITS[key]);
  if (facts.code !== undefined && more.code !== undefined) merged.code = joinCode(facts.code, more.code);
  if (VAGUE.includes(facts.kind) && more.kind !== undefined) merged.kind = more.kind;
  return merged;
}

/** As `merge`, but `more` is the authority on what happened: a panic box after the state that it is about. */
export function overrule(facts: Facts, more: Facts): Facts {
  const { kind, vector, errorCode } = more;
  const merged: MutableFacts = { ...merge(facts, more) };
  if (kind === undefined || VAGUE.includes(kind)) return merged;
  merged.kind = kind;
  if (more.headline !== undefined) merged.headline = more.headline;
  if (vector !== undefined) merged.vector = vector;
  if (errorCode !== undefined) merged.errorCode = errorCode;
  return merged;
}

function joinCode(code: StatedCode, more: StatedCode): StatedCode {
  const size = code.runs.reduce((sum, run) => sum + run.bytes.length, 0);
  if (size >= LIST_LIMITS.codeBytes) return code;
  const runs = [...code.runs];
  for (const run of more.runs) {
    const last = runs.at(-1);
    if (last && last.offset + last.bytes.length === run.offset)
      runs[runs.length - 1] = { offset: last.offset, bytes: [...last.bytes, ...run.bytes] };
    else runs.push(run);
  }
  return { runs, trap: code.trap ?? more.trap };
}

/** True when both state a thing and do not agree on it: then they are of two crashes. */
export function conflict(facts: Facts, more: Facts): boolean {
  return (Object.keys(more) as (keyof Facts)[]).some((key) => {
    const [one, other] = [facts[key], more[key]];
    if (one === undefined || other === undefined) return false;
    if (isOneOf(FIRST_WINS, key) || isOneOf(LISTS, key) || key === 'code' || key === 'accessWords') return false;
    if (isOneOf(RECORDS, key)) return recordsConflict(one as object, other as object);
    return !same(one, other);
  });
}

const isOneOf = (keys: readonly string[], key: string): boolean => keys.includes(key);

function recordsConflict(one: object, other: object): boolean {
  const known = one as Record<string, unknown>;
  return Object.entries(other).some(([key, value]) => known[key] !== undefined && !same(known[key], value));
}

/** Equality of stated values: words, numbers, strings, and flat objects of them. */
function same(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return one === other;
  const [a, b] = [one as Record<string, unknown>, other as Record<string, unknown>];
  return Object.keys(a).length === Object.keys(b).length && Object.keys(a).every((key) => a[key] === b[key]);
}

/** How many things are stated: every word, number and string counts one. */
export function countStated(value: unknown): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== 'object') return 1;
  return Object.values(value).reduce((sum: number, inner) => sum + countStated(inner), 0);
}
