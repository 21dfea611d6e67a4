// The sanitizer: listens to what happens to translations, and finds each access whose outcome depends on which of the
// translations that the architecture allows to be held is used, whichever the machine took.
//
// Work is done when a table changes, and when a page with more than one candidate is accessed: the mmu asks `watches`, and
// keeps such pages off its fast way. What is assumed of fills is the manual's worst: any translation, at any moment.
// Left out: PCIDs; the paging-structure caches' entries that a #PF's walk did not use.

import { type Level, PTE_A, PTE_D } from '../abi/paging.js';
import type { Maddr, Mfn, Vpn } from '../base/addresses.js';
import { maddrToMfn } from '../base/addresses.js';
import { allows, FETCH, USER, WRITE } from '../mmu/access.js';
import {
  type AccessEvent,
  AD_UPDATE,
  type FillEvent,
  type InvalidateEvent,
  type MmuEvent,
  type StaleHitEvent,
  type TableStoreEvent,
  type TranslationWatcher,
  type Walk,
} from '../mmu/events.js';
import { type Candidate, candidatesFor, freshWalk } from './candidates.js';
import { CpuMemory } from './cpu.js';
import { EntryHistory } from './entries.js';
import type { Change, Finding, Place } from './finding.js';
import { FindingLog, type Occurrence } from './findings.js';
import {
  type Circumstances,
  covers,
  cureOf,
  frameIn,
  gradeOf,
  isHeldValue,
  kindOf,
  type Logged,
  mistakeOf,
  onlySetsAd,
  whyNot,
} from './judge.js';
import type { Surroundings } from './surroundings.js';

const INVALIDATIONS_KEPT = 256;
const FLUSHES_SHOWN_BEFORE = 2;
/** Entries with a past, above which one looks for what can be forgotten. */
const SWEEP_AT = 4096;
const AD = PTE_A | PTE_D;

interface Recorded<Event> {
  readonly event: Event;
  readonly moment: number;
  readonly place: Place;
}

export interface SanitizerOptions {
  /** Whether flushes that Xen does for its own sake count: then what they happen to cover is not found. */
  readonly trustsAccidents?: boolean;
}

export class Sanitizer implements TranslationWatcher {
  readonly #around: Surroundings;
  readonly #trustsAccidents: boolean;
  readonly #entries: EntryHistory;
  readonly #cpus = new Map<number, CpuMemory>();
  readonly #log: Logged[] = [];
  readonly #findings: FindingLog;
  /** What a change was: its moment, and the use of its old frame at that time. */
  readonly #changes = new WeakMap<Change, { readonly moment: number; readonly frameUse: string | undefined }>();
  /** When an entry that refers to a frame was last stored, and where. */
  readonly #mapped = new Map<Mfn, { readonly moment: number; readonly address: Maddr }>();
  readonly #fills = new Map<string, Recorded<FillEvent>>();
  #moment = 1;
  #lastStore = 0;
  #sweepAt = SWEEP_AT;
  #looked: { vcpu: number; page: Vpn; moment: number; candidates: readonly Candidate[] } | undefined;
  #lastUses: readonly Occurrence[] = [];

  /** To be subscribed to the machine's events, set as its tables' watcher, and told of each vCPU. */
  constructor(around: Surroundings, { trustsAccidents = false }: SanitizerOptions = {}) {
    this.#around = around;
    this.#trustsAccidents = trustsAccidents;
    this.#entries = new EntryHistory(around.readEntry);
    this.#findings = new FindingLog(around.symbolOf);
  }

  /** A vCPU with this root in CR3, which holds nothing yet. */
  addVcpu(vcpu: number, root: Mfn): void {
    this.#cpus.set(vcpu, new CpuMemory(root, this.#moment));
  }

  /** Findings so far, worst first. */
  get findings(): readonly Finding[] {
    return this.#findings.all();
  }

  /** What the vCPU may hold for a page beside what memory says, by the manual; equal ones are not told apart. Effect-free. */
  mayHold(vcpu: number, page: Vpn): readonly Candidate[] {
    const cpu = this.#cpus.get(vcpu);
    return cpu ? candidatesFor(cpu, this.#entries, page, this.#moment) : [];
  }

  watches(vcpu: number, page: Vpn): boolean {
    const cpu = this.#cpus.get(vcpu);
    if (!cpu || (!this.#entries.any && cpu.roots.length === 1)) return false;
    return this.#candidates(cpu, vcpu, page).length > 0;
  }

  heard(event: MmuEvent): void {
    switch (event.kind) {
      case 'access':
        this.#accessed(event);
        break;
      case 'table-store':
        this.#stored(event);
        break;
      case 'invalidate':
        this.#invalidated(event);
        break;
      case 'stale-hit':
        this.#taken(event);
        break;
      case 'fill':
        if (event.cause !== 'access' || this.#entries.any)
          this.#fills.set(`${event.vcpu} ${event.page}`, {
            event,
            moment: this.#moment,
            place: this.#around.place(event.vcpu),
          });
        break;
      case 'psc-fill':
        break;
    }
  }

  /** The guest died of an exception or gave up; `page` is what its last page fault was about, if that is what it died of. */
  guestDied(vcpu: number, page: Vpn | undefined): void {
    if (page !== undefined) this.#findings.fatal(vcpu, page);
  }

  // ---- tables

  #stored(event: TableStoreEvent): void {
    const { address, before, after } = event;
    if (event.why === AD_UPDATE) {
      this.#entries.bitsSet(address, after);
      return;
    }
    if (before === after) return;
    const moment = ++this.#moment;
    this.#lastStore = moment;
    if (onlySetsAd(before, after)) {
      this.#entries.bitsSet(address, after);
      return;
    }
    const change = isHeldValue(before) ? this.#change(event) : undefined;
    if (change) {
      this.#changes.set(change, { moment, frameUse: this.#around.frameUse(frameIn(before)) });
      if (change.level > 1 && frameIn(before) !== frameIn(after))
        this.#entries.tableLeft(frameIn(before), (change.level - 1) as Level, moment);
    }
    this.#entries.stored(address, before, after, moment, change);
    if (isHeldValue(after) && frameIn(after) !== frameIn(before)) this.#mapped.set(frameIn(after), { moment, address });
    if (this.#entries.size > this.#sweepAt) this.#sweep();
  }

  #change({ address, before, after, at, why }: TableStoreEvent): Change {
    const call = this.#around.callOf(why);
    return {
      address,
      level: this.#around.levelOf(maddrToMfn(address)) ?? 1,
      before,
      after,
      at,
      what: why.what,
      ...(call && { call }),
      place: this.#around.place(call?.vcpu ?? this.#around.running()),
    };
  }

  #sweep(): void {
    this.#entries.forget(Math.min(...[...this.#cpus.values()].map(({ allAt }) => allAt)));
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#entries.size);
  }

  // ---- flushes

  #invalidated({ vcpu, at, scope, root, why }: InvalidateEvent): void {
    const cpu = this.#cpus.get(vcpu);
    if (!cpu) {
      if (root !== undefined) this.addVcpu(vcpu, root);
      return;
    }
    const moment = ++this.#moment;
    const call = this.#around.callOf(why);
    const cause = this.#around.flushCause(why);
    if (scope.kind !== 'page-fault') {
      this.#log.push({ moment, vcpu, at, scope, what: why.what, call, cause });
      if (this.#log.length > INVALIDATIONS_KEPT) this.#log.shift();
      if (call && cause !== 'accident')
        this.#findings.flushed(vcpu, (page, candidate) => covers(scope, page, candidate));
    }
    if (root !== undefined && root !== cpu.root) {
      const left: Change = {
        address: (cpu.root * 4096) as Maddr,
        level: 4,
        before: BigInt(cpu.root) << 12n,
        after: BigInt(root) << 12n,
        at,
        what: why.what,
        ...(call && { call }),
        place: this.#around.place(vcpu),
      };
      this.#changes.set(left, { moment, frameUse: undefined });
      cpu.rootIs(root, moment, this.#lastStore, left);
    }
    if (cause === 'accident' && !this.#trustsAccidents) return;
    this.#entries.sample(
      moment - 1,
      Math.min(...[...this.#cpus.values()].map(({ tablesDroppedAt }) => tablesDroppedAt)),
    );
    cpu.invalidated(scope, moment, this.#lastStore);
  }

  // ---- uses

  #candidates(cpu: CpuMemory, vcpu: number, page: Vpn): readonly Candidate[] {
    const looked = this.#looked;
    if (looked && looked.vcpu === vcpu && looked.page === page && looked.moment === this.#moment)
      return looked.candidates;
    const candidates = this.#entries.any || cpu.roots.length > 1 ? this.#differing(cpu, page) : [];
    this.#looked = { vcpu, page, moment: this.#moment, candidates };
    return candidates;
  }

  /** The candidates that differ from the fresh walk in anything that an access could tell. */
  #differing(cpu: CpuMemory, page: Vpn): readonly Candidate[] {
    const all = candidatesFor(cpu, this.#entries, page, this.#moment);
    if (all.length === 0) return all;
    const fresh = freshWalk(this.#entries, cpu.root, page, this.#moment);
    const leaf = fresh.steps.at(-1)?.entry ?? 0n;
    return all.filter(
      ({ frame, rights, level, entry }) =>
        frame !== fresh.frame ||
        (frame !== undefined && (rights !== fresh.rights || level !== fresh.level || (entry & ~leaf & AD) !== 0n)),
    );
  }

  #accessed(event: AccessEvent): void {
    const { vcpu, page, access } = event;
    const cpu = this.#cpus.get(vcpu);
    if (!cpu) return;
    const fresh = freshWalk(this.#entries, cpu.root, page, this.#moment);
    const uses: Occurrence[] = [];
    for (const candidate of this.#candidates(cpu, vcpu, page)) {
      const kind = candidate.change && kindOf(candidate, fresh, access);
      if (!kind || !candidate.change) continue;
      const key = `${vcpu} ${page} ${kind} ${this.#changes.get(candidate.change)?.moment} ${access & (WRITE | FETCH)}`;
      uses.push(this.#findings.known(key) ?? this.#found(key, event, cpu, candidate, candidate.change, fresh, kind));
    }
    this.#lastUses = uses;
  }

  #found(
    key: string,
    { vcpu, page, access, at }: AccessEvent,
    cpu: CpuMemory,
    candidate: Candidate,
    change: Change,
    fresh: Walk,
    kind: NonNullable<ReturnType<typeof kindOf>>,
  ): Occurrence {
    const known = this.#changes.get(change);
    const changed = known?.moment ?? 0;
    const circumstances: Circumstances = {
      vcpu,
      page,
      candidate,
      changed,
      inPresentTree: fresh.steps.some((step) => step.address === change.address) || candidate.changedLevel < 4,
      log: this.#log,
      frameOf: (other) => freshWalk(this.#entries, cpu.root, other, this.#moment).frame,
    };
    const mistake = mistakeOf(circumstances);
    const staleServes = candidate.frame !== undefined && allows(candidate.rights, access);
    const freshServes = fresh.frame !== undefined && allows(fresh.rights ?? 0, access);
    const reuse =
      candidate.frame === undefined ? undefined : this.#reuse(candidate.frame, change, changed, known?.frameUse);
    const fill = this.#fills.get(`${vcpu} ${page}`);
    const loaded =
      fill &&
      fill.event.frame === candidate.frame &&
      fill.event.rights === candidate.rights &&
      fill.moment < changed &&
      cpu.mayHold(page, fill.event.level, fill.event.global, fill.moment)
        ? { at: fill.event.at, place: fill.place, cause: fill.event.cause }
        : undefined;
    const before = this.#log.filter(({ moment, vcpu: on }) => moment <= changed && on === vcpu);
    const between = this.#log.filter(({ moment }) => moment > changed);
    const flushes = [...before.slice(-FLUSHES_SHOWN_BEFORE), ...between].map((flush) => ({
      vcpu: flush.vcpu,
      at: flush.at,
      scope: flush.scope,
      what: flush.what,
      cause: flush.cause,
      why: whyNot(flush, circumstances),
    }));
    const hidden = between.find(
      ({ cause, scope, vcpu: on }) => cause === 'accident' && on === vcpu && covers(scope, page, candidate),
    );
    const grade = gradeOf(kind, this.#around.handlesFaults(vcpu), staleServes, reuse !== undefined);
    const place = this.#around.place(vcpu);
    return this.#findings.add(
      key,
      { vcpu, changedBy: change.place.vcpu, page, level: candidate.level, global: candidate.global, grade },
      {
        kind,
        mistake,
        change: settled(change),
        use: {
          page,
          at,
          place: { ...place, stack: [...place.stack] },
          access: (access & FETCH) !== 0 ? 'fetch' : (access & WRITE) !== 0 ? 'write' : 'read',
          by: (access & USER) !== 0 ? 'guest' : 'xen',
        },
        stale: { frame: candidate.frame, rights: candidate.rights, served: staleServes },
        fresh: { frame: fresh.frame, rights: fresh.rights ?? 0, served: freshServes },
        staleEntry: { address: candidate.address, value: candidate.entry, level: candidate.level },
        loaded: loaded && { ...loaded, place: { ...loaded.place, stack: [...loaded.place.stack] } },
        couldLoadUntil: change.at,
        flushes,
        cure: cureOf(change, mistake, change.level),
        walk: fresh,
        ...(hidden && { hiddenBy: hidden.what }),
        ...(reuse !== undefined && { reuse }),
      },
    );
  }

  /** What has become of the frame since the change, if it is not what it was. */
  #reuse(frame: Mfn, change: Change, changed: number, was: string | undefined): string | undefined {
    const now = this.#around.frameUse(frame);
    if (frame === frameIn(change.before) && was !== now) return `${was ?? 'free'}, now ${now ?? 'free'}`;
    const mapped = this.#mapped.get(frame);
    if (mapped && mapped.moment > changed && mapped.address !== change.address) return 'mapped elsewhere since';
    return undefined;
  }

  #taken({ vcpu, page, at }: StaleHitEvent): void {
    for (const use of this.#lastUses) if (use.vcpu === vcpu && use.page === page) this.#findings.taken(use, at);
  }
}

/** The same with its stack read: it was not worth it before. */
const settled = (change: Change): Change => ({ ...change, place: { ...change.place, stack: [...change.place.stack] } });
