// From what the history kept of a stale use to what an explanation says of it: who, whence, what was missing.

import { UVMF_FLUSHTYPE_MASK, UVMF_INVLPG, UVMF_NONE, UVMF_TLB_FLUSH } from '../abi/mmu-ops.js';
import type { EntryChange, FlushEvent, MachineEvidence, StaleLoad } from '../crash/index.js';
import type { InvalidateEvent, TableStoreEvent } from '../mmu/index.js';
import { type CallInProgress, XenWhy } from '../xen/index.js';
import type { Recorded, StaleUse } from './history.js';

/** Gives an address its name, "clear_page+0x12", or undefined where no symbol covers it. */
export type SymbolOf = (address: bigint) => string | undefined;

/** What only the machine knows about the crash that this stale use led to. */
export function evidenceOf(use: StaleUse, symbolOf: SymbolOf): MachineEvidence {
  const change = use.changed && entryChange(use.changed, symbolOf);
  const staleLoad = staleLoadOf(use, symbolOf);
  const call = use.changed && callOf(use.changed.event);
  const cure = call && CURES[call.name];
  return {
    ...(change && { change }),
    ...(staleLoad && { staleLoad }),
    flushes: flushesOf(use),
    faultTime: use.hit.event.at,
    ...(cure && { cure }),
  };
}

/** What asks for the flush that was missing, by the hypercall that changed the entry. */
const CURES: Readonly<Record<string, string>> = {
  update_va_mapping: 'UVMF_INVLPG',
  update_va_mapping_otherdomain: 'UVMF_INVLPG',
  mmu_update: 'MMUEXT_INVLPG_LOCAL',
};

const UVMF_NAMES: Readonly<Record<number, string>> = {
  [UVMF_NONE]: 'UVMF_NONE',
  [UVMF_TLB_FLUSH]: 'UVMF_TLB_FLUSH',
  [UVMF_INVLPG]: 'UVMF_INVLPG',
};

const callOf = (event: TableStoreEvent): CallInProgress | undefined =>
  event.why instanceof XenWhy ? event.why.call : undefined;

function entryChange({ event }: Recorded<TableStoreEvent>, symbolOf: SymbolOf): EntryChange | undefined {
  const call = callOf(event);
  if (!call) return undefined;
  const rip = call.returnsTo ?? call.rip;
  const symbol = symbolOf(rip);
  const flags = call.name.startsWith('update_va_mapping')
    ? UVMF_NAMES[Number((call.args[2] ?? 0n) & BigInt(UVMF_FLUSHTYPE_MASK))]
    : undefined;
  return {
    hypercall: call.name,
    ...(flags !== undefined && { flags }),
    rip,
    ...(symbol !== undefined && { symbol }),
    before: event.before,
    after: event.after,
    time: event.at,
  };
}

/** Loads by chance of `random` are reported as `any`: the guest gave no reason for either. */
function staleLoadOf({ hit, loaded, changed }: StaleUse, symbolOf: SymbolOf): StaleLoad | undefined {
  const entry = changed?.event.before;
  if (entry === undefined) return undefined;
  const { cause, filledAt } = hit.event;
  const why = cause === 'chance' ? 'any' : cause;
  const rip = why === 'any' ? undefined : loaded?.rip;
  const symbol = rip === undefined ? undefined : symbolOf(rip);
  return {
    why,
    ...(rip !== undefined && { rip }),
    ...(symbol !== undefined && { symbol }),
    entry,
    time: filledAt,
  };
}

/** The last flush before the load, which ended what was known before, and all between load and use. */
function flushesOf({ invalidations }: StaleUse): FlushEvent[] {
  const because = (why: string) => (flush: Recorded<InvalidateEvent>) => flushEvent(flush.event, why);
  return [
    ...invalidations.beforeLoad.slice(-1).map(because('came before the load')),
    ...invalidations.beforeChange.map(because('came before the entry was changed')),
    ...invalidations.afterChange.map(because('named another page')),
  ];
}

const flushEvent = (event: InvalidateEvent, why: string): FlushEvent => ({
  what: event.why.what,
  time: event.at,
  covered: why === 'came before the load',
  why,
});
