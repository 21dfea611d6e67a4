// A domain's crash as a value: what Xen would print, taken at the moment when Xen would print it.
// Sources: Xen 4.1.3 and 4.17 arch/x86/x86_64/traps.c (show_registers, show_page_walk), arch/x86/traps.c show_guest_stack,
// x86_64/entry.S (create_bounce_frame), common/domain.c __domain_crash. Looking at the guest's memory here has no effects:
// it goes by the tables, where Xen's own reads may be answered from a stale TLB entry.
// Left out: 32-bit guests, the dump of other vCPUs, debug keys.

import type { CrashCause, CrashRegisters, CrashReport, WalkLine } from '../abi/crash-report.js';
import { entryFrame, type Level, PTE_P, PTE_PS, tableIndex } from '../abi/paging.js';
import { CS, DS, ES, FS, GPR_COUNT, GS, RSP, SS } from '../abi/registers.js';
import { isCanonical, mfn } from '../base/addresses.js';
import { hardwareCr0, hardwareCr4 } from './control-registers.js';
import { isGuestAddress, peekGuest64 } from './guest-memory.js';
import type { XenVcpu } from './vcpu.js';
import { entryMaddr } from './xen-slots.js';

const STACK_LINES = 20;
const WORDS_PER_LINE = 4;
/** Xen looks no further than the end of what would be a stack of its own. */
const STACK_BYTES = 32768n;

/** 4.17: where the fixup of a bounce without a handler points; read from a real dump of Debian's Xen 4.17. */
const BOUNCE_FAULT = { address: 0xffff_82d0_4020_4b78n, symbol: 'x86_64/entry.S#create_bounce_frame+0x14f/0x177' };

/** What the page tables say of an address, as Xen prints it; taken before the crash itself changes anything. */
export type WalkReport = NonNullable<CrashReport['walk']>;

/**
 * Ends the vCPU's domain as crashed, with the report of this moment. `walk` is what Xen printed about an address before.
 * A domain that has ended already stays as it is, and nothing is printed.
 */
export function crashDomain(vcpu: XenVcpu, cause: CrashCause, walk?: WalkReport): void {
  if (vcpu.domain.ended) return;
  vcpu.domain.end({ reason: 'crash', report: reportCrash(vcpu, cause, walk) });
}

/** The report of a crash of this vCPU now. */
export function reportCrash(vcpu: XenVcpu, cause: CrashCause, walk?: WalkReport): CrashReport {
  const { config } = vcpu.domain.hypervisor;
  const fromEntry = cause.kind === 'unhandled' || cause.calledFrom === 'entry.S';
  return {
    domain: vcpu.domain.id,
    vcpu: vcpu.id,
    cpu: vcpu.cpu,
    cause,
    walk,
    xen: {
      form: config.profile,
      version: config.version,
      debug: config.debug ? 'y' : 'n',
      taint: 'Not tainted',
      entryPoint: config.profile === '4.17' && fromEntry ? BOUNCE_FAULT : undefined,
    },
    eventMask: vcpu.upcallMask,
    registers: reportRegisters(vcpu),
    stack: reportStack(vcpu),
  };
}

/** The walk of an address from CR3 as Xen prints it: down to the first entry that is not present, large or leads nowhere. */
export function reportWalk(vcpu: XenVcpu, vaddr: bigint): WalkReport {
  const { hypervisor } = vcpu.domain;
  const lines: WalkLine[] = [];
  let table = vcpu.mmu.root;
  const printsAny = hypervisor.config.profile === '4.1' || isCanonical(vaddr);
  for (let level = 4; level >= 1 && printsAny; level--) {
    const index = tableIndex(vaddr, level as Level);
    if (!hypervisor.memory.isRam(table)) break;
    const entry = hypervisor.memory.read64(entryMaddr(table, index));
    const frame = mfn(entryFrame(entry));
    const valid = hypervisor.memory.isRam(frame);
    lines.push({ level: level as Level, index, entry, pfn: valid ? pfnOf(vcpu, frame) : undefined });
    if ((entry & PTE_P) === 0n || !valid || ((level === 2 || level === 3) && (entry & PTE_PS) !== 0n)) break;
    table = frame;
  }
  return { vaddr, lines };
}

function pfnOf(vcpu: XenVcpu, frame: ReturnType<typeof mfn>): bigint | undefined {
  const pfn = vcpu.domain.hypervisor.m2p.lookup(frame);
  return pfn === undefined ? undefined : BigInt(pfn);
}

function reportRegisters(vcpu: XenVcpu): CrashRegisters {
  const { registers } = vcpu;
  const gpr: bigint[] = [];
  for (let index = 0; index < GPR_COUNT; index++) gpr.push(registers.readGpr(index));
  return {
    rip: registers.rip,
    rflags: registers.rflags,
    gpr,
    cr0: hardwareCr0(vcpu),
    cr2: vcpu.cr2,
    cr3: BigInt(vcpu.mmu.root) << 12n,
    cr4: hardwareCr4(vcpu),
    fsBase: registers.readSegmentBase(FS),
    gsBase: registers.readSegmentBase(GS),
    gsShadow: vcpu.inactiveGsBase,
    ds: registers.readSelector(DS),
    es: registers.readSelector(ES),
    fs: registers.readSelector(FS),
    gs: registers.readSelector(GS),
    ss: registers.readSelector(SS),
    cs: registers.readSelector(CS),
  };
}

function reportStack(vcpu: XenVcpu): CrashReport['stack'] {
  const words: bigint[] = [];
  let address = vcpu.registers.readGpr(RSP);
  if (!isGuestAddress(address)) return { words, stop: 'inaccessible' };
  while (words.length < STACK_LINES * WORDS_PER_LINE) {
    if ((((address - 1n) ^ (address + 7n)) & STACK_BYTES) !== 0n) break;
    const word = peekGuest64(vcpu, address);
    if (word === undefined) return { words, stop: 'fault' };
    words.push(word);
    address = BigInt.asUintN(64, address + 8n);
  }
  return { words, stop: words.length === 0 ? 'empty' : undefined };
}
