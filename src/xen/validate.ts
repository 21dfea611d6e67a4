// What a page-table entry may say, what it refers to, and what Xen writes into it; whole tables likewise.
// Source: Xen 4.17 and 4.1.3 arch/x86/mm.c (get_page_from_lNe, promote_lN_table / alloc_lN_table, demote_lN_table,
// define_get_linear_pagetable), arch/x86/pv/mm.h (adjust_guest_lNe), asm-x86/x86_64/page.h (L*_DISALLOW_MASK).
//
// Entries as Xen rewrites them: L1e present and not US -> US and bit 52 (a page of the guest's kernel); L1e present without
// bit 52 -> US and G (a user page); upper entries present -> US; 4.17 sets A in an L4e as well.
// Linear page tables: an entry may refer to a table of its own level, read-only: to itself (no references are held), or to
// one that is validated, if neither takes part in another such nesting.
// DEVIATION: that limit holds under the 4.1 profile too (4.1 had none, XSA-240), and a change of RW in an upper entry is
// always audited (4.1 let it pass, XSA-182): as it was, a guest could break out of the rules that this file keeps.
// Left out: I/O memory, passthrough, privileged and paging-external domains, shared pages, 32-bit guests, L1TF mitigation.

import { EBUSY, EINVAL, EPERM } from '../abi/errno.js';
import {
  ENTRIES_PER_TABLE,
  entryFrame,
  type Level,
  PTE_A,
  PTE_FRAME_MASK,
  PTE_G,
  PTE_GUEST_KERNEL,
  PTE_P,
  PTE_PCD,
  PTE_PS,
  PTE_PWT,
  PTE_RW,
  PTE_US,
} from '../abi/paging.js';
import { DOMID_IO, ROOT_PAGETABLE_FIRST_XEN_SLOT, ROOT_PAGETABLE_LAST_XEN_SLOT } from '../abi/xen-layout.js';
import * as complaints from './complaints.js';
import { auditDescriptorPage, dropLdtOf } from './descriptors.js';
import type { Domain } from './domain.js';
import type { Hypervisor } from './hypervisor.js';
import {
  type PageInfo,
  type PageType,
  PGT_l4_page_table,
  PGT_seg_desc_page,
  PGT_writable_page,
  tableLevel,
  tableType,
} from './page-info.js';
import { getPage, getPageType, putPage, putPageType, type Status } from './page-types.js';
import { entryMaddr } from './xen-slots.js';

/** Bit 62: debug builds of Xen mark grant mappings with it, and let no guest set it. */
const PTE_GNTTAB = 1n << 62n;
/** PFN of an entry whose frame bits are all ones: Xen refuses it without a word. */
const INVALID_FRAME = Number(PTE_FRAME_MASK >> 12n);

/** Whose pages an L1e may map: a domain, or undefined for DOMID_IO. */
export type PageOwner = Domain | undefined;

export const isPresent = (entry: bigint): boolean => (entry & PTE_P) !== 0n;
const isWritable = (entry: bigint): boolean => (entry & PTE_RW) !== 0n;

/** Whether slot `index` of an L4 belongs to Xen. */
export const isXenSlot = (index: number): boolean =>
  index >= ROOT_PAGETABLE_FIRST_XEN_SLOT && index <= ROOT_PAGETABLE_LAST_XEN_SLOT;

/** The entry's flags that no guest may set at this level, in Xen's 24-bit form; 0 when it is fine. */
export function disallowedFlags(hypervisor: Hypervisor, level: Level, entry: bigint): number {
  const { profile, debug } = hypervisor.config;
  let mask = PTE_PWT | PTE_PCD | PTE_PS;
  if (level > 1) mask |= PTE_G;
  // 4.1 speaks of superpages with words of their own.
  if (level === 2 && profile === '4.1') mask = PTE_G | PTE_PWT | PTE_PCD;
  if (level === 1 && debug) mask |= PTE_GNTTAB;
  const bad = entry & mask;
  return Number(((bad >> 52n) << 12n) | (bad & 0xfffn));
}

/** The entry as Xen stores it for a guest. */
export function adjustEntry(hypervisor: Hypervisor, level: Level, entry: bigint): bigint {
  if (!isPresent(entry)) return entry;
  if (level > 1) return entry | PTE_US | (level === 4 && hypervisor.config.profile === '4.17' ? PTE_A : 0n);
  if ((entry & PTE_GUEST_KERNEL) !== 0n && (entry & PTE_G) !== 0n)
    hypervisor.complain(complaints.globalKernelPage(entryFrame(entry)));
  const marked = (entry & PTE_US) === 0n ? entry | PTE_US | PTE_GUEST_KERNEL : entry;
  return (marked & PTE_GUEST_KERNEL) === 0n ? marked | PTE_US | PTE_G : marked;
}

/**
 * Takes the references that a present L1e needs. `tableOwner` owns the table, `pageOwner` is whose page it is to map.
 * Returns 0 or why not: 4.1 knows only -EINVAL, 4.17 says -EINVAL, -EBUSY or -EPERM.
 */
export function getPageFromL1e(
  hypervisor: Hypervisor,
  entry: bigint,
  tableOwner: Domain,
  pageOwner: PageOwner,
): Status {
  const refusal = (errno: number): Status => (hypervisor.config.profile === '4.1' ? -EINVAL : -errno);
  const bad = disallowedFlags(hypervisor, 1, entry);
  if (bad !== 0) {
    hypervisor.complain(complaints.badFlags(1, bad, 'table'));
    return -EINVAL;
  }
  const frame = entryFrame(entry);
  const page = hypervisor.page(frame);
  if (!page) {
    if (frame === INVALID_FRAME) return -EINVAL;
    hypervisor.complain(complaints.mapsIoSpace((pageOwner ?? hypervisor.current.domain).id, frame));
    return refusal(EPERM);
  }
  const expected = pageOwner?.id ?? DOMID_IO;
  const cannot = (): Status => {
    hypervisor.complain(complaints.cannotMap(frame, hypervisor.m2p.lookup(page.mfn), entry, tableOwner.id, expected));
    return refusal(EBUSY);
  };
  if (page.refs === 0 || page.owner === undefined || page.owner !== pageOwner) {
    hypervisor.complain(complaints.wrongOwner(expected, tableOwner.id, page.owner?.id));
    return cannot();
  }
  page.refs++;
  if (!isWritable(entry) || getPageType(hypervisor, page, PGT_writable_page) === 0) return 0;
  hypervisor.complain(complaints.notWritable());
  putPage(hypervisor, page);
  return cannot();
}

/** Drops what an L1e of a table of `tableOwner` holds. */
export function putPageFromL1e(hypervisor: Hypervisor, entry: bigint, tableOwner: Domain): void {
  if (!isPresent(entry)) return;
  const page = hypervisor.page(entryFrame(entry));
  if (!page) return;
  if (isWritable(entry)) {
    putPageType(hypervisor, page);
  } else if (
    hypervisor.config.profile === '4.1' &&
    page.type === PGT_seg_desc_page &&
    page.typeCount > 0 &&
    page.owner === tableOwner
  ) {
    // 4.1 cannot tell whether an LDT was mapped by this entry, and drops them all.
    dropLdtOf(page.owner);
  }
  putPage(hypervisor, page);
}

/** Takes the references that a present entry of level 2 to 4 in `table` needs. Returns 0 or a negative errno. */
export function getPageFromUpper(hypervisor: Hypervisor, level: 2 | 3 | 4, entry: bigint, table: PageInfo): Status {
  const domain = table.owner;
  if (!domain) return -EINVAL;
  const bad = disallowedFlags(hypervisor, level, entry);
  if (bad !== 0) {
    hypervisor.complain(complaints.badFlags(level, bad, 'table'));
    return -EINVAL;
  }
  if ((entry & PTE_PS) !== 0n) {
    hypervisor.complain(complaints.superpageRefused());
    return -EINVAL;
  }
  const page = getPage(hypervisor, entryFrame(entry), domain);
  if (!page) return -EINVAL;
  const status = getPageType(hypervisor, page, tableType((level - 1) as Level));
  if (status === 0) return 0;
  putPage(hypervisor, page);
  return status === -EINVAL && getLinear(hypervisor, level, entry, table, domain) ? 0 : status;
}

/** Drops what an entry of level 2 to 4 in `table` holds. */
export function putPageFromUpper(hypervisor: Hypervisor, entry: bigint, table: PageInfo): void {
  if (!isPresent(entry)) return;
  const frame = entryFrame(entry);
  if (frame === table.mfn) return;
  const page = hypervisor.page(frame);
  if (!page) return;
  if (page.type === table.type && page.typeCount > 0) {
    page.linearCount++;
    table.linearCount--;
  }
  putPageType(hypervisor, page);
  putPage(hypervisor, page);
}

/** Whether the entry may be a linear page table; then it holds the references of one. */
function getLinear(hypervisor: Hypervisor, level: Level, entry: bigint, table: PageInfo, domain: Domain): boolean {
  if (isWritable(entry)) {
    hypervisor.complain(complaints.linearTableWritable(level));
    return false;
  }
  const frame = entryFrame(entry);
  if (frame === table.mfn) return true;
  const page = getPage(hypervisor, frame, domain);
  if (!page) return false;
  if (table.linearCount < 0 || page.linearCount > 0 || page.type !== tableType(level) || !page.validated) {
    putPage(hypervisor, page);
    return false;
  }
  table.linearCount++;
  page.linearCount--;
  page.typeCount++;
  return true;
}

/** Audits a page's contents for a type it is to have, taking every reference that a table needs; 0 or a negative errno. */
export function promotePage(hypervisor: Hypervisor, page: PageInfo, type: PageType): Status {
  hypervisor.work.add();
  if (type === PGT_seg_desc_page) return auditDescriptorPage(hypervisor, page);
  const level = tableLevel(type);
  return level === undefined || !page.owner ? -EINVAL : promoteTable(hypervisor, page, level, page.owner);
}

function promoteTable(hypervisor: Hypervisor, table: PageInfo, level: Level, domain: Domain): Status {
  const { memory } = hypervisor;
  for (let index = 0; index < ENTRIES_PER_TABLE; index++) {
    if (level === 4 && isXenSlot(index)) continue;
    const at = entryMaddr(table.mfn, index);
    const entry = memory.read64(at);
    if (!isPresent(entry)) continue;
    const status =
      level === 1
        ? getPageFromL1e(hypervisor, entry, domain, domain)
        : getPageFromUpper(hypervisor, level, entry, table);
    if (status !== 0) {
      hypervisor.complain(complaints.tableFailed(level, status, index));
      dropEntries(hypervisor, table, level, domain, index);
      return status;
    }
    const adjusted = adjustEntry(hypervisor, level, entry);
    if (adjusted !== entry) hypervisor.storeEntry(at, adjusted);
  }
  if (level === 4) hypervisor.slots.fill(table.mfn, true);
  return 0;
}

/** Lets a table go: drops what its entries hold. The entries stay as they are. */
export function demoteTable(hypervisor: Hypervisor, table: PageInfo): void {
  const level = tableLevel(table.type);
  if (level !== undefined && table.owner) dropEntries(hypervisor, table, level, table.owner, ENTRIES_PER_TABLE);
}

/** Drops what the entries below `end` hold, last first, as Xen does. */
function dropEntries(hypervisor: Hypervisor, table: PageInfo, level: Level, domain: Domain, end: number): void {
  const { memory, work } = hypervisor;
  work.add();
  for (let index = end - 1; index >= 0; index--) {
    if (table.type === PGT_l4_page_table && isXenSlot(index)) continue;
    const entry = memory.read64(entryMaddr(table.mfn, index));
    if (!isPresent(entry)) continue;
    if (level === 1) putPageFromL1e(hypervisor, entry, domain);
    else putPageFromUpper(hypervisor, entry, table);
  }
}
