// Findings by title. Each page and change counts once; a finding is as bad as the worst of its occurrences, and the first of
// those is the one that is shown.

import type { Vpn } from '../base/addresses.js';
import type { Candidate } from './candidates.js';
import { type Finding, GRADES, type Grade, type Kind } from './finding.js';

/** One page's use of one stale translation. */
export interface Occurrence {
  readonly vcpu: number;
  /** The vCPU that changed the entry. */
  readonly changedBy: number;
  readonly page: Vpn;
  readonly level: Candidate['level'];
  readonly global: boolean;
  grade: Grade;
}

interface Entry {
  readonly shown: Omit<Finding, 'title' | 'grade' | 'count' | 'taken'>;
  taken: Finding['taken'];
  readonly occurrences: Occurrence[];
}

const KIND_WORDS: Readonly<Record<Kind, string>> = {
  'right-added': 'stale translation without an added right',
  'right-removed': 'stale translation with a right that was removed',
  unmapped: 'stale translation of a page that was unmapped',
  'frame-replaced': 'stale translation to a frame that was replaced',
  'table-replaced': 'stale translation through a page table that was taken away',
  'size-changed': 'stale translation of another page size',
  'dirty-lost': 'write that does not set the dirty bit',
  'accessed-lost': 'access that does not set the accessed bit',
};

/** What a kind of finding is called in titles. */
export const kindWords = (kind: Kind): string => KIND_WORDS[kind];

export class FindingLog {
  readonly #symbolOf: (address: bigint) => string | undefined;
  readonly #byTitle = new Map<string, Entry>();
  readonly #byKey = new Map<string, Occurrence>();
  readonly #entryOf = new Map<Occurrence, Entry>();
  /**
   * Occurrences that a flush may still turn into a window: those on another vCPU than the one that made the change. On the same
   * one the use comes after the change in program order, and the flush later than it should.
   */
  readonly #open = new Set<Occurrence>();

  constructor(symbolOf: (address: bigint) => string | undefined) {
    this.#symbolOf = symbolOf;
  }

  known(key: string): Occurrence | undefined {
    return this.#byKey.get(key);
  }

  add(key: string, occurrence: Occurrence, shown: Entry['shown']): Occurrence {
    const title = this.#title(shown);
    let entry = this.#byTitle.get(title);
    if (!entry) {
      entry = { shown, taken: undefined, occurrences: [] };
      this.#byTitle.set(title, entry);
    }
    entry.occurrences.push(occurrence);
    this.#byKey.set(key, occurrence);
    this.#entryOf.set(occurrence, entry);
    if (occurrence.grade === 'stale-use' && occurrence.vcpu !== occurrence.changedBy) this.#open.add(occurrence);
    return occurrence;
  }

  /** The machine did use the stale translation, now. */
  taken(occurrence: Occurrence, at: number): void {
    const entry = this.#entryOf.get(occurrence);
    if (entry && !entry.taken) entry.taken = { page: occurrence.page, at };
  }

  /** A flush that the guest asked for came after all: what it covers was a window. */
  flushed(vcpu: number, covered: (page: Vpn, candidate: Pick<Candidate, 'level' | 'global'>) => boolean): void {
    for (const occurrence of this.#open) {
      if (occurrence.vcpu !== vcpu || !covered(occurrence.page, occurrence)) continue;
      occurrence.grade = 'window';
      this.#open.delete(occurrence);
    }
  }

  /** The guest died of a fault on this page. */
  fatal(vcpu: number, page: Vpn): void {
    for (const occurrence of this.#byKey.values())
      if (occurrence.vcpu === vcpu && occurrence.page === page) occurrence.grade = 'fatal';
  }

  /** Worst first, else in the order in which they came. */
  all(): readonly Finding[] {
    const findings = [...this.#byTitle].map(([title, { shown, taken, occurrences }]): Finding => {
      const grades = occurrences.map(({ grade }) => grade);
      const grade = GRADES.find((one) => grades.includes(one)) ?? 'tolerated';
      return { ...shown, taken, title, grade, count: occurrences.length };
    });
    return findings.sort((a, b) => GRADES.indexOf(a.grade) - GRADES.indexOf(b.grade));
  }

  #title({ kind, change, use }: Entry['shown']): string {
    const used = this.#nameOf(use.place.rip, use.place.stack);
    const changed = this.#nameOf(change.call?.site ?? change.place.rip, change.place.stack);
    return `${KIND_WORDS[kind]}: ${use.access} in ${used}, entry changed in ${changed}`;
  }

  /** The function, without the offset, so that a title outlives a rebuild. */
  #nameOf(rip: bigint, stack: readonly bigint[]): string {
    for (const address of [rip, ...stack]) {
      const name = this.#symbolOf(address)?.replace(/\+0x[0-9a-f]+$/, '');
      if (name !== undefined && name !== 'hypercall_page') return name;
    }
    return rip.toString(16);
  }
}
