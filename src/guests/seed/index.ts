// The seed's guest: layout.ts says where things lie and why, kernel.ts what it does.

import { START_KERNEL_MAP } from '../pv-runtime.js';
import { DOMAIN_PAGES, FIRST_TABLE_PFN, HOST_FRAMES, INITRD_BYTES } from './layout.js';

export { seedImage } from './kernel.js';
export { type KernelLayout, LAYOUT_2013 } from './layout.js';

/** The domain and the host that the seed's guest needs for its crash to have the 2013 numbers. */
export const SEED = {
  pages: DOMAIN_PAGES,
  initrdBytes: INITRD_BYTES,
  hostFrames: HOST_FRAMES,
  virtBase: START_KERNEL_MAP,
  /** Xen's L4; its L3 and L2 are the next two. */
  firstTablePfn: FIRST_TABLE_PFN,
} as const;
