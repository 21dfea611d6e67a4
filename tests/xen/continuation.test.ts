// Hypercalls that are continued: wherever a batch is cut, what it does is what it would have done in one go; and no count,
// however large, keeps the guest from being stopped.

import { afterEach, describe, expect, test, vi } from 'vitest';
import * as call from '../../src/abi/hypercalls.js';
import * as op from '../../src/abi/mmu-ops.js';
import { R10, RAX, RDI, RDX, RSI, RSP } from '../../src/abi/registers.js';
import { maddr, mfn, mfnToMaddr } from '../../src/base/addresses.js';
import { type Random, random } from '../../src/base/random.js';
import { s64 } from '../../src/base/words.js';
import { writeElf } from '../../src/builder/index.js';
import { Assembler } from '../../src/isa/index.js';
import { defaultHost, Machine, parseFlushPolicy, parseStaleness } from '../../src/machine/index.js';
import { WORK_PER_SYSCALL } from '../../src/xen/continuation.js';
import type { XenEvent } from '../../src/xen/events-of-xen.js';
import { BASE, CALL_RIP, DATA, Guest, type GuestOptions, pte, SPARE_PFN, STACK_TOP } from './guest.js';
import { auditBooks } from './recount.js';

const SELF = 0x7ff0;
/** Where `done` counts go; the lists are in the pages from DATA to here. */
const DONE = BASE + 0x6ff8n;

afterEach(() => {
  vi.restoreAllMocks();
});

/** Lets batches be cut at these looks at the work done, counted from 0 over all executions; `true` is at each. */
function cut(guest: Guest, at: true | ((look: number) => boolean)): void {
  let look = 0;
  vi.spyOn(guest.hypervisor.work, 'isEnough', 'get').mockImplementation(() => at === true || at(look++));
}

/** A hypercall of `COUNT` items: its arguments (whose list it stores), and those that are left after some items. */
interface Batch {
  readonly name: string;
  readonly number: number;
  readonly prepare: (guest: Guest) => readonly (bigint | number)[];
  readonly left: (args: readonly bigint[], done: number) => readonly bigint[];
  readonly options?: GuestOptions;
  readonly result?: bigint;
}

const COUNT = 6;
const each = <T>(make: (index: number) => T): T[] => Array.from({ length: COUNT }, (_, index) => make(index));
const spare = (guest: Guest, index: number): number => guest.mfn(SPARE_PFN + index);
const preempted = (count: number): bigint => BigInt(count) | BigInt(op.MMU_UPDATE_PREEMPTED);

/** A request of mmu_update for a word of a spare frame: which is no table, so that any word will do. */
const update = (guest: Guest, index: number): bigint[] => [
  BigInt(spare(guest, index)) * 4096n + BigInt(8 * index),
  0x1000n + BigInt(index),
];

const BATCHES: readonly Batch[] = [
  {
    name: 'mmu_update',
    number: call.__HYPERVISOR_mmu_update,
    prepare: (guest) => [guest.poke(DATA, ...each((index) => update(guest, index)).flat()), COUNT, DONE, SELF],
    left: ([list], done) => [list! + BigInt(16 * done), preempted(COUNT - done), DONE, BigInt(SELF)],
  },
  {
    name: 'mmuext_op',
    number: call.__HYPERVISOR_mmuext_op,
    prepare: (guest) => [
      guest.poke(DATA, ...each((index) => [op.MMUEXT_PIN_L1_TABLE, spare(guest, index), 0]).flat()),
      COUNT,
      DONE,
      SELF,
    ],
    left: ([list], done) => [list! + BigInt(24 * done), preempted(COUNT - done), DONE, BigInt(SELF)],
  },
  {
    name: 'multicall',
    number: call.__HYPERVISOR_multicall,
    prepare: (guest) => [
      guest.poke(DATA, ...each((index) => [call.__HYPERVISOR_set_debugreg, 5, index % 4, index, 0, 0, 0, 0]).flat()),
      COUNT,
    ],
    left: ([list], done) => [list! + BigInt(64 * done), BigInt(COUNT - done)],
  },
  {
    name: 'memory_op, giving pages back',
    number: call.__HYPERVISOR_memory_op,
    prepare: (guest) => {
      guest.poke(DATA + 0x100n, ...each((index) => spare(guest, index)));
      return [1, guest.poke(DATA, DATA + 0x100n, COUNT, 0, SELF)];
    },
    left: (args, done) => [1n | (BigInt(done) << 6n), args[1]!],
    result: BigInt(COUNT),
  },
  {
    name: 'grant_table_op',
    number: call.__HYPERVISOR_grant_table_op,
    // Copies a word from frame to frame: each source is the target before.
    prepare: (guest) => {
      guest.memory.write64(maddr(mfnToMaddr(mfn(spare(guest, 0)))), 0xfeedn);
      const copy = (index: number) => [spare(guest, index), SELF, spare(guest, index + 1), SELF, 8n | (0x7777n << 32n)];
      return [5, guest.poke(DATA, ...each(copy).flat()), COUNT];
    },
    left: ([, list], done) => [5n, list! + BigInt(40 * done), BigInt(COUNT - done)],
  },
  {
    name: 'set_trap_table',
    number: call.__HYPERVISOR_set_trap_table,
    prepare: (guest) => [
      guest.poke(DATA, ...each((index) => (index < COUNT - 1 ? [index, BASE + BigInt(index)] : [0, 0])).flat()),
    ],
    left: ([list], done) => [list! + BigInt(16 * done)],
  },
  {
    name: 'console_io',
    number: call.__HYPERVISOR_console_io,
    options: { profile: '4.17', debug: true },
    // Not quite so many pieces of 128 bytes.
    prepare: (guest) => [0, 128 * COUNT - 5, guest.pokeBytes(DATA, new Array<number>(128 * COUNT).fill(0x61))],
    left: ([, count, buffer], done) => [0n, count! - BigInt(128 * done), buffer! + BigInt(128 * done)],
  },
];

/** All that a batch of the tests can change: frames, what they are, the vCPU's tables, and what Xen said. */
function state(guest: Guest): object {
  const frames = [...guest.built.p2m, ...guest.domain.frames].sort((a, b) => a - b);
  const hash = (frame: number): number => {
    const bytes = guest.memory.copyOut(maddr(mfnToMaddr(mfn(frame))), 4096);
    let sum = 0x811c9dc5;
    for (const word of new Uint32Array(bytes.buffer, bytes.byteOffset, 1024)) sum = Math.imul(sum ^ word, 0x01000193);
    return sum;
  };
  return {
    ended: guest.domain.ended,
    frames: frames.map((frame) => {
      const { refs, type, typeCount, validated, pinned, allocated } = guest.page(frame);
      return [
        frame,
        hash(frame),
        guest.hypervisor.m2p.lookup(mfn(frame)),
        refs,
        type,
        typeCount,
        validated,
        pinned,
        allocated,
      ];
    }),
    traps: guest.vcpu.trapTable,
    ldt: [guest.vcpu.ldtBase, guest.vcpu.ldtEntries],
    debug: guest.vcpu.debugRegisters,
    log: guest.log,
  };
}

const argumentsNow = (guest: Guest): bigint[] => [RDI, RSI, RDX, R10].map((register) => guest.registers.gpr[register]!);

describe('a batch that is cut once', () => {
  const rows = BATCHES.flatMap((batch) => each((done) => [batch.name, done, batch] as const).slice(1));

  test.each(rows)('%s, after %i items: the same SYSCALL, with what is left', (_, done, batch) => {
    const whole = new Guest(batch.options);
    const result = whole.call(batch.number, ...batch.prepare(whole));
    expect(result).toBe(batch.result ?? 0n);

    const guest = new Guest(batch.options);
    const args = batch.prepare(guest).map(BigInt);
    cut(guest, (look) => look === done - 1);
    guest.load(guest.vcpu, batch.number, ...args);
    guest.step();
    expect(guest.registers.rip).toBe(CALL_RIP);
    expect(guest.registers.gpr[RAX]).toBe(BigInt(batch.number));
    expect(argumentsNow(guest).slice(0, batch.left(args, done).length)).toEqual(batch.left(args, done));
    if (args[2] === DONE) expect(guest.peek(DONE)).toBe(BigInt(done));
    guest.step();
    expect(guest.registers.rip).toBe(CALL_RIP + 2n);
    expect(s64(guest.registers.gpr[RAX]!)).toBe(result);
    expect(state(guest)).toEqual(state(whole));
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test.each(BATCHES.map((batch) => [batch.name, batch] as const))(
    '%s in a multicall: its entry is rewritten',
    (_, batch) => {
      if (batch.number === call.__HYPERVISOR_multicall) return;
      const guest = new Guest(batch.options);
      const list = BASE + 0x4000n;
      const args = batch.prepare(guest).map(BigInt);
      guest.poke(list, call.__HYPERVISOR_fpu_taskswitch, 5, 1, 0, 0, 0, 0, 0);
      guest.poke(list + 64n, batch.number, 5, ...args);
      // The first look is at the second entry of the multicall.
      cut(guest, (look) => look === 3);
      guest.load(guest.vcpu, call.__HYPERVISOR_multicall, list, 2);
      guest.step();
      expect([guest.registers.rip, ...argumentsNow(guest).slice(0, 2)]).toEqual([CALL_RIP, list + 64n, 1n]);
      const left = batch.left(args, 3);
      expect(left.map((_, index) => guest.peek(list + 80n + BigInt(8 * index)))).toEqual(left);
      guest.step();
      expect([guest.registers.rip, guest.registers.gpr[RAX]]).toEqual([CALL_RIP + 2n, 0n]);
      expect([guest.peek(list + 8n), guest.peek(list + 72n)]).toEqual([0n, batch.result ?? 0n]);
    },
  );

  test('a multicall whose list can be read only is -EFAULT when an entry is to be continued', () => {
    const guest = new Guest();
    const list = BASE + 0x2000n;
    guest.poke(list, call.__HYPERVISOR_mmu_update, 5, ...BATCHES[0]!.prepare(guest), 0, 0);
    guest.call(call.__HYPERVISOR_update_va_mapping, list, pte(guest.mfnAt(list), 0x61), op.UVMF_INVLPG);
    cut(guest, true);
    expect(guest.call(call.__HYPERVISOR_multicall, list, 1)).toBe(-14n);
  });
});

/** Hypercalls on spare frames, which like to meet in the same few; most make sense. */
function randomCall(guest: Guest, dice: Random, at: bigint, depth = 0): readonly [number, ...(bigint | number)[]] {
  const { below } = dice;
  const count = 1 + below(8);
  const many = (make: () => (bigint | number)[]): (bigint | number)[] => Array.from({ length: count }, make).flat();
  const frame = () => spare(guest, below(6));
  const entry = () => (below(4) === 0 ? 0n : pte(frame(), [0x61, 0x63, 0x65, 0x67][below(4)]!));
  switch (below(depth === 0 ? 8 : 7)) {
    case 0:
    case 1: {
      const request = () => [
        BigInt(frame()) * 4096n + BigInt(8 * below(4) + (below(20) === 0 ? below(8) : 0)),
        entry(),
      ];
      return [call.__HYPERVISOR_mmu_update, guest.poke(at, ...many(request)), count, below(2) === 0 ? 0 : DONE, SELF];
    }
    case 2: {
      const request = () => [[0, 0, 0, 1, 1, 2, 4, 4, 4, 6, 7, 13, 15, 16, 18][below(15)]!, frame(), frame()];
      return [call.__HYPERVISOR_mmuext_op, guest.poke(at, ...many(request)), count, below(2) === 0 ? 0 : DONE, SELF];
    }
    case 3: {
      guest.poke(at + 32n, ...many(() => [below(5) === 0 ? spare(guest, 6 + below(20)) : SPARE_PFN + below(6)]));
      return [call.__HYPERVISOR_memory_op, [0, 1, 6][below(3)]!, guest.poke(at, at + 32n, count, 0, SELF)];
    }
    case 4: {
      const request = () => [frame(), SELF, frame(), below(10) === 0 ? 3 : SELF, 64];
      return [call.__HYPERVISOR_grant_table_op, [5, 5, 0, 1][below(4)]!, guest.poke(at, ...many(request)), count];
    }
    case 5:
      guest.poke(at, ...many(() => [below(256), below(20) === 0 ? 1n << 50n : BASE + BigInt(below(4096))]), 0, 0);
      return [call.__HYPERVISOR_set_trap_table, at];
    case 6:
      guest.pokeBytes(
        at,
        Array.from({ length: 600 }, () => 10 + below(100)),
      );
      return [call.__HYPERVISOR_console_io, 0, below(600), at];
    default: {
      const entries = Array.from({ length: count }, (_, index) => {
        const [number, ...args] = randomCall(guest, dice, at + 0x400n + BigInt(0x280 * index), 1);
        return [number, 0, ...args, ...new Array<number>(6).fill(0)].slice(0, 8);
      });
      return [call.__HYPERVISOR_multicall, guest.poke(at, ...entries.flat()), count];
    }
  }
}

describe('random batches', () => {
  const CALLS = 40;

  /** Makes the calls of a seed; what each returned, and what became of everything. */
  function live(seed: number, cuts: 'never' | 'always' | 'random'): object {
    const guest = new Guest({ profile: seed % 2 === 0 ? '4.1' : '4.17', flush: 'xen-4.1', debug: true });
    const [dice, knife] = [random(seed), random(seed).fork('cuts')];
    if (cuts !== 'never') cut(guest, cuts === 'always' ? true : () => knife.oneIn(3));
    const results: bigint[][] = [];
    for (let index = 0; index < CALLS && !guest.domain.ended; index++) {
      const [number, ...args] = randomCall(guest, dice, DATA);
      const result = guest.call(number, ...args);
      // A multicall's list shows how it was cut: of that only the results count.
      const isMulticall = number === call.__HYPERVISOR_multicall;
      const entries = isMulticall ? Number(args[1]) : 0;
      const entryResults = Array.from({ length: entries }, (_, entry) => guest.peek(DATA + BigInt(64 * entry + 8)));
      results.push([result, guest.peek(DONE), ...entryResults]);
      for (let page = DATA; page <= DONE; page += 0x1000n) guest.memory.fillFrame(guest.mfnAt(page), 0);
    }
    expect(auditBooks(guest.hypervisor)).toEqual([]);
    return { results, state: state(guest) };
  }

  test.each(Array.from({ length: 20 }, (_, seed) => seed + 1))(
    'of seed %i do the same however they are cut',
    (seed) => {
      const whole = live(seed, 'never');
      expect(live(seed, 'random')).toEqual(whole);
      expect(live(seed, 'always')).toEqual(whole);
    },
  );
});

describe('how much is done at a time', () => {
  /** How many executions a call takes. */
  function executions(guest: Guest, number: number, ...args: (bigint | number)[]): number {
    guest.load(guest.vcpu, number, ...args);
    for (let count = 1; ; count++) {
      guest.step();
      if (guest.registers.rip !== CALL_RIP) return count;
    }
  }

  test.each([
    ['a batch of as much as may be', WORK_PER_SYSCALL, 1],
    ['one more', WORK_PER_SYSCALL + 1, 2],
  ])('%s', (_, count, expected) => {
    const guest = new Guest();
    const requests = Array.from({ length: count }, () => update(guest, 0)).flat();
    expect(executions(guest, call.__HYPERVISOR_mmu_update, guest.poke(DATA, ...requests), count, DONE, SELF)).toBe(
      expected,
    );
    expect(guest.peek(DONE)).toBe(BigInt(count));
  });

  test('what the entries of a multicall do is counted together with them', () => {
    const guest = new Guest();
    const at = DATA + 0x1000n;
    const updates = [guest.poke(at, ...Array.from({ length: 600 }, () => update(guest, 0)).flat()), 600, 0, SELF];
    const entries = (count: number) => {
      for (let index = 0; index < count; index++)
        guest.poke(DATA + BigInt(64 * index), call.__HYPERVISOR_mmu_update, 0, ...updates);
      return [DATA, count] as const;
    };
    expect(executions(guest, call.__HYPERVISOR_multicall, ...entries(1))).toBe(1);
    expect(executions(guest, call.__HYPERVISOR_multicall, ...entries(2))).toBe(2);
    expect(executions(guest, call.__HYPERVISOR_multicall, ...entries(5))).toBe(3);
  });

  test('page tables that are audited and let go count as well', () => {
    const guest = new Guest();
    const operations = (first: number, second: number) => {
      const words = Array.from({ length: 600 }, (_, index) => [index % 2 === 0 ? first : second, spare(guest, 0), 0]);
      return [guest.poke(DATA, ...words.flat()), 600, 0, SELF] as const;
    };
    const { MMUEXT_CLEAR_PAGE, MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE } = op;
    const harmless = operations(MMUEXT_CLEAR_PAGE, MMUEXT_TLB_FLUSH_LOCAL);
    expect(executions(guest, call.__HYPERVISOR_mmuext_op, ...harmless)).toBe(1);
    const pins = operations(MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE);
    expect(executions(guest, call.__HYPERVISOR_mmuext_op, ...pins)).toBe(2);
  });

  test('4.17 flushes after each part that changed an upper entry, and after no other', () => {
    const guest = new Guest({ profile: '4.17' });
    const tick = () => guest.hypervisor.tlbClock.now;
    const emptyL2e = [BigInt(guest.table(2)) * 4096n + 8n * 300n, 0n];
    const requests = [emptyL2e, ...Array.from({ length: WORK_PER_SYSCALL + 100 }, () => update(guest, 0))];
    guest.load(
      guest.vcpu,
      call.__HYPERVISOR_mmu_update,
      guest.poke(DATA, ...requests.flat()),
      requests.length,
      0,
      SELF,
    );
    const start = tick();
    guest.step();
    const middle = tick();
    guest.step();
    expect(guest.registers.rip).toBe(CALL_RIP + 2n);
    expect([middle > start, tick() - middle]).toEqual([true, 0]);
  });
});

describe('between two parts', () => {
  const HANDLER = BASE + 0x500n;

  test('an event is delivered; its handler returns to the SYSCALL', () => {
    const guest = new Guest({ profile: '4.17' });
    guest.vcpu.eventCallback = { address: HANDLER, masksEvents: false };
    guest.vcpu.upcallMask = false;
    // A port of its own, which it notifies.
    guest.poke(DATA + 0x800n, guest.domain.events.bindIpi(0));
    guest.registers.gpr[RSP] = STACK_TOP;
    guest.poke(
      DATA,
      ...[call.__HYPERVISOR_event_channel_op, 5, 4, DATA + 0x800n, 0, 0, 0, 0],
      ...[call.__HYPERVISOR_fpu_taskswitch, 5, 1, 0, 0, 0, 0, 0],
    );
    guest.load(guest.vcpu, call.__HYPERVISOR_multicall, DATA, 2);
    guest.step();
    expect([guest.registers.rip, guest.vcpu.upcallMask, guest.vcpu.taskSwitched]).toEqual([HANDLER, true, false]);
    // rcx, r11, rip, …
    expect(guest.peek(guest.registers.gpr[RSP]! + 16n)).toBe(CALL_RIP);
    expect([guest.peek(DATA + 8n), guest.peek(DATA + 72n)]).toEqual([0n, 5n]);
    guest.registers.rip = CALL_RIP;
    guest.step();
    expect([guest.registers.rip, guest.registers.gpr[RAX]]).toEqual([CALL_RIP + 2n, 0n]);
    expect([guest.peek(DATA + 72n), guest.vcpu.taskSwitched]).toEqual([0n, true]);
  });

  test('a vCPU that is to sleep sleeps, and goes on when it wakes', () => {
    const guest = new Guest({ profile: '4.17' });
    guest.poke(
      DATA,
      ...[call.__HYPERVISOR_sched_op, 5, 1, 0, 0, 0, 0, 0],
      ...[call.__HYPERVISOR_fpu_taskswitch, 5, 1, 0, 0, 0, 0, 0],
    );
    guest.load(guest.vcpu, call.__HYPERVISOR_multicall, DATA, 2);
    guest.step();
    expect(guest.vcpu).toMatchObject({ runState: 'blocked', taskSwitched: false });
    guest.vcpu.time.wake();
    guest.step();
    expect([guest.registers.rip, guest.vcpu.taskSwitched]).toEqual([CALL_RIP + 2n, true]);
  });

  test('nobody hears of a call before it has returned', () => {
    const guest = new Guest();
    const heard: XenEvent[] = [];
    guest.hypervisor.events.subscribe((event) => heard.push(event));
    cut(guest, (look) => look === 2);
    guest.load(guest.vcpu, call.__HYPERVISOR_mmu_update, ...BATCHES[0]!.prepare(guest));
    guest.step();
    expect(heard).toEqual([]);
    guest.step();
    expect(heard).toMatchObject([
      {
        number: call.__HYPERVISOR_mmu_update,
        result: 0n,
        call: { rip: CALL_RIP, args: [DATA + 48n, preempted(3), DONE, BigInt(SELF), 0n, 0n] },
      },
    ]);
  });
});

describe('a count of 2^31 - 1', () => {
  const FOREVER = 0x7fff_ffff;
  /** 512 GiB of the guest's address space. */
  const ENDLESS = 0x280_0000_0000n;

  /** Fills a page with one word, and maps it everywhere from ENDLESS. */
  function endless(guest: Guest, word: bigint): bigint {
    const [page, l1, l2, l3] = [spare(guest, 0), spare(guest, 1), spare(guest, 2), spare(guest, 3)];
    const fill = (frame: number, value: bigint) => {
      for (let index = 0; index < 512; index++) guest.memory.write64(maddr(mfnToMaddr(mfn(frame)) + 8 * index), value);
    };
    fill(page, word);
    fill(l1, pte(page, 0x63));
    fill(l2, pte(l1, 0x67));
    fill(l3, pte(l2, 0x67));
    guest.poke(DATA, BigInt(guest.table(4)) * 4096n + 8n * (ENDLESS >> 39n), pte(l3, 0x67));
    expect(guest.call(call.__HYPERVISOR_mmu_update, DATA, 1, 0, SELF)).toBe(0n);
    return ENDLESS;
  }

  const target = (guest: Guest): bigint => BigInt(spare(guest, 9)) * 4096n;
  const rows: readonly (readonly [string, number, (guest: Guest) => bigint, (list: bigint) => (bigint | number)[]])[] =
    [
      ['mmu_update', 1, target, (list) => [list, FOREVER, 0, SELF]],
      ['mmuext_op', 26, () => 6n, (list) => [list, FOREVER, 0, SELF]],
      ['multicall', 13, () => 5n, (list) => [list, FOREVER]],
      ['grant_table_op, copying', 20, () => 0n, (list) => [5, list, FOREVER]],
      ['grant_table_op, mapping', 20, () => 0n, (list) => [0, list, FOREVER]],
      ['grant_table_op, unmapping', 20, () => 0n, (list) => [1, list, FOREVER]],
      ['set_trap_table', 0, () => 0x1000n, (list) => [list]],
      ['console_io', 18, () => 0x6161_6161_6161_6161n, (list) => [0, FOREVER, list]],
    ];

  test.each(rows)('%s comes back after every thousand or so', (_, number, word, args) => {
    const guest = new Guest({ profile: '4.17', debug: true });
    const list = endless(guest, word(guest));
    guest.load(guest.vcpu, number, ...args(list));
    const position = () =>
      Math.max(...argumentsNow(guest).map((arg) => (arg >= ENDLESS && arg < 2n ** 47n ? Number(arg - ENDLESS) : 0)));
    const places = [0, 1, 2].map(() => {
      guest.step();
      expect(guest.registers.rip).toBe(CALL_RIP);
      return position();
    });
    expect(places[0]).toBeGreaterThan(0);
    expect(places).toEqual([1, 2, 3].map((times) => times * places[0]!));
  });

  test('a kernel that asks for it stops at its budget, to the instruction', () => {
    const TEXT = 0xffff_ffff_8010_0000n;
    const asm = new Assembler();
    asm.section('text', { address: TEXT });
    // multicall(zeros, 2^31 - 1): set_trap_table(0) as far as there is memory; then sched_op(SCHEDOP_shutdown, &poweroff).
    asm.code('mov rdi, 0xffffffff80110000\nmov esi, 0x7fffffff\nmov eax, 13\nsyscall');
    asm.code('mov edi, 2\nmov rsi, 0xffffffff80110000\nmov eax, 29\nsyscall');
    const text = asm.assemble().sections[0]!.bytes;
    const machine = new Machine({
      kernel: writeElf({
        entry: TEXT,
        segments: [{ vaddr: TEXT, bytes: text, memoryBytes: 0x40_0000 }],
        notes: { guestOs: 'hostile', xenVersion: 'xen-3.0', loader: 'generic', virtBase: 0xffff_ffff_8000_0000n },
      }),
      commandLine: '',
      pages: 2048,
      vcpus: 1,
      staleness: parseStaleness({ tlb: 'demand', refill: 'none', cpu: 'intel' }),
      flush: parseFlushPolicy('xen-4.17'),
      seed: 1,
      host: defaultHost('4.17'),
      name: 'hostile',
    });
    expect([machine.run(20), machine.retired]).toEqual(['stopped', 20]);
    expect([machine.run(1000), machine.ended?.reason]).toEqual(['ended', 'poweroff']);
    expect(machine.retired).toBeGreaterThan(50);
  });
});
