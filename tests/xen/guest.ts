// A PV guest without a CPU: built by the domain builder, started by the hypervisor, its registers a plain object. Tests play
// the CPU: they set registers, touch memory through the guest's Mmu, execute SYSCALL and raise exceptions.

import type { CpuException } from '../../src/abi/exceptions.js';
import type { Level } from '../../src/abi/paging.js';
import { R8, R9, R10, RAX, RDI, RDX, RSI, RSP } from '../../src/abi/registers.js';
import type { VcpuRegisters } from '../../src/abi/vcpu-registers.js';
import { type Maddr, type Mfn, maddr, mfn, mfnToMaddr, vaddr, vaddrToVpn } from '../../src/base/addresses.js';
import { channel } from '../../src/base/events.js';
import { random } from '../../src/base/random.js';
import { s64 } from '../../src/base/words.js';
import { type BuiltDomain, buildDomain, readKernel, writeElf } from '../../src/builder/index.js';
import { ascending, FrameAllocator, M2p, MachineMemory } from '../../src/memory/index.js';
import {
  FETCH,
  Mmu,
  type MmuEvent,
  PageTables,
  parseStaleness,
  READ,
  translation,
  USER,
  WRITE,
} from '../../src/mmu/index.js';
import type { Domain } from '../../src/xen/domain.js';
import { parseFlushPolicy } from '../../src/xen/flush.js';
import { Hypervisor, type VersionProfile } from '../../src/xen/hypervisor.js';
import type { XenVcpu } from '../../src/xen/vcpu.js';
import { TestClock } from './domu.js';

/** Where the kernel and all the rest of the initial area are mapped: pfn p at BASE + p * 4096. */
export const BASE = 0xffff_ffff_8000_0000n;
export const PAGES = 1200;
export const FIRST_MFN = 0x1_0000;
/** The kernel image: eight writable pages. Its first page is code, the last its stack. */
const IMAGE_PAGES = 8;
export const DATA = BASE + 0x1000n;
export const STACK_TOP = BASE + 0x8000n;
/** Frames of the domain that nothing maps: the last hundred. */
export const SPARE_PFN = PAGES - 100;
/** The syscall instruction that every hypercall of the tests is made with. */
export const CALL_RIP = BASE + 0x123n;

export interface GuestOptions {
  readonly profile?: VersionProfile;
  readonly flush?: string;
  readonly debug?: boolean;
  readonly vcpus?: number;
  readonly staleness?: { tlb?: string; refill?: string; cpu?: string };
}

export class PlainRegisters implements VcpuRegisters {
  readonly gpr = new Array<bigint>(16).fill(0n);
  readonly selectors = new Array<number>(6).fill(0);
  readonly bases = new Array<bigint>(6).fill(0n);
  rip = 0n;
  rflags = 2n;
  taskSwitched = false;
  readGpr(index: number): bigint {
    return this.gpr[index]!;
  }
  writeGpr(index: number, value: bigint): void {
    this.gpr[index] = value;
  }
  readSelector(segment: number): number {
    return this.selectors[segment]!;
  }
  writeSelector(segment: number, selector: number): void {
    this.selectors[segment] = selector;
  }
  readSegmentBase(segment: number): bigint {
    return this.bases[segment]!;
  }
  writeSegmentBase(segment: number, base: bigint): void {
    this.bases[segment] = base;
  }
}

export class Guest {
  readonly memory: MachineMemory;
  readonly hypervisor: Hypervisor;
  readonly domain: Domain;
  readonly built: BuiltDomain;
  readonly clock = new TestClock();
  readonly events = channel<MmuEvent>();

  constructor({ profile = '4.1', flush, debug = false, vcpus = 1, staleness = {} }: GuestOptions = {}) {
    this.memory = new MachineMemory({
      memory: new WebAssembly.Memory({ initial: 176 }),
      storageOffset: 0,
      storageFrames: 2816,
      maxMfn: 0x4_0000,
    });
    const xenFrames = new FrameAllocator({ memory: this.memory, firstMfn: 0x200, endMfn: 0x1000 });
    const tables = new PageTables({ memory: this.memory, events: this.events, clock: () => 0 });
    this.hypervisor = new Hypervisor({
      config: {
        profile,
        version: profile === '4.1' ? '4.1.3OVM' : '4.17.7',
        debug,
        flush: parseFlushPolicy(flush ?? `xen-${profile}`),
        firstCpu: 3,
      },
      memory: this.memory,
      tables,
      m2p: new M2p(this.memory, xenFrames),
      xenFrames,
      clock: this.clock,
      cpuid: (leaf) => ({ eax: leaf, ebx: 0xffff_ffff, ecx: 0xffff_ffff, edx: 0xffff_ffff }),
    });
    const image = new Uint8Array(IMAGE_PAGES * 4096);
    const kernel = writeElf({
      entry: BASE,
      segments: [{ vaddr: BASE, bytes: image, memoryBytes: image.length }],
      notes: { loader: 'generic', xenVersion: 'xen-3.0', virtBase: BASE },
    });
    this.built = buildDomain(readKernel(kernel), {
      memory: this.memory,
      frames: [ascending(PAGES, FIRST_MFN)],
      sharedInfo: xenFrames.allocate()!,
      xenstorePort: 1,
      consolePort: 2,
    });
    const hardware = Array.from({ length: vcpus }, (_, vcpu) => ({
      registers: new PlainRegisters(),
      mmu: new Mmu({ tables, staleness: parseStaleness(staleness), random: random(vcpu), vcpu }),
    }));
    this.domain = this.hypervisor.createDomain({ id: 7, image: this.built, vcpus: hardware });
    this.registers.gpr[RSP] = STACK_TOP;
  }

  get vcpu(): XenVcpu {
    return this.domain.initialVcpu;
  }

  get registers(): PlainRegisters {
    return this.vcpu.registers as PlainRegisters;
  }

  /** The machine frame of the domain's frame. */
  mfn(pfn: number): Mfn {
    return this.built.p2m[pfn]!;
  }

  /** The domain's frame that is mapped at an address of the initial area. */
  mfnAt(address: bigint): Mfn {
    return this.mfn(Number((address - BASE) >> 12n));
  }

  /** The frames of the builder's tables of the initial area: the L4, and those on the way to BASE. */
  table(level: Level): Mfn {
    return level === 4 ? this.built.l4 : this.vcpu.mmu.walk(vaddr(BASE)).steps[4 - level]!.table;
  }

  page(frame: number) {
    return this.hypervisor.page(frame)!;
  }

  /** An entry in memory, by table and index. */
  entry(table: Mfn, index: number): bigint {
    return this.memory.read64(maddr(mfnToMaddr(table) + index * 8));
  }

  /** Where the L1e of an address lies. */
  l1e(address: bigint): Maddr {
    const step = this.vcpu.mmu.walk(vaddr(address)).steps.at(-1)!;
    if (step.level !== 1) throw new Error('no L1e maps this address');
    return step.address;
  }

  /** The L1e of an address as it stands. */
  l1eValue(address: bigint): bigint {
    return this.memory.read64(this.l1e(address));
  }

  /** Executes SYSCALL with these registers, and comes back to the guest: rax as a signed number. */
  call(number: number, ...args: readonly (bigint | number)[]): bigint {
    return this.callFrom(this.vcpu, number, ...args);
  }

  callFrom(vcpu: XenVcpu, number: number, ...args: readonly (bigint | number)[]): bigint {
    const registers = vcpu.registers as PlainRegisters;
    this.load(vcpu, number, ...args);
    do this.step(vcpu);
    while (registers.rip === CALL_RIP);
    return s64(registers.gpr[RAX]!);
  }

  /** Stands before the SYSCALL with these registers. */
  load(vcpu: XenVcpu, number: number, ...args: readonly (bigint | number)[]): void {
    const registers = vcpu.registers as PlainRegisters;
    registers.rip = CALL_RIP;
    registers.gpr[RAX] = BigInt(number);
    [RDI, RSI, RDX, R10, R8, R9].forEach((register, index) => {
      registers.gpr[register] = BigInt.asUintN(64, BigInt(args[index] ?? 0));
    });
  }

  /** Executes the SYSCALL that rip points to, once; and comes back to the guest, whose rip may point to it again. */
  step(vcpu: XenVcpu = this.vcpu): void {
    vcpu.registers.rip += 2n;
    this.hypervisor.syscall(vcpu);
    this.hypervisor.beforeResume(vcpu);
  }

  /** Raises an exception, and comes back to the guest. */
  raise(exception: CpuException, vcpu = this.vcpu): void {
    this.hypervisor.exception(vcpu, exception);
    this.hypervisor.beforeResume(vcpu);
  }

  /** The guest's own access: true, or the error code of the #PF (which the TLB has heard of). */
  access(address: bigint, kind: 'read' | 'write' | 'fetch', vcpu = this.vcpu): true | number {
    const result = translation();
    const bits = { read: READ, write: WRITE, fetch: FETCH }[kind] | USER;
    if (vcpu.mmu.translate(vaddrToVpn(vaddr(address)), bits, result)) return true;
    vcpu.mmu.pageFault(vaddr(address));
    return result.errorCode;
  }

  /** Stores words into the guest's memory, as its tables map it, whatever the rights. */
  poke(address: bigint, ...words: readonly (bigint | number)[]): bigint {
    words.forEach((word, index) => {
      this.memory.write64(this.maddrOf(address + BigInt(8 * index)), BigInt.asUintN(64, BigInt(word)));
    });
    return address;
  }

  pokeBytes(address: bigint, bytes: readonly number[]): bigint {
    bytes.forEach((byte, index) => {
      this.memory.write8(this.maddrOf(address + BigInt(index)), byte);
    });
    return address;
  }

  peek(address: bigint): bigint {
    return this.memory.read64(this.maddrOf(address));
  }

  maddrOf(address: bigint): Maddr {
    const { frame } = this.vcpu.mmu.walk(vaddr(address));
    if (frame === undefined) throw new Error(`${address.toString(16)} is not mapped`);
    return maddr(mfnToMaddr(mfn(frame)) + Number(address & 0xfffn));
  }

  /** What Xen has printed. */
  get log(): readonly string[] {
    return this.hypervisor.console.lines;
  }
}

/** An L1e as a guest's kernel writes it: frame and flags. */
export const pte = (frame: number, flags: number | bigint): bigint => (BigInt(frame) << 12n) | BigInt(flags);
