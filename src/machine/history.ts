// What happened to translations during a run, kept so that a crash can be explained with what only the machine knows: who
// changed the entry, when the stale translation was loaded, which flushes came in between, which flush would have cured it.
// It listens to the mmu's events and looks into nothing else. Memory is bounded: the last store per entry, the last fill per
// page, the last INVALIDATIONS_KEPT invalidations.
// Events of one hypercall happen at one instruction, so they are told apart by the order in which they came, not by time.

import type { Maddr, Vaddr, Vpn } from '../base/addresses.js';
import { vaddrToVpn } from '../base/addresses.js';
import type { Channel } from '../base/events.js';
import type { FillEvent, InvalidateEvent, MmuEvent, StaleHitEvent, TableStoreEvent } from '../mmu/index.js';

const INVALIDATIONS_KEPT = 256;

/** An event, the how-manieth it was, and the instruction that its vCPU was executing (on a wrong path, one on that path). */
export interface Recorded<Event> {
  readonly event: Event;
  readonly order: number;
  readonly rip: bigint;
}

/** A stale use, with both of its sides. */
export interface StaleUse {
  readonly hit: Recorded<StaleHitEvent>;
  /** The load of the translation that was used; undefined when it is older than what is kept. */
  readonly loaded: Recorded<FillEvent> | undefined;
  /** The last store to the entry that it was loaded from, if that came after the load. */
  readonly changed: Recorded<TableStoreEvent> | undefined;
  /** What the vCPU was told to forget: before the load, between load and change, between change and use. */
  readonly invalidations: {
    readonly beforeLoad: readonly Recorded<InvalidateEvent>[];
    readonly beforeChange: readonly Recorded<InvalidateEvent>[];
    readonly afterChange: readonly Recorded<InvalidateEvent>[];
  };
}

export class TranslationHistory {
  readonly #stores = new Map<Maddr, Recorded<TableStoreEvent>>();
  readonly #fills = new Map<string, Recorded<FillEvent>>();
  readonly #invalidations: Recorded<InvalidateEvent>[] = [];
  /** By vCPU. */
  readonly #hits = new Map<number, Recorded<StaleHitEvent>>();
  #order = 0;

  /** `rip` says which instruction is being executed at the moment. */
  constructor(events: Channel<MmuEvent>, rip: () => bigint) {
    const record = <Event>(event: Event): Recorded<Event> => ({ event, order: this.#order++, rip: rip() });
    events.subscribe((event) => {
      if (event.kind === 'table-store') {
        if (changesMapping(event)) this.#stores.set(event.address, record(event));
      } else if (event.kind === 'fill') this.#fills.set(keyOf(event.vcpu, event.page), record(event));
      else if (event.kind === 'stale-hit') this.#hits.set(event.vcpu, record(event));
      else if (event.kind === 'invalidate' && event.scope.kind !== 'page-fault') {
        this.#invalidations.push(record(event));
        if (this.#invalidations.length > INVALIDATIONS_KEPT) this.#invalidations.shift();
      }
    });
  }

  /** The vCPU's last stale use, if it was of the page of this address. */
  staleUse(vcpu: number, address: Vaddr): StaleUse | undefined {
    const hit = this.#hits.get(vcpu);
    if (!hit || hit.event.page !== vaddrToVpn(address)) return undefined;
    const loaded = this.#fills.get(keyOf(vcpu, hit.event.page));
    const store = this.#stores.get(hit.event.leaf);
    const loadOrder = loaded?.order ?? -1;
    const changed = store && store.order > loadOrder ? store : undefined;
    const changeOrder = changed?.order ?? loadOrder;
    const within = (from: number, to: number): readonly Recorded<InvalidateEvent>[] =>
      this.#invalidations.filter(({ event, order }) => event.vcpu === vcpu && order > from && order < to);
    return {
      hit,
      loaded,
      changed,
      invalidations: {
        beforeLoad: within(-1, loadOrder),
        beforeChange: within(loadOrder, changeOrder),
        afterChange: within(changeOrder, hit.order),
      },
    };
  }
}

/** The CPU's own updates of A and D change no mapping. */
const changesMapping = ({ before, after }: TableStoreEvent): boolean => ((before ^ after) & ~0x60n) !== 0n;

const keyOf = (vcpu: number, page: Vpn): string => `${vcpu}:${page}`;
