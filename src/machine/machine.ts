// The machine: memory, engine, hypervisor, one domain and its backends, wired together; and the loop that runs them. The
// only owner of whole-machine state, and the only place where `engine` and `xen` meet.
//
//   run ── engine runs the vCPU ──> Exit ──> xen (syscall, exception) ──> beforeResume ──> engine …
//            ^                                                               │
//            └──────── timers and chance come due at exact instructions <────┘
//
// A run is a function of its configuration and of what is typed, and when (in retired instructions).
// Several vCPUs take turns on the one engine, TURN instructions each: the turns end at the same instructions however the run
// is cut into calls of `run`, so the interleaving repeats. Time passes for all of them with every instruction of any.
// Left out: several domains, devices, snapshots.

import { FS, GPR_NAMES, GS, SEGMENT_NAMES } from '../abi/registers.js';
import { addDomU, ConsoleBackend, Store, XenstoreBackend } from '../backends/index.js';
import { PAGE_BYTES, vaddr, vaddrToVpn } from '../base/addresses.js';
import { channel } from '../base/events.js';
import { invariant } from '../base/failures.js';
import { hex, hex64 } from '../base/hex.js';
import { random } from '../base/random.js';
import { type BuiltDomain, buildDomain, readKernel } from '../builder/index.js';
import { type Explanation, explainReport, type MachineEvidence, type StatedCode } from '../crash/index.js';
import { Engine, type EngineHost, type Exit, type Vcpu } from '../engine/index.js';
import {
  FrameAllocator,
  type FrameOrder,
  M2P_RUN_ENTRIES,
  M2P_RUN_FRAMES,
  M2p,
  MachineMemory,
} from '../memory/index.js';
import { Mmu, type MmuEvent, PageTables } from '../mmu/index.js';
import { type Finding, Sanitizer, type SanitizerOptions } from '../sanitizer/index.js';
import { elfSymbols, kallsymsSymbols, SymbolTable } from '../symbols/index.js';
import {
  type Domain,
  type DomainEnd,
  Hypervisor,
  hypercallName,
  peekGuest,
  readDescriptor,
  systemRegisters,
  type XenVcpu,
} from '../xen/index.js';
import { VirtualClock } from './clock.js';
import { framesOf, type MachineConfig } from './config.js';
import { hardwareCpuid } from './cpuid.js';
import { evidenceOf } from './evidence.js';
import { TranslationHistory } from './history.js';
import { witness } from './witness.js';

/** The frames that Xen keeps for itself come from here. */
const XEN_FIRST_MFN = 0x1000;
const XEN_END_MFN = 0x4_0000;
/** What Xen needs beside the M2P: shared_info, grant tables, its own page tables. */
const XEN_SPARE_FRAMES = 512;
/** Frame numbers of a host with 64 GiB. */
const MAX_MFN = 0x100_0000;
/** The wall clock when a machine starts: the morning of the seed's commit. A constant, so that runs repeat. */
const BOOT_WALL_NS = 1_364_566_856_000_000_000n;
/** How much code an explanation shows: what Linux shows behind the trap. */
const CODE_BYTES = 21;
/** Instructions that a vCPU runs before the next one has its turn. */
const TURN = 10_000;
/** Instructions between two looks at what dom0 has to do unasked (a guest need not say that it has taken input). */
const SERVICE_INTERVAL = 100_000;

export type RunState =
  /** The domain has ended: see `ended`. */
  | 'ended'
  /** No vCPU can run until an event comes: a timer (`skipIdle`) or input. */
  | 'idle'
  /** The instruction that was asked for is reached, or `stop` said so. */
  | 'stopped';

/** The ports that the toolstack allocates first in every domain. */
const XENSTORE_PORT = 1;
const CONSOLE_PORT = 2;
/** The domain that the backends belong to. */
const DOM0 = 0;

/** How often something happened, by name. */
export interface Tally {
  readonly name: string;
  readonly calls: number;
}

export interface MachineStatistics {
  readonly hypercalls: readonly Tally[];
  /** Those that Xen does not know, and answered with -ENOSYS. */
  readonly unknownHypercalls: readonly Tally[];
  /** Wrong paths that were executed. */
  readonly wrongPaths: number;
}

/** A virtual CPU with all that belongs to it in each room. */
interface Processor {
  readonly cpu: Vcpu;
  readonly mmu: Mmu;
  readonly vcpu: XenVcpu;
  /** When its TLB next wants to drop or load something by itself, in retired instructions of the machine. */
  chanceAt: number;
}

export class Machine {
  /** Names of the guest kernel's addresses, if its file has any. */
  readonly symbols: SymbolTable;
  readonly #engine: Engine;
  readonly #clock: VirtualClock;
  readonly #hypervisor: Hypervisor;
  readonly #domain: Domain;
  readonly #processors: readonly Processor[];
  /** Whose turn it is, and when the turn ends. */
  #turn = 0;
  #turnEndsAt = TURN;
  readonly #console: ConsoleBackend;
  readonly #xenstore: XenstoreBackend;
  readonly #history: TranslationHistory;
  readonly #sanitizer: Sanitizer | undefined;
  readonly #hypercalls = new Map<number, number>();
  readonly #output = channel<Uint8Array>();
  /** When dom0 next looks at its rings unasked, in retired instructions. */
  #serviceAt = SERVICE_INTERVAL;

  /** Builds the machine and its domain. InputError when kernel, initrd and memory do not fit together. */
  constructor(config: MachineConfig) {
    const kernel = readKernel(config.kernel);
    const frames = framesOf(config);
    const memory = makeMemory(frames);
    const xenFrames = new FrameAllocator({ memory, firstMfn: XEN_FIRST_MFN, endMfn: XEN_END_MFN });
    this.#engine = new Engine({ memory, predictsBranches: config.staleness.refill.kind === 'wrong-path' });
    this.#clock = new VirtualClock(() => this.#engine.retired, BOOT_WALL_NS);
    const events = channel<MmuEvent>();
    const tables = new PageTables({ memory, events, clock: () => this.#engine.retired });
    const { profile, version, cpu: firstCpu, domain: id } = config.host;
    this.#hypervisor = new Hypervisor({
      config: { profile, version, debug: false, flush: config.flush, firstCpu },
      memory,
      tables,
      m2p: new M2p(memory, xenFrames),
      xenFrames,
      clock: this.#clock,
      cpuid: hardwareCpuid(config.staleness.cpu),
    });

    const sharedInfo = xenFrames.allocate();
    invariant(sharedInfo !== undefined, 'a new machine has a frame for shared_info');
    const image = buildDomain(kernel, {
      memory,
      frames,
      sharedInfo,
      xenstorePort: XENSTORE_PORT,
      consolePort: CONSOLE_PORT,
      cmdline: config.commandLine,
      toolstack: profile,
      ...(config.initrd && { initrd: config.initrd }),
    });
    this.symbols = image.symbols
      ? elfSymbols(image.symbols)
      : (kallsymsSymbols(kernel.elf.bytes) ?? new SymbolTable([]));

    const chance = random(config.seed);
    const hardware = Array.from({ length: config.vcpus }, (_, vcpu) => {
      const mmu = new Mmu({ tables, staleness: config.staleness, random: chance.fork(`vcpu ${vcpu}`), vcpu });
      return {
        mmu,
        registers: this.#engine.createVcpu(
          mmu,
          this.#host(() => this.#processors[vcpu]!.vcpu),
        ),
      };
    });
    this.#domain = this.#hypervisor.createDomain({ id, image, vcpus: hardware });
    this.#processors = hardware.map(({ mmu, registers: cpu }, index) => {
      const vcpu = this.#domain.vcpus[index];
      invariant(vcpu, 'the domain has a vCPU for each that it was given');
      return { cpu, mmu, vcpu, chanceAt: mmu.nextChanceIn() };
    });
    // From here on only: what building the domain changed is no part of the guest's history.
    this.#history = new TranslationHistory(events, () => this.#current.cpu.rip);
    this.#sanitizer = config.sanitize ? this.#watchTranslations(memory, tables, config.sanitize) : undefined;
    this.#hypervisor.events.subscribe((event) => {
      if (event.kind === 'hypercall') this.#hypercalls.set(event.number, (this.#hypercalls.get(event.number) ?? 0) + 1);
    });
    this.#console = this.#startConsole(memory, image);
    this.#xenstore = this.#startXenstore(memory, image, config);
  }

  // ---- what there is to see

  /** Retired instructions so far. */
  get retired(): number {
    return this.#engine.retired;
  }

  /** How the domain ended; undefined while it lives. */
  get ended(): DomainEnd | undefined {
    return this.#domain.ended;
  }

  /** Xen's own log, line by line, without the "(XEN) " in front. */
  get xenLog(): readonly string[] {
    return this.#hypervisor.console.lines;
  }

  /** After a crash on a stale translation: what only the machine knows of it. */
  get evidence(): MachineEvidence | undefined {
    const report = this.ended?.report;
    const use = report?.walk && this.#history.staleUse(report.vcpu, vaddr(report.walk.vaddr));
    return use && evidenceOf(use, (address) => this.symbols.format(address));
  }

  /**
   * What the sanitizer has found so far, worst first: each use of a translation that should have been flushed. Empty when
   * the configuration did not ask for it.
   */
  get findings(): readonly Finding[] {
    return this.#sanitizer?.findings ?? [];
  }

  /** What an expert makes of the crash, with all that the machine knows; `replay` is the command that runs it again. */
  explain(replay?: string): Explanation | undefined {
    const report = this.ended?.report;
    if (!report) return undefined;
    const evidence = this.evidence && { ...this.evidence, ...(replay !== undefined && { replay }) };
    return explainReport(report, evidence, {
      symbol: (address) => this.symbols.format(address),
      code: this.#codeAt(report.vcpu, report.registers.rip),
    });
  }

  /** The bytes of the instruction at rip and of some behind it, if the guest's tables still map them. */
  #codeAt(index: number, rip: bigint): StatedCode | undefined {
    const vcpu = this.#domain.vcpus[index];
    const bytes = vcpu && peekGuest(vcpu, rip, CODE_BYTES);
    return bytes && { runs: [{ offset: 0, bytes: [...bytes] }], trap: 0 };
  }

  /** The registers, as names and texts, of the vCPU whose turn it is. */
  registers(): readonly { readonly name: string; readonly value: string }[] {
    const { cpu } = this.#current;
    const place = this.symbols.format(cpu.rip);
    return [
      { name: 'rip', value: hex64(cpu.rip) + (place === undefined ? '' : ` ${place}`) },
      { name: 'rflags', value: hex64(cpu.rflags) },
      ...GPR_NAMES.map((name, number) => ({ name, value: hex64(cpu.readGpr(number)) })),
      ...SEGMENT_NAMES.map((name, number) => ({ name, value: hex(cpu.readSelector(number), 4) })),
      { name: 'fs base', value: hex64(cpu.readSegmentBase(FS)) },
      { name: 'gs base', value: hex64(cpu.readSegmentBase(GS)) },
    ];
  }

  get statistics(): MachineStatistics {
    const tally = (counts: ReadonlyMap<number, number>): Tally[] =>
      [...counts].map(([number, calls]) => ({ name: hypercallName(number), calls }));
    return {
      hypercalls: tally(this.#hypercalls),
      unknownHypercalls: tally(this.#hypervisor.unknownHypercalls),
      wrongPaths: this.#engine.counters.wrongPaths,
    };
  }

  // ---- the guest's console

  /** Calls `listener` with what the guest prints, as it comes. */
  onOutput(listener: (bytes: Uint8Array) => void): void {
    this.#output.subscribe(listener);
  }

  /** Types on the guest's console, now. */
  type(bytes: Uint8Array): void {
    this.#console.type(bytes);
  }

  /** Typed bytes that the guest's ring had no room for yet. */
  get untyped(): number {
    return this.#console.waitingBytes;
  }

  // ---- running

  /** Runs until `until` instructions have retired in all, or until something else stops it. `stop` is asked after each exit. */
  run(until: number, stop: () => boolean = () => false): RunState {
    while (!this.#domain.ended) {
      this.#due();
      if (!this.#takeTurn()) return 'idle';
      const { vcpu, cpu } = this.#current;
      this.#hypervisor.beforeResume(vcpu);
      if (this.#domain.ended) break;
      if (this.retired >= until || stop()) return 'stopped';
      this.#handle(this.#engine.run(cpu, this.#budget(until)), vcpu);
    }
    this.#tellSanitizer();
    return 'ended';
  }

  get #current(): Processor {
    const current = this.#processors[this.#turn];
    invariant(current, 'it is the turn of a vCPU that there is');
    return current;
  }

  /** Makes it the turn of a vCPU that can run: the same one until its turn ends or it sleeps. False when none can. */
  #takeTurn(): boolean {
    const isOver = this.retired >= this.#turnEndsAt;
    const count = this.#processors.length;
    for (let step = isOver ? 1 : 0; step <= count; step++) {
      const candidate = (this.#turn + step) % count;
      if (this.#processors[candidate]?.vcpu.runState !== 'runnable') continue;
      if (candidate !== this.#turn || isOver) this.#turnEndsAt = this.retired + TURN;
      this.#turn = candidate;
      return true;
    }
    return false;
  }

  /** When idle: lets time pass until the next timer. False when there is none to wait for. */
  skipIdle(): boolean {
    const deadline = this.#hypervisor.nextDeadline();
    if (deadline === undefined) return false;
    this.#clock.skipTo(deadline);
    return true;
  }

  /** Instructions until the next thing that happens by itself. */
  #budget(until: number): number {
    const deadline = this.#hypervisor.nextDeadline();
    const timer = deadline === undefined ? Number.POSITIVE_INFINITY : Number(deadline - this.#clock.nowNs());
    const next = Math.min(until, this.#serviceAt, this.#turnEndsAt, this.#current.chanceAt) - this.retired;
    return Math.max(1, Math.min(next, timer));
  }

  /** Does what has come due: timers, chance, dom0's look at its rings. */
  #due(): void {
    const now = this.#clock.nowNs();
    const deadline = this.#hypervisor.nextDeadline();
    if (deadline !== undefined && deadline <= now) this.#hypervisor.timerTick(now);
    for (const processor of this.#processors) {
      if (this.retired < processor.chanceAt) continue;
      processor.mmu.chance();
      processor.chanceAt = this.retired + processor.mmu.nextChanceIn();
    }
    if (this.retired >= this.#serviceAt) {
      this.#console.service();
      this.#xenstore.service();
      this.#serviceAt = this.retired + SERVICE_INTERVAL;
    }
  }

  #handle(exit: Exit, vcpu: XenVcpu): void {
    if (exit.reason === 'syscall') this.#hypervisor.syscall(vcpu);
    else if (exit.reason === 'exception') this.#hypervisor.exception(vcpu, exit.exception);
  }

  // ---- wiring

  #host(vcpu: () => XenVcpu): EngineHost {
    return {
      cpuid: this.#hypervisor.cpuid,
      tsc: () => this.#clock.tsc(),
      tscAux: () => vcpu().id,
      readDescriptor: (selector) => readDescriptor(vcpu(), selector),
      // No XSAVE, so no extended control registers.
      xgetbv: () => undefined,
      get systemRegisters() {
        return systemRegisters(vcpu());
      },
    };
  }

  #watchTranslations(memory: MachineMemory, tables: PageTables, options: true | SanitizerOptions): Sanitizer {
    const vcpus = new Map(this.#processors.map(({ mmu, vcpu }) => [mmu.vcpu, vcpu]));
    const { symbols } = this;
    const running = (): number => this.#current.mmu.vcpu;
    const sanitizer = new Sanitizer(
      witness({ memory, hypervisor: this.#hypervisor, symbols, vcpus, running }),
      options === true ? {} : options,
    );
    const { mmu } = this.#current;
    const known = new Set([mmu.vcpu]);
    sanitizer.addVcpu(mmu.vcpu, mmu.root);
    tables.events.subscribe((event) => {
      // The first that is heard of another vCPU is that its CR3 is loaded.
      const other = event.kind === 'invalidate' && !known.has(event.vcpu) ? this.#processors[event.vcpu] : undefined;
      if (other) {
        known.add(other.mmu.vcpu);
        sanitizer.addVcpu(other.mmu.vcpu, other.mmu.root);
      }
      sanitizer.heard(event);
    });
    tables.watcher = sanitizer;
    return sanitizer;
  }

  /** A domain that crashed died of its last page fault, if of any. */
  #tellSanitizer(): void {
    if (this.ended?.reason !== 'crash') return;
    const { report } = this.ended;
    if (report?.walk) this.#sanitizer?.guestDied(report.vcpu, vaddrToVpn(vaddr(report.walk.vaddr)));
  }

  #startConsole(memory: MachineMemory, image: BuiltDomain): ConsoleBackend {
    const { events } = this.#domain;
    invariant(events.allocUnbound(DOM0) === XENSTORE_PORT, 'the first port is for xenstore');
    invariant(events.allocUnbound(DOM0) === CONSOLE_PORT, 'the second port is for the console');
    return new ConsoleBackend({
      memory,
      page: image.console.mfn,
      events,
      port: CONSOLE_PORT,
      onOutput: (bytes) => this.#output.emit(bytes),
    });
  }

  #startXenstore(
    memory: MachineMemory,
    image: BuiltDomain,
    { host, pages, name, vcpus }: MachineConfig,
  ): XenstoreBackend {
    const { domain } = host;
    const store = new Store();
    addDomU(store, {
      domain,
      name,
      uuid: `00000000-0000-0000-0000-${hex(domain, 12)}`,
      memoryKib: (pages * PAGE_BYTES) / 1024,
      vcpus,
      console: { port: CONSOLE_PORT, mfn: image.console.mfn },
      xenstore: { port: XENSTORE_PORT, mfn: image.xenstore.mfn },
    });
    return new XenstoreBackend({
      memory,
      page: image.xenstore.mfn,
      events: this.#domain.events,
      port: XENSTORE_PORT,
      store,
      domain,
    });
  }
}

/** Memory for the domain's frames, for the M2P's runs that describe them and Xen's own, and for what else Xen needs. */
function makeMemory(frames: FrameOrder): MachineMemory {
  const runs = new Set([0]);
  let pages = 0;
  for (const { pfns, firstMfn, step } of frames) {
    pages += pfns;
    const lastMfn = firstMfn + step * (pfns - 1);
    const [low, high] = [Math.min(firstMfn, lastMfn), Math.max(firstMfn, lastMfn)];
    for (let run = Math.floor(low / M2P_RUN_ENTRIES); run <= Math.floor(high / M2P_RUN_ENTRIES); run++) runs.add(run);
  }
  const storageOffset = Engine.bytes();
  const storageFrames = pages + runs.size * M2P_RUN_FRAMES + XEN_SPARE_FRAMES;
  const bytes = storageOffset + storageFrames * PAGE_BYTES;
  return new MachineMemory({
    memory: new WebAssembly.Memory({ initial: Math.ceil(bytes / WASM_PAGE_BYTES) }),
    storageOffset,
    storageFrames,
    maxMfn: MAX_MFN,
  });
}

const WASM_PAGE_BYTES = 65536;
