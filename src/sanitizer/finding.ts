// What the sanitizer says: one finding for each pair of guest code that changed an entry and guest code that used what the
// entry used to say. Plain values; report.ts, json.ts and sarif.ts print them.

import type { Level } from '../abi/paging.js';
import type { Maddr, Mfn, Vpn } from '../base/addresses.js';
import type { InvalidateScope, Walk } from '../mmu/events.js';

/** Worst first. The first three ask for action; the others are shown on demand, and always counted. */
export const GRADES = ['fatal', 're-use', 'stale-use', 'window', 'tolerated'] as const;
/**
 * fatal: the guest died of it, or takes a fault for which it has no handler · re-use: the frame had a new use by then ·
 * stale-use: a wrong frame, or a right that was gone · window: another vCPU used it before the flush
 * came that was asked for, and the frame had no new use in between · tolerated: a spurious fault that the guest's handler copes with, or an A bit lost.
 */
export type Grade = (typeof GRADES)[number];

export const needsAction = (grade: Grade): boolean => grade !== 'window' && grade !== 'tolerated';

export const KINDS = [
  'right-added',
  'right-removed',
  'unmapped',
  'frame-replaced',
  'table-replaced',
  'size-changed',
  'dirty-lost',
  'accessed-lost',
] as const;
/** How the stale translation differs from what memory says. `table-replaced`: by way of a table no longer there. */
export type Kind = (typeof KINDS)[number];

export const MISTAKES = [
  'no-flush',
  'flush-before-store',
  'batch-order',
  'other-vcpu',
  'wrong-address',
  'wrong-alias',
  'global-left',
  'other-root',
] as const;
/**
 * What was wrong with the flushes that there were: none at all · one that came before the store · the same within one
 * multicall or batch · on another vCPU only · of another address · of another address of the same frame · one that leaves
 * global entries · the change was made in another root table (user and kernel L4).
 */
export type Mistake = (typeof MISTAKES)[number];

/** A place in the guest. */
export interface Place {
  readonly vcpu: number;
  readonly rip: bigint;
  /** Return addresses, innermost first, as far as frame pointers or the words on the stack give them. */
  readonly stack: readonly bigint[];
}

/**
 * Why a flush happened: the guest asked for it · the ABI promises it with something else (a load of CR3) · Xen did it for its
 * own sake, and no guest may rely on it.
 */
export type FlushCause = 'asked' | 'promised' | 'accident';

/** The hypercall behind a store or a flush. */
export interface Call {
  readonly vcpu: number;
  readonly name: string;
  /** Its flush argument, where it has one: UVMF_NONE. */
  readonly flags?: string;
  /** The multicall or batch that it is an entry of, if any, and which. */
  readonly within?: { readonly name: string; readonly index: number };
  /** Behind the guest's call: what its stack would say. */
  readonly site: bigint;
}

/** The store that made the translation stale. */
export interface Change {
  readonly address: Maddr;
  /** The level of the entry. */
  readonly level: Level;
  readonly before: bigint;
  readonly after: bigint;
  readonly at: number;
  readonly what: string;
  readonly call?: Call;
  readonly place: Place;
}

/** The access that could be answered in two ways. */
export interface Use {
  readonly page: Vpn;
  readonly at: number;
  readonly place: Place;
  readonly access: 'read' | 'write' | 'fetch';
  /** Made by the guest, or by Xen for it. */
  readonly by: 'guest' | 'xen';
}

/** What a translation gives. */
export interface Answer {
  /** Undefined: no page is reached. */
  readonly frame: Mfn | undefined;
  /** RIGHT_ bits. */
  readonly rights: number;
  readonly served: boolean;
}

/** A flush that did not help, and why. */
export interface FlushSeen {
  readonly vcpu: number;
  readonly at: number;
  readonly scope: InvalidateScope;
  readonly what: string;
  readonly cause: FlushCause;
  /** Why it does not count. */
  readonly why: string;
}

export interface Finding {
  /** Stays the same from run to run; findings with one title are one finding. */
  readonly title: string;
  readonly kind: Kind;
  readonly mistake: Mistake;
  readonly grade: Grade;
  /** How often, by page and change. */
  readonly count: number;
  /** The first of them that this run's machine answered with the stale translation; undefined: it never did. */
  readonly taken: { readonly page: Vpn; readonly at: number } | undefined;
  /** The first of all: */
  readonly change: Change;
  readonly use: Use;
  readonly stale: Answer;
  readonly fresh: Answer;
  /** The stale leaf entry, and where it lay. */
  readonly staleEntry: { readonly address: Maddr; readonly value: bigint; readonly level: Level };
  /**
   * When the stale translation was loaded: by what, if this machine did; else the last moment at which a CPU could have.
   */
  readonly loaded: { readonly at: number; readonly place: Place; readonly cause: string } | undefined;
  readonly couldLoadUntil: number;
  /** Flushes since shortly before the change. */
  readonly flushes: readonly FlushSeen[];
  /** What would have removed it, as the ABI spells it. */
  readonly cure: string;
  /** What the tables said when it was used. */
  readonly walk: Walk;
  /** Xen's own flush that keeps this from happening here, if one does: another Xen need not do it. */
  readonly hiddenBy?: string;
  /** For re-use: what the frame was, and had become. */
  readonly reuse?: string;
}
