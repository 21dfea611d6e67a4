// The museum: real bugs of translations that were not flushed, each as a guest with the bug and a guest without. Reading order:
// exhibit (what one is, and where it is tried), steps and kernel (what they are made of), then any of the exhibits.

import type { Exhibit } from './exhibit.js';
import { forkError } from './exhibits/fork-error.js';
import { remap } from './exhibits/remap.js';
import { unmapReuse } from './exhibits/unmap-reuse.js';

export { BENCHES, type BenchName, BUILDS, type BugClass, type Build, type Exhibit } from './exhibit.js';
export { FINE, MUSEUM_PAGES, museumImage, WRONG } from './kernel.js';

/** In the order of a tour: by class. */
export const MUSEUM: readonly Exhibit[] = [remap, forkError, unmapReuse];
