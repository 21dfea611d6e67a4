// Address translation as the architecture allows it: the walk, what may be remembered of it, and what must be forgotten.
// Reading order: walk, entry, access, mmu, page-tables, staleness, events.

export {
  ALL_RIGHTS,
  FETCH,
  READ,
  RIGHT_EXECUTE,
  RIGHT_USER,
  RIGHT_WRITE,
  SPECULATIVE,
  type Translation,
  translation,
  USER,
  WRITE,
} from './access.js';
export type {
  FillCause,
  FillEvent,
  InvalidateEvent,
  InvalidateScope,
  MmuEvent,
  PscFillEvent,
  StaleHitEvent,
  TableStoreEvent,
  Why,
} from './events.js';
export { type DerivedCache, type HeldTranslation, Mmu, type MmuOptions } from './mmu.js';
export { PageTables, type PageTablesOptions } from './page-tables.js';
export {
  CPUS,
  type CpuName,
  DEFAULT_STALENESS,
  DEFAULT_WRONG_PATH,
  parseRefill,
  parseStaleness,
  printRefill,
  printStaleness,
  type Refill,
  type Staleness,
  type StalenessTexts,
  TLB_POLICIES,
  type TlbPolicyName,
} from './staleness.js';
export { coveredBytes, entryAddress, indexOf, type Walk, type WalkOutcome, type WalkStep, walk } from './walk.js';
