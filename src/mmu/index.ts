// Address translation as the architecture allows it: the walk, what may be remembered of it, and what must be
// forgotten. Reading order: walk (with entry, access, regions), mmu, tlb and psc (made of entry-cache), policies, cpus,
// any (with table-places), page-tables, staleness; events, reporter and contents for those who watch.

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
export type { Contents, HeldTable, HeldTranslation } from './contents.js';
export type {
  AccessEvent,
  FillCause,
  FillEvent,
  InvalidateEvent,
  InvalidateScope,
  MmuEvent,
  PscFillEvent,
  StaleHitEvent,
  TableStoreEvent,
  TranslationWatcher,
  Why,
} from './events.js';
export { Mmu, type MmuOptions } from './mmu.js';
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
export type { DerivedCache } from './tlb.js';
export { entryAddress, type Walk, type WalkOutcome, type WalkStep, walk } from './walk.js';
