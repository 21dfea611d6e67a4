// A domU for tests: built by the domain builder, owned by a hypervisor, with no CPU: its hypercalls are made by name, with
// arguments in its own memory, through its own page tables.

import type { VcpuRegisters } from '../../src/abi/vcpu-registers.js';
import { maddr, mfn, mfnToMaddr } from '../../src/base/addresses.js';
import { channel } from '../../src/base/events.js';
import { random } from '../../src/base/random.js';
import { s64 } from '../../src/base/words.js';
import { type BuiltDomain, buildDomain, readKernel, writeElf } from '../../src/builder/index.js';
import { ascending, FrameAllocator, M2p, MachineMemory } from '../../src/memory/index.js';
import { Mmu, type MmuEvent, PageTables } from '../../src/mmu/index.js';
import { newGuestRoot } from '../../src/xen/base-pointers.js';
import { Continuation } from '../../src/xen/continuation.js';
import { Domain } from '../../src/xen/domain.js';
import { parseFlushPolicy } from '../../src/xen/flush.js';
import { copyFromGuest, copyToGuest } from '../../src/xen/guest-memory.js';
import type { Hypercall } from '../../src/xen/hypercall.js';
import { type Clock, Hypervisor, type VersionProfile } from '../../src/xen/hypervisor.js';
import { XenVcpu } from '../../src/xen/vcpu.js';

export const BASE = 0xffff_ffff_8000_0000n;
/** Four writable pages of the guest, zero at first. */
export const SCRATCH = BASE + 0x1000n;
export const NOT_MAPPED = 0x1234_5000n;
const PAGES = 1100;
export const FIRST_MFN = 0x1_0000;

export class TestClock implements Clock {
  now = 0n;
  readonly tscHz = 1_000_000_000n;
  readonly bootWallNs = 1_356_048_000_123_456_789n;
  nowNs(): bigint {
    return this.now;
  }
  tsc(): bigint {
    return this.now;
  }
}

function fakeRegisters(): VcpuRegisters {
  const gpr = new Array<bigint>(16).fill(0n);
  const selectors = new Array<number>(6).fill(0);
  const bases = new Array<bigint>(6).fill(0n);
  return {
    readGpr: (index) => gpr[index] as bigint,
    writeGpr: (index, value) => {
      gpr[index] = value;
    },
    rip: 0n,
    rflags: 0x202n,
    taskSwitched: false,
    readSelector: (segment) => selectors[segment] as number,
    writeSelector: (segment, selector) => {
      selectors[segment] = selector;
    },
    readSegmentBase: (segment) => bases[segment] as bigint,
    writeSegmentBase: (segment, base) => {
      bases[segment] = base;
    },
  };
}

export interface DomUOptions {
  readonly profile?: VersionProfile;
  readonly version?: string;
  readonly debug?: boolean;
  readonly vcpus?: number;
  /** More than the pages it starts with. */
  readonly sparePages?: number;
}

export class DomU {
  readonly clock = new TestClock();
  readonly hypervisor: Hypervisor;
  readonly memory: MachineMemory;
  readonly domain: Domain;
  readonly built: BuiltDomain;
  readonly vcpu: XenVcpu;
  /** dom0's ports for it: xenstore 1, console 2. */
  readonly xenstorePort: number;
  readonly consolePort: number;

  constructor({ profile = '4.17', version = '4.17.7', debug = false, vcpus = 1, sparePages = 0 }: DomUOptions = {}) {
    this.memory = new MachineMemory({
      memory: new WebAssembly.Memory({ initial: 160 }),
      storageOffset: 0,
      storageFrames: 2560,
      maxMfn: 0x4_0000,
    });
    const xenFrames = new FrameAllocator({ memory: this.memory, firstMfn: 0x200, endMfn: 0x1000 });
    const m2p = new M2p(this.memory, xenFrames);
    const tables = new PageTables({ memory: this.memory, events: channel<MmuEvent>(), clock: () => 0 });
    const config = { profile, version, debug, flush: parseFlushPolicy('abi'), firstCpu: 0 };
    const cpuid = () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
    this.hypervisor = new Hypervisor({ config, memory: this.memory, tables, m2p, xenFrames, clock: this.clock, cpuid });
    m2p.cover(mfn(FIRST_MFN));

    const sharedInfo = xenFrames.allocate() ?? mfn(0);
    this.domain = new Domain(this.hypervisor, 1, sharedInfo, PAGES + sparePages);
    this.hypervisor.domains.set(1, this.domain);
    const sharedPage = this.hypervisor.page(sharedInfo);
    if (sharedPage) this.hypervisor.shareWithDomain(sharedPage, this.domain);
    const staleness = { tlb: 'coherent', refill: { kind: 'none' }, cpu: 'intel' } as const;
    for (let id = 0; id < vcpus; id++) {
      const mmu = new Mmu({ tables, staleness, random: random(1), vcpu: id });
      const vcpu = new XenVcpu(this.domain, id, id, { registers: fakeRegisters(), mmu });
      vcpu.vcpuInfo = maddr(mfnToMaddr(sharedInfo) + 64 * id);
      this.domain.vcpus.push(vcpu);
      vcpu.upcallMask = true;
    }
    this.vcpu = this.domain.initialVcpu;
    this.xenstorePort = this.domain.events.allocUnbound(0);
    this.consolePort = this.domain.events.allocUnbound(0);

    const kernel = writeElf({
      entry: BASE,
      segments: [{ vaddr: BASE, bytes: new Uint8Array(16), memoryBytes: 0x5000 }],
      notes: { loader: 'generic', xenVersion: 'xen-3.0', virtBase: BASE },
    });
    this.built = buildDomain(readKernel(kernel), {
      memory: this.memory,
      frames: [ascending(PAGES, FIRST_MFN)],
      sharedInfo,
      xenstorePort: this.xenstorePort,
      consolePort: this.consolePort,
    });
    this.hypervisor.onBehalfOf(this.vcpu, undefined, 'build', () => {
      for (const [pfn, frame] of this.built.p2m.entries()) {
        const page = this.hypervisor.page(frame);
        if (page) this.hypervisor.assignPage(page, this.domain, pfn as never);
      }
      newGuestRoot(this.vcpu, BigInt(this.built.l4));
    });
    this.vcpu.initialised = true;
    this.vcpu.time.setRunState('runnable');
  }

  /** Makes a hypercall from a vCPU; the result is read as a signed number. */
  call(hypercall: Hypercall, ...args: (bigint | number)[]): number {
    return this.callFrom(0, hypercall, ...args);
  }

  callFrom(id: number, hypercall: Hypercall, ...args: (bigint | number)[]): number {
    const vcpu = this.domain.vcpus[id] as XenVcpu;
    const words = Array.from({ length: 6 }, (_, index) => BigInt.asUintN(64, BigInt(args[index] ?? 0)));
    for (;;) {
      this.hypervisor.work.begin();
      const result = this.hypervisor.onBehalfOf(vcpu, undefined, 'test', () =>
        hypercall(vcpu, words as unknown as Parameters<Hypercall>[1]),
      );
      if (!(result instanceof Continuation)) return Number(typeof result === 'bigint' ? s64(result) : result);
      words.splice(0, result.args.length, ...result.args);
    }
  }

  /** Writes a structure into scratch memory and gives its address: "u16 1, u32 5" is [[2, 1], [4, 5]] with natural alignment. */
  struct(fields: readonly (readonly [bytes: 1 | 2 | 4 | 8, value: bigint | number])[], at = SCRATCH): bigint {
    let offset = 0;
    const bytes = new Uint8Array(4096);
    const view = new DataView(bytes.buffer);
    for (const [size, value] of fields) {
      offset = Math.ceil(offset / size) * size;
      if (size === 8) view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true);
      else if (size === 4) view.setUint32(offset, Number(value), true);
      else if (size === 2) view.setUint16(offset, Number(value), true);
      else view.setUint8(offset, Number(value));
      offset += size;
    }
    this.poke(at, bytes.subarray(0, offset));
    return at;
  }

  poke(address: bigint, bytes: Uint8Array): void {
    if (!copyToGuest(this.vcpu, address, bytes)) throw new Error(`cannot write ${address.toString(16)}`);
  }

  view(address: bigint, length: number): DataView {
    const bytes = copyFromGuest(this.vcpu, address, length);
    if (!bytes) throw new Error(`cannot read ${address.toString(16)}`);
    return new DataView(bytes.buffer);
  }

  u32(address: bigint): number {
    return this.view(address, 4).getUint32(0, true);
  }

  u64(address: bigint): bigint {
    return this.view(address, 8).getBigUint64(0, true);
  }

  /** A word of shared_info. */
  shared64(offset: number): bigint {
    return this.memory.read64(maddr(mfnToMaddr(this.domain.sharedInfo) + offset));
  }

  setShared64(offset: number, value: bigint): void {
    this.memory.write64(maddr(mfnToMaddr(this.domain.sharedInfo) + offset), value);
  }

  /** The guest's interrupt state of a vCPU: "pending", "masked" and the selector, and the first word of pending ports. */
  events(id = 0): { pending: boolean; masked: boolean; selector: bigint; ports: bigint } {
    const vcpu = this.domain.vcpus[id] as XenVcpu;
    return {
      pending: vcpu.upcallPending,
      masked: vcpu.upcallMask,
      selector: this.memory.read64(vcpu.info(8)),
      ports: this.shared64(0x800),
    };
  }

  /** What a guest's event handler does: takes everything that is pending. */
  acknowledge(id = 0): void {
    const vcpu = this.domain.vcpus[id] as XenVcpu;
    vcpu.upcallPending = false;
    this.memory.write64(vcpu.info(8), 0n);
    for (let word = 0; word < 64; word++) this.setShared64(0x800 + 8 * word, 0n);
  }

  /** Lets time pass, and timers fire on the way. */
  advanceTo(timeNs: bigint): void {
    for (;;) {
      const next = this.domain.scheduling.nextDeadline();
      const until = next !== undefined && next < timeNs ? next : timeNs;
      if (until > this.clock.now) this.clock.now = until;
      this.domain.scheduling.tick(this.clock.now);
      if (this.clock.now >= timeNs) return;
    }
  }
}
