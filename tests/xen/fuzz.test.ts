// Thousands of hypercalls that make little sense, from a seeded generator that likes frames and flags of importance. Whatever
// comes: nothing is thrown, every reference stays accounted for, and no page table ever becomes writable.

import { describe, expect, test } from 'vitest';
import * as call from '../../src/abi/hypercalls.js';
import { RSP } from '../../src/abi/registers.js';
import { type Mfn, maddr, mfn, mfnToMaddr, vaddr, vaddrToVpn } from '../../src/base/addresses.js';
import { type Random, random } from '../../src/base/random.js';
import { translation, USER, WRITE } from '../../src/mmu/index.js';
import { PGT_writable_page } from '../../src/xen/page-info.js';
import { entryMaddr } from '../../src/xen/xen-slots.js';
import { BASE, DATA, Guest, type GuestOptions, PAGES, pte, SPARE_PFN, STACK_TOP } from './guest.js';
import { auditBooks } from './recount.js';

const CALLS = 6000;
const AUDIT_EVERY = 250;

class Fuzzer {
  readonly guest: Guest;
  readonly #random: Random;
  readonly #argumentFrame: number;
  /** The toolstack's tables on the way to BASE: L4, L3, L2, L1. */
  readonly #tables: readonly Mfn[];
  /** Stores of the guest's own that hit a page table or a descriptor page in use. */
  readonly breaches: string[] = [];
  /** Frames that the fuzzer comes back to, so that its calls meet. */
  readonly #favourites: number[];

  constructor(options: GuestOptions, seed: number) {
    this.guest = new Guest(options);
    this.#random = random(seed);
    const { guest } = this;
    this.#argumentFrame = guest.mfnAt(DATA);
    guest.vcpu.trapTable.fill({ address: BASE, cs: 0xe033, dpl: 3, masksEvents: false });
    guest.vcpu.eventCallback = { address: BASE, masksEvents: false };
    guest.vcpu.failsafeCallback = { address: BASE, masksEvents: false };
    this.#tables = ([4, 3, 2, 1] as const).map((level) => guest.table(level));
    this.#favourites = [
      ...this.#tables,
      ...Array.from({ length: 12 }, (_, index) => guest.mfn(SPARE_PFN + index)),
      ...[2, 3, 4, 5].map((index) => guest.mfnAt(BASE + BigInt(index) * 4096n)),
      guest.built.sharedInfo,
    ];
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#random.below(choices.length)]!;
  }

  #word(): bigint {
    const { below, next32 } = this.#random;
    switch (below(5)) {
      case 0:
        return BigInt(below(16));
      case 1:
        return BigInt(next32());
      case 2:
        return (BigInt(next32()) << 32n) | BigInt(next32());
      case 3:
        return this.#address();
      default:
        return this.#pick([0n, 0x7ff0n, 0xffff_ffff_ffff_ffffn, 1n << 63n, 0xffff_8000_0000_0000n, 0x7fff_ffff_f000n]);
    }
  }

  #frame(): number {
    const { below, next32 } = this.#random;
    if (below(8) > 0) return this.#pick(this.#favourites);
    return this.#pick([this.guest.mfn(below(PAGES)), below(0x4_0000), 0x200 + below(32), next32(), 0]);
  }

  #address(): bigint {
    const { below } = this.#random;
    const page = this.#pick([2, 3, 4, 5, 16 + below(PAGES - 16), SPARE_PFN + below(12), below(40) === 0 ? 1 : 2]);
    const within = below(3) === 0 ? below(4096) : below(512) * 8;
    return (below(10) === 0 ? this.#pick([0n, 0xffff_8000_0000_0000n]) : BASE) + BigInt(page * 4096 + within);
  }

  #entry(): bigint {
    const { below } = this.#random;
    if (below(12) === 0) return this.#pick([0n, 0n, this.#word()]);
    const flags = this.#pick([0x61, 0x63, 0x67, 0x65, 0x21, 0x23, 0x27, 0x25, 0x01, 0x63, 0x67, 0x61, 0, below(512)]);
    const extra = below(20) === 0 ? this.#pick([1n << 52n, 1n << 63n, 1n << 62n, 0x200n, 1n << 51n]) : 0n;
    return pte(this.#frame(), flags) | extra;
  }

  /** Whether the page for arguments is still mapped where it was, and writable. A guest without one has no more to say. */
  get canSpeak(): boolean {
    const { guest } = this;
    const { frame } = guest.vcpu.mmu.walk(vaddr(DATA));
    return frame === this.#argumentFrame && guest.page(frame).type === PGT_writable_page;
  }

  #put(address: bigint, ...words: readonly (bigint | number)[]): void {
    if (this.canSpeak) this.guest.poke(address, ...words);
  }

  /** Fills a spare frame so that it may well become a table of some level: the fuzzer's guest means to have some success. */
  #prepareTable(): void {
    const { below } = this.#random;
    const { guest } = this;
    const frame = this.#pick(this.#favourites);
    const page = guest.page(frame);
    if (page.typeCount > 0 || page.owner !== guest.domain) return;
    const level = 1 + below(4);
    for (let index = 0; index < 512; index++) {
      const isFilled = below(level === 1 ? 8 : 128) === 0;
      const entry = below(20) === 0 ? this.#entry() : pte(this.#frame(), level === 1 ? 0x61 : 0x65 + below(2) * 2);
      guest.memory.write64(entryMaddr(mfn(frame), index), isFilled ? entry : 0n);
    }
    // An L4 that the guest could run on.
    if (level === 4) guest.memory.write64(entryMaddr(mfn(frame), 511), guest.entry(this.#tables[0]!, 511));
  }

  /** An entry of a table, mostly one that the guest can do without. */
  #slot(frame: number): number {
    const { below } = this.#random;
    if (below(50) === 0) return below(512);
    if (frame === this.#tables[0] || frame === this.#tables[1]) return this.#pick([0, 1, 100, 255, 300]);
    if (frame === this.#tables[2]) return 100 + below(100);
    return this.#pick([16 + below(496), 256 + below(16), 16, 17, 18]);
  }

  #arguments(number: number): (bigint | number)[] {
    const { guest } = this;
    const { below } = this.#random;
    const at = DATA + BigInt(below(64) * 8);
    switch (number) {
      case call.__HYPERVISOR_mmu_update: {
        const count = 1 + below(4);
        for (let index = 0; index < count; index++) {
          const frame = this.#frame();
          const pointer = BigInt(frame) * 4096n + BigInt(this.#slot(frame) * 8 + (below(12) > 0 ? 0 : below(8)));
          this.#put(at + BigInt(16 * index), pointer, this.#entry());
        }
        return [at, count, below(2) === 0 ? 0 : DATA + 0xff0n, below(10) > 0 ? 0x7ff0 : this.#word()];
      }
      case call.__HYPERVISOR_mmuext_op: {
        const count = 1 + below(3);
        for (let index = 0; index < count; index++) {
          const command = this.#pick([
            0,
            1,
            2,
            3,
            0,
            1,
            2,
            3,
            4,
            4,
            4,
            4,
            5,
            6,
            7,
            8,
            9,
            10,
            11,
            13,
            15,
            15,
            16,
            17,
            below(24),
          ]);
          const target =
            command === 7 || command === 9 || command === 11 || command === 13 ? this.#address() : this.#frame();
          this.#put(at + BigInt(24 * index), command, target, below(2) === 0 ? this.#frame() : this.#word());
        }
        return [at, count, 0, below(10) > 0 ? 0x7ff0 : this.#word()];
      }
      case call.__HYPERVISOR_update_va_mapping:
      case call.__HYPERVISOR_update_va_mapping_otherdomain:
        return [
          this.#address(),
          this.#entry(),
          below(4) === 0 ? this.#word() : below(8),
          this.#pick([0x7ff0, 0x7ff1, 7, 8]),
        ];
      case call.__HYPERVISOR_set_gdt:
        this.#put(at, this.#frame(), this.#frame());
        return [at, this.#pick([0, 1, 512, 1024, 7168, 8000])];
      case call.__HYPERVISOR_update_descriptor:
        return [BigInt(this.#frame()) * 4096n + BigInt(8 * below(512)), this.#word()];
      case call.__HYPERVISOR_multicall: {
        const count = below(4);
        for (let index = 0; index < count; index++) {
          const inner = this.#pick(NUMBERS);
          this.#put(at + BigInt(64 * index), inner, 0, ...this.#arguments(inner === 13 ? 1 : inner).slice(0, 6));
        }
        return [at, count];
      }
      case call.__HYPERVISOR_memory_op: {
        // Gives frames back, and asks for others: struct xen_memory_reservation.
        const count = below(3);
        this.#put(at + 64n, this.#frame(), SPARE_PFN + below(12), this.#frame());
        this.#put(at, at + 64n, count, 0n, 0x7ff0n);
        return [this.#pick([0, 1, 1, 6, 6, 11]), at];
      }
      case call.__HYPERVISOR_iret:
        this.#put(
          DATA,
          this.#word(),
          1,
          2,
          this.#pick([0, 0x100]),
          this.#address(),
          0xe030,
          this.#word(),
          STACK_TOP,
          0xe02b,
        );
        guest.registers.gpr[RSP] = DATA;
        return [];
      default:
        return Array.from({ length: 5 }, () => this.#word());
    }
  }

  /** The guest's own store, to wherever its TLB says. */
  #store(address: bigint, word: bigint): void {
    const { guest } = this;
    if (address >= DATA && address < DATA + 0x1000n) return;
    const result = translation();
    if (!guest.vcpu.mmu.translate(vaddrToVpn(vaddr(address)), WRITE | USER, result)) return;
    const page = guest.hypervisor.page(result.frame);
    if (!page) return;
    if (page.typeCount > 0 && page.type !== PGT_writable_page)
      this.breaches.push(`${address.toString(16)} is mfn ${page.mfn.toString(16)} of type ${page.type}`);
    guest.memory.write64(maddr(mfnToMaddr(page.mfn) + Number(address & 0xfffn)), word);
  }

  /** Makes a table of a page that it has just written to, takes its own right to write away without a flush, and writes. */
  #provoke(): void {
    const { guest } = this;
    const address = BASE + BigInt(4096 * (900 + this.#random.below(100)));
    const frame = guest.mfnAt(address);
    const map = (flags: number) => guest.call(call.__HYPERVISOR_update_va_mapping, address, pte(frame, flags), 0);
    const pin = (command: number) => {
      this.#put(DATA, command, frame);
      guest.call(call.__HYPERVISOR_mmuext_op, DATA, 1, 0, 0x7ff0);
    };
    map(0x63);
    this.#store(address, 0n);
    map(0x61);
    pin(this.#random.below(4));
    for (let slot = 0; slot < 8; slot++) this.#store(address + BigInt(8 * slot), this.#entry());
    if (this.#random.below(2) === 0) pin(4);
  }

  /** One hypercall or exception. */
  step(): void {
    const { guest } = this;
    const { below } = this.#random;
    guest.registers.gpr[RSP] = STACK_TOP;
    if (below(5) === 0) this.#prepareTable();
    if (below(50) === 0) this.#provoke();
    if (below(8) === 0) guest.access(this.#address(), 'read');
    if (below(8) === 0) this.#store(this.#address() & ~7n, this.#entry());
    if (below(40) === 0) {
      guest.raise({ vector: 14, errorCode: below(16), vaddr: this.#word() });
    } else if (below(60) === 0) {
      this.#put(DATA, this.#word(), this.#word());
      guest.registers.rip = DATA;
      guest.raise(this.#pick([{ vector: 13, errorCode: 0 }, { vector: 6 }]));
    } else {
      const number = this.#pick(NUMBERS);
      guest.call(number, ...this.#arguments(number));
    }
  }
}

const NUMBERS = [
  ...new Array<number>(8).fill(call.__HYPERVISOR_mmu_update),
  ...new Array<number>(8).fill(call.__HYPERVISOR_mmuext_op),
  ...new Array<number>(8).fill(call.__HYPERVISOR_update_va_mapping),
  call.__HYPERVISOR_update_va_mapping_otherdomain,
  call.__HYPERVISOR_set_gdt,
  call.__HYPERVISOR_set_gdt,
  call.__HYPERVISOR_update_descriptor,
  call.__HYPERVISOR_multicall,
  call.__HYPERVISOR_iret,
  call.__HYPERVISOR_stack_switch,
  call.__HYPERVISOR_callback_op,
  call.__HYPERVISOR_fpu_taskswitch,
  call.__HYPERVISOR_set_debugreg,
  call.__HYPERVISOR_get_debugreg,
  call.__HYPERVISOR_memory_op,
  call.__HYPERVISOR_memory_op,
  call.__HYPERVISOR_set_timer_op,
  call.__HYPERVISOR_xen_version,
  call.__HYPERVISOR_console_io,
  call.__HYPERVISOR_grant_table_op,
  call.__HYPERVISOR_vm_assist,
  call.__HYPERVISOR_vcpu_op,
  call.__HYPERVISOR_set_segment_base,
  call.__HYPERVISOR_event_channel_op,
  call.__HYPERVISOR_physdev_op,
  77,
];

/** Uses up the calls, with another domain whenever one has ended or has nothing more to say; what `look` finds wrong. */
function fuzz(options: GuestOptions, seed: number, look: (fuzzer: Fuzzer) => string[]): string[] {
  const problems: string[] = [];
  let fuzzer = new Fuzzer(options, seed);
  for (let index = 1; index <= CALLS && problems.length === 0; index++) {
    fuzzer.step();
    const isOver = fuzzer.guest.domain.ended || !fuzzer.canSpeak;
    if (index % AUDIT_EVERY === 0 || isOver) problems.push(...look(fuzzer));
    if (isOver) fuzzer = new Fuzzer(options, seed + index);
  }
  return problems;
}

describe('a guest that makes no sense', () => {
  test.each([
    ['4.1', 'xen-4.1', { tlb: 'coherent', refill: 'none', cpu: 'amd' }, 1],
    ['4.1', 'xen-4.1', { tlb: 'hoarding', refill: 'any', cpu: 'intel' }, 2],
    ['4.17', 'xen-4.17', { tlb: 'demand', refill: 'none', cpu: 'intel' }, 3],
    ['4.17', 'xen-4.17,xpti', { tlb: 'random', refill: 'any', cpu: 'intel' }, 4],
  ] as const)(
    'Xen %s under %s, TLB %j: the books balance, and no store reaches a table (seed %i)',
    (profile, flush, staleness, seed) => {
      const look = (fuzzer: Fuzzer) => [...auditBooks(fuzzer.guest.hypervisor), ...fuzzer.breaches];
      expect(fuzz({ profile, flush, staleness, debug: true }, seed, look)).toEqual([]);
    },
  );

  test.each([11, 12])(
    'under abi stale translations do let it write to tables, and still nothing is thrown (%i)',
    (seed) => {
      const breaches = new Set<string>();
      const look = (fuzzer: Fuzzer) => {
        for (const breach of fuzzer.breaches) breaches.add(breach);
        return [];
      };
      fuzz({ profile: '4.17', flush: 'abi', staleness: { tlb: 'hoarding', refill: 'any' } }, seed, look);
      expect(breaches.size).toBeGreaterThan(0);
    },
  );
});
