// Writable page tables: a guest's kernel that has asked for it (vm_assist) may write to an L1 table that it has mapped
// read-only. The write faults, Xen works out what the instruction would store, checks it as an entry, and stores it.
// Source: Xen 4.1.3 arch/x86/mm.c ptwr_do_page_fault, Xen 4.17 arch/x86/pv/ro-page-fault.c. Left out: 32-bit guests, MMIO.
// When the entry that maps the address is already writable in memory, the fault came from a stale translation: it is none
// of this file's business and goes to the guest.

import { entryFrame, PTE_P, PTE_RW } from '../abi/paging.js';
import { PAGE_BYTES, PAGE_OFFSET_MASK, vaddr } from '../base/addresses.js';
import { hex } from '../base/hex.js';
import * as complaints from './complaints.js';
import { fetchInstruction } from './fetch.js';
import { type PageInfo, PGT_l1_page_table } from './page-info.js';
import { getPage, putPage } from './page-types.js';
import { effectsOf, type MemoryWrite } from './run-instruction.js';
import { adjustEntry, getPageFromL1e, isPresent, putPageFromL1e } from './validate.js';
import type { XenVcpu } from './vcpu.js';
import { entryMaddr } from './xen-slots.js';

const PAGE_MASK = ~BigInt(PAGE_OFFSET_MASK);

/** Tries to carry out the faulting write as one to an L1 table. False: it is none, or it was refused; nothing has changed. */
export function writePageTable(vcpu: XenVcpu, fault: bigint): boolean {
  const { hypervisor } = vcpu.domain;
  return hypervisor.onBehalfOf(vcpu, undefined, `writable page tables at ${hex(vcpu.registers.rip)}`, () => {
    const mapping = mappingEntry(vcpu, fault);
    if (mapping === undefined || (mapping & (PTE_P | PTE_RW)) !== PTE_P) return false;
    const table = getPage(hypervisor, entryFrame(mapping), vcpu.domain);
    if (!table) return false;
    const isL1 = table.type === PGT_l1_page_table && table.typeCount > 0 && table.validated;
    const done = isL1 && emulateWrite(vcpu, fault, table);
    putPage(hypervisor, table);
    return done;
  });
}

/** The L1e in memory that maps the address now. */
function mappingEntry(vcpu: XenVcpu, address: bigint): bigint | undefined {
  const { steps, level } = vcpu.mmu.walk(vaddr(address));
  return level === 1 ? steps.at(-1)?.entry : undefined;
}

function emulateWrite(vcpu: XenVcpu, fault: bigint, table: PageInfo): boolean {
  const instruction = fetchInstruction(vcpu);
  const effects = instruction && effectsOf(vcpu, instruction);
  const [write, another] = effects?.writes ?? [];
  if (!effects || !write || another) return false;
  if (!store(vcpu, fault, table, write)) return false;
  effects.apply();
  return true;
}

/** Checks what is written as a whole entry, and stores it. */
function store(vcpu: XenVcpu, fault: bigint, table: PageInfo, { address, bytes, value }: MemoryWrite): boolean {
  const { hypervisor } = vcpu.domain;
  const { domain } = vcpu;
  if (bytes > 8) {
    hypervisor.complain(complaints.ptwrBadSize(address, bytes));
    return false;
  }
  if (((address ^ fault) & PAGE_MASK) !== 0n || address % BigInt(bytes) !== 0n) {
    hypervisor.complain(complaints.ptwrBadAccess(fault, address, bytes));
    return false;
  }
  const within = Number(address % BigInt(PAGE_BYTES));
  const at = entryMaddr(table.mfn, within >> 3);
  const old = hypervisor.memory.read64(at);
  const shift = BigInt((within & 7) * 8);
  const mask = ((1n << BigInt(bytes * 8)) - 1n) << shift;
  const entry = (old & ~mask) | ((value << shift) & mask);
  if (isPresent(entry) && getPageFromL1e(hypervisor, entry, domain, domain) !== 0) {
    hypervisor.complain(complaints.ptwrRefused());
    return false;
  }
  hypervisor.storeEntry(at, adjustEntry(hypervisor, 1, entry));
  putPageFromL1e(hypervisor, old, domain);
  return true;
}
