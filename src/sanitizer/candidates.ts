// All translations that a vCPU may hold for a page: everything that a walk could have given at any time since the last
// invalidation that covers it, with each upper level read at an earlier moment than the next if a paging-structure cache
// could have kept it so long.
// Source: SDM 3A "Paging > Caching Translation Information" (§4.10): fills by speculation, at any moment (§4.10.2.3,
// §4.10.3.1); nothing that is not present, or has a reserved bit, is held (ibid.); A in memory is no shield, since a walk
// that fills sets it first.
//
// A walk through versions [from, to) of its entries, read at moments t4 <= t3 <= t2 <= t1, is possible when each t lies in
// its version's interval and no paging-structure drop of level k lies in (tk, tk-1]. Of all possible choices the one with
// the latest t1 is the one most likely to be held still.

import {
  entryFrame,
  type Level,
  PHYSICAL_ADDRESS_BITS,
  PTE_A,
  PTE_D,
  PTE_FRAME_MASK,
  PTE_G,
  PTE_NX,
  PTE_P,
  PTE_PS,
  PTE_RW,
  PTE_US,
} from '../abi/paging.js';
import { type Maddr, type Mfn, maddr, mfn, mfnToMaddr, type Vpn } from '../base/addresses.js';
import { ALL_RIGHTS, RIGHT_EXECUTE, RIGHT_USER, RIGHT_WRITE } from '../mmu/access.js';
import type { Walk } from '../mmu/events.js';
import { type CpuMemory, type Root, regionOf } from './cpu.js';
import type { EntryHistory, Version } from './entries.js';
import type { Change } from './finding.js';

/** What one way through the tables gives. */
export interface Candidate {
  /** Undefined: it reaches no page, and an access faults. */
  readonly frame: Mfn | undefined;
  readonly rights: number;
  /** Of the entry that maps the page, or ends the walk: */
  readonly level: Level;
  readonly address: Maddr;
  readonly entry: bigint;
  readonly dirty: boolean;
  readonly global: boolean;
  /** The last moment at which it could have been loaded. */
  readonly loadable: number;
  /** The store that made it stale first, and the level of the entry that it replaced; undefined when it came by no store. */
  readonly change: Change | undefined;
  readonly changedLevel: Level;
}

interface Step {
  readonly level: Level;
  readonly address: Maddr;
  readonly version: Version;
}

const RESERVED = ((1n << 52n) - 1n) & ~((1n << BigInt(PHYSICAL_ADDRESS_BITS)) - 1n);
const RESERVED_OF_LARGE: readonly bigint[] = [0n, 0n, 0x1f_e000n, 0x3fff_e000n, 0n];

const isLarge = (entry: bigint, level: Level): boolean => (entry & PTE_PS) !== 0n && (level === 2 || level === 3);

const isReserved = (entry: bigint, level: Level): boolean =>
  (entry & RESERVED) !== 0n ||
  (level === 4 && (entry & PTE_PS) !== 0n) ||
  (isLarge(entry, level) && (entry & (RESERVED_OF_LARGE[level] as bigint)) !== 0n);

export const rightsOf = (entry: bigint): number =>
  ((entry & PTE_RW) !== 0n ? RIGHT_WRITE : 0) |
  ((entry & PTE_US) !== 0n ? RIGHT_USER : 0) |
  ((entry & PTE_NX) === 0n ? RIGHT_EXECUTE : 0);

const indexOf = (page: Vpn, level: Level): number => regionOf(page, level) & 0x1ff;

/** The walk that memory gives now, in the mmu's own form. Effect-free. */
export function freshWalk(entries: EntryHistory, root: Mfn, page: Vpn, now: number): Walk {
  const steps: Walk['steps'][number][] = [];
  let table = root;
  let rights = ALL_RIGHTS;
  for (let level: Level = 4; ; level = (level - 1) as Level) {
    const index = indexOf(page, level);
    const address = maddr(mfnToMaddr(table) + index * 8);
    const entry = entries.versions(address, now).at(-1)?.value ?? (1n << 64n) - 1n;
    steps.push({ level, index, table, address, entry });
    if ((entry & PTE_P) === 0n) return { steps, outcome: 'not-present', level };
    if (isReserved(entry, level)) return { steps, outcome: 'reserved', level };
    rights &= rightsOf(entry);
    if (level === 1 || isLarge(entry, level))
      return { steps, outcome: 'mapped', level, frame: pageFrame(entry, level, page), rights };
    table = mfn(entryFrame(entry));
  }
}

/** Every candidate but the fresh walk itself. */
export function candidatesFor(cpu: CpuMemory, entries: EntryHistory, page: Vpn, now: number): readonly Candidate[] {
  const found: Candidate[] = [];
  const path: Step[] = [];
  const descend = (table: Mfn, level: Level, rights: number, from: number, root: Root): void => {
    const address = maddr(mfnToMaddr(table) + indexOf(page, level) * 8);
    for (const version of entries.versions(address, now)) {
      // The earliest moment at which this entry can have been read behind those above it.
      if (Math.max(from, version.from) >= version.to) continue;
      const earliest = Math.max(from, version.from);
      path.push({ level, address, version });
      const entry = version.value;
      const ends = (entry & PTE_P) === 0n || isReserved(entry, level);
      const combined = rights & rightsOf(entry);
      if (ends || level === 1 || isLarge(entry, level)) {
        const one = judge(cpu, path, page, root, now, ends ? undefined : combined);
        if (one) found.push(one);
      } else descend(mfn(entryFrame(entry)), (level - 1) as Level, combined, earliest, root);
      path.pop();
    }
  };
  for (const root of cpu.roots) descend(root.table, 4, ALL_RIGHTS, root.from, root);
  return found;
}

/** The candidate that a path gives, if a CPU may hold it; the fresh walk is none. `rights` undefined: it ends nowhere. */
function judge(
  cpu: CpuMemory,
  path: readonly Step[],
  page: Vpn,
  root: Root,
  now: number,
  rights: number | undefined,
): Candidate | undefined {
  const isFresh =
    root.to === Number.POSITIVE_INFINITY && path.every(({ version }) => version.to === Number.POSITIVE_INFINITY);
  if (isFresh) return undefined;
  const last = path.at(-1) as Step;
  const loadable = latestLoad(cpu, path, page, root, now);
  if (loadable === undefined) return undefined;
  const { value: entry } = last.version;
  const global = (entry & PTE_G) !== 0n;
  // What reaches no page is held by nobody, but a walk from a held upper-level entry may find it now.
  if (rights === undefined ? loadable !== now : !cpu.mayHold(page, last.level, global, loadable)) return undefined;
  const changed = firstChange(path, root);
  return {
    frame: rights === undefined ? undefined : pageFrame(entry, last.level, page),
    rights: rights ?? 0,
    level: last.level,
    address: last.address,
    entry,
    dirty: (entry & PTE_D) !== 0n,
    global,
    loadable,
    change: changed.change,
    changedLevel: changed.level,
  };
}

/** The latest moment at which the last entry of the path can have been read; undefined when there is none. */
function latestLoad(cpu: CpuMemory, path: readonly Step[], page: Vpn, root: Root, now: number): number | undefined {
  // As late as each level's own interval and those below it allow; the first level is read through CR3 itself.
  const times: number[] = [];
  let time = now;
  for (let at = path.length - 1; at >= 0; at--) {
    time = Math.min(time, (path[at] as Step).version.to - 1);
    if (at === 0) time = Math.min(time, root.to - 1);
    times[at] = time;
  }
  let earliest = root.from;
  for (const [at, { level, version }] of path.entries()) {
    earliest = Math.max(earliest, version.from);
    const read = times[at] as number;
    if (read < earliest) return undefined;
    if (at + 1 < path.length)
      times[at + 1] = Math.min(times[at + 1] as number, cpu.nextTableDrop(page, level, read) - 1);
  }
  return times.at(-1);
}

/** What ended first of all that the path rests on: a version of one of its entries, or the root. */
function firstChange(
  path: readonly Step[],
  root: Root,
): { readonly change: Change | undefined; readonly level: Level } {
  let first = { change: root.endedBy, level: 4 as Level, to: root.to };
  for (const { level, version } of path)
    if (version.to < first.to) first = { change: version.endedBy, level, to: version.to };
  return first;
}

/** The frame of the 4 KiB page; bit 12 of a large leaf is PAT. */
function pageFrame(entry: bigint, level: Level, page: Vpn): Mfn {
  const pages = 512 ** (level - 1);
  const frame = Number((entry & PTE_FRAME_MASK) >> 12n);
  return mfn(Math.floor(frame / pages) * pages + (page % pages));
}

/** A bit that software cleared and the CPU will not set again through this candidate. */
export const losesAccessed = (candidate: Candidate, freshEntry: bigint): boolean =>
  (candidate.entry & PTE_A) !== 0n && (freshEntry & PTE_A) === 0n;
