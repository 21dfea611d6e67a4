// The museum: real bugs of translations that were not flushed, each as a guest with the bug and a guest without. Reading order:
// exhibit (what one is, and where it is tried), steps and kernel (what they are made of), then any of the exhibits.

import type { Exhibit } from './exhibit.js';
import { alias } from './exhibits/alias.js';
import { batchedReclaim } from './exhibits/batched-reclaim.js';
import { cowThreads } from './exhibits/cow-threads.js';
import { cpumask } from './exhibits/cpumask.js';
import { dirtyLost } from './exhibits/dirty-lost.js';
import { flushFirst } from './exhibits/flush-first.js';
import { forkError } from './exhibits/fork-error.js';
import { intolerantHandler } from './exhibits/intolerant-handler.js';
import { ksm } from './exhibits/ksm.js';
import { linearMap } from './exhibits/linear-map.js';
import { madviseTwice } from './exhibits/madvise-twice.js';
import { mremap } from './exhibits/mremap.js';
import { noFaultSection } from './exhibits/no-fault-section.js';
import { noShootdown } from './exhibits/no-shootdown.js';
import { nt4Epoch } from './exhibits/nt4-epoch.js';
import { numaMigrate } from './exhibits/numa-migrate.js';
import { pfnmap } from './exhibits/pfnmap.js';
import { pmdUnshare } from './exhibits/pmd-unshare.js';
import { preemptedVcpu } from './exhibits/preempted-vcpu.js';
import { recycledTables } from './exhibits/recycled-tables.js';
import { remap } from './exhibits/remap.js';
import { shadowReadonly } from './exhibits/shadow-readonly.js';
import { staleStamp } from './exhibits/stale-stamp.js';
import { superpageFlush } from './exhibits/superpage-flush.js';
import { tableFreedEarly } from './exhibits/table-freed-early.js';
import { uffdWp } from './exhibits/uffd-wp.js';
import { unmapReuse } from './exhibits/unmap-reuse.js';
import { userGlobal } from './exhibits/user-global.js';
import { userSpaceSwitch } from './exhibits/user-space-switch.js';
import { wrongCondition } from './exhibits/wrong-condition.js';

export { BENCHES, type BenchName, BUILDS, type BugClass, type Build, type Exhibit } from './exhibit.js';
export { FINE, MUSEUM_PAGES, museumImage, WRONG } from './kernel.js';

/** In the order of a tour: by class. */
export const MUSEUM: readonly Exhibit[] = [
  recycledTables,
  noFaultSection,
  intolerantHandler,
  alias,
  noShootdown,
  cpumask,
  preemptedVcpu,
  shadowReadonly,
  cowThreads,
  remap,
  forkError,
  uffdWp,
  wrongCondition,
  unmapReuse,
  mremap,
  pfnmap,
  numaMigrate,
  batchedReclaim,
  madviseTwice,
  ksm,
  flushFirst,
  pmdUnshare,
  tableFreedEarly,
  linearMap,
  userGlobal,
  userSpaceSwitch,
  superpageFlush,
  nt4Epoch,
  staleStamp,
  dirtyLost,
];
