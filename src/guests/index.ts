// Our own PV guests, each a story told in assembly.

export type { GuestImage } from './image.js';
export { type KernelLayout, LAYOUT_2013, SEED, seedImage } from './seed/index.js';
