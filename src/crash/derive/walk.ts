// A printed page-table walk, checked and evaluated: every index recomputed from the address, every flag named, the effective
// rights, and whether the tables as printed allow an access. A level that the text lost stays unknown.
// Source: SDM 3A "4-Level Paging" (§4.5), "Access Rights" (§4.6).

import { PTE_NX, PTE_RW, PTE_US } from '../../abi/paging.js';
import { isCanonical } from '../../base/addresses.js';
import type { CrashSystem, Facts, StatedEntry, WalkLevel } from '../facts.js';
import { type EntryFlag, entryFlags, frameOf, isLarge, isPresent } from './entry-flags.js';
import { all, type Truth } from './truth.js';

export interface WalkStep {
  readonly level: WalkLevel;
  readonly entry: bigint;
  readonly flags: readonly EntryFlag[];
  readonly present: boolean;
  /** Maps a 2 MiB or 1 GiB page. */
  readonly large: boolean;
  /** The machine (Xen) or physical frame in the entry. */
  readonly frame: bigint;
  readonly pfn: bigint | 'invalid' | undefined;
  readonly statedIndex: number | undefined;
  /** From the address; undefined when the address is not known. */
  readonly computedIndex: number | undefined;
  readonly indexAgrees: Truth;
}

export interface Walk {
  /** The address whose walk it is, if the text says it. */
  readonly address: bigint | undefined;
  /** From the top level down. */
  readonly steps: readonly WalkStep[];
  /** Levels that were printed, as others prove, but are not in the text. */
  readonly missing: readonly WalkLevel[];
  /** 'maps': down to a page · 'not-present': an entry ends it · 'open': the text does not show the end. */
  readonly outcome: 'maps' | 'not-present' | 'open';
  /** The entry that maps the page, or the one that is not present. */
  readonly last: WalkStep | undefined;
  /** Rights as the product of all levels. */
  readonly writable: Truth;
  readonly user: Truth;
  readonly executable: Truth;
  /** The page's frame, for a page that is mapped. */
  readonly frame: bigint | undefined;
  readonly pfn: bigint | undefined;
}

export const indexAt = (address: bigint, level: WalkLevel): number =>
  Number((address >> BigInt(12 + 9 * (level - 1))) & 0x1ffn);

/** The walk that the text shows; undefined when it shows no entry. */
export function analyseWalk(facts: Facts, address: bigint | undefined): Walk | undefined {
  const stated = ([5, 4, 3, 2, 1] as const).map((level) => facts.walk?.[level]).filter((entry) => entry !== undefined);
  if (stated.length === 0) return undefined;
  const steps = stated.map((entry) => analyseStep(entry, address, facts.system));
  const last = steps.at(-1) as WalkStep;
  const ends = !last.present || last.large || last.level === 1;
  const outcome = ends ? (last.present ? 'maps' : 'not-present') : 'open';
  const missing = missingLevels(steps, outcome === 'open' && last.pfn !== 'invalid');
  const complete = missing.length === 0 && outcome === 'maps';
  const every = (mask: bigint): Truth => {
    if (steps.some(({ present, entry }) => present && (entry & mask) === 0n)) return false;
    return complete ? true : undefined;
  };
  const forbidsFetch = steps.some(({ present, entry }) => present && (entry & PTE_NX) !== 0n);
  return {
    address,
    steps,
    missing,
    outcome,
    last,
    writable: every(PTE_RW),
    user: every(PTE_US),
    executable: forbidsFetch ? false : complete ? true : undefined,
    frame: outcome === 'maps' ? pageFrame(last, address) : undefined,
    pfn: outcome === 'maps' && last.level === 1 && typeof last.pfn === 'bigint' ? last.pfn : undefined,
  };
}

function analyseStep(stated: StatedEntry, address: bigint | undefined, system: CrashSystem | undefined): WalkStep {
  const computed = address === undefined ? undefined : indexAt(address, stated.level);
  return {
    level: stated.level,
    entry: stated.entry,
    flags: entryFlags(stated.level, stated.entry, system),
    present: isPresent(stated.entry),
    large: isLarge(stated.level, stated.entry),
    frame: frameOf(stated.entry),
    pfn: stated.pfn,
    statedIndex: stated.index,
    computedIndex: computed,
    indexAgrees: stated.index === undefined || computed === undefined ? undefined : stated.index === computed,
  };
}

/** Levels above and between those shown; and the one below, when the last shown entry goes on. */
function missingLevels(steps: readonly WalkStep[], goesOn: boolean): readonly WalkLevel[] {
  const shown = steps.map(({ level }) => level);
  const lowest = shown.at(-1) as WalkLevel;
  const levels = ([4, 3, 2, 1] as const).filter((level) => level > lowest && !shown.includes(level));
  return goesOn && lowest > 1 ? [...levels, (lowest - 1) as WalkLevel] : levels;
}

function pageFrame(step: WalkStep, address: bigint | undefined): bigint | undefined {
  if (!step.large) return step.frame;
  if (address === undefined) return undefined;
  const pages = 1n << BigInt(9 * (step.level - 1));
  return step.frame - (step.frame % pages) + ((address >> 12n) % pages);
}

export interface AccessAsked {
  readonly write: Truth;
  readonly fetch: Truth;
  /** At CPL 3: only pages with US at every level. */
  readonly atUserPrivilege: Truth;
}

/** Whether the tables as printed allow the access, in all respects that the text shows. */
export function allows(walk: Walk, access: AccessAsked): Truth {
  if (walk.outcome !== 'maps') return walk.outcome === 'not-present' ? false : undefined;
  const right = (asked: Truth, granted: Truth): Truth =>
    asked === false ? true : asked ? granted : granted ? true : undefined;
  return all(
    right(access.write, walk.writable),
    right(access.fetch, walk.executable),
    right(access.atUserPrivilege, walk.user),
    // SMAP and SMEP are not in the entries: whether the kernel may touch a program's page is open.
    access.atUserPrivilege === false && walk.user === true ? undefined : true,
  );
}

/** The page address that the printed indexes spell, and nothing of the offset. undefined unless all four are there. */
export function pageFromIndexes(facts: Facts): bigint | undefined {
  const indexes = ([4, 3, 2, 1] as const).map((level) => facts.walk?.[level]?.index);
  if (indexes.some((index) => index === undefined)) return undefined;
  const bits = indexes.reduce<bigint>((sum, index) => (sum << 9n) | BigInt(index as number), 0n) << 12n;
  const address = BigInt.asUintN(64, BigInt.asIntN(48, bits));
  return isCanonical(address) ? address : undefined;
}
