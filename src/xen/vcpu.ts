// A virtual CPU as Xen keeps it beside the registers: mode, page-table bases, callbacks, trap table, descriptor tables.
// Sources: Xen 4.17 asm-x86/domain.h (struct pv_vcpu), public/arch-x86/xen.h. Left out: 32-bit guests, hardware debugging.

import type { VcpuRegisters } from '../abi/vcpu-registers.js';
import {
  VCPU_INFO_arch_cr2,
  VCPU_INFO_evtchn_upcall_mask,
  VCPU_INFO_evtchn_upcall_pending,
} from '../abi/xen-layout.js';
import type { Maddr, Mfn } from '../base/addresses.js';
import { maddr, mfn } from '../base/addresses.js';
import type { Mmu } from '../mmu/index.js';
import type { Domain } from './domain.js';
import type { PageInfo } from './page-info.js';
import { VcpuTime } from './time.js';

/** One entry of the guest's trap table; address 0 means that no handler is registered. */
export interface TrapEntry {
  readonly address: bigint;
  readonly cs: number;
  /** The least privileged virtual ring that may raise it by INT n: 0 … 3. */
  readonly dpl: number;
  /** Events are masked on entry. */
  readonly masksEvents: boolean;
}

/** A callback of callback_op; address 0 means none. */
export interface Callback {
  readonly address: bigint;
  readonly masksEvents: boolean;
}

export const NO_TRAP: TrapEntry = { address: 0n, cs: 0, dpl: 0, masksEvents: false };
export const NO_CALLBACK: Callback = { address: 0n, masksEvents: false };

/** `runnable` also while it runs; `blocked` waits for an event; `offline` is down (VCPUOP_down, or never started). */
export type RunState = 'runnable' | 'blocked' | 'offline';

/** What the machine brings for one vCPU. */
export interface VcpuHardware {
  readonly registers: VcpuRegisters;
  readonly mmu: Mmu;
}

export class XenVcpu {
  readonly domain: Domain;
  readonly id: number;
  /** The physical CPU it is pinned to, for dumps. */
  readonly cpu: number;
  readonly registers: VcpuRegisters;
  readonly mmu: Mmu;
  readonly time: VcpuTime;

  runState: RunState = 'offline';
  /** VCPUOP_initialise (or the domain builder) has given it a state to start from. */
  initialised = false;

  /** TF_kernel_mode: the guest's kernel runs, not a program. Both run at CPL 3. */
  kernelMode = true;
  /** The L4 in use in kernel mode; holds one reference of type L4. */
  kernelTable: PageInfo | undefined = undefined;
  /** The L4 for user mode, if the guest gave one; likewise referenced. */
  userTable: PageInfo | undefined = undefined;
  /** What the TLB clock showed when this CPU was last flushed completely. */
  flushTime = 0;
  /** Its CPU may hold translations of the domain: it has been started at least once. */
  dirty = false;

  readonly trapTable: TrapEntry[] = new Array<TrapEntry>(256).fill(NO_TRAP);
  eventCallback = NO_CALLBACK;
  failsafeCallback = NO_CALLBACK;
  syscallCallback = NO_CALLBACK;
  syscall32Callback = NO_CALLBACK;
  sysenterCallback = NO_CALLBACK;
  /** Where user-to-kernel bounces push: stack_switch. */
  kernelSs = 0;
  kernelSp = 0n;

  /** The guest's own part of the GDT; each frame is referenced as a descriptor page. */
  gdtFrames: readonly PageInfo[] = [];
  gdtEntries = 0;
  ldtBase = 0n;
  ldtEntries = 0;
  /** LDT frames taken so far, by page of the LDT; each holds a reference of type seg_desc. */
  readonly ldtFrames = new Map<number, PageInfo>();

  /** The GS base that is not in use: the user's in kernel mode, the kernel's in user mode. */
  inactiveGsBase = 0n;
  /** dr0 to dr7 as the guest sees them. */
  readonly debugRegisters: bigint[] = [0n, 0n, 0n, 0n, 0n, 0n, 0xffff_0ff0n, 0x400n];
  /** What mov from cr2 gives. */
  cr2 = 0n;
  /** The CR4 bits that the guest may choose (TSD, DE, FSGSBASE, OSXSAVE), as it chose them. */
  cr4 = 0n;
  /** 0 to 3: which virtual rings may do port I/O. PHYSDEVOP_set_iopl. */
  iopl = 0;
  nmiPending = false;
  /** An NMI is being handled: no other until the guest's iret. */
  nmiMasked = false;

  /** Xen acts for it (or has just been entered): the next return to the guest leaves Xen. */
  inXen = false;
  /** The next return to the guest is by SYSRET, which leaves rip in rcx and rflags in r11. */
  returnsBySysret = false;

  /** Where the vcpu_info is: in shared_info until VCPUOP_register_vcpu_info moves it. */
  vcpuInfo: Maddr = maddr(0);

  constructor(domain: Domain, id: number, cpu: number, hardware: VcpuHardware) {
    this.domain = domain;
    this.id = id;
    this.cpu = cpu;
    this.registers = hardware.registers;
    this.mmu = hardware.mmu;
    this.time = new VcpuTime(this);
  }

  /** The L4 that CR3 holds in the mode it is in. */
  get activeRoot(): Mfn {
    const table = this.kernelMode ? this.kernelTable : this.userTable;
    return table?.mfn ?? mfn(0);
  }

  /** CR0.TS as the guest set it: while it is set, what uses the FPU's registers raises #NM. */
  get taskSwitched(): boolean {
    return this.registers.taskSwitched;
  }

  set taskSwitched(value: boolean) {
    this.registers.taskSwitched = value;
  }

  /** The address of a field of vcpu_info. */
  info(offset: number): Maddr {
    return maddr(this.vcpuInfo + offset);
  }

  /** evtchn_upcall_mask as it stands: a guest may store any byte there. */
  get upcallMaskByte(): number {
    return this.domain.hypervisor.memory.read8(this.info(VCPU_INFO_evtchn_upcall_mask));
  }

  get upcallMask(): boolean {
    return this.upcallMaskByte !== 0;
  }

  set upcallMask(masked: boolean) {
    this.domain.hypervisor.memory.write8(this.info(VCPU_INFO_evtchn_upcall_mask), masked ? 1 : 0);
  }

  get upcallPending(): boolean {
    return this.domain.hypervisor.memory.read8(this.info(VCPU_INFO_evtchn_upcall_pending)) !== 0;
  }

  set upcallPending(pending: boolean) {
    this.domain.hypervisor.memory.write8(this.info(VCPU_INFO_evtchn_upcall_pending), pending ? 1 : 0);
  }

  /** Records the address of a page fault where a guest looks: in mov from cr2 and in vcpu_info. */
  setCr2(address: bigint): void {
    this.cr2 = address;
    this.domain.hypervisor.memory.write64(this.info(VCPU_INFO_arch_cr2), address);
  }
}
