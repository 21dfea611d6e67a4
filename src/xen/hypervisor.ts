// The hypervisor: what is machine-wide. Frames and who owns them, domains, the TLB clock, the log, the configuration.
// Sources: Xen 4.17 arch/x86/mm.c, common/domain.c, common/page_alloc.c. Left out: scheduling (each vCPU has a physical CPU
// of its own), NUMA, Xen's heaps (its own frames come from memory's FrameAllocator).

import type { CpuException } from '../abi/exceptions.js';
import { type Maddr, mfn, type Pfn } from '../base/addresses.js';
import { type Channel, channel } from '../base/events.js';
import { invariant } from '../base/failures.js';
import type { FrameAllocator, M2p, MachineMemory } from '../memory/index.js';
import type { PageTables } from '../mmu/index.js';
import { type Complaint, complaintLine } from './complaints.js';
import { XenConsole } from './console.js';
import { Work } from './continuation.js';
import type { HardwareCpuid } from './cpuid.js';
import { createDomain, type DomainOptions } from './create-domain.js';
import type { Domain } from './domain.js';
import { beforeResume, exception, syscall } from './entry.js';
import type { XenEvent } from './events-of-xen.js';
import { type FlushPolicy, flushStale, TlbClock } from './flush.js';
import { PageInfo, PGT_none, PGT_writable_page } from './page-info.js';
import { earliest } from './time.js';
import type { XenVcpu } from './vcpu.js';
import { type CallInProgress, XenWhy } from './why.js';
import { XenSlots } from './xen-slots.js';

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
  /** A debug build: prints what a release build keeps to itself. */
  readonly debug: boolean;
  readonly flush: FlushPolicy;
  /** The physical CPU that vCPU 0 of every domain runs on; vCPU n runs on the n-th after it. */
  readonly firstCpu: number;
}

export interface HypervisorOptions {
  readonly config: HypervisorConfig;
  readonly memory: MachineMemory;
  readonly tables: PageTables;
  readonly m2p: M2p;
  /** Where Xen's own frames come from: shared_info, grant tables, its page tables. */
  readonly xenFrames: FrameAllocator;
  readonly clock: Clock;
  readonly cpuid: HardwareCpuid;
}

export class Hypervisor {
  readonly config: HypervisorConfig;
  readonly memory: MachineMemory;
  readonly tables: PageTables;
  readonly m2p: M2p;
  readonly xenFrames: FrameAllocator;
  readonly clock: Clock;
  readonly cpuid: HardwareCpuid;
  readonly tlbClock = new TlbClock();
  /** Tells hypercalls when they have done enough for now. */
  readonly work = new Work();
  /** Xen's own log, apart from any guest's console. */
  readonly console = new XenConsole();
  readonly events: Channel<XenEvent> = channel();
  readonly domains = new Map<number, Domain>();
  /** What guests printed by console_io. */
  readonly emergencyConsole: Channel<{ readonly domain: Domain; readonly bytes: Uint8Array }> = channel();
  /** Hypercalls that Paravane does not have: how often each number was called. */
  readonly unknownHypercalls = new Map<number, number>();
  /** What fills the slots of every L4 that are Xen's. */
  readonly slots: XenSlots;

  readonly #pages = new Map<number, PageInfo>();
  /** Frames that domains gave back, to be given out again: the last one first. */
  readonly #freed: PageInfo[] = [];
  /** The end of RAM as far as it has been looked for: in so many of memory's frames. */
  readonly #ram = { end: 0, framesSeen: 0 };
  #current: XenVcpu | undefined;
  /** The hypercall that is being carried out, and what in particular. */
  #call: CallInProgress | undefined;
  #why: XenWhy = new XenWhy(undefined, 'start');

  constructor(options: HypervisorOptions) {
    this.config = options.config;
    this.memory = options.memory;
    this.tables = options.tables;
    this.m2p = options.m2p;
    this.xenFrames = options.xenFrames;
    this.clock = options.clock;
    this.cpuid = options.cpuid;
    this.slots = new XenSlots(this);
  }

  /** The vCPU on whose behalf Xen acts now. */
  get current(): XenVcpu {
    invariant(this.#current, 'Xen acts on behalf of a vCPU');
    return this.#current;
  }

  /** Why page tables change and translations are dropped just now. */
  get why(): XenWhy {
    return this.#why;
  }

  /** Does something on behalf of a vCPU: as a hypercall, or (no call) handling a trap or building its domain. */
  onBehalfOf<T>(vcpu: XenVcpu, call: CallInProgress | undefined, detail: string, act: () => T): T {
    const [current, outer, why] = [this.#current, this.#call, this.#why];
    this.#current = vcpu;
    this.#call = call;
    this.#why = new XenWhy(call, detail);
    try {
      return act();
    } finally {
      this.#current = current;
      this.#call = outer;
      this.#why = why;
    }
  }

  /** Says more exactly what the hypercall in progress does from here on. */
  because(detail: string): void {
    this.#why = new XenWhy(this.#call, detail);
  }

  /** Takes over what the builder has made, and starts its vCPU 0. */
  createDomain(options: DomainOptions): Domain {
    return createDomain(this, options);
  }

  /** The guest executed SYSCALL; rip is behind it. */
  syscall(vcpu: XenVcpu): void {
    syscall(vcpu);
  }

  /** The guest raised an exception. */
  exception(vcpu: XenVcpu, raised: CpuException): void {
    exception(vcpu, raised);
  }

  /**
   * To be called before a runnable vCPU goes on: delivers NMIs and events, checks the return, leaves Xen. Afterwards the
   * domain may have ended.
   */
  beforeResume(vcpu: XenVcpu): void {
    beforeResume(vcpu);
  }

  /** When the next timer of any living domain is due, in nanoseconds since Xen booted; undefined when none is armed. */
  nextDeadline(): bigint | undefined {
    return earliest(
      [...this.domains.values()].map((domain) => (domain.ended ? undefined : domain.scheduling.nextDeadline())),
    );
  }

  /** Fires every timer whose time has come. */
  timerTick(nowNs: bigint): void {
    for (const domain of this.domains.values()) if (!domain.ended) domain.scheduling.tick(nowNs);
  }

  /** What is known of a frame; undefined when it is no RAM. Any number may be asked for. */
  page(frame: number): PageInfo | undefined {
    const known = this.#pages.get(frame);
    if (known) return known;
    if (!this.memory.isRam(frame)) return undefined;
    const page = new PageInfo(mfn(frame));
    this.#pages.set(frame, page);
    return page;
  }

  /** One past the highest frame of RAM. */
  get endOfRam(): number {
    const { frames } = this.memory;
    // Each frame is looked at once, however often a guest asks.
    for (; this.#ram.framesSeen < frames.length; this.#ram.framesSeen++)
      this.#ram.end = Math.max(this.#ram.end, frames[this.#ram.framesSeen]! + 1);
    return this.#ram.end;
  }

  /** All frames that Xen has had to do with. */
  get knownPages(): Iterable<PageInfo> {
    return this.#pages.values();
  }

  /** Stores a page-table entry, labelled with what Xen is doing. */
  storeEntry(address: Maddr, entry: bigint): void {
    this.tables.storeEntry(address, entry, this.#why);
  }

  /** Gives a frame that nobody owns to a domain, as number `pfn` of its own. */
  assignPage(page: PageInfo, domain: Domain, pfn: Pfn | undefined): void {
    invariant(page.owner === undefined && page.refs === 0, 'a frame is given to a domain only when nobody has it');
    page.owner = domain;
    page.refs = 1;
    page.allocated = true;
    page.xenHeap = false;
    domain.frames.add(page.mfn);
    this.m2p.set(page.mfn, pfn);
  }

  /** Takes a frame back whose last reference is gone. The next to get it cannot see what was in it. */
  freePage(page: PageInfo): void {
    const { owner } = page;
    if (page.xenHeap) return;
    owner?.frames.delete(page.mfn);
    page.owner = undefined;
    page.type = PGT_none;
    page.typeCount = 0;
    page.validated = false;
    page.pinned = false;
    page.linearCount = 0;
    page.stamp = this.tlbClock.now;
    this.m2p.set(page.mfn, undefined);
    this.#freed.push(page);
  }

  /**
   * A zeroed frame for a domain: one that was given back, else a new one; undefined when there is none. CPUs that may
   * still hold translations to it from its earlier life are flushed.
   */
  allocatePage(): PageInfo | undefined {
    const freed = this.#freed.pop();
    if (freed) {
      for (const domain of this.domains.values()) flushStale(domain.dirtyVcpus(), freed.stamp, this.#why);
      this.memory.fillFrame(freed.mfn, 0);
      return freed;
    }
    const frame = this.xenFrames.allocate();
    if (frame === undefined || !this.m2p.cover(frame)) return undefined;
    return this.page(frame);
  }

  /**
   * A zeroed frame of Xen's own that it shares writably with a domain (shared_info, grant tables): the domain may map it,
   * and can never make a page table of it. Undefined when there is none.
   */
  allocateSharedPage(domain: Domain): PageInfo | undefined {
    const frame = this.xenFrames.allocate();
    if (frame === undefined) return undefined;
    const page = this.page(frame);
    invariant(page, 'the allocator gives out RAM');
    this.shareWithDomain(page, domain);
    return page;
  }

  /** Makes a frame of Xen's own one that it shares writably with the domain. */
  shareWithDomain(page: PageInfo, domain: Domain): void {
    invariant(page.owner === undefined && page.refs === 0, 'a frame of Xen is shared with one domain');
    page.owner = domain;
    page.xenHeap = true;
    page.refs = 1;
    page.allocated = true;
    page.type = PGT_writable_page;
    page.typeCount = 1;
    page.validated = true;
    // A machine that numbers its frames from elsewhere may have no M2P there: Xen's pages need no entry.
    if (this.m2p.cover(page.mfn)) this.m2p.set(page.mfn, undefined);
  }

  /** Prints on Xen's console what a version of Xen prints about a request that it refuses. */
  complain(complaint: Complaint): void {
    const { profile, debug } = this.config;
    if (profile === '4.17' && !debug) return;
    const { domain, id } = this.current;
    const line = complaintLine(complaint, profile, domain.id, id);
    if (line !== undefined) this.console.print(line);
  }
}
