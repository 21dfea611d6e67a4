// What may be stale, as the user says it: --tlb, --refill, --cpu (docs/staleness.md). Parse and print.

import { InputError } from '../base/failures.js';

export const TLB_POLICIES = ['coherent', 'demand', 'hoarding', 'random'] as const;
/** How the TLB keeps what it was given. */
export type TlbPolicyName = (typeof TLB_POLICIES)[number];

/** What else than the guest's accesses may load translations. */
export type Refill =
  | { readonly kind: 'none' }
  /** A mispredicted branch executes up to `instructions` down the wrong path. */
  | { readonly kind: 'wrong-path'; readonly instructions: number }
  /** Any valid translation may be loaded at any moment. */
  | { readonly kind: 'any' };

export const CPUS = ['intel', 'amd'] as const;
/** What happens when a TLB entry lacks a right: a fault, or another walk first. */
export type CpuName = (typeof CPUS)[number];

export interface Staleness {
  readonly tlb: TlbPolicyName;
  readonly refill: Refill;
  readonly cpu: CpuName;
}

/** What `wrong-path` without a number means: about what one reorder buffer holds of a tight loop. */
export const DEFAULT_WRONG_PATH = 64;
const MAX_WRONG_PATH = 4096;

export const DEFAULT_STALENESS: Staleness = {
  tlb: 'demand',
  refill: { kind: 'wrong-path', instructions: DEFAULT_WRONG_PATH },
  cpu: 'intel',
};

function choice<Name extends string>(option: string, names: readonly Name[], text: string): Name {
  const found = names.find((name) => name === text);
  if (found === undefined) throw new InputError(`${option} ${text}: expected one of ${names.join(', ')}`);
  return found;
}

/** `none`, `wrong-path`, `wrong-path:N` (1 to 4096) or `any`; InputError for anything else. */
export function parseRefill(text: string): Refill {
  if (text === 'none' || text === 'any') return { kind: text };
  if (text === 'wrong-path') return { kind: 'wrong-path', instructions: DEFAULT_WRONG_PATH };
  const count = /^wrong-path:(\d+)$/.exec(text)?.[1];
  if (count === undefined) throw new InputError(`--refill ${text}: expected none, wrong-path, wrong-path:N or any`);
  const instructions = Number(count);
  if (instructions < 1 || instructions > MAX_WRONG_PATH)
    throw new InputError(`--refill ${text}: N is a number of instructions from 1 to ${MAX_WRONG_PATH}`);
  return { kind: 'wrong-path', instructions };
}

/** The three options as the user wrote them; undefined when not given. */
export interface StalenessTexts {
  readonly tlb?: string | undefined;
  readonly refill?: string | undefined;
  readonly cpu?: string | undefined;
}

/**
 * The options' texts as a value; what is not given takes its default. InputError for a text that is none of the
 * choices.
 */
export function parseStaleness(texts: StalenessTexts): Staleness {
  return {
    tlb: texts.tlb === undefined ? DEFAULT_STALENESS.tlb : choice('--tlb', TLB_POLICIES, texts.tlb),
    refill: texts.refill === undefined ? DEFAULT_STALENESS.refill : parseRefill(texts.refill),
    cpu: texts.cpu === undefined ? DEFAULT_STALENESS.cpu : choice('--cpu', CPUS, texts.cpu),
  };
}

export const printRefill = (refill: Refill): string =>
  refill.kind !== 'wrong-path' || refill.instructions === DEFAULT_WRONG_PATH
    ? refill.kind
    : `wrong-path:${refill.instructions}`;

/** `--tlb demand --refill wrong-path --cpu intel`: parses back to the same value. */
export const printStaleness = ({ tlb, refill, cpu }: Staleness): string =>
  `--tlb ${tlb} --refill ${printRefill(refill)} --cpu ${cpu}`;
