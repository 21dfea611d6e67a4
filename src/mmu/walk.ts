// The page walk: from a table down to the entry that maps a page, or to the one that stops it. Free of effects.
// Source: SDM 3A "Paging > 4-Level Paging" (§4.5), "Access Rights" (§4.6), "Page-Fault Exceptions" (§4.7).
//
//   CR3 -> L4 [47:39] -> L3 [38:30] -> L2 [29:21] -> L1 [20:12] -> 4 KiB page
//                          | PS=1        | PS=1
//                          1 GiB page    2 MiB page
//
// A page is writable or user when every level says so, executable when no level says XD. An entry that is not present,
// or has a reserved bit, ends the walk where it stands; rights are judged by the caller, on the effective ones.
// A table in a frame that is no RAM reads as all ones, as unclaimed addresses of a PC do: reserved bits end that walk.
// Not modelled: five levels, PAE, protection keys, AMD's rule that bit 8 of an L4e must be zero.

import { type Level, PFEC_page_present, PFEC_reserved_bit } from '../abi/paging.js';
import { type Maddr, type Mfn, mfn, PAGE_BYTES, type Vaddr, type Vpn, vaddrToVpn } from '../base/addresses.js';
import type { MachineMemory } from '../memory/index.js';
import { ALL_RIGHTS } from './access.js';
import { frameOf, hasReservedBit, isLargeLeaf, isPresent, LOW_D, LOW_G, rightsOf } from './entry.js';
import { indexOf, pagesOf } from './regions.js';

export type WalkOutcome = 'mapped' | 'not-present' | 'reserved';

const ENTRY_BYTES = 8;

/** Where a walk for the page reads its entry in this table. */
export const entryAddress = (table: Mfn, page: Vpn, level: Level): Maddr =>
  (table * PAGE_BYTES + indexOf(page, level) * ENTRY_BYTES) as Maddr;

/**
 * One walk's result, made once and used again: `walkFrom` fills it, without allocating. Arrays are indexed by level and
 * hold something for the levels from `level` to `startLevel`.
 */
export class WalkRecord {
  outcome: WalkOutcome = 'not-present';
  /** The level of the entry that maps the page or ends the walk. */
  level: Level = 4;
  /** The level of the first entry that was read: below 4 when the walk began at a paging-structure cache's entry. */
  startLevel: Level = 4;
  /** Mapped: the machine frame of the 4 KiB page asked for. */
  frame = 0;
  /** Combined rights of all entries read, and of those that the walk was given to begin with. */
  rights = 0;
  /** Mapped: D and G of the leaf. */
  dirty = false;
  global = false;
  readonly tables = new Float64Array(5);
  /** The address of each entry, and its two halves as signed words. */
  readonly addresses = new Float64Array(5);
  readonly low = new Int32Array(5);
  readonly high = new Int32Array(5);
  /** The rights of the entries from the top down to each level: what a paging-structure cache keeps. */
  readonly rightsDownTo = new Uint8Array(5);
}

/**
 * Walks for `page` from `table`, which is of `startLevel`; `rights` are those of the levels above it (ALL_RIGHTS from
 * CR3). The answer is in `record`.
 */
export function walkFrom(
  memory: MachineMemory,
  page: Vpn,
  table: Mfn,
  startLevel: Level,
  rights: number,
  record: WalkRecord,
): void {
  record.startLevel = startLevel;
  let tableFrame: number = table;
  let combined = rights;
  for (let level = startLevel; ; level--) {
    const index = indexOf(page, level as Level);
    const host = memory.hostOffset(tableFrame);
    const word = (host + index * ENTRY_BYTES) >>> 2;
    const low = host < 0 ? -1 : memory.words[word]!;
    const high = host < 0 ? -1 : memory.words[word + 1]!;
    combined &= rightsOf(low, high);
    record.level = level as Level;
    record.tables[level] = tableFrame;
    record.addresses[level] = tableFrame * PAGE_BYTES + index * ENTRY_BYTES;
    record.low[level] = low;
    record.high[level] = high;
    record.rightsDownTo[level] = combined;
    record.rights = combined;
    if (!isPresent(low)) {
      record.outcome = 'not-present';
      return;
    }
    if (hasReservedBit(low, high, level as Level)) {
      record.outcome = 'reserved';
      return;
    }
    const frame = frameOf(low, high);
    if (level === 1 || isLargeLeaf(low, level as Level)) {
      const pages = pagesOf(level as Level);
      record.outcome = 'mapped';
      // Bit 12 of a large leaf is PAT, which is below its frame: rounding down drops it.
      record.frame = Math.floor(frame / pages) * pages + (page % pages);
      record.dirty = (low & LOW_D) !== 0;
      record.global = (low & LOW_G) !== 0;
      return;
    }
    tableFrame = frame;
  }
}

/** The table that a walk's entry of this level, which does not map a page, leads to. */
export const nextTable = (walked: WalkRecord, level: Level): number => frameOf(walked.low[level]!, walked.high[level]!);

/** The P and RSVD bits of the error code for a walk that did not reach a page. */
export const walkErrorCode = (outcome: WalkOutcome): number =>
  outcome === 'reserved' ? PFEC_page_present | PFEC_reserved_bit : 0;

export interface WalkStep {
  readonly level: Level;
  readonly index: number;
  readonly table: Mfn;
  /** Where the entry lies, and what it holds. */
  readonly address: Maddr;
  readonly entry: bigint;
}

/** A walk as a value, for reports: every entry read from CR3 on, and how it ended. */
export interface Walk {
  /** From level 4 downwards. */
  readonly steps: readonly WalkStep[];
  readonly outcome: WalkOutcome;
  /** The level of the last step. */
  readonly level: Level;
  /** Mapped: the machine frame of the 4 KiB page. */
  readonly frame?: Mfn;
  /** Mapped: effective rights, as RIGHT_ bits. */
  readonly rights?: number;
}

/** The whole walk for a canonical address from a root table, as memory stands now. Effect-free. */
export function walk(memory: MachineMemory, root: Mfn, address: Vaddr): Walk {
  const page = vaddrToVpn(address);
  const record = new WalkRecord();
  walkFrom(memory, page, root, 4, ALL_RIGHTS, record);
  const steps: WalkStep[] = [];
  for (let at = 4; at >= record.level; at--) {
    const level = at as Level;
    steps.push({
      level,
      index: indexOf(page, level),
      table: mfn(record.tables[level]!),
      address: record.addresses[level] as Maddr,
      entry: (BigInt(record.high[level]! >>> 0) << 32n) | BigInt(record.low[level]! >>> 0),
    });
  }
  const { outcome, level } = record;
  if (outcome !== 'mapped') return { steps, outcome, level };
  return { steps, outcome, level, frame: mfn(record.frame), rights: record.rights };
}
