// Our own PV guests, each a story told in assembly.

export type { GuestImage } from './image.js';
export { SEED, seedImage } from './seed/index.js';
