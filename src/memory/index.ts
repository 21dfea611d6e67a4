// Machine memory: frames and their bytes, the order in which a domain gets them, Xen's own frames, and the M2P.
// Reading order: machine-memory, frame-map, frame-order, frame-allocator, m2p.

export { FrameAllocator, type FrameAllocatorOptions } from './frame-allocator.js';
export {
  addOrderedFrames,
  ascending,
  descending,
  type FrameExtent,
  type FrameOrder,
  frameCount,
  orderedMfn,
} from './frame-order.js';
export { INVALID_M2P_ENTRY, M2P_RUN_ENTRIES, M2P_RUN_FRAMES, M2p, type M2pRun } from './m2p.js';
export { type CodeWriteListener, MachineMemory, type MachineMemoryOptions } from './machine-memory.js';
