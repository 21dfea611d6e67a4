// What it means that a candidate and the fresh walk differ: whether this access tells them apart, how, what was wrong with the
// flushes, and how bad it is.
// Source of what may be omitted: SDM 3A "Paging > Caching Translation Information > Optional Invalidation" (§4.10.4.3). A write
// by way of a translation whose D is clear goes back to memory (§4.8), and so cannot tell them apart.

import { entryFrame, type Level, PTE_A, PTE_D, PTE_PS } from '../abi/paging.js';
import { type Mfn, mfn, type Vpn } from '../base/addresses.js';
import { allows, WRITE } from '../mmu/access.js';
import type { InvalidateScope, Walk } from '../mmu/events.js';
import { type Candidate, losesAccessed } from './candidates.js';
import { regionOf } from './cpu.js';
import type { Call, Change, FlushCause, Grade, Kind, Mistake } from './finding.js';

/** How the access tells the candidate from the fresh walk; undefined when it does not. */
export function kindOf(candidate: Candidate, fresh: Walk, access: number): Kind | undefined {
  const staleServes = candidate.frame !== undefined && allows(candidate.rights, access);
  const freshServes = fresh.frame !== undefined && allows(fresh.rights ?? 0, access);
  const writes = (access & WRITE) !== 0;
  if (staleServes && writes && !candidate.dirty) return undefined;
  if (!staleServes && !freshServes) return undefined;
  const leaf = fresh.steps.at(-1)?.entry ?? 0n;
  if (staleServes && freshServes && candidate.frame === fresh.frame) {
    if (writes && (leaf & PTE_D) === 0n) return 'dirty-lost';
    return losesAccessed(candidate, leaf) ? 'accessed-lost' : undefined;
  }
  if (candidate.frame === fresh.frame) return staleServes ? 'right-removed' : 'right-added';
  if (fresh.outcome === 'mapped' && candidate.frame !== undefined && candidate.level !== fresh.level)
    return 'size-changed';
  if (candidate.changedLevel > candidate.level && leavesTable(candidate)) return 'table-replaced';
  return fresh.outcome === 'mapped' ? 'frame-replaced' : 'unmapped';
}

/** Whether the change took the table away that the candidate goes through, and not a right only. */
function leavesTable({ change }: Candidate): boolean {
  if (!change) return true;
  return (
    (change.after & 1n) === 0n ||
    entryFrame(change.before) !== entryFrame(change.after) ||
    (change.after & PTE_PS) !== 0n
  );
}

/** An invalidation as the log keeps it. */
export interface Logged {
  readonly moment: number;
  readonly vcpu: number;
  readonly at: number;
  readonly scope: InvalidateScope;
  readonly what: string;
  readonly call: Call | undefined;
  readonly cause: FlushCause;
}

/** Whether an invalidation removes this candidate's translation of the page (not: what a later walk would find). */
export function covers(scope: InvalidateScope, page: Vpn, candidate: Pick<Candidate, 'level' | 'global'>): boolean {
  if (scope.kind === 'all') return true;
  if (scope.kind === 'non-global') return !candidate.global;
  return regionOf(scope.page, candidate.level) === regionOf(page, candidate.level);
}

export interface Circumstances {
  readonly vcpu: number;
  readonly page: Vpn;
  readonly candidate: Candidate;
  /** The moment of the change. */
  readonly changed: number;
  /** Whether the change was made below the root that the vCPU uses now. */
  readonly inPresentTree: boolean;
  readonly log: readonly Logged[];
  /** What a page translates to now. */
  readonly frameOf: (page: Vpn) => Mfn | undefined;
}

/** Instructions before a store within which a flush was meant for it. */
const MEANT_FOR = 2000;

/** What was wrong with the flushes that the guest asked for; the first that applies. */
export function mistakeOf(circumstances: Circumstances): Mistake {
  const { vcpu, page, candidate, changed, log } = circumstances;
  const asked = log.filter(({ cause }) => cause === 'asked');
  const after = asked.filter(({ moment }) => moment > changed);
  const here = after.filter((flush) => flush.vcpu === vcpu);
  if (after.some((flush) => flush.vcpu !== vcpu && covers(flush.scope, page, candidate))) return 'other-vcpu';
  if (candidate.global && here.some(({ scope }) => scope.kind === 'non-global')) return 'global-left';
  const named = here.flatMap(({ scope }) => (scope.kind === 'page' ? [scope.page] : []));
  if (named.some((other) => circumstances.frameOf(other) === candidate.frame && candidate.frame !== undefined))
    return 'wrong-alias';
  const near = named.filter((other) => regionOf(other, 2) === regionOf(page, 2));
  if (near.length > 0) return 'wrong-address';
  const { change } = candidate;
  const early = asked.filter(
    (flush) =>
      flush.moment < changed &&
      flush.vcpu === vcpu &&
      flush.scope.kind !== 'page-fault' &&
      covers(flush.scope, page, candidate) &&
      (change?.at ?? 0) - flush.at <= MEANT_FOR,
  );
  if (early.length > 0) {
    const within = change?.call?.within;
    const sameBatch = early.some(({ at, call }) => within && call?.within && at === change.at);
    return sameBatch ? 'batch-order' : 'flush-before-store';
  }
  return circumstances.inPresentTree ? 'no-flush' : 'other-root';
}

/** Why a flush that happened left the candidate standing. */
export function whyNot(flush: Logged, { vcpu, page, candidate, changed }: Circumstances): string {
  if (flush.moment <= changed) return 'came before the entry was changed';
  if (flush.cause === 'accident' && covers(flush.scope, page, candidate))
    return 'is an accident of this Xen, which no guest may rely on';
  if (flush.vcpu !== vcpu) return `happened on vCPU ${flush.vcpu} only`;
  if (flush.scope.kind === 'non-global' && candidate.global) return 'leaves global translations';
  if (flush.scope.kind === 'page' || flush.scope.kind === 'page-fault')
    return flush.scope.page === page
      ? 'an upper-level entry that leads here could be loaded again'
      : 'named another page';
  return 'the translation could be loaded again through a table still reachable';
}

/** How bad a use is, as far as is known when it is made. */
export function gradeOf(kind: Kind, handled: boolean, staleServes: boolean, reused: boolean): Grade {
  if (kind === 'accessed-lost') return 'tolerated';
  if (staleServes) return reused ? 're-use' : 'stale-use';
  if (!handled) return 'fatal';
  return kind === 'right-added' ? 'tolerated' : 'stale-use';
}

const UVMF = { page: 'UVMF_INVLPG', all: 'UVMF_TLB_FLUSH' } as const;

/** The flush that would have removed it, by the call that made the change. */
export function cureOf(change: Change, mistake: Mistake, level: Level): string {
  if (mistake === 'flush-before-store' || mistake === 'batch-order') return 'the same flush, after the store';
  const everywhere = mistake === 'other-vcpu';
  if (change.call?.name.startsWith('update_va_mapping') && mistake !== 'wrong-alias')
    return everywhere ? `${UVMF.page} | UVMF_ALL` : UVMF.page;
  const scope = level > 1 || mistake === 'global-left' ? 'TLB_FLUSH' : 'INVLPG';
  return `MMUEXT_${scope}_${everywhere ? 'ALL' : 'LOCAL'}`;
}

/** Whether a store takes away or alters something that may be held: more than CPUs do by themselves. */
export const isHeldValue = (before: bigint): boolean => (before & 1n) !== 0n;

/** The frame that an entry refers to. */
export const frameIn = (entry: bigint): Mfn => mfn(entryFrame(entry));

/** A and D set by a store, and nothing else. */
export const onlySetsAd = (before: bigint, after: bigint): boolean =>
  (before & ~after) === 0n && (after & ~before & ~(PTE_A | PTE_D)) === 0n;
