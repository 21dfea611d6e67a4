// Dispatch, multicalls, and the small hypercalls about a vCPU's own state.

import { describe, expect, test } from 'vitest';
import * as call from '../../src/abi/hypercalls.js';
import * as op from '../../src/abi/mmu-ops.js';
import { CS, GS, R11, RAX, RCX, RSP, SS } from '../../src/abi/registers.js';
import * as X from '../../src/abi/xen-layout.js';
import { readDescriptor, systemRegisters } from '../../src/xen/descriptors.js';
import type { XenEvent } from '../../src/xen/events-of-xen.js';
import { BASE, CALL_RIP, DATA, Guest, pte, SPARE_PFN, STACK_TOP } from './guest.js';
import { auditBooks } from './recount.js';

const PROFILES = ['4.1', '4.17'] as const;

describe('dispatch', () => {
  test('unknown numbers are -ENOSYS, and counted; those beyond the table together', () => {
    const guest = new Guest();
    for (const number of [11, 60, 60, 64, 99, 2 ** 40]) expect(guest.call(number)).toBe(-38n);
    expect([...guest.hypervisor.unknownHypercalls]).toEqual([
      [11, 1],
      [60, 2],
      [64, 3],
    ]);
  });

  test('SYSCALL and SYSRET leave rip in rcx, rflags in r11, and flat selectors', () => {
    const guest = new Guest();
    guest.registers.selectors[CS] = 0x33;
    guest.registers.selectors[SS] = 0x2b;
    guest.registers.rflags = 0x246n;
    guest.call(call.__HYPERVISOR_fpu_taskswitch, 0);
    expect([guest.registers.gpr[RCX], guest.registers.gpr[R11]]).toEqual([CALL_RIP + 2n, 0x246n]);
    expect([guest.registers.selectors[CS], guest.registers.selectors[SS]]).toEqual([0xe033, 0xe02b]);
    expect(guest.registers.rip).toBe(CALL_RIP + 2n);
  });

  test('whoever listens hears of each call: its name, arguments, result, and where it was made', () => {
    const guest = new Guest();
    const heard: XenEvent[] = [];
    guest.hypervisor.events.subscribe((event) => heard.push(event));
    guest.call(call.__HYPERVISOR_stack_switch, 1, 2);
    expect(heard).toMatchObject([
      {
        kind: 'hypercall',
        number: 3,
        result: 0n,
        call: { name: 'stack_switch', rip: CALL_RIP, domain: 7, vcpu: 0, returnsTo: undefined, within: undefined },
      },
    ]);
  });

  test('a call through the hypercall page names the caller, from the return address that the stub leaves above rcx and r11', () => {
    const guest = new Guest();
    const heard: XenEvent[] = [];
    guest.hypervisor.events.subscribe((event) => heard.push(event));
    guest.registers.gpr[RSP] = guest.poke(STACK_TOP - 64n, 0x11n, 0xccn, BASE + 0x777n);
    guest.registers.gpr[RAX] = BigInt(call.__HYPERVISOR_fpu_taskswitch);
    guest.registers.rip = BASE + 5n * 32n + 10n;
    guest.hypervisor.syscall(guest.vcpu);
    expect(heard[0]).toMatchObject({ call: { returnsTo: BASE + 0x777n } });
  });
});

describe('multicall', () => {
  test('each entry gets its result, and a failure stops nothing', () => {
    const guest = new Guest();
    const entry = (number: number, ...args: (bigint | number)[]) =>
      [number, 0x5555, ...args, ...new Array(6).fill(0)].slice(0, 8);
    guest.poke(
      DATA,
      ...entry(call.__HYPERVISOR_stack_switch, 0xe02b, 0x1234_5000n),
      ...entry(call.__HYPERVISOR_update_va_mapping, 0x7000_0000n, 0n),
      ...entry(call.__HYPERVISOR_multicall),
      ...entry(77),
      ...entry(call.__HYPERVISOR_fpu_taskswitch, 1),
    );
    expect(guest.call(call.__HYPERVISOR_multicall, DATA, 5)).toBe(0n);
    const results = [0, 1, 2, 3, 4].map((index) => BigInt.asIntN(64, guest.peek(DATA + BigInt(64 * index + 8))));
    expect(results).toEqual([0n, -22n, -22n, -38n, 0n]);
    expect(guest.vcpu).toMatchObject({ kernelSp: 0x1234_5000n, taskSwitched: true });
  });

  test('an iret in it is the last thing that happens, and its rax is what the vCPU goes on with', () => {
    const guest = new Guest();
    guest.registers.gpr[RSP] = guest.poke(
      STACK_TOP - 256n,
      0xabc,
      0,
      0,
      0,
      BASE + 0x40n,
      0xe030,
      0x202,
      STACK_TOP,
      0xe02b,
    );
    guest.poke(DATA, call.__HYPERVISOR_iret, 0x5555);
    guest.poke(DATA + 64n, call.__HYPERVISOR_fpu_taskswitch, 0x5555, 1);
    expect(guest.call(call.__HYPERVISOR_multicall, DATA, 2)).toBe(0xabcn);
    expect(guest.registers.rip).toBe(BASE + 0x40n);
    expect(guest.vcpu.taskSwitched).toBe(false);
    expect([guest.peek(DATA + 8n), guest.peek(DATA + 72n)]).toEqual([0x5555n, 0x5555n]);
  });

  test('an unreadable list is -EFAULT', () => {
    expect(new Guest().call(call.__HYPERVISOR_multicall, 0x1000, 1)).toBe(-14n);
  });

  test('stores made in it say so', () => {
    const guest = new Guest();
    const whys: string[] = [];
    guest.events.subscribe((event) => event.kind === 'table-store' && whys.push(event.why.what));
    guest.poke(DATA, call.__HYPERVISOR_update_va_mapping, 0, BASE + 0x2000n, guest.l1eValue(BASE + 0x2000n), 0);
    guest.call(call.__HYPERVISOR_multicall, DATA, 1);
    expect(whys.filter((why) => why.includes('update_va_mapping'))).toEqual([
      expect.stringMatching(/^multicall entry 0: update_va_mapping\(ffffffff80002000, \w+, 0\) at ffffffff80000123$/),
    ]);
  });
});

describe('set_trap_table', () => {
  test('takes entries up to one with address 0; a null pointer takes all away', () => {
    const guest = new Guest();
    guest.poke(DATA, 14n | (7n << 8n) | (0x10n << 16n), 0xffff_ffff_8000_1234n, 3n, 0n);
    expect(guest.call(call.__HYPERVISOR_set_trap_table, DATA)).toBe(0n);
    expect(guest.vcpu.trapTable[14]).toEqual({ address: 0xffff_ffff_8000_1234n, cs: 0x13, dpl: 3, masksEvents: true });
    expect(guest.call(call.__HYPERVISOR_set_trap_table, 0)).toBe(0n);
    expect(guest.vcpu.trapTable[14]?.address).toBe(0n);
  });

  test('refuses an address that is not canonical, keeping what came before it', () => {
    const guest = new Guest();
    guest.poke(DATA, 6n, BASE, 14n, 1n << 60n);
    expect(guest.call(call.__HYPERVISOR_set_trap_table, DATA)).toBe(-22n);
    expect([guest.vcpu.trapTable[6]?.address, guest.vcpu.trapTable[14]?.address]).toEqual([BASE, 0n]);
    expect(guest.call(call.__HYPERVISOR_set_trap_table, 0xffff_8000_0000_0000n)).toBe(-14n);
  });
});

describe('callback_op', () => {
  const register = (guest: Guest, type: number, address: bigint): bigint =>
    guest.call(call.__HYPERVISOR_callback_op, 0, guest.poke(DATA, BigInt(type), address));
  test.each([
    ['event', 0, BASE, 0n],
    ['failsafe', 1, BASE, 0n],
    ['syscall', 2, BASE, 0n],
    ['nmi', 4, BASE, 0n],
    ['sysenter', 5, BASE, 0n],
    ['syscall32', 7, BASE, 0n],
    ['an unknown type', 9, BASE, -38n],
    ['a non-canonical address', 0, 1n << 60n, -22n],
  ])('register %s', (_, type, address, result) => {
    expect(register(new Guest(), type, address)).toBe(result);
  });
  test.each([
    ['event', 0, -22n],
    ['nmi', 4, 0n],
    ['an unknown type', 9, -38n],
  ])('unregister %s', (_, type, result) => {
    const guest = new Guest();
    register(guest, 4, BASE);
    expect(guest.call(call.__HYPERVISOR_callback_op, 1, guest.poke(DATA, BigInt(type)))).toBe(result);
    expect(guest.vcpu.trapTable[2]?.address).toBe(type === 4 ? 0n : BASE);
  });
  test('an unknown command, an unreadable structure', () => {
    expect(new Guest().call(call.__HYPERVISOR_callback_op, 5, DATA)).toBe(-38n);
    expect(new Guest().call(call.__HYPERVISOR_callback_op, 0, 0x1000)).toBe(-14n);
  });
});

describe('descriptor tables', () => {
  const CODE64 = 0x00af_9b00_0000_ffffn;
  const DATA_SEGMENT = 0x00cf_9300_0000_ffffn;

  /** A guest whose GDT is a page that is mapped read-only, with two segments. */
  function withGdt(...descriptors: bigint[]): { guest: Guest; status: bigint } {
    const guest = new Guest();
    const page = BASE + 0x2000n;
    guest.poke(page, 0n, ...descriptors);
    guest.call(call.__HYPERVISOR_update_va_mapping, page, pte(guest.mfnAt(page), 0x61), op.UVMF_INVLPG);
    const status = guest.call(call.__HYPERVISOR_set_gdt, guest.poke(DATA, guest.mfnAt(page)), 512);
    return { guest, status };
  }

  test('a GDT is audited: DPL becomes 3, and it may not be written any more', () => {
    const { guest, status } = withGdt(CODE64, DATA_SEGMENT);
    expect(status).toBe(0n);
    expect([readDescriptor(guest.vcpu, 8), readDescriptor(guest.vcpu, 0x10)]).toEqual([
      0x00af_fb00_0000_ffffn,
      0x00cf_f300_0000_ffffn,
    ]);
    const page = BASE + 0x2000n;
    expect(guest.call(call.__HYPERVISOR_update_va_mapping, page, pte(guest.mfnAt(page), 0x63), 0)).toBe(-22n);
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test.each([
    ['an LDT', 0x0000_8200_0000_0000n],
    ['a TSS', 0x0000_8900_0000_0000n],
    ['an interrupt gate', 0x0000_8e00_0008_0000n],
    ["a call gate to Xen's code", 0x0000_8c00_0000_0000n | (0xe008n << 16n)],
  ])('%s in it is refused', (_, descriptor) => {
    const { guest, status } = withGdt(descriptor);
    expect(status).toBe(-22n);
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test('not present is harmless; a call gate into the guest own code loses its DPL to its selector', () => {
    const { guest } = withGdt(0x0000_0e00_0008_0000n, 0x0000_ec00_0008_1234n);
    expect(readDescriptor(guest.vcpu, 8)).toBe(0x0000_0e00_0008_0000n);
    expect(readDescriptor(guest.vcpu, 0x10)).toBe(0x0000_8c00_000b_1234n);
  });

  test.each([
    ['more entries than there are', [DATA, 7169], -22n],
    ['an unreadable list', [0x1000n, 1], -14n],
    ['a frame that is mapped writably', [DATA, 1], -22n],
  ] as const)('set_gdt: %s', (_, args, result) => {
    const guest = new Guest();
    guest.poke(DATA, guest.mfnAt(BASE + 0x3000n));
    expect(guest.call(call.__HYPERVISOR_set_gdt, ...args)).toBe(result);
  });

  test("Xen's own selectors work whatever the guest installs; beyond them there is nothing", () => {
    const { guest } = withGdt(CODE64);
    expect(readDescriptor(guest.vcpu, 0xe033)).toBe(0x00af_fb00_0000_0000n);
    expect(readDescriptor(guest.vcpu, 0xe02b)).toBe(0x00cf_f300_0000_ffffn);
    for (const selector of [0x1000, 0xe000, 0xe800, 0xffff])
      expect(readDescriptor(guest.vcpu, selector)).toBeUndefined();
    expect(systemRegisters(guest.vcpu)).toMatchObject({
      gdt: { limit: 0xefff, base: 0xffff_8200_0000_0000n },
      ldtr: 0,
    });
  });

  test('an LDT is taken page by page, when a selector asks for it', () => {
    const guest = new Guest();
    const page = BASE + 0x2000n;
    guest.poke(page, 0n, DATA_SEGMENT);
    guest.call(call.__HYPERVISOR_update_va_mapping, page, pte(guest.mfnAt(page), 0x61), op.UVMF_INVLPG);
    guest.call(call.__HYPERVISOR_mmuext_op, guest.poke(DATA, op.MMUEXT_SET_LDT, page, 16), 1, 0, 0x7ff0);
    expect(guest.page(guest.mfnAt(page)).type).toBe(7);
    expect(readDescriptor(guest.vcpu, 0xc)).toBe(0x00cf_f300_0000_ffffn);
    expect(guest.page(guest.mfnAt(page))).toMatchObject({ type: 5, typeCount: 1 });
    expect(readDescriptor(guest.vcpu, 16 * 8 + 4)).toBeUndefined();
    guest.call(call.__HYPERVISOR_mmuext_op, guest.poke(DATA, op.MMUEXT_SET_LDT, 0, 0), 1, 0, 0x7ff0);
    expect(guest.page(guest.mfnAt(page)).typeCount).toBe(0);
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test('update_descriptor changes a GDT in use, and any page that may be written', () => {
    const { guest } = withGdt(CODE64);
    const at = BigInt(guest.mfnAt(BASE + 0x2000n)) * 4096n + 16n;
    expect(guest.call(call.__HYPERVISOR_update_descriptor, at, DATA_SEGMENT)).toBe(0n);
    expect(readDescriptor(guest.vcpu, 0x10)).toBe(0x00cf_f300_0000_ffffn);
    expect(guest.call(call.__HYPERVISOR_update_descriptor, at + 4n, DATA_SEGMENT)).toBe(-22n);
    expect(guest.call(call.__HYPERVISOR_update_descriptor, at, 0x0000_8900_0000_0000n)).toBe(-22n);
    expect(guest.call(call.__HYPERVISOR_update_descriptor, BigInt(guest.table(1)) * 4096n, DATA_SEGMENT)).toBe(-22n);
    expect(guest.call(call.__HYPERVISOR_update_descriptor, BigInt(guest.mfn(SPARE_PFN)) * 4096n, DATA_SEGMENT)).toBe(
      0n,
    );
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });
});

describe('segment bases', () => {
  test.each([
    ['FS', 0],
    ['the user GS', 1],
    ['the kernel GS', 2],
  ])('%s', (_, which) => {
    for (const profile of PROFILES) {
      const guest = new Guest({ profile });
      expect(guest.call(call.__HYPERVISOR_set_segment_base, which, 0x1234_5678n)).toBe(0n);
      expect(guest.call(call.__HYPERVISOR_set_segment_base, which, 1n << 60n)).toBe(profile === '4.1' ? -14n : -22n);
    }
  });

  test('a selector for the user GS: loaded when it is usable, else NUL, and never an error', () => {
    const guest = new Guest();
    expect(guest.call(call.__HYPERVISOR_set_segment_base, 3, 0xe02b)).toBe(0n);
    expect(guest.registers.selectors[GS]).toBe(0xe02b);
    expect(guest.call(call.__HYPERVISOR_set_segment_base, 3, 0x1000)).toBe(0n);
    expect(guest.registers.selectors[GS]).toBe(0);
    expect(guest.call(call.__HYPERVISOR_set_segment_base, 4, 0)).toBe(-22n);
  });
});

describe('debug registers', () => {
  test.each([
    ['dr0', 0, DATA, 0, 0],
    ["dr1 in Xen's hole", 1, 0xffff_8000_0000_0000n, -1, -1],
    ['dr7', 7, 0x3n, 0, 0],
    ['dr7 with general detect', 7, 0x2000n, -1, -1],
    ['dr7 with an I/O breakpoint, without CR4.DE', 7, 0x2_0003n, -1, -1],
    ['dr6 with upper bits', 6, 1n << 40n, 0, -22],
    ['dr4 is dr6', 4, 0n, -22, 0],
    ['dr8', 8, 0n, -22, -19],
  ])('%s', (_, register, value, errno41, errno417) => {
    for (const profile of PROFILES)
      expect(new Guest({ profile }).call(call.__HYPERVISOR_set_debugreg, register, value)).toBe(
        BigInt(profile === '4.1' ? errno41 : errno417),
      );
  });

  test('read as they were set, with the reserved bits as the CPU has them', () => {
    const guest = new Guest({ profile: '4.17' });
    guest.call(call.__HYPERVISOR_set_debugreg, 2, DATA);
    guest.call(call.__HYPERVISOR_set_debugreg, 6, 0xffff_ffffn);
    guest.call(call.__HYPERVISOR_set_debugreg, 7, 0xdc03n & ~0x2000n);
    const read = (register: number) => BigInt.asUintN(64, guest.call(call.__HYPERVISOR_get_debugreg, register));
    expect([read(2), read(6), read(7), read(5)]).toEqual([DATA, 0xffff_efffn, 0x403n, 0x403n]);
    expect(guest.call(call.__HYPERVISOR_get_debugreg, 9)).toBe(-19n);
  });
});

describe('vm_assist', () => {
  test.each([
    ['writable page tables', 0, 2, 0, 0],
    ['architectural IOPL', 0, 4, -22, 0],
    ['m2p_strict', 0, 32, -22, 0],
    ['a type that is none', 0, 31, -22, -22],
    ['a command that is none', 2, 2, -38, -38],
  ])('%s', (_, command, type, errno41, errno417) => {
    for (const profile of PROFILES) {
      const guest = new Guest({ profile });
      const result = Number(guest.call(call.__HYPERVISOR_vm_assist, command, type));
      expect(result).toBe(profile === '4.1' ? errno41 : errno417);
      expect(guest.domain.vmAssist).toBe(result === 0 ? 1n << BigInt(type) : 0n);
      guest.call(call.__HYPERVISOR_vm_assist, 1, type);
      expect(guest.domain.vmAssist).toBe(0n);
    }
  });
});

describe('a second vCPU', () => {
  /** struct vcpu_guest_context in the guest's memory. */
  function context(guest: Guest, fields: Readonly<Record<number, bigint>>): bigint {
    const at = BASE + 0x2000n;
    for (let offset = 0; offset < X.VCPU_GUEST_CONTEXT_BYTES; offset += 8) guest.poke(at + BigInt(offset), 0);
    const usual: Record<number, bigint> = {
      [X.CONTEXT_flags]: BigInt(X.VGCF_in_kernel),
      [X.CONTEXT_user_regs + X.USER_REGS_rip]: BASE + 0x40n,
      [X.CONTEXT_user_regs + X.USER_REGS_rsp]: STACK_TOP,
      [X.CONTEXT_user_regs + X.USER_REGS_cs]: 0xe030n,
      [X.CONTEXT_user_regs + X.USER_REGS_rflags]: 0x3202n,
      [X.CONTEXT_ctrlreg + 24]: BigInt(guest.built.l4) << 12n,
      [X.CONTEXT_trap_ctxt + 14 * 16]: 14n | (4n << 8n),
      [X.CONTEXT_trap_ctxt + 14 * 16 + 8]: BASE + 0x800n,
      [X.CONTEXT_gs_base_kernel]: 0x1000n,
      [X.CONTEXT_gs_base_user]: 0x2000n,
    };
    for (const [offset, value] of Object.entries({ ...usual, ...fields })) guest.poke(at + BigInt(offset), value);
    return at;
  }

  test('is given its first state, and started', () => {
    const guest = new Guest({ vcpus: 2 });
    const second = guest.domain.vcpus[1]!;
    expect(guest.call(call.__HYPERVISOR_vcpu_op, 1, 1, 0)).toBe(-22n);
    expect(guest.call(call.__HYPERVISOR_vcpu_op, 0, 1, context(guest, {}))).toBe(0n);
    expect(second).toMatchObject({ initialised: true, dirty: true, kernelMode: true, inactiveGsBase: 0x2000n });
    expect(second.registers).toMatchObject({ rip: BASE + 0x40n, rflags: 0x202n });
    expect([
      second.registers.readSelector(CS),
      second.registers.readGpr(RSP),
      second.registers.readSegmentBase(GS),
    ]).toEqual([0xe033, STACK_TOP, 0x1000n]);
    expect(second.trapTable[14]).toEqual({ address: BASE + 0x800n, cs: 3, dpl: 0, masksEvents: true });
    expect(second.mmu.root).toBe(guest.built.l4);
    expect(guest.page(guest.built.l4).typeCount).toBe(3);
    expect(guest.call(call.__HYPERVISOR_vcpu_op, 1, 1, 0)).toBe(0n);
    expect(guest.call(call.__HYPERVISOR_vcpu_op, 0, 1, context(guest, {}))).toBe(-17n);
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test.each([
    ['an L4 that is none', (guest: Guest) => ({ [X.CONTEXT_ctrlreg + 24]: BigInt(guest.table(3)) << 12n })],
    ['a user L4 that is none', (guest: Guest) => ({ [X.CONTEXT_ctrlreg + 8]: BigInt(guest.table(3)) << 12n })],
    ['user mode without an L4 for it', () => ({ [X.CONTEXT_flags]: 0n })],
    [
      'a GDT in a writable page',
      (guest: Guest) => ({ [X.CONTEXT_gdt_frames]: BigInt(guest.mfnAt(DATA)), [X.CONTEXT_gdt_ents]: 8n }),
    ],
    ['too large a GDT', () => ({ [X.CONTEXT_gdt_ents]: 1n << 40n })],
    ['an LDT off a page boundary', () => ({ [X.CONTEXT_ldt_base]: 8n, [X.CONTEXT_ldt_ents]: 8n })],
    ['a callback that is not canonical', () => ({ [X.CONTEXT_event_callback_eip]: 1n << 60n })],
    ['an instruction pointer that is not canonical', () => ({ [X.CONTEXT_user_regs + X.USER_REGS_rip]: 1n << 47n })],
  ])('%s is refused, and nothing is held', (_, fields) => {
    const guest = new Guest({ vcpus: 2 });
    expect(guest.call(call.__HYPERVISOR_vcpu_op, 0, 1, context(guest, fields(guest)))).toBe(-22n);
    expect(guest.domain.vcpus[1]).toMatchObject({ initialised: false, kernelTable: undefined, userTable: undefined });
    expect(auditBooks(guest.hypervisor)).toEqual([]);
  });

  test.each([
    ['the handler of vector 0', X.CONTEXT_trap_ctxt + 8],
    ['the handler of vector 255', X.CONTEXT_trap_ctxt + 255 * 16 + 8],
    ['the stack pointer', X.CONTEXT_user_regs + X.USER_REGS_rsp],
    ["the kernel's stack pointer", X.CONTEXT_kernel_sp],
  ])('4.17 wants %s canonical; 4.1 does not look', (_, field) => {
    for (const profile of PROFILES) {
      const guest = new Guest({ profile, vcpus: 2 });
      expect(guest.call(call.__HYPERVISOR_vcpu_op, 0, 1, context(guest, { [field]: 1n << 47n }))).toBe(
        profile === '4.17' ? -22n : 0n,
      );
      expect(guest.domain.vcpus[1]?.initialised).toBe(profile === '4.1');
      expect(auditBooks(guest.hypervisor)).toEqual([]);
    }
  });
});
