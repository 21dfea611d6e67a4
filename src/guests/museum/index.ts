// The museum: real bugs of translations that were not flushed, each as a guest with the bug and a guest without. Reading order:
// exhibit (what one is, and where it is tried), steps and kernel (what they are made of), then any of the exhibits.

import type { Exhibit } from './exhibit.js';
import { alias } from './exhibits/alias.js';
import { dirtyLost } from './exhibits/dirty-lost.js';
import { forkError } from './exhibits/fork-error.js';
import { intolerantHandler } from './exhibits/intolerant-handler.js';
import { mremap } from './exhibits/mremap.js';
import { noFaultSection } from './exhibits/no-fault-section.js';
import { nt4Epoch } from './exhibits/nt4-epoch.js';
import { pfnmap } from './exhibits/pfnmap.js';
import { recycledTables } from './exhibits/recycled-tables.js';
import { remap } from './exhibits/remap.js';
import { unmapReuse } from './exhibits/unmap-reuse.js';

export { BENCHES, type BenchName, BUILDS, type BugClass, type Build, type Exhibit } from './exhibit.js';
export { FINE, MUSEUM_PAGES, museumImage, WRONG } from './kernel.js';

/** In the order of a tour: by class. */
export const MUSEUM: readonly Exhibit[] = [
  recycledTables,
  noFaultSection,
  intolerantHandler,
  alias,
  remap,
  forkError,
  unmapReuse,
  mremap,
  pfnmap,
  nt4Epoch,
  dirtyLost,
];
