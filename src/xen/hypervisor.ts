// The hypervisor: what is machine-wide. Frames and who owns them, domains, the TLB clock, the log, the configuration.
// Sources: Xen 4.17 arch/x86/mm.c, common/domain.c. Left out: scheduling of vCPUs onto CPUs (each vCPU has a CPU of its own).

import type { Mfn } from '../base/addresses.js';
import { type Channel, channel } from '../base/events.js';
import type { M2p, MachineMemory } from '../memory/index.js';
import { XenConsole } from './console.js';
import type { Domain } from './domain.js';
import type { PageInfo } from './page-info.js';

/** Which Xen's return values, wording and dump form: the last of the old line, or a current one. */
export type VersionProfile = '4.1' | '4.17';

/** Virtual time, driven by the machine: it moves only while guests run or when the machine skips idle time. */
export interface Clock {
  /** Nanoseconds since Xen booted. */
  nowNs(): bigint;
  /** The time stamp counter at this moment. */
  tsc(): bigint;
  /** How fast the time stamp counter ticks. */
  readonly tscHz: bigint;
  /** Wall-clock time when nowNs() was 0, in nanoseconds since 1970. */
  readonly bootWallNs: bigint;
}

export interface HypervisorConfig {
  readonly profile: VersionProfile;
  /** As the banner prints it: "4.1.3OVM". */
  readonly version: string;
  /** A debug build: prints what a release of 4.17 keeps to itself. */
  readonly debug: boolean;
  /** The physical CPU that vCPU 0 of every domain runs on. */
  readonly firstCpu: number;
}

/** What memory_op takes frames from and gives them back to. */
export interface FreeFrames {
  /** A zeroed frame of RAM that nobody owns, or undefined when none is left. */
  allocate(): Mfn | undefined;
  free(frame: Mfn): void;
}

export interface HypervisorOptions {
  readonly config: HypervisorConfig;
  readonly memory: MachineMemory;
  readonly m2p: M2p;
  readonly clock: Clock;
  readonly freeFrames: FreeFrames;
}

export class Hypervisor {
  readonly config: HypervisorConfig;
  readonly memory: MachineMemory;
  readonly m2p: M2p;
  readonly clock: Clock;
  readonly freeFrames: FreeFrames;
  /** Xen's own log, apart from any guest's console. */
  readonly console = new XenConsole();
  readonly domains = new Map<number, Domain>();
  readonly pages = new Map<Mfn, PageInfo>();
  /** What guests printed by console_io: (domain, bytes). */
  readonly emergencyConsole: Channel<{ readonly domain: Domain; readonly bytes: Uint8Array }> = channel();

  constructor(options: HypervisorOptions) {
    this.config = options.config;
    this.memory = options.memory;
    this.m2p = options.m2p;
    this.clock = options.clock;
    this.freeFrames = options.freeFrames;
  }

  /** What is known of a frame; undefined when it is no RAM. */
  page(frame: Mfn): PageInfo | undefined {
    return this.pages.get(frame);
  }
}
