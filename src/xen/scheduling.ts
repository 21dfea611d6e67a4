// A domain as the scheduler sees it: its timers taken together, its watchdogs, how it is shut down.
// Source: Xen 4.17 common/sched/core.c (domain_watchdog), common/domain.c (domain_shutdown). Left out: affinity, priorities,
// and suspending as anything more than a way to end.

import { EINVAL, ENOSPC } from '../abi/errno.js';
import {
  SHUTDOWN_crash,
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  SHUTDOWN_soft_reset,
  SHUTDOWN_suspend,
  SHUTDOWN_watchdog,
} from '../abi/xen-layout.js';
import type { Domain, EndReason } from './domain.js';
import { earliest } from './time.js';

const REASONS: Readonly<Record<number, EndReason>> = {
  [SHUTDOWN_poweroff]: 'poweroff',
  [SHUTDOWN_reboot]: 'reboot',
  [SHUTDOWN_suspend]: 'suspend',
  [SHUTDOWN_crash]: 'crash',
  [SHUTDOWN_watchdog]: 'watchdog',
  [SHUTDOWN_soft_reset]: 'soft_reset',
};

const NR_WATCHDOGS = 2;
const SECOND_NS = 1_000_000_000n;

/** What the domain's vCPUs have in common: when the next timer is due, and how it all ends. */
export class DomainScheduling {
  readonly #domain: Domain;
  #shutdownCode: number | undefined;
  /** When each watchdog bites, in nanoseconds since Xen booted; undefined for one that is not in use. */
  readonly #watchdogs: (bigint | undefined)[] = new Array(NR_WATCHDOGS).fill(undefined);

  constructor(domain: Domain) {
    this.#domain = domain;
  }

  /** SCHEDOP_shutdown_code: the first reason given counts, whatever the shutdown itself says later. */
  announce(code: number): void {
    this.#shutdownCode ??= code & 0xff;
  }

  /** Ends the domain. Toolstacks destroy a domain whose reason they do not know: it counts as a crash. */
  shutdown(code: number): void {
    this.announce(code);
    this.#domain.end({ reason: REASONS[this.#shutdownCode ?? code] ?? 'crash' });
  }

  /**
   * SCHEDOP_watchdog: id 0 takes a free one, 1 or 2 resets it, and timeout 0 (seconds) stops it. Its id (only for a new
   * one, else 0), or -EINVAL, -ENOSPC.
   */
  watchdog(id: number, timeoutSeconds: number): number {
    const bitesAt = this.#domain.hypervisor.clock.nowNs() + BigInt(timeoutSeconds) * SECOND_NS;
    if (id === 0) {
      if (timeoutSeconds === 0) return -EINVAL;
      const free = this.#watchdogs.indexOf(undefined);
      if (free < 0) return -ENOSPC;
      this.#watchdogs[free] = bitesAt;
      return free + 1;
    }
    if (this.#watchdogs[id - 1] === undefined) return -EINVAL;
    this.#watchdogs[id - 1] = timeoutSeconds === 0 ? undefined : bitesAt;
    return 0;
  }

  /** When the next of the domain's timers is due: a watchdog's, or one of a vCPU's. */
  nextDeadline(): bigint | undefined {
    return earliest([...this.#watchdogs, ...this.#domain.vcpus.map((vcpu) => vcpu.time.nextDeadline())]);
  }

  /** Fires every timer of the domain whose time has come. */
  tick(nowNs: bigint): void {
    const bite = earliest(this.#watchdogs);
    if (bite !== undefined && bite <= nowNs) this.shutdown(SHUTDOWN_watchdog);
    for (const vcpu of this.#domain.vcpus) vcpu.time.tick(nowNs);
  }
}
