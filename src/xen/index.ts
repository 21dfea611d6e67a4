// The hypervisor, as other rooms see it. Reading order within: hypervisor, domain, vcpu, entry (in and out of Xen), dispatch,
// hypercalls/*, continuation (long ones in parts); page-info, page-types, validate, entry-update (whose page is what); flush
// (the clock); traps, bounce, emulate, ptwr; crash; events, time, scheduling, grants.

export type { Complaint } from './complaints.js';
export { withXenPrefix, XenConsole } from './console.js';
export { type CpuidResult, type HardwareCpuid, policyCpuid } from './cpuid.js';
export type { DomainImage, DomainOptions } from './create-domain.js';
export { readDescriptor, systemRegisters } from './descriptors.js';
export type { Domain, DomainEnd, EndReason } from './domain.js';
export type { BackendPort, EventChannels } from './events.js';
export type { BounceEvent, HypercallEvent, ModeSwitchEvent, XenEvent } from './events-of-xen.js';
export {
  FLUSH_POLICIES,
  type FlushPolicy,
  parseFlushPolicy,
  printFlushPolicy,
} from './flush.js';
export type { GrantTable } from './grants.js';
export { peekGuest, peekGuest64 } from './guest-memory.js';
export { hypercallName } from './hypercalls/index.js';
export {
  type Clock,
  Hypervisor,
  type HypervisorConfig,
  type HypervisorOptions,
  type VersionProfile,
} from './hypervisor.js';
export type { RunState, VcpuHardware, XenVcpu } from './vcpu.js';
export { type CallInProgress, XenWhy } from './why.js';
