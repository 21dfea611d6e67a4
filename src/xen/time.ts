// A vCPU's time: its timers, its pvclock page, how long it was in which run state, and sleeping and waking.
// Source: Xen 4.17 common/sched/core.c (timers, vcpu_block, do_poll, vcpu_unblock), arch/x86/time.c (pvclock, wall clock),
// public/vcpu.h (runstate). Left out: migration between CPUs, TSC emulation, steal time (each vCPU has a CPU of its own, so
// what is runnable runs).
//
//   timer       armed by                                     when due
//   single-shot set_timer_op, VCPUOP_set_singleshot_timer    VIRQ_TIMER
//   periodic    on from the start, every 10 ms               VIRQ_TIMER; stands still while the vCPU does not run
//   poll        SCHEDOP_poll with a timeout                  the vCPU wakes
//   refresh     always, every second                         pvclock is written anew; stands still likewise

import { VIRQ_TIMER } from '../abi/event-channel.js';
import { RUNSTATE_blocked, RUNSTATE_offline, RUNSTATE_running, XEN_RUNSTATE_UPDATE } from '../abi/sched.js';
import * as X from '../abi/xen-layout.js';
import { type Maddr, maddr, mfnToMaddr } from '../base/addresses.js';
import type { Domain } from './domain.js';
import { copyToGuest, writeGuest64 } from './guest-memory.js';
import type { RunState, XenVcpu } from './vcpu.js';
import { hasVmAssist, VMASST_TYPE_runstate_update_flag } from './vm-assist.js';

const SECOND_NS = 1_000_000_000n;
const DEFAULT_PERIOD_NS = 10_000_000n;
/** How far ahead set_timer_op believes a timeout; one beyond (or negative) fires after 100 ms. */
const BELIEVABLE_NS = 1n << 50n;
const UNBELIEVED_NS = 100_000_000n;

const RUNSTATE_BYTES = 48;
const RUNSTATE_entry_time = 8;

const RUNSTATES: Readonly<Record<RunState, number>> = {
  runnable: RUNSTATE_running,
  blocked: RUNSTATE_blocked,
  offline: RUNSTATE_offline,
};

/** Ports that a vCPU polls: these, or any event at all (Xen remembers one port, or that there are several). */
type Polling = number | 'several';

/** The clocks and timers of one vCPU, and the only place that changes its run state. */
export class VcpuTime {
  readonly #vcpu: XenVcpu;

  #singleshot: bigint | undefined;
  #pollTimeout: bigint | undefined;
  /** 0 when stopped. */
  #period = DEFAULT_PERIOD_NS;
  #lastPeriodic = 0n;
  #lastRefresh = 0n;

  #polling: Polling | undefined;

  /** The run state that the accounts below are up to date with, and since when. */
  #state: RunState = 'offline';
  #stateSince = 0n;
  /** Nanoseconds in each RUNSTATE_* up to #stateSince. */
  readonly #stateNs = [0n, 0n, 0n, 0n];
  /** Guest addresses to keep copies at; 0 for none. */
  #runstateArea = 0n;
  #timeArea = 0n;

  constructor(vcpu: XenVcpu) {
    this.#vcpu = vcpu;
  }

  get #now(): bigint {
    return this.#vcpu.domain.hypervisor.clock.nowNs();
  }

  // --- Sleeping and waking --------------------------------------------------------------------------------------------

  /** Changes the run state, with all that hangs on it. The domain's builder and VCPUOP_up start a vCPU with 'runnable'. */
  setRunState(state: RunState): void {
    this.#account();
    this.#vcpu.runState = state;
    this.#account();
    this.#publishRunstate();
    if (state !== 'runnable') return;
    this.refreshClock();
    this.#periodicWork(this.#now);
  }

  /** Whether the guest takes an event or an NMI as soon as it runs on. */
  get eventDeliverable(): boolean {
    return this.#vcpu.nmiPending || (this.#vcpu.upcallPending && !this.#vcpu.upcallMask);
  }

  /** Sleeps until an event wakes it; at once awake again when one can be delivered. */
  block(): void {
    if (!this.eventDeliverable) this.setRunState('blocked');
  }

  /** SCHEDOP_poll, when no port is pending yet: sleeps until one of the ports is notified, an event, or the timeout. */
  poll(ports: readonly number[], timeoutNs: bigint): void {
    this.#polling = ports.length === 1 ? (ports[0] as number) : 'several';
    this.#pollTimeout = timeoutNs === 0n ? undefined : timeoutNs;
    this.setRunState('blocked');
  }

  /** Whether a notification of this port ends its poll. */
  polls(port: number): boolean {
    return this.#polling === 'several' || this.#polling === port;
  }

  /** Wakes a sleeping vCPU; does nothing to one that runs or is offline. */
  wake(): void {
    this.#polling = undefined;
    this.#pollTimeout = undefined;
    if (this.#vcpu.runState === 'blocked') this.setRunState('runnable');
  }

  // --- Timers ---------------------------------------------------------------------------------------------------------

  /** set_timer_op: an absolute time, 0 for none. */
  setTimer(timeoutNs: bigint): void {
    const timeout = BigInt.asIntN(64, timeoutNs);
    const now = this.#now;
    if (timeout === 0n) this.#singleshot = undefined;
    else if (timeout < 0n || timeout - now >= BELIEVABLE_NS) this.#singleshot = now + UNBELIEVED_NS;
    else this.#singleshot = timeout;
  }

  /** Arms or stops the single-shot timer. */
  setSingleshot(timeoutNs: bigint | undefined): void {
    this.#singleshot = timeoutNs;
  }

  /** 0 stops the periodic timer. */
  setPeriod(periodNs: bigint): void {
    this.#period = periodNs;
    this.#periodicWork(this.#now);
  }

  /** Raises VIRQ_TIMER. */
  raiseTimer(): void {
    this.#vcpu.domain.events.raiseVirq(VIRQ_TIMER, this.#vcpu.id);
  }

  /** When the next timer is due, or undefined when none is armed. What stands still with the vCPU does not count. */
  nextDeadline(): bigint | undefined {
    const running = this.#vcpu.runState === 'runnable';
    return earliest([
      this.#singleshot,
      this.#pollTimeout,
      running && this.#period > 0n ? this.#lastPeriodic + this.#period : undefined,
      running ? this.#lastRefresh + SECOND_NS : undefined,
    ]);
  }

  /** Fires what is due. */
  tick(nowNs: bigint): void {
    if (this.#singleshot !== undefined && this.#singleshot <= nowNs) {
      this.#singleshot = undefined;
      this.raiseTimer();
    }
    if (this.#pollTimeout !== undefined && this.#pollTimeout <= nowNs) this.wake();
    if (this.#vcpu.runState !== 'runnable') return;
    this.#periodicWork(nowNs);
    if (this.#lastRefresh + SECOND_NS <= nowNs) this.refreshClock();
  }

  #periodicWork(nowNs: bigint): void {
    if (this.#period === 0n || nowNs < this.#lastPeriodic + this.#period) return;
    this.#lastPeriodic = nowNs;
    this.raiseTimer();
  }

  // --- pvclock --------------------------------------------------------------------------------------------------------

  /** Writes the time of day's anchor into vcpu_info and the registered area: version odd, fields, version even. */
  refreshClock(): void {
    const { hypervisor } = this.#vcpu.domain;
    const { memory, clock } = hypervisor;
    this.#lastRefresh = clock.nowNs();
    const { multiplier, shift } = tscScale(clock.tscHz);
    const at = (field: number): Maddr => this.#vcpu.info(X.VCPU_INFO_time + field);
    const version = memory.read32(at(X.VCPU_TIME_version));
    memory.write32(at(X.VCPU_TIME_version), (version + 1) | 1);
    memory.write64(at(X.VCPU_TIME_tsc_timestamp), clock.tsc());
    memory.write64(at(X.VCPU_TIME_system_time), this.#lastRefresh);
    memory.write32(at(X.VCPU_TIME_tsc_to_system_mul), multiplier);
    memory.write8(at(X.VCPU_TIME_tsc_shift), shift & 0xff);
    memory.write8(at(X.VCPU_TIME_flags), 0);
    memory.write32(at(X.VCPU_TIME_version), ((version + 1) | 1) + 1);
    if (this.#timeArea !== 0n) copyToGuest(this.#vcpu, this.#timeArea, memory.copyOut(at(0), X.VCPU_TIME_INFO_BYTES));
  }

  /** VCPUOP_register_vcpu_time_memory_area: a copy of vcpu_info's time is kept there from now on. */
  registerTimeArea(address: bigint): void {
    this.#timeArea = address;
    this.refreshClock();
  }

  // --- Run states -----------------------------------------------------------------------------------------------------

  /** struct vcpu_runstate_info as of now. */
  runstate(): Uint8Array {
    this.#account();
    const bytes = new Uint8Array(RUNSTATE_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, RUNSTATES[this.#state], true);
    view.setBigUint64(RUNSTATE_entry_time, this.#stateSince, true);
    const current = this.#now - this.#stateSince;
    for (const [state, spent] of this.#stateNs.entries())
      view.setBigUint64(16 + state * 8, spent + (state === RUNSTATES[this.#state] ? current : 0n), true);
    return bytes;
  }

  /** VCPUOP_register_runstate_memory_area: written now, and whenever the vCPU sleeps or wakes. */
  registerRunstateArea(address: bigint): void {
    this.#runstateArea = address;
    this.#publishRunstate();
  }

  #account(): void {
    if (this.#state === this.#vcpu.runState) return;
    const now = this.#now;
    const state = RUNSTATES[this.#state];
    this.#stateNs[state] = (this.#stateNs[state] ?? 0n) + now - this.#stateSince;
    this.#state = this.#vcpu.runState;
    this.#stateSince = now;
  }

  /** With vm_assist 5 the guest can tell a half-written copy by the top bit of state_entry_time. An area that is not mapped is left. */
  #publishRunstate(): void {
    const vcpu = this.#vcpu;
    if (this.#runstateArea === 0n) return;
    const bytes = this.runstate();
    const flagged = hasVmAssist(vcpu.domain, VMASST_TYPE_runstate_update_flag);
    const entryTime = this.#runstateArea + BigInt(RUNSTATE_entry_time);
    if (flagged) writeGuest64(vcpu, entryTime, this.#stateSince | XEN_RUNSTATE_UPDATE);
    if (flagged)
      new DataView(bytes.buffer).setBigUint64(RUNSTATE_entry_time, this.#stateSince | XEN_RUNSTATE_UPDATE, true);
    copyToGuest(vcpu, this.#runstateArea, bytes);
    if (flagged) writeGuest64(vcpu, entryTime, this.#stateSince);
  }
}

/** How a guest gets nanoseconds from ticks: ((ticks << shift, or >> -shift) * multiplier) >> 32. */
export function tscScale(tscHz: bigint): { readonly multiplier: number; readonly shift: number } {
  let scaled = tscHz;
  let shift = 0;
  for (; scaled > 2n * SECOND_NS; shift--) scaled >>= 1n;
  for (; scaled <= SECOND_NS; shift++) scaled <<= 1n;
  return { multiplier: Number((SECOND_NS << 32n) / scaled), shift };
}

/** Writes the wall clock of system time 0 into shared_info. 4.1 has no field for seconds beyond 2^32. */
export function publishWallClock(domain: Domain): void {
  const { memory, clock, config } = domain.hypervisor;
  const at = (field: number): Maddr => maddr(mfnToMaddr(domain.sharedInfo) + field);
  const seconds = clock.bootWallNs / SECOND_NS;
  const version = memory.read32(at(X.SHARED_INFO_wc_version));
  memory.write32(at(X.SHARED_INFO_wc_version), (version + 1) | 1);
  memory.write32(at(X.SHARED_INFO_wc_sec), Number(seconds & 0xffff_ffffn));
  memory.write32(at(X.SHARED_INFO_wc_nsec), Number(clock.bootWallNs % SECOND_NS));
  if (config.profile !== '4.1') memory.write32(at(X.SHARED_INFO_wc_sec_hi), Number(seconds >> 32n));
  memory.write32(at(X.SHARED_INFO_wc_version), ((version + 1) | 1) + 1);
}

/** The earliest of the times that are set. */
export function earliest(times: readonly (bigint | undefined)[]): bigint | undefined {
  let first: bigint | undefined;
  for (const time of times) if (time !== undefined && (first === undefined || time < first)) first = time;
  return first;
}
