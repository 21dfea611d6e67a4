// A whole machine: make one from a configuration, run it, ask it how it ended. Reading order: config, machine, clock, cpuid;
// history and evidence (what an explanation may say of a stale use); guest-elf.

export type { CrashReport } from '../abi/crash-report.js';
export type { Explanation, MachineEvidence } from '../crash/index.js';
export {
  CPUS,
  type CpuName,
  DEFAULT_STALENESS,
  parseRefill,
  parseStaleness,
  printRefill,
  printStaleness,
  type Refill,
  type Staleness,
  TLB_POLICIES,
  type TlbPolicyName,
} from '../mmu/index.js';
export { type Finding, GRADES, type Grade, type Kind, type Mistake, needsAction } from '../sanitizer/index.js';
export { FLUSH_POLICIES, type FlushPolicy, parseFlushPolicy, printFlushPolicy } from '../xen/index.js';
export { DEFAULT_FIRST_MFN, defaultHost, type HostConfig, type MachineConfig } from './config.js';
export { guestElf } from './guest-elf.js';
export { Machine, type MachineStatistics, type RunState, type Tally } from './machine.js';
