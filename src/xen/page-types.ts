// The rule that keeps guests apart from Xen: a frame has one type at a time, it may change only while no type reference is
// held, and each use of a frame holds references. So no frame is ever a page table (or descriptor table) and writable.
// Source: Xen 4.17 and 4.1.3 arch/x86/mm.c (get_page, _get_page_type, _put_page_type, validate_page).
//
//   who refers to a frame              general reference   type reference
//   L1e without RW                     1                   none: any type may be mapped read-only
//   L1e with RW                        1                   writable
//   L2e, L3e, L4e                      1                   the table one level below (same level: linear, see validate.ts)
//   CR3, user CR3, a pin               1                   the table's own level
//   a GDT or LDT frame in use          1                   descriptor page
//
// A count that falls below 0 means that a guest changed a validated page table behind Xen's back. The type-change flush
// rules that out; under `--flush abi` there is none, and a stale translation can let a guest do it. Then its domain crashes.
// Left out: preemption of an audit (and with it partially validated pages), overflowing counts, IOMMU mappings.

import { EINVAL } from '../abi/errno.js';
import { hex } from '../base/hex.js';
import * as complaints from './complaints.js';
import { crashDomain } from './crash.js';
import type { Domain } from './domain.js';
import { flushStale } from './flush.js';
import type { Hypervisor } from './hypervisor.js';
import {
  countWord,
  type PageInfo,
  type PageType,
  PGT_l1_page_table,
  PGT_l4_page_table,
  PGT_none,
  PGT_writable_page,
  tableLevel,
  typeBits,
  typeWord,
} from './page-info.js';
import { demoteTable, promotePage } from './validate.js';

/** 0, or a negative errno. */
export type Status = number;

/**
 * Takes a general reference to a frame that `owner` owns (undefined: DOMID_IO, which owns no RAM). Undefined when the frame
 * is no RAM or another's.
 */
export function getPage(
  hypervisor: Hypervisor,
  frame: bigint | number,
  owner: Domain | undefined,
): PageInfo | undefined {
  const page = hypervisor.page(Number(frame));
  if (page && page.refs > 0 && owner !== undefined && page.owner === owner) {
    page.refs++;
    return page;
  }
  const { profile, debug } = hypervisor.config;
  if (page && debug) {
    const [caf, taf] = [hex(countWord(page), 8), hex(typeWord(page, profile), 16)];
    const [wanted, real] = [owner ? `d${owner.id}` : 'd[IO]', page.owner ? `d${page.owner.id}` : 'd[NULL]'];
    hypervisor.console.print(
      profile === '4.1'
        ? `mm.c:2094:d${hypervisor.current.domain.id} Error pfn ${hex(page.mfn)}: rd=${wanted}, od=${real}, caf=${caf}, taf=${taf}`
        : `d${hypervisor.current.domain.id}v${hypervisor.current.id} Error mfn ${hex(page.mfn)}: rd=${wanted} od=${real} caf=${caf} taf=${taf}`,
    );
  }
  hypervisor.complain(complaints.noPageReference(frame));
  return undefined;
}

/** Drops a general reference; with the last one the frame is free. */
export function putPage(hypervisor: Hypervisor, page: PageInfo): void {
  if (page.refs <= 0) {
    altered(hypervisor, page, 'a reference that nobody holds');
    return;
  }
  page.refs--;
  if (page.refs > 0) return;
  if (page.typeCount > 0) {
    altered(hypervisor, page, 'a type that nobody refers to');
    return;
  }
  hypervisor.freePage(page);
}

/**
 * Takes a type reference to a frame of which the caller holds a general one. The first reference of another type flushes
 * CPUs that may hold translations of the old use (flush.ts), and audits the contents. -EINVAL when the frame has another
 * type now; otherwise what the audit says.
 */
export function getPageType(hypervisor: Hypervisor, page: PageInfo, type: PageType): Status {
  if (page.typeCount === 0) {
    if (page.type !== type) {
      flushForTypeChange(hypervisor, page);
      page.type = type;
      page.validated = type === PGT_writable_page;
    }
  } else if (page.type !== type) {
    refuseType(hypervisor, page, type);
    return -EINVAL;
  }
  page.typeCount++;
  if (page.validated) return 0;
  page.linearCount = 0;
  const status = promotePage(hypervisor, page, type);
  if (status === 0) {
    page.validated = true;
    return 0;
  }
  const { profile } = hypervisor.config;
  hypervisor.complain(
    complaints.validationFailed(
      page.mfn,
      hypervisor.m2p.lookup(page.mfn),
      typeBits(type, profile),
      countWord(page),
      typeWord(page, profile),
    ),
  );
  page.type = PGT_none;
  page.typeCount = 0;
  return status;
}

/**
 * Drops a type reference. With the last one a table lets go of everything that it refers to; the type stays, and is stamped
 * with the TLB clock.
 */
export function putPageType(hypervisor: Hypervisor, page: PageInfo): void {
  if (page.typeCount <= 0) {
    altered(hypervisor, page, 'a type reference that nobody holds');
    return;
  }
  if (page.typeCount === 1) {
    if (tableLevel(page.type) !== undefined && page.validated) {
      // No longer validated while it lets go, so that nobody takes it for a usable table.
      page.validated = false;
      demoteTable(hypervisor, page);
    }
    page.stamp = hypervisor.tlbClock.now;
  }
  page.typeCount--;
}

/** Both references; on failure neither is held. */
export function getPageAndType(
  hypervisor: Hypervisor,
  frame: bigint | number,
  owner: Domain,
  type: PageType,
): PageInfo | Status {
  const page = getPage(hypervisor, frame, owner);
  if (!page) return -EINVAL;
  const status = getPageType(hypervisor, page, type);
  if (status === 0) return page;
  putPage(hypervisor, page);
  return status;
}

export function putPageAndType(hypervisor: Hypervisor, page: PageInfo): void {
  putPageType(hypervisor, page);
  putPage(hypervisor, page);
}

function flushForTypeChange(hypervisor: Hypervisor, page: PageInfo): void {
  if (hypervisor.config.flush.accidental === 'none' || !page.owner) return;
  flushStale(page.owner.dirtyVcpus(), page.stamp, hypervisor.why.and(`type change of mfn ${hex(page.mfn)}`));
}

/** Silent where the guest may be making a linear page table: the caller then looks whether that is allowed. */
function refuseType(hypervisor: Hypervisor, page: PageInfo, wanted: PageType): void {
  if (page.type > PGT_l1_page_table && page.type <= PGT_l4_page_table && wanted === page.type - 1) return;
  const { profile } = hypervisor.config;
  hypervisor.complain(
    complaints.badType(typeWord(page, profile), typeBits(wanted, profile), page.mfn, hypervisor.m2p.lookup(page.mfn)),
  );
}

function altered(hypervisor: Hypervisor, page: PageInfo, what: string): void {
  crashDomain(hypervisor.current, {
    kind: 'domain-crash',
    message: `mfn ${hex(page.mfn)}: the guest dropped ${what}: it has written to a page table through a stale translation`,
    calledFrom: 'page-types.ts',
  });
}
