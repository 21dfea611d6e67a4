// A domain: its frames, its vCPUs, its shared_info, and how it ended.
// Source: Xen 4.17 xen/sched.h (struct domain). Left out: cpupools, memory sharing, passthrough.

import type { CrashReport } from '../abi/crash-report.js';
import type { Mfn } from '../base/addresses.js';
import { EmergencyOutput } from './emergency-output.js';
import { EventChannels } from './events.js';
import { GrantTable } from './grants.js';
import type { Hypervisor } from './hypervisor.js';
import { DomainScheduling } from './scheduling.js';
import type { XenVcpu } from './vcpu.js';

export type EndReason = 'poweroff' | 'reboot' | 'suspend' | 'crash' | 'watchdog' | 'soft_reset';

/** How a domain ended; a crash that Xen or a guest's own SHUTDOWN_crash caused. Only the former has a report. */
export interface DomainEnd {
  readonly reason: EndReason;
  readonly report?: CrashReport;
}

export class Domain {
  readonly hypervisor: Hypervisor;
  readonly id: number;
  readonly vcpus: XenVcpu[] = [];
  /** The frame of struct shared_info, a page of Xen's that the domain owns. */
  readonly sharedInfo: Mfn;
  /** The most pages it may have (XENMEM_maximum_reservation). */
  readonly maxPages: number;
  /** The frames it owns, beside those that Xen shares with it. */
  readonly frames = new Set<Mfn>();
  /** vm_assist types that are on, as a bit mask. */
  vmAssist = 0n;
  readonly events: EventChannels;
  readonly grants: GrantTable;
  readonly scheduling: DomainScheduling;
  readonly emergencyOutput: EmergencyOutput;
  /** Undefined while it lives. Set once. */
  ended: DomainEnd | undefined = undefined;

  constructor(hypervisor: Hypervisor, id: number, sharedInfo: Mfn, maxPages: number) {
    this.hypervisor = hypervisor;
    this.id = id;
    this.sharedInfo = sharedInfo;
    this.maxPages = maxPages;
    this.events = new EventChannels(this);
    this.grants = new GrantTable(this);
    this.scheduling = new DomainScheduling(this);
    this.emergencyOutput = new EmergencyOutput(this);
  }

  /** vCPU 0, the one that the builder starts. */
  get initialVcpu(): XenVcpu {
    return this.vcpus[0]!;
  }

  /** How many frames it owns now. */
  get pages(): number {
    return this.frames.size;
  }

  /** The vCPUs whose CPUs may hold translations of this domain. */
  dirtyVcpus(): readonly XenVcpu[] {
    return this.vcpus.filter(({ dirty }) => dirty);
  }

  /** Ends the domain; a second call changes nothing. */
  end(end: DomainEnd): void {
    this.ended ??= end;
  }
}
