// Instructions that Xen carries out for a guest: privileged ones, CPUID by force, and stores to page tables.

import { describe, expect, test } from 'vitest';
import * as call from '../../src/abi/hypercalls.js';
import * as op from '../../src/abi/mmu-ops.js';
import { FS, GS, RAX, RBX, RCX, RDI, RDX, RSI } from '../../src/abi/registers.js';
import { BASE, DATA, Guest, type GuestOptions, pte, SPARE_PFN } from './guest.js';
import { auditBooks } from './recount.js';

const CODE = BASE + 0x100n;
const HANDLER = BASE + 0x800n;

function withHandlers(options: GuestOptions = {}): Guest {
  const guest = new Guest(options);
  for (const vector of [6, 13, 14])
    guest.vcpu.trapTable[vector] = { address: HANDLER, cs: 0xe033, dpl: 0, masksEvents: false };
  return guest;
}

/** Runs an instruction that raises #GP(0) at CPL 3; whether Xen carried it out. */
function privileged(guest: Guest, bytes: readonly number[]): boolean {
  guest.pokeBytes(CODE, bytes);
  guest.registers.rip = CODE;
  guest.raise({ vector: 13, errorCode: 0 });
  if (guest.registers.rip === HANDLER) return false;
  expect(guest.registers.rip).toBe(CODE + BigInt(bytes.length));
  return true;
}

const WRMSR = [0x0f, 0x30];
const RDMSR = [0x0f, 0x32];

const readMsr = (guest: Guest, index: number): bigint | undefined => {
  guest.registers.gpr[RCX] = BigInt(index);
  if (!privileged(guest, RDMSR)) return undefined;
  return (guest.registers.gpr[RDX]! << 32n) | guest.registers.gpr[RAX]!;
};

const writeMsr = (guest: Guest, index: number, value: bigint): boolean => {
  guest.registers.gpr[RCX] = BigInt(index);
  guest.registers.gpr[RAX] = value & 0xffff_ffffn;
  guest.registers.gpr[RDX] = value >> 32n;
  return privileged(guest, WRMSR);
};

describe('control registers', () => {
  test.each([
    ['4.1', 'mov rax, cr0', [0x0f, 0x20, 0xc0], 0x8005_0033n],
    ['4.1', 'mov rax, cr4', [0x0f, 0x20, 0xe0], 0x660n],
    ['4.17', 'mov rax, cr4', [0x0f, 0x20, 0xe0], 0x660n],
    ['4.17', 'mov rax, cr2', [0x0f, 0x20, 0xd0], 0n],
    ['4.1', 'mov rax, dr7', [0x0f, 0x21, 0xf8], 0x400n],
    ['4.17', 'mov rax, dr6', [0x0f, 0x21, 0xf0], 0xffff_0ff0n],
  ] as const)('Xen %s: %s gives %i', (profile, _, bytes, value) => {
    const guest = withHandlers({ profile });
    expect(privileged(guest, bytes)).toBe(true);
    expect(guest.registers.gpr[RAX]).toBe(value);
  });

  test('cr3 is read and written as a machine address; a write loads it', () => {
    const guest = withHandlers();
    expect(privileged(guest, [0x0f, 0x20, 0xd8])).toBe(true);
    expect(guest.registers.gpr[RAX]).toBe(BigInt(guest.built.l4) << 12n);
    const { now } = guest.hypervisor.tlbClock;
    expect(privileged(guest, [0x0f, 0x22, 0xd8])).toBe(true);
    expect(guest.hypervisor.tlbClock.now).toBe(now + 1);
    guest.registers.gpr[RAX] = BigInt(guest.table(3)) << 12n;
    expect(privileged(guest, [0x0f, 0x22, 0xd8])).toBe(false);
  });

  test.each([
    ['TS alone', 0x8005_003bn, true],
    ['anything else', 0x8004_0033n, false],
  ])('cr0: a guest may change %s', (_, value, allowed) => {
    const guest = withHandlers();
    guest.registers.gpr[RAX] = value;
    expect(privileged(guest, [0x0f, 0x22, 0xc0])).toBe(allowed);
    expect(guest.vcpu.taskSwitched).toBe(allowed);
    if (!allowed) expect(guest.log.at(-1)).toMatch(/Attempt to change unmodifiable CR0 flags/);
    else expect(privileged(guest, [0x0f, 0x06])).toBe(true);
    expect(guest.vcpu.taskSwitched).toBe(false);
  });

  test('cr4: what is not the guest to choose is dropped without a word', () => {
    const guest = withHandlers({ profile: '4.17' });
    guest.registers.gpr[RAX] = 0xffff_ffffn;
    expect(privileged(guest, [0x0f, 0x22, 0xe0])).toBe(true);
    expect(privileged(guest, [0x0f, 0x20, 0xe0])).toBe(true);
    expect(guest.registers.gpr[RAX]).toBe(0x5_066cn);
  });

  test.each([
    ['hlt', [0xf4]],
    ['invlpg [rax]', [0x0f, 0x01, 0x38]],
    ['lgdt [rax]', [0x0f, 0x01, 0x10]],
    ['swapgs', [0x0f, 0x01, 0xf8]],
    ['cli (with IOPL 0)', [0xfa]],
    ['in al, dx (with IOPL 0)', [0xec]],
    ['bytes that are no instruction', [0x0f, 0x04]],
  ])('%s is not emulated: #GP', (_, bytes) => {
    expect(privileged(withHandlers(), bytes)).toBe(false);
  });

  test('nothing of it is for programs', () => {
    const guest = withHandlers();
    guest.vcpu.kernelMode = false;
    guest.vcpu.userTable = guest.vcpu.kernelTable;
    guest.vcpu.kernelSp = BASE + 0x7000n;
    expect(privileged(guest, [0x0f, 0x20, 0xc0])).toBe(false);
  });
});

describe('ports, with the IOPL that the guest asked for', () => {
  const withIopl = (): Guest => {
    const guest = withHandlers();
    expect(guest.call(call.__HYPERVISOR_physdev_op, 6, guest.poke(DATA, 1))).toBe(0n);
    return guest;
  };
  test.each([
    ['in al, dx', [0xec], 0x1234_5678_9abc_deffn],
    ['in ax, dx', [0x66, 0xed], 0x1234_5678_9abc_ffffn],
    ['in eax, dx', [0xed], 0xffff_ffffn],
    ['out dx, al', [0xee], 0x1234_5678_9abc_def0n],
    ['cli', [0xfa], 0x1234_5678_9abc_def0n],
    ['sti', [0xfb], 0x1234_5678_9abc_def0n],
  ])('%s', (_, bytes, rax) => {
    const guest = withIopl();
    guest.registers.gpr[RAX] = 0x1234_5678_9abc_def0n;
    const masked = guest.vcpu.upcallMask;
    expect(privileged(guest, bytes)).toBe(true);
    expect(guest.registers.gpr[RAX]).toBe(rax);
    expect(guest.vcpu.upcallMask).toBe(masked);
  });

  test('rep insb stores ones, one round for each trap', () => {
    const guest = withIopl();
    guest.registers.gpr[RCX] = 2n;
    guest.registers.gpr[RDI] = DATA;
    guest.poke(DATA, 0);
    guest.pokeBytes(CODE, [0xf3, 0x6c]);
    guest.registers.rip = CODE;
    guest.raise({ vector: 13, errorCode: 0 });
    expect(guest.registers).toMatchObject({ rip: CODE });
    guest.raise({ vector: 13, errorCode: 0 });
    expect(guest.registers).toMatchObject({ rip: CODE + 2n });
    expect([guest.registers.gpr[RCX], guest.registers.gpr[RDI], guest.peek(DATA)]).toEqual([0n, DATA + 2n, 0xffffn]);
  });
});

describe('MSRs', () => {
  test.each([
    ['APIC_BASE', 0x1b, 0xfee0_0900n],
    ['EFER', 0xc000_0080, 0xd01n],
    ['PAT', 0x277, 0x0000_0501_0007_0406n],
    ['MCG_STATUS', 0x17a, 0n],
    ['the hypercall page', 0x4000_0000, 0n],
  ])('%s reads as Xen shows it', (_, index, value) => {
    expect(readMsr(withHandlers({ profile: '4.17' }), index)).toBe(value);
  });

  test('segment bases are the guest own', () => {
    const guest = withHandlers();
    for (const [index, value] of [
      [0xc000_0100, 0x1000n],
      [0xc000_0101, 0xffff_8800_0000_0000n],
      [0xc000_0102, 0x3000n],
    ] as const) {
      expect(writeMsr(guest, index, value)).toBe(true);
      expect(readMsr(guest, index)).toBe(value);
      expect(writeMsr(guest, index, 1n << 62n)).toBe(false);
    }
    expect([guest.registers.bases[FS], guest.registers.bases[GS], guest.vcpu.inactiveGsBase]).toEqual([
      0x1000n,
      0xffff_8800_0000_0000n,
      0x3000n,
    ]);
  });

  test.each([
    ['4.1', 0x2ff, 0n, true],
    ['4.17', 0x2ff, undefined, false],
    ['4.1', 0x9999, undefined, true],
    ['4.17', 0x9999, undefined, false],
  ] as const)('Xen %s: MSR %i of the processor reads %s, and a write is %s', (profile, index, value, written) => {
    const guest = withHandlers({ profile });
    expect(readMsr(guest, index)).toBe(value);
    expect(writeMsr(guest, index, 5n)).toBe(written);
  });

  test('without a #GP handler Xen fakes what the processor has', () => {
    const guest = new Guest({ profile: '4.17' });
    expect(readMsr(guest, 0x2ff)).toBe(0n);
    expect(guest.log).toEqual(['d7v0 faking RDMSR 0x000002ff']);
  });

  test('0x40000000 fills a page with hypercall stubs', () => {
    const guest = withHandlers();
    const page = guest.mfn(SPARE_PFN);
    expect(writeMsr(guest, 0x4000_0000, BigInt(page) << 12n)).toBe(true);
    const bytes = guest.memory.frameBytes(page);
    expect([...bytes.subarray(32, 46)]).toEqual([
      0x51, 0x41, 0x53, 0xb8, 1, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3,
    ]);
    expect([...bytes.subarray(23 * 32, 23 * 32 + 11)]).toEqual([0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05]);
    expect(writeMsr(guest, 0x4000_0000, (BigInt(page) << 12n) | 1n)).toBe(false);
    expect(writeMsr(guest, 0x4000_0000, BigInt(guest.built.l4) << 12n)).toBe(false);
  });
});

describe('cpuid', () => {
  const forced = (guest: Guest, leaf: number, subleaf = 0): bigint[] | undefined => {
    guest.pokeBytes(CODE, [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2]);
    guest.registers.gpr[RAX] = BigInt(leaf);
    guest.registers.gpr[RCX] = BigInt(subleaf);
    guest.registers.rip = CODE;
    guest.raise({ vector: 6 });
    expect(guest.registers.rip).toBe(CODE + 7n);
    return [RAX, RBX, RCX, RDX].map((register) => guest.registers.gpr[register]!);
  };

  test('by force: Xen is there, which version, and how to call it', () => {
    const guest = withHandlers({ profile: '4.17' });
    expect(forced(guest, 0x4000_0000)).toEqual([0x4000_0005n, 0x566e_6558n, 0x6558_4d4dn, 0x4d4d_566en]);
    expect(forced(guest, 0x4000_0001)?.[0]).toBe(0x4_0011n);
    expect(forced(guest, 0x4000_0002)).toEqual([1n, 0x4000_0000n, 1n, 0n]);
    expect(forced(withHandlers({ profile: '4.1' }), 0x4000_0000)?.[0]).toBe(0x4000_0002n);
  });

  test('by force: the processor, less what a PV guest cannot have', () => {
    const guest = withHandlers({ profile: '4.17' });
    const [, , ecx, edx] = forced(guest, 1)!;
    expect([ecx! >> 31n, (ecx! >> 5n) & 1n, (ecx! >> 27n) & 1n]).toEqual([1n, 0n, 0n]);
    expect([(edx! >> 3n) & 1n, (edx! >> 4n) & 1n, (edx! >> 13n) & 1n]).toEqual([0n, 1n, 0n]);
  });

  test('ud2 with anything else behind it is #UD', () => {
    const guest = withHandlers();
    guest.pokeBytes(CODE, [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x90, 0x90]);
    guest.registers.rip = CODE;
    guest.raise({ vector: 6 });
    expect(guest.registers.rip).toBe(HANDLER);
  });
});

describe('writable page tables', () => {
  /** A guest with an L1 table of its own mapped read-only at BASE + 2 pages, entry 0 mapping a page writably. */
  function withTable(options: GuestOptions = {}): { guest: Guest; table: bigint } {
    const guest = withHandlers(options);
    const table = BASE + 0x2000n;
    guest.poke(table, pte(guest.mfn(SPARE_PFN), 0x63));
    guest.call(call.__HYPERVISOR_update_va_mapping, table, pte(guest.mfnAt(table), 0x61), op.UVMF_INVLPG);
    guest.poke(DATA, op.MMUEXT_PIN_L1_TABLE, guest.mfnAt(table));
    expect(guest.call(call.__HYPERVISOR_mmuext_op, DATA, 1, 0, 0x7ff0)).toBe(0n);
    expect(guest.call(call.__HYPERVISOR_vm_assist, 0, 2)).toBe(0n);
    guest.registers.gpr[RDI] = table;
    return { guest, table };
  }

  /** Runs an instruction whose store to [rdi] has faulted; whether Xen carried it out. */
  function store(guest: Guest, bytes: readonly number[], vaddr = guest.registers.gpr[RDI]!): boolean {
    guest.pokeBytes(CODE, bytes);
    guest.registers.rip = CODE;
    guest.raise({ vector: 14, errorCode: 7, vaddr });
    if (guest.registers.rip === HANDLER) return false;
    expect(guest.registers.rip).toBe(CODE + BigInt(bytes.length));
    return true;
  }

  const KERNEL_PAGE = 0x0010_0000_0000_0067n;

  test.each([
    [
      'mov [rdi], rax',
      [0x48, 0x89, 0x07],
      (spare: number) => pte(spare, 0x63),
      (spare: number) => pte(spare, KERNEL_PAGE),
    ],
    ['mov [rdi], eax: the upper half stays', [0x89, 0x07], () => 0n, () => 0x0010_0000_0000_0000n],
    ['lock btr dword [rdi], 1', [0xf0, 0x0f, 0xba, 0x37, 1], () => 0n, (_: number, old: bigint) => old & ~2n],
    ['and byte [rdi], 0xfd', [0x80, 0x27, 0xfd], () => 0n, (_: number, old: bigint) => old & ~2n],
    ['mov qword [rdi], 0', [0x48, 0xc7, 0x07, 0, 0, 0, 0], () => 0n, () => 0n],
    ['stosq', [0x48, 0xab], (spare: number) => pte(spare, 0x67), (spare: number) => pte(spare, 0x167)],
  ] as const)('%s', (_, bytes, rax, expected) => {
    const { guest, table } = withTable();
    const spare = guest.mfn(SPARE_PFN + 1);
    const old = guest.peek(table);
    guest.registers.gpr[RAX] = rax(spare);
    expect(store(guest, bytes)).toBe(true);
    expect(guest.peek(table)).toBe(expected(spare, old));
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test('xchg and cmpxchg give back the old entry', () => {
    const { guest, table } = withTable();
    const old = guest.peek(table);
    guest.registers.gpr[RSI] = pte(guest.mfn(SPARE_PFN + 1), 0x61);
    expect(store(guest, [0x48, 0x87, 0x37])).toBe(true);
    expect(guest.registers.gpr[RSI]).toBe(old);
    const now = guest.peek(table);
    guest.registers.gpr[RAX] = now;
    guest.registers.gpr[RSI] = 0n;
    expect(store(guest, [0xf0, 0x48, 0x0f, 0xb1, 0x37])).toBe(true);
    expect(guest.peek(table)).toBe(0n);
    expect(guest.registers.rflags & 0x40n).toBe(0x40n);
    guest.registers.gpr[RAX] = 0x1234n;
    expect(store(guest, [0xf0, 0x48, 0x0f, 0xb1, 0x37])).toBe(true);
    expect(guest.registers.rflags & 0x40n).toBe(0n);
    expect([guest.registers.gpr[RAX], guest.peek(table)]).toEqual([0n, 0n]);
  });

  test.each([
    [
      'an entry that Xen refuses',
      (guest: Guest) => {
        guest.registers.gpr[RAX] = pte(guest.built.l4, 0x63);
        return store(guest, [0x48, 0x89, 0x07]);
      },
    ],
    [
      'a store across two entries',
      (guest: Guest) => {
        guest.registers.gpr[RDI] = guest.registers.gpr[RDI]! + 4n;
        return store(guest, [0x48, 0x89, 0x07]);
      },
    ],
    ['sixteen bytes at once', (guest: Guest) => store(guest, [0xf0, 0x48, 0x0f, 0xc7, 0x0f])],
    [
      'an instruction that stores elsewhere',
      (guest: Guest) => {
        guest.registers.gpr[RAX] = DATA;
        return store(guest, [0x48, 0x89, 0x00]);
      },
    ],
    ['an instruction that stores nothing', (guest: Guest) => store(guest, [0x48, 0x8b, 0x07])],
    [
      'an L2 table',
      (guest: Guest) => {
        const { steps } = guest.vcpu.mmu.walk(guest.built.ptBase as never);
        const l2 =
          guest.built.ptBase +
          BigInt(guest.built.p2m.indexOf(steps[2]!.table) - Number((guest.built.ptBase - BASE) >> 12n)) * 4096n;
        guest.registers.gpr[RDI] = l2;
        return store(guest, [0x48, 0x89, 0x07]);
      },
    ],
    [
      'a page that is writable in memory: the fault was of a stale translation',
      (guest: Guest) => {
        guest.registers.gpr[RDI] = DATA + 0x800n;
        return store(guest, [0x48, 0x89, 0x07]);
      },
    ],
    [
      'a program',
      (guest: Guest) => {
        guest.vcpu.kernelMode = false;
        guest.vcpu.userTable = guest.vcpu.kernelTable;
        guest.vcpu.kernelSp = BASE + 0x7000n;
        const stored = store(guest, [0x48, 0x89, 0x07]);
        guest.vcpu.userTable = undefined;
        return stored;
      },
    ],
    [
      'a guest that did not ask for it',
      (guest: Guest) => {
        guest.call(call.__HYPERVISOR_vm_assist, 1, 2);
        return store(guest, [0x48, 0x89, 0x07]);
      },
    ],
  ])('%s gets its page fault, and nothing has changed', (_, act) => {
    const { guest, table } = withTable();
    const before = guest.peek(table);
    expect(act(guest)).toBe(false);
    expect(guest.peek(table)).toBe(before);
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });
});
