// Exceptions, events and system calls as the guest's kernel finds them, and what happens when it has no handler.

import { describe, expect, test } from 'vitest';
import * as call from '../../src/abi/hypercalls.js';
import * as op from '../../src/abi/mmu-ops.js';
import { CS, GS, R11, RAX, RCX, RDI, RSP, SS } from '../../src/abi/registers.js';
import { BASE, DATA, Guest, type GuestOptions, type PlainRegisters, SPARE_PFN, STACK_TOP } from './guest.js';

const HANDLER = BASE + 0x800n;
const HERE = BASE + 0x40n;
const KERNEL_SP = BASE + 0x6ff8n;

/** A guest whose handlers are all at HANDLER. */
function withHandlers(options: GuestOptions = {}, flags = 0): Guest {
  const guest = new Guest(options);
  const entries = [0, 1, 2, 3, 4, 6, 7, 13, 14, 17, 0x20, 0x80].flatMap((vector) => [
    BigInt(vector | (flags << 8) | (0x10 << 16)),
    HANDLER,
  ]);
  expect(guest.call(call.__HYPERVISOR_set_trap_table, guest.poke(DATA, ...entries, 0, 0))).toBe(0n);
  guest.vcpu.upcallMask = false;
  guest.registers.rip = HERE;
  guest.registers.gpr[RCX] = 0xcccn;
  guest.registers.gpr[R11] = 0x111n;
  guest.registers.gpr[RSP] = STACK_TOP - 8n;
  guest.registers.rflags = 0x246n;
  return guest;
}

/** The guest's programs have an L4 of their own: a copy of the kernel's. */
function withUser(options: GuestOptions = {}, flags = 0): Guest {
  const guest = withHandlers(options, flags);
  const user = guest.mfn(SPARE_PFN);
  guest.memory.copyFrame(guest.built.l4, user);
  guest.poke(DATA, op.MMUEXT_NEW_USER_BASEPTR, user);
  expect(guest.call(call.__HYPERVISOR_mmuext_op, DATA, 1, 0, 0x7ff0)).toBe(0n);
  guest.call(call.__HYPERVISOR_stack_switch, 0xe02b, KERNEL_SP);
  return guest;
}

const FRAME = ['rax', 'r11', 'rcx', 'flags', 'rip', 'cs', 'rflags', 'rsp', 'ss'] as const;

/** Calls iret with this frame; what is not said is of a plain return to HERE in user mode. */
function iret(guest: Guest, frame: Partial<Record<(typeof FRAME)[number], bigint | number>> = {}): void {
  const usual = { rax: 1, r11: 2, rcx: 3, flags: 0, rip: HERE, cs: 0xe033, rflags: 0x202, rsp: STACK_TOP, ss: 0xe02b };
  const words = { ...usual, ...frame };
  guest.registers.gpr[RSP] = guest.poke(DATA + 0x800n, ...FRAME.map((name) => words[name]));
  guest.call(call.__HYPERVISOR_iret);
}

/** The words that were pushed, from rsp up. */
const pushed = (guest: Guest, count: number): string[] =>
  Array.from({ length: count }, (_, index) => guest.peek(guest.registers.gpr[RSP]! + BigInt(8 * index)).toString(16));

describe('a bounce from the guest kernel', () => {
  test('with an error code: eight words below the aligned rsp', () => {
    const guest = withHandlers();
    guest.raise({ vector: 14, errorCode: 7, vaddr: 0x1234n });
    expect(guest.registers.gpr[RSP]).toBe(STACK_TOP - 16n - 64n);
    expect(pushed(guest, 8)).toEqual([
      'ccc',
      '111',
      '3',
      HERE.toString(16),
      'e030',
      '10246',
      (STACK_TOP - 8n).toString(16),
      'e02b',
    ]);
    expect(guest.registers).toMatchObject({ rip: HANDLER, rflags: 0x246n });
    expect([guest.registers.selectors[CS], guest.registers.selectors[SS]]).toEqual([0xe033, 0xe02b]);
    // SYSRET leaves its two registers behind.
    expect([guest.registers.gpr[RCX], guest.registers.gpr[R11]]).toEqual([HANDLER, 0x246n]);
    expect(guest.vcpu.cr2).toBe(0x1234n);
    expect(guest.memory.read64(guest.vcpu.info(0x10))).toBe(0x1234n);
  });

  test('without an error code: seven words', () => {
    const guest = withHandlers();
    guest.raise({ vector: 6 });
    expect(guest.registers.gpr[RSP]).toBe(STACK_TOP - 16n - 56n);
    expect(pushed(guest, 3)).toEqual(['ccc', '111', HERE.toString(16)]);
  });

  test('events that were masked show in the frame, as bit 32 of cs and a clear IF', () => {
    const guest = withHandlers();
    guest.vcpu.upcallMask = true;
    guest.raise({ vector: 6 });
    expect(pushed(guest, 5).slice(3)).toEqual(['10000e030', '10046']);
  });

  test('a handler may ask for events to be masked on entry', () => {
    const guest = withHandlers({}, 4);
    guest.raise({ vector: 6 });
    expect(guest.vcpu.upcallMask).toBe(true);
    expect(pushed(guest, 4)[3]).toBe('e030');
    const other = withHandlers();
    other.raise({ vector: 6 });
    expect(other.vcpu.upcallMask).toBe(false);
  });

  test('TF, NT and AC are off in the handler and kept in the frame', () => {
    const guest = withHandlers();
    guest.registers.rflags = 0x4_4346n;
    guest.raise({ vector: 6 });
    expect(guest.registers.rflags).toBe(0x246n);
    expect(pushed(guest, 5)[4]).toBe('54346');
  });
});

describe('a bounce from a program', () => {
  test('switches to the kernel: its CR3, its GS, its stack', () => {
    const guest = withUser();
    guest.call(call.__HYPERVISOR_set_segment_base, 1, 0x1111_0000n);
    guest.call(call.__HYPERVISOR_set_segment_base, 2, 0x2222_0000n);
    iret(guest);
    expect(guest.vcpu).toMatchObject({ kernelMode: false, inactiveGsBase: 0x2222_0000n });
    expect(guest.vcpu.mmu.root).toBe(guest.mfn(SPARE_PFN));
    expect(guest.registers.bases[GS]).toBe(0x1111_0000n);
    guest.raise({ vector: 14, errorCode: 6, vaddr: 0x5000n });
    expect(guest.vcpu).toMatchObject({ kernelMode: true, inactiveGsBase: 0x1111_0000n });
    expect(guest.vcpu.mmu.root).toBe(guest.built.l4);
    expect(guest.registers.gpr[RSP]).toBe((KERNEL_SP & ~15n) - 64n);
    expect(pushed(guest, 8)).toEqual([
      '3',
      '2',
      '6',
      HERE.toString(16),
      'e033',
      '10202',
      STACK_TOP.toString(16),
      'e02b',
    ]);
  });

  test('a syscall goes to the syscall callback', () => {
    const guest = withUser();
    guest.call(call.__HYPERVISOR_callback_op, 0, guest.poke(DATA, 2n | (1n << 16n), HANDLER));
    iret(guest, { rflags: 0x602 });
    guest.registers.rip = HERE + 2n;
    guest.hypervisor.syscall(guest.vcpu);
    guest.hypervisor.beforeResume(guest.vcpu);
    expect(guest.registers).toMatchObject({ rip: HANDLER, rflags: 0x202n });
    expect(guest.vcpu.upcallMask).toBe(true);
    expect(pushed(guest, 5)).toEqual([HERE + 2n, 0x602n, HERE + 2n, 0xe033n, 0x602n].map((word) => word.toString(16)));
  });

  test('without a callback: #UD at the instruction in 4.17, the end in 4.1', () => {
    for (const profile of ['4.1', '4.17'] as const) {
      const guest = withUser({ profile });
      iret(guest);
      guest.registers.rip = HERE + 2n;
      guest.hypervisor.syscall(guest.vcpu);
      guest.hypervisor.beforeResume(guest.vcpu);
      if (profile === '4.1') {
        expect(guest.domain.ended?.report?.cause).toEqual({ kind: 'domain-crash', message: '', calledFrom: 'entry.S' });
      } else {
        expect(guest.registers.rip).toBe(HANDLER);
        expect(pushed(guest, 3)[2]).toBe(HERE.toString(16));
      }
    }
  });
});

describe('INT n', () => {
  test.each([
    ['int $0x20 from the kernel, open to ring 1', { vector: 13, errorCode: 0x102 }, 1, true, 7, HERE + 2n],
    ['int $0x20 from the kernel, open to ring 0 only', { vector: 13, errorCode: 0x102 }, 0, true, 8, HERE],
    ['int $0x20 from a program, open to ring 1', { vector: 13, errorCode: 0x102 }, 1, false, 8, HERE],
    ['int $0x20 from a program, open to all', { vector: 13, errorCode: 0x102 }, 3, false, 7, HERE + 2n],
    ['int3 asks nobody', { vector: 3, software: true }, 0, false, 7, HERE],
    ['int $0x80 asks nobody either', { vector: 0x80, software: true }, 0, false, 7, HERE],
  ] as const)('%s', (_, exception, dpl, fromKernel, words, rip) => {
    const guest = withUser({}, dpl);
    iret(guest, { cs: fromKernel ? 0xe030 : 0xe033 });
    guest.raise(exception);
    const frame = pushed(guest, 4);
    expect(frame[words === 8 ? 3 : 2]).toBe(rip.toString(16));
    if (words === 8) expect(frame[2]).toBe('102');
  });

  test('int $0x80 without a handler is #GP(402) at the instruction', () => {
    const guest = withHandlers();
    guest.vcpu.trapTable[0x80] = { address: 0n, cs: 0, dpl: 3, masksEvents: false };
    guest.registers.rip = HERE + 2n;
    guest.raise({ vector: 0x80, software: true });
    expect(pushed(guest, 4).slice(2)).toEqual(['402', HERE.toString(16)]);
  });
});

describe('events', () => {
  test('are delivered when pending and unmasked, and mask themselves', () => {
    const guest = withHandlers();
    guest.call(call.__HYPERVISOR_set_callbacks, BASE + 0xa00n, 0, 0);
    guest.vcpu.upcallPending = true;
    guest.hypervisor.beforeResume(guest.vcpu);
    expect(guest.registers.rip).toBe(BASE + 0xa00n);
    expect(guest.vcpu.upcallMask).toBe(true);
    expect(pushed(guest, 4)[3]).toBe('e030');
    const rsp = guest.registers.gpr[RSP];
    guest.hypervisor.beforeResume(guest.vcpu);
    expect(guest.registers.gpr[RSP]).toBe(rsp);
  });

  test('come after an exception that came with them: the handler is interrupted at its first instruction', () => {
    const guest = withHandlers();
    guest.call(call.__HYPERVISOR_set_callbacks, BASE + 0xa00n, 0, 0);
    guest.registers.rip = HERE;
    guest.vcpu.upcallPending = true;
    guest.raise({ vector: 6 });
    expect(guest.registers.rip).toBe(BASE + 0xa00n);
    expect(pushed(guest, 3)[2]).toBe(HANDLER.toString(16));
  });

  test('wait while they are masked, until iret unmasks them', () => {
    const guest = withHandlers();
    guest.call(call.__HYPERVISOR_set_callbacks, BASE + 0xa00n, 0, 0);
    guest.vcpu.upcallMask = true;
    guest.vcpu.upcallPending = true;
    iret(guest, { cs: 0xe030, rflags: 2 });
    expect(guest.registers.rip).toBe(HERE);
    iret(guest, { cs: 0xe030, rflags: 0x202 });
    expect(guest.registers.rip).toBe(BASE + 0xa00n);
  });

  test('an NMI comes first, and no second one before iret', () => {
    const guest = withHandlers();
    guest.call(call.__HYPERVISOR_callback_op, 0, guest.poke(DATA, 4n, BASE + 0xb00n));
    guest.vcpu.nmiPending = true;
    guest.hypervisor.beforeResume(guest.vcpu);
    expect(guest.registers.rip).toBe(BASE + 0xb00n);
    expect(guest.vcpu.upcallMask).toBe(true);
    guest.registers.rip = HERE;
    guest.vcpu.nmiPending = true;
    guest.hypervisor.beforeResume(guest.vcpu);
    expect(guest.registers.rip).toBe(HERE);
    iret(guest, { cs: 0xe030 });
    expect(guest.registers.rip).toBe(BASE + 0xb00n);
  });
});

describe('iret', () => {
  test('restores what the frame says, with virtual IF from its rflags', () => {
    const guest = withUser();
    iret(guest, { rax: 0xaaan, rflags: 0x3_3cd7n });
    expect(guest.registers).toMatchObject({ rip: HERE, rflags: (0xed7n & ~0x100n) | 0x2n | 0x200n });
    expect([RAX, R11, RCX, RSP].map((index) => guest.registers.gpr[index])).toEqual([0xaaan, 2n, 3n, STACK_TOP]);
    expect(guest.vcpu.upcallMask).toBe(true);
  });

  test('as SYSRET returns: rcx and r11 hold rip and rflags', () => {
    const guest = withUser();
    iret(guest, { flags: 0x100, cs: 0x33 });
    expect([guest.registers.gpr[RCX], guest.registers.gpr[R11]]).toEqual([HERE, 0x202n]);
    expect(guest.registers.selectors[CS]).toBe(0xe033);
  });

  test.each([
    [
      'an unreadable frame',
      (guest: Guest) => {
        guest.registers.gpr[RSP] = 0x1234n;
        guest.call(call.__HYPERVISOR_iret);
      },
      'Fault while reading IRET context from guest stack',
      'traps.c:318',
    ],
    [
      'to user mode without an L4 for it',
      (guest: Guest) => iret(guest),
      'Guest switching to user mode with no user page tables',
      'traps.c:318',
    ],
  ])('%s ends the domain', (_, act, message, calledFrom) => {
    const guest = withHandlers();
    act(guest);
    expect(guest.domain.ended?.report?.cause).toEqual({ kind: 'domain-crash', message, calledFrom });
  });

  test.each([
    ['a rip that is not canonical', { rip: 1n << 47n }, '0'],
    ['a selector beyond the GDT', { cs: 0x1003 }, '1000'],
    ['a stack selector that is none', { ss: 0 }, '0'],
    ['32-bit code, which is not modelled', { cs: 0xe023 }, 'e020'],
  ])('to %s: #GP as the target in 4.17, the failsafe callback in 4.1', (_, frame, errorCode) => {
    const guest = withUser({ profile: '4.17' });
    iret(guest, frame);
    expect(guest.registers.rip).toBe(HANDLER);
    expect(pushed(guest, 3)[2]).toBe(errorCode);

    const older = withUser({ profile: '4.1' });
    older.call(call.__HYPERVISOR_set_callbacks, 0, BASE + 0xc00n, 0);
    iret(older, frame);
    expect(older.registers.rip).toBe(BASE + 0xc00n);
    expect(older.registers.gpr[RSP]).toBe((KERNEL_SP & ~15n) - 88n);
    expect(pushed(older, 11).slice(2, 6)).toEqual(['0', '0', '0', '0']);
  });
});

describe('without a handler', () => {
  test('the domain crashes after the frame was pushed, with the walk of the faulting address', () => {
    const guest = new Guest({ profile: '4.1' });
    const { registers } = guest;
    registers.rip = HERE;
    registers.rflags = 0x216n;
    registers.gpr[RCX] = 0x3fn;
    registers.gpr[RDI] = DATA;
    registers.gpr[RSP] = STACK_TOP;
    guest.raise({ vector: 14, errorCode: 7, vaddr: DATA });
    const report = guest.domain.ended?.report;
    expect(guest.domain.ended?.reason).toBe('crash');
    expect(report).toMatchObject({
      domain: 7,
      vcpu: 0,
      cpu: 3,
      cause: { kind: 'unhandled', vector: 14, errorCode: 3 },
      xen: { form: '4.1', version: '4.1.3OVM', debug: 'n', taint: 'Not tainted', entryPoint: undefined },
      eventMask: true,
    });
    expect(report?.registers).toMatchObject({ rip: HERE, rflags: 0x216n, cs: 0xe033, ss: 0xe02b, cr2: DATA });
    expect(report?.registers.cr3).toBe(BigInt(guest.built.l4) << 12n);
    expect(report?.registers.gpr[RSP]).toBe(STACK_TOP - 64n);
    expect(report?.stack.words.slice(0, 8).map((word) => word.toString(16))).toEqual([
      '3f',
      '0',
      '3',
      HERE.toString(16),
      '10000e030',
      '10016',
      STACK_TOP.toString(16),
      'e02b',
    ]);
    expect(report?.walk?.vaddr).toBe(DATA);
    expect(report?.walk?.lines.map(({ level, index, pfn }) => [level, index, pfn !== undefined])).toEqual([
      [4, 511, true],
      [3, 510, true],
      [2, 0, true],
      [1, 1, true],
    ]);
    expect(report?.walk?.lines[3]).toMatchObject({ pfn: 1n, entry: guest.l1eValue(DATA) });
  });

  test('the walk stops where nothing is mapped, and 4.17 says where its fixup points', () => {
    const guest = new Guest({ profile: '4.17' });
    guest.raise({ vector: 14, errorCode: 4, vaddr: 0x1000n });
    const report = guest.domain.ended?.report;
    expect(report?.walk?.lines).toEqual([{ level: 4, index: 0, entry: 0n, pfn: undefined }]);
    expect(report?.xen.entryPoint?.symbol).toMatch(/create_bounce_frame/);
  });

  test('a stack that cannot be written ends the domain too', () => {
    const guest = withHandlers({ profile: '4.17' });
    guest.registers.gpr[RSP] = 0x5000n;
    guest.raise({ vector: 6 });
    expect(guest.domain.ended?.report).toMatchObject({
      cause: { kind: 'domain-crash', calledFrom: 'entry.S' },
      walk: { vaddr: 0x4ff8n },
      stack: { words: [], stop: 'fault' },
    });
  });

  test.each([
    ["in Xen's hole", 0xffff_8000_0000_1000n, 'inaccessible', 0],
    ['on a boundary of 32 KiB', BASE + 0x8000n, 'empty', 0],
    ['just below such a boundary', BASE + 0x8000n - 16n, undefined, 2],
    ['that is not mapped', 0x3000n, 'fault', 0],
  ])('a stack %s is reported as such', (_, rsp, stop, words) => {
    const guest = new Guest();
    guest.registers.gpr[RSP] = rsp;
    // Fails without pushing anything: the frame is unreadable, or says user mode, for which there is no L4.
    guest.poke(STACK_TOP - 16n, ...new Array(16).fill(0xe033));
    guest.call(call.__HYPERVISOR_iret);
    expect(guest.domain.ended?.report?.stack.stop).toBe(stop);
    expect(guest.domain.ended?.report?.stack.words.length).toBe(words);
  });

  test('a domain ends once: what comes later changes nothing', () => {
    const guest = new Guest();
    guest.raise({ vector: 6 });
    const { ended } = guest.domain;
    guest.raise({ vector: 13, errorCode: 0 });
    expect(guest.domain.ended).toBe(ended);
  });
});

test('the second vCPU crashes on the CPU after the first', () => {
  const guest = new Guest({ vcpus: 2 });
  const second = guest.domain.vcpus[1]!;
  second.kernelTable = guest.vcpu.kernelTable;
  second.mmu.loadCr3(guest.built.l4, { what: 'test' });
  (second.registers as PlainRegisters).gpr[RSP] = STACK_TOP;
  guest.raise({ vector: 6 }, second);
  expect(guest.domain.ended?.report).toMatchObject({ vcpu: 1, cpu: 4 });
});

test("#NM is the guest's business only while it has set TS, and clears it", () => {
  const guest = withHandlers();
  guest.raise({ vector: 7 });
  expect(guest.registers.rip).toBe(HERE);
  guest.call(call.__HYPERVISOR_fpu_taskswitch, 1);
  guest.raise({ vector: 7 });
  expect(guest.registers.rip).toBe(HANDLER);
  expect(guest.vcpu.taskSwitched).toBe(false);
});

test('a fault that memory does not justify is delivered like any other', () => {
  const guest = withHandlers();
  expect(guest.l1eValue(DATA) & 2n).toBe(2n);
  guest.raise({ vector: 14, errorCode: 7, vaddr: DATA });
  expect(guest.registers.rip).toBe(HANDLER);
});
