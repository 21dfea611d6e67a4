// Changing one entry of a validated page table at a guest's request: the new entry's references are taken before it is
// stored, the old one's are dropped after. What differs only in bits that refer to nothing is stored at once.
// Source: Xen 4.1.3 and 4.17 arch/x86/mm.c (mod_lN_entry), arch/x86/pv/mm.h update_intpte. See validate.ts for what an entry
// may be.

import { EINVAL } from '../abi/errno.js';
import { type Level, PTE_A, PTE_D, PTE_G, PTE_NX, PTE_US } from '../abi/paging.js';
import { type Maddr, PAGE_BYTES } from '../base/addresses.js';
import * as complaints from './complaints.js';
import type { Domain } from './domain.js';
import type { Hypervisor } from './hypervisor.js';
import type { PageInfo } from './page-info.js';
import type { Status } from './page-types.js';
import {
  adjustEntry,
  disallowedFlags,
  getPageFromL1e,
  getPageFromUpper,
  isPresent,
  isXenSlot,
  type PageOwner,
  putPageFromL1e,
  putPageFromUpper,
} from './validate.js';

/** Bits 62:52 and 11:9, which software has to itself. */
const PTE_AVAILABLE = 0x7ff0_0000_0000_0e00n;
/** Bits that may change without a new audit; in an L1e G too. */
const HARMLESS = PTE_NX | PTE_AVAILABLE | PTE_A | PTE_D | PTE_US;

export interface L1eUpdate {
  readonly at: Maddr;
  readonly entry: bigint;
  /** MMU_PT_UPDATE_PRESERVE_AD: the entry's A and D bits are kept. */
  readonly preserveAd: boolean;
  readonly tableOwner: Domain;
  /** Whose page the new entry may map; undefined for DOMID_IO. */
  readonly pageOwner: PageOwner;
}

/** Replaces an L1e; 0, or a negative errno and nothing has changed. */
export function updateL1e(hypervisor: Hypervisor, update: L1eUpdate): Status {
  const { at, preserveAd, tableOwner, pageOwner } = update;
  const old = hypervisor.memory.read64(at);
  let { entry } = update;
  if (isPresent(entry)) {
    const bad = disallowedFlags(hypervisor, 1, entry);
    if (bad !== 0) {
      hypervisor.complain(complaints.badFlags(1, bad, 'update'));
      return -EINVAL;
    }
    entry = adjustEntry(hypervisor, 1, entry);
    if (((old ^ entry) & ~(HARMLESS | PTE_G)) === 0n) {
      store(hypervisor, at, entry, preserveAd);
      return 0;
    }
    // A complaint of 4.1's quotes the entry as the guest gave it.
    const audited = hypervisor.config.profile === '4.1' ? update.entry : entry;
    const status = getPageFromL1e(hypervisor, audited, tableOwner, pageOwner);
    if (status !== 0) return status;
  }
  store(hypervisor, at, entry, preserveAd);
  putPageFromL1e(hypervisor, old, tableOwner);
  return 0;
}

/** Replaces an entry of an L2, L3 or L4; 0, or a negative errno and nothing has changed. */
export function updateUpper(
  hypervisor: Hypervisor,
  level: 2 | 3 | 4,
  table: PageInfo,
  at: Maddr,
  wanted: bigint,
  preserveAd: boolean,
): Status {
  const slot = (at % PAGE_BYTES) >> 3;
  if (level === 4 && isXenSlot(slot)) {
    hypervisor.complain(complaints.xenPrivateSlot(slot));
    return -EINVAL;
  }
  const old = hypervisor.memory.read64(at);
  let entry = wanted;
  if (isPresent(entry)) {
    const bad = disallowedFlags(hypervisor, level as Level, entry);
    if (bad !== 0) {
      hypervisor.complain(complaints.badFlags(level, bad, 'update'));
      return -EINVAL;
    }
    entry = adjustEntry(hypervisor, level, entry);
    if (((old ^ entry) & ~HARMLESS) === 0n) {
      store(hypervisor, at, entry, preserveAd);
      return 0;
    }
    const status = getPageFromUpper(hypervisor, level, entry, table);
    if (status !== 0) return status;
  }
  store(hypervisor, at, entry, preserveAd);
  putPageFromUpper(hypervisor, old, table);
  return 0;
}

function store(hypervisor: Hypervisor, at: Maddr, entry: bigint, preserveAd: boolean): void {
  if (!preserveAd) {
    hypervisor.storeEntry(at, entry);
    return;
  }
  // A walk may set A or D in between; both only ever come on.
  let expected = hypervisor.memory.read64(at);
  for (;;) {
    const kept = expected & (PTE_A | PTE_D);
    const found = hypervisor.tables.compareAndStore(at, expected, entry | kept, hypervisor.why);
    if (found === expected) return;
    expected = found;
  }
}
