// Suppressions: findings that a user knows of and does not want to see. A file of rules, one a line, as ThreadSanitizer's:
//
//   # why
//   kind:right-added            every finding of a kind
//   change:__set_pte*           where the entry was changed: any function of that side's stack
//   use:clear_page              where it was used: likewise
//   title:stale translation *   the whole title
//   grade:tolerated             every finding of a grade
//   kind:unmapped use:vfree*    all of several conditions
//
// `*` stands for any text. Each rule counts what it hid, so that one that hides nothing can be found and removed.

import { InputError } from '../base/failures.js';
import { type Finding, GRADES, KINDS, type Place } from './finding.js';

const TYPES = ['kind', 'grade', 'change', 'use', 'title'] as const;
type Type = (typeof TYPES)[number];

interface Condition {
  readonly type: Type;
  readonly pattern: string;
}

export interface SuppressionRule {
  readonly text: string;
  readonly line: number;
  readonly conditions: readonly Condition[];
}

/** The rules of a file; InputError, with the line, for one that is none. */
export function parseSuppressions(text: string): readonly SuppressionRule[] {
  return text.split('\n').flatMap((raw, index): SuppressionRule[] => {
    const line = raw.replace(/(^|\s)#.*$/, '').trim();
    if (line === '') return [];
    return [{ text: line, line: index + 1, conditions: parseConditions(line, index + 1) }];
  });
}

function parseConditions(text: string, line: number): readonly Condition[] {
  const fail = (reason: string): never => {
    throw new InputError(`suppressions, line ${line}: ${reason}`);
  };
  // A title has blanks in it, and so takes the rest of the line.
  const parts = text.split(/\s+(?=(?:kind|grade|change|use|title):)/);
  return parts.map((part) => {
    const colon = part.indexOf(':');
    const type = TYPES.find((known) => known === part.slice(0, colon));
    const pattern = part.slice(colon + 1).trim();
    if (type === undefined) return fail(`"${part}" does not begin with one of ${TYPES.join(':, ')}:`);
    if (pattern === '') return fail(`${type}: wants a text behind the colon`);
    if (type !== 'title' && /\s/.test(pattern)) return fail(`"${pattern}" has a blank in it`);
    if (type === 'kind' && !KINDS.some((kind) => matches(pattern, kind)))
      return fail(`no kind is called ${pattern}: there are ${KINDS.join(', ')}`);
    if (type === 'grade' && !GRADES.some((grade) => matches(pattern, grade)))
      return fail(`no grade is called ${pattern}: there are ${GRADES.join(', ')}`);
    return { type, pattern };
  });
}

/** `*` stands for any text, none included. */
function matches(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return text === first;
  if (!text.startsWith(first)) return false;
  const last = rest.pop() as string;
  let at = first.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

export interface Suppressed {
  readonly shown: readonly Finding[];
  readonly hidden: readonly Finding[];
  /** For each rule, how many findings it hid; a finding counts for the first rule that hides it. */
  readonly hits: readonly { readonly rule: SuppressionRule; readonly count: number }[];
}

/** Parts the findings by the rules. */
export function suppress(
  findings: readonly Finding[],
  rules: readonly SuppressionRule[],
  symbolOf: (address: bigint) => string | undefined,
): Suppressed {
  const counts = new Map<SuppressionRule, number>();
  const isHidden = (finding: Finding): boolean => {
    const rule = rules.find(({ conditions }) => conditions.every((one) => holds(one, finding, symbolOf)));
    if (rule) counts.set(rule, (counts.get(rule) ?? 0) + 1);
    return rule !== undefined;
  };
  const hidden = findings.filter(isHidden);
  return {
    shown: findings.filter((finding) => !hidden.includes(finding)),
    hidden,
    hits: rules.map((rule) => ({ rule, count: counts.get(rule) ?? 0 })),
  };
}

function holds(
  { type, pattern }: Condition,
  finding: Finding,
  symbolOf: (address: bigint) => string | undefined,
): boolean {
  const onStack = (rip: bigint, place: Place): boolean =>
    [rip, ...place.stack].some((address) => {
      const name = symbolOf(address)?.replace(/\+0x[0-9a-f]+$/, '');
      return name !== undefined && matches(pattern, name);
    });
  switch (type) {
    case 'kind':
      return matches(pattern, finding.kind);
    case 'grade':
      return matches(pattern, finding.grade);
    case 'title':
      return matches(pattern, finding.title);
    case 'use':
      return onStack(finding.use.place.rip, finding.use.place);
    case 'change':
      return onStack(finding.change.call?.site ?? finding.change.place.rip, finding.change.place);
  }
}
