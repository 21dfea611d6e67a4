// Which flushes happen beside those that the PV ABI promises, and the clock by which Xen decides that one is not needed.
//
//   abi              none: a guest sees only what it asked for
//   xen-4.1          a page that changes its type is flushed first, on each CPU that was not flushed since the page's last
//                    use of its old type ended (time stamps of the TLB clock)
//   xen-4.17         that, and each batch of mmu_update that changed an L2, L3 or L4 entry (XSA-286)
//   xen-4.17,xpti    that, and everything on each entry to Xen and each exit from it: CR3 is rewritten, and a domain with
//                    XPTI but no PCID runs with CR4.PGE clear, so that no entry is global
//
// Promised, and done under every policy: what UVMF_* and MMUEXT_* ask for, the load of CR3 by NEW_BASEPTR and by a switch
// between guest kernel and guest user, grant unmapping (public/grant_table.h), and what Xen does to its own mappings
// (set_gdt, SET_LDT, a frame that is given to a domain again).
// Sources: Xen 4.1.3 and 4.17 arch/x86/flushtlb.c, asm-x86/flushtlb.h (NEED_FLUSH), arch/x86/mm.c __get_page_type,
// do_mmu_update, arch/x86/pv/domain.c pv_make_cr4. Left out: PCID (pcid=xpti is 4.17's default where the CPU has it: with
// it the rewrites of CR3 flush nothing), and the clock's wrapping round.

import type { Vaddr } from '../base/addresses.js';
import { InputError } from '../base/failures.js';
import type { Why } from '../mmu/index.js';
import type { XenVcpu } from './vcpu.js';

export interface FlushPolicy {
  readonly accidental: 'none' | 'xen-4.1' | 'xen-4.17';
  readonly xpti: boolean;
}

export const FLUSH_POLICIES = ['abi', 'xen-4.1', 'xen-4.17', 'xen-4.17,xpti'] as const;

const POLICY_BY_NAME: Readonly<Record<(typeof FLUSH_POLICIES)[number], FlushPolicy>> = {
  abi: { accidental: 'none', xpti: false },
  'xen-4.1': { accidental: 'xen-4.1', xpti: false },
  'xen-4.17': { accidental: 'xen-4.17', xpti: false },
  'xen-4.17,xpti': { accidental: 'xen-4.17', xpti: true },
};

/** `abi`, `xen-4.1`, `xen-4.17` or `xen-4.17,xpti`; InputError for anything else. */
export function parseFlushPolicy(text: string): FlushPolicy {
  const name = FLUSH_POLICIES.find((known) => known === text);
  if (name) return POLICY_BY_NAME[name];
  if (/,xpti$/.test(text)) throw new InputError(`--flush ${text}: only xen-4.17 has XPTI (xen-4.17,xpti)`);
  throw new InputError(`--flush ${text}: expected one of ${FLUSH_POLICIES.join(', ')}`);
}

/** The text that parses to the same policy. */
export function printFlushPolicy(policy: FlushPolicy): string {
  const base = policy.accidental === 'none' ? 'abi' : policy.accidental;
  return policy.xpti ? `${base},xpti` : base;
}

/** Counts full flushes on all CPUs. */
export class TlbClock {
  /** The number of the latest full flush; 1 before the first. */
  now = 1;
}

/** Drops everything on one CPU, global entries too, and ticks the clock. */
export function flushCpu(vcpu: XenVcpu, why: Why): void {
  const { tlbClock } = vcpu.domain.hypervisor;
  tlbClock.now++;
  vcpu.mmu.flushAll(why);
  vcpu.flushTime = tlbClock.now;
}

export function flushCpus(vcpus: Iterable<XenVcpu>, why: Why): void {
  for (const vcpu of vcpus) flushCpu(vcpu, why);
}

/** INVLPG on each CPU; the clock does not tick. */
export function invalidateOnCpus(vcpus: Iterable<XenVcpu>, address: Vaddr, why: Why): void {
  for (const vcpu of vcpus) vcpu.mmu.invalidatePage(address, why);
}

/** Loads CR3 as Xen's write_ptbase does: the new root, and nothing remembered of any other, global or not. */
export function loadRoot(vcpu: XenVcpu, why: Why): void {
  const { tlbClock } = vcpu.domain.hypervisor;
  tlbClock.now++;
  vcpu.mmu.loadCr3(vcpu.activeRoot, why);
  vcpu.mmu.flushAll(why);
  vcpu.flushTime = tlbClock.now;
}

/** Whether this CPU may still hold translations from before the clock showed `stamp`: Xen's NEED_FLUSH. */
export const mayHoldFrom = (vcpu: XenVcpu, stamp: number): boolean => vcpu.flushTime <= stamp;

/** Flushes the CPUs among these that may hold translations from before `stamp`. */
export function flushStale(vcpus: Iterable<XenVcpu>, stamp: number, why: Why): void {
  for (const vcpu of vcpus) if (mayHoldFrom(vcpu, stamp)) flushCpu(vcpu, why);
}
