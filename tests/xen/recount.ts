// The law of page types, checked from scratch: every reference that any page holds is accounted for by something that refers
// to it, and no page table or descriptor page is writable anywhere.

import { ENTRIES_PER_TABLE, entryFrame, PTE_P, PTE_RW } from '../../src/abi/paging.js';
import { maddr, mfnToMaddr } from '../../src/base/addresses.js';
import type { Hypervisor } from '../../src/xen/hypervisor.js';
import { type PageInfo, PGT_writable_page, tableLevel } from '../../src/xen/page-info.js';
import { isXenSlot } from '../../src/xen/validate.js';

interface Count {
  refs: number;
  types: number;
}

const isLiveTable = (page: PageInfo): boolean =>
  tableLevel(page.type) !== undefined && page.typeCount > 0 && page.validated;

/** What is wrong with the books, one line for each page; empty when they balance. */
export function auditBooks(hypervisor: Hypervisor): string[] {
  const expected = new Map<PageInfo, Count>();
  const complaints: string[] = [];
  const count = (page: PageInfo | undefined, refs: number, types: number): void => {
    if (!page) return;
    const sum = expected.get(page) ?? { refs: 0, types: 0 };
    sum.refs += refs;
    sum.types += types;
    expected.set(page, sum);
  };
  const pages = [...hypervisor.knownPages];
  for (const page of pages) {
    if (page.allocated && page.owner) count(page, 1, page.xenHeap ? 1 : 0);
    if (page.pinned) count(page, 1, 1);
    if (isLiveTable(page)) for (const entry of entriesOf(hypervisor, page)) countEntry(page, entry);
  }
  for (const domain of hypervisor.domains.values())
    for (const vcpu of domain.vcpus) {
      count(vcpu.kernelTable, 1, 1);
      count(vcpu.userTable, 1, 1);
      for (const page of [...vcpu.gdtFrames, ...vcpu.ldtFrames.values()]) count(page, 1, 1);
      const info = hypervisor.page(Math.floor(vcpu.vcpuInfo / 4096));
      if (info?.mfn !== domain.sharedInfo) count(info, 1, 1);
    }
  for (const page of pages) {
    const { refs, types } = expected.get(page) ?? { refs: 0, types: 0 };
    if (page.refs !== refs || page.typeCount !== types)
      complaints.push(
        `mfn ${page.mfn.toString(16)} type ${page.type}: has ${page.refs}/${page.typeCount}, should have ${refs}/${types}`,
      );
  }
  return complaints;

  function countEntry(table: PageInfo, entry: bigint): void {
    const target = hypervisor.page(entryFrame(entry));
    if (tableLevel(table.type) === 1) {
      const isWritable = (entry & PTE_RW) !== 0n;
      count(target, 1, isWritable ? 1 : 0);
      if (isWritable && target && target.type !== PGT_writable_page)
        complaints.push(`mfn ${target.mfn.toString(16)} of type ${target.type} is writable`);
      if (target?.owner !== table.owner) complaints.push(`mfn ${target?.mfn.toString(16)} is mapped and not owned`);
    } else if (target !== table) {
      count(target, 1, 1);
      if (target && !isLiveTable(target))
        complaints.push(`mfn ${target.mfn.toString(16)} is used as a table and is none`);
    }
  }
}

function* entriesOf(hypervisor: Hypervisor, table: PageInfo): Generator<bigint> {
  for (let index = 0; index < ENTRIES_PER_TABLE; index++) {
    if (tableLevel(table.type) === 4 && isXenSlot(index)) continue;
    const entry = hypervisor.memory.read64(maddr(mfnToMaddr(table.mfn) + index * 8));
    if ((entry & PTE_P) !== 0n) yield entry;
  }
}
