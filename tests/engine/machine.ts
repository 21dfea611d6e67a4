// A bare machine for tests of the engine: RAM, page tables, one or more vCPUs at CPL 3, no hypervisor.
//
//   const machine = testMachine();
//   machine.map(0x1000n);                       // a new writable, executable page
//   machine.load(0x1000n, 'mov eax, 1');
//   machine.vcpu.rip = 0x1000n;
//   machine.run(1)

import { PTE_A, PTE_D, PTE_NX, PTE_P, PTE_RW, PTE_US } from '../../src/abi/paging.js';
import {
  type Maddr,
  type Mfn,
  maddr,
  mfn,
  mfnToMaddr,
  PAGE_BYTES,
  type Vaddr,
  vaddr,
  vaddrToVpn,
} from '../../src/base/addresses.js';
import { channel } from '../../src/base/events.js';
import { random } from '../../src/base/random.js';
import { Engine, type EngineHost, type EngineOptions, type Exit, type Vcpu } from '../../src/engine/index.js';
import { assembleText } from '../../src/isa/index.js';
import { MachineMemory } from '../../src/memory/index.js';
import { entryAddress, Mmu, type MmuEvent, PageTables, type Staleness } from '../../src/mmu/index.js';

export interface MapOptions {
  readonly writable?: boolean;
  readonly executable?: boolean;
  readonly user?: boolean;
  /** A and D, both set unless told otherwise. */
  readonly accessed?: boolean;
  /** A frame that is mapped elsewhere already, or is no RAM; otherwise a new one. */
  readonly frame?: Mfn;
}

export interface TestMachineOptions extends Partial<Omit<EngineOptions, 'memory'>> {
  readonly staleness?: Partial<Staleness>;
  readonly frames?: number;
  readonly host?: Partial<EngineHost>;
}

const USER_TABLE = PTE_P | PTE_RW | PTE_US | PTE_A;
const TEST = { what: 'test' };

const TEST_HOST: EngineHost = {
  cpuid: (leaf, subleaf) => ({ eax: leaf + 1, ebx: subleaf + 2, ecx: 0xc0c0c0c0, edx: 0xd0d0d0d0 }),
  tsc: () => 0x1234_5678_9abc_def0n,
  tscAux: () => 7,
  readDescriptor: () => undefined,
  xgetbv: (index) => (index === 0 ? 7n : undefined),
  systemRegisters: {
    gdt: { limit: 0xefff, base: 0xffff_8300_0000_1000n },
    idt: { limit: 0xfff, base: 0xffff_8300_0000_2000n },
    ldtr: 0,
    tr: 0xe040,
    msw: 0x3b,
  },
};

export class TestMachine {
  readonly memory: MachineMemory;
  readonly engine: Engine;
  readonly tables: PageTables;
  readonly events = channel<MmuEvent>();
  readonly vcpu: Vcpu;
  readonly #root: Mfn;
  readonly #staleness: Staleness;
  readonly #host: EngineHost;
  #nextFrame = 1;

  constructor({ staleness, frames = 512, host, ...engineOptions }: TestMachineOptions = {}) {
    const storageOffset = Engine.bytes(engineOptions.codeCacheBytes);
    const memory = new WebAssembly.Memory({ initial: Math.ceil((storageOffset + frames * PAGE_BYTES) / 65536) });
    this.memory = new MachineMemory({ memory, storageOffset, storageFrames: frames, maxMfn: 1 << 20 });
    this.engine = new Engine({ memory: this.memory, ...engineOptions });
    this.tables = new PageTables({ memory: this.memory, events: this.events, clock: () => this.engine.retired });
    this.#root = this.frame();
    this.#staleness = { tlb: 'demand', refill: { kind: 'none' }, cpu: 'intel', ...staleness };
    this.#host = { ...TEST_HOST, ...host };
    this.vcpu = this.addVcpu();
  }

  addVcpu(): Vcpu {
    const mmu = new Mmu({ tables: this.tables, staleness: this.#staleness, random: random(1), vcpu: 0 });
    mmu.loadCr3(this.#root, TEST);
    return this.engine.createVcpu(mmu, this.#host);
  }

  /** A new frame of RAM. */
  frame(): Mfn {
    const frame = mfn(this.#nextFrame++);
    this.memory.addFrame(frame);
    return frame;
  }

  /** Maps one page; its frame. */
  map(address: bigint, options: MapOptions = {}): Mfn {
    const { writable = true, executable = true, user = true, accessed = true, frame = this.frame() } = options;
    const flags = [
      PTE_P,
      writable ? PTE_RW : 0n,
      user ? PTE_US : 0n,
      accessed ? PTE_A | PTE_D : 0n,
      executable ? 0n : PTE_NX,
    ].reduce((all, flag) => all | flag);
    this.tables.storeEntry(this.#leaf(address), BigInt(mfnToMaddr(frame)) | flags, TEST);
    return frame;
  }

  unmap(address: bigint): void {
    this.tables.storeEntry(this.#leaf(address), 0n, TEST);
  }

  /** Puts assembly text, or bytes, at an address that is mapped; the address behind it. */
  load(address: bigint, code: string | Uint8Array): bigint {
    const bytes = typeof code === 'string' ? assembleText(code, address) : code;
    this.poke(address, bytes);
    return address + BigInt(bytes.length);
  }

  /** Changes the bytes behind an address as the hypervisor would. */
  poke(address: bigint, bytes: Uint8Array): void {
    this.#eachPiece(address, bytes.length, (place, done, size) => {
      this.memory.copyIn(place, bytes.subarray(done, done + size));
    });
  }

  peek(address: bigint, lengthBytes: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes);
    this.#eachPiece(address, lengthBytes, (place, done, size) => bytes.set(this.memory.copyOut(place, size), done));
    return bytes;
  }

  peek64(address: bigint): bigint {
    return this.peek(address, 8).reduceRight((word, byte) => (word << 8n) | BigInt(byte), 0n);
  }

  poke64(address: bigint, value: bigint): void {
    this.poke(
      address,
      Uint8Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn)),
    );
  }

  run(budget: number, vcpu = this.vcpu): Exit {
    return this.engine.run(vcpu, budget);
  }

  /** The machine addresses behind a range, a page at a time. */
  #eachPiece(address: bigint, lengthBytes: number, use: (place: Maddr, done: number, size: number) => void): void {
    for (let done = 0; done < lengthBytes; ) {
      const at = address + BigInt(done);
      const { frame } = this.vcpu.mmu.walk(vaddr(at));
      if (frame === undefined) throw new Error(`${at.toString(16)} is not mapped`);
      const within = Number(at & 0xfffn);
      const size = Math.min(PAGE_BYTES - within, lengthBytes - done);
      use(maddr(mfnToMaddr(frame) + within), done, size);
      done += size;
    }
  }

  /** Where the entry for a page lies, with the tables above it made. */
  #leaf(address: Vaddr | bigint) {
    const page = vaddrToVpn(vaddr(address));
    let table = this.#root;
    for (const level of [4, 3, 2] as const) {
      const entry = entryAddress(table, page, level);
      if (this.memory.read64(entry) === 0n)
        this.tables.storeEntry(entry, BigInt(mfnToMaddr(this.frame())) | USER_TABLE, TEST);
      table = mfn(Number((this.memory.read64(entry) >> 12n) & 0xff_ffff_ffffn));
    }
    return entryAddress(table, page, 1);
  }
}

export const testMachine = (options?: TestMachineOptions): TestMachine => new TestMachine(options);
