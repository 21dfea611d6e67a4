// Our own PV guests, each a story told in assembly.

export type { GuestImage } from './image.js';
export {
  BENCHES,
  type BenchName,
  BUILDS,
  type BugClass,
  type Build,
  type Exhibit,
  FINE,
  MUSEUM,
  MUSEUM_PAGES,
  museumImage,
  WRONG,
} from './museum/index.js';
export { type KernelLayout, LAYOUT_2013, SEED, seedImage } from './seed/index.js';
