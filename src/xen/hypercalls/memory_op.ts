// memory_op: a domain asks how much memory there is, gives pages back (ballooning) and gets pages.
// Source: Xen 4.17 public/memory.h, common/memory.c, arch/x86/mm.c (arch_memory_op), arch/x86/x86_64/mm.c.
// Left out: what translated guests, memory paging and sharing use; extents of more than one page: no contiguous frames are
// to be had here, which a guest must expect of any host.
//
//   struct xen_memory_reservation: extent_start* @0 | nr_extents u64 @8 | extent_order u32 @16 | mem_flags u32 @20 | domid u16 @24

import { EACCES, EFAULT, EINVAL, ENOMEM, ENOSYS, EPERM, ESRCH } from '../../abi/errno.js';
import {
  DOMID_SELF,
  MACH2PHYS_VIRT_END,
  MACH2PHYS_VIRT_START,
  SHARED_INFO_arch_max_pfn,
} from '../../abi/xen-layout.js';
import { type Mfn, maddr, mfnToMaddr, type Pfn } from '../../base/addresses.js';
import { M2P_RUN_ENTRIES } from '../../memory/index.js';
import { Continuation, eachItem } from '../continuation.js';
import type { Domain } from '../domain.js';
import { copyToGuest, readGuest64, readGuestStruct, writeGuest64 } from '../guest-memory.js';
import type { Hypercall, HypercallResult } from '../hypercall.js';
import { getPage, putPage } from '../page-types.js';
import type { XenVcpu } from '../vcpu.js';

const XENMEM_increase_reservation = 0;
const XENMEM_decrease_reservation = 1;
const XENMEM_maximum_ram_page = 2;
const XENMEM_current_reservation = 3;
const XENMEM_maximum_reservation = 4;
const XENMEM_machphys_mfn_list = 5;
const XENMEM_populate_physmap = 6;
const XENMEM_add_to_physmap = 7;
const XENMEM_machine_memory_map = 10;
const XENMEM_exchange = 11;
const XENMEM_machphys_mapping = 12;
const XENMEM_set_memory_map = 13;
const XENMEM_maximum_gpfn = 14;
const XENMEM_remove_from_physmap = 15;

const MEMOP_CMD_MASK = 63n;
const MEMOP_EXTENT_SHIFT = 6n;
const RESERVATION_BYTES = 32;
const EXCHANGE_BYTES = 72;
const MAX_EXTENTS = 0xffff_ffffn >> MEMOP_EXTENT_SHIFT;

/** Negative errno or 0; the three reservation calls return how many extents they did instead, and never an errno. */
export const memory_op: Hypercall = (vcpu, [cmd, arg]) => {
  const startExtent = BigInt.asUintN(64, cmd) >> MEMOP_EXTENT_SHIFT;
  const op = Number(cmd & MEMOP_CMD_MASK);
  switch (op) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
      return changeReservation(vcpu, op, arg, startExtent);
    case XENMEM_maximum_ram_page:
      return startExtent ? -EINVAL : vcpu.domain.hypervisor.endOfRam;
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
      return startExtent ? -EINVAL : domainSize(vcpu, op, arg);
    case XENMEM_exchange:
      return startExtent ? -EINVAL : exchange(vcpu, arg);
    case XENMEM_machphys_mapping:
      return machphysMapping(vcpu, arg);
    case XENMEM_machphys_mfn_list:
      return machphysMfnList(vcpu, arg);
    case XENMEM_add_to_physmap:
    case XENMEM_remove_from_physmap:
      return -EACCES;
    case XENMEM_machine_memory_map:
    case XENMEM_set_memory_map:
      return -EPERM;
    // Also XENMEM_memory_map (9): the toolstack gives a PV domain no map of its own, and it takes [0, nr_pages) for RAM.
    default:
      return -ENOSYS;
  }
};

function changeReservation(vcpu: XenVcpu, op: number, arg: bigint, startExtent: bigint): HypercallResult {
  const request = readGuestStruct(vcpu, arg, RESERVATION_BYTES);
  if (!request) return startExtent;
  const list = request.getBigUint64(0, true);
  const count = request.getBigUint64(8, true);
  if (count > MAX_EXTENTS || startExtent >= count) return startExtent;
  if (request.getUint32(16, true) !== 0 || !isSelf(vcpu.domain, request.getUint16(24, true))) return startExtent;
  const change = CHANGES[op] as ExtentChange;
  const { done, isPreempted } = eachItem(vcpu, Number(count - startExtent), (index) =>
    change(vcpu, list && list + (startExtent + BigInt(index)) * 8n) ? undefined : 'stop',
  );
  const reached = startExtent + BigInt(done);
  return isPreempted ? new Continuation((reached << MEMOP_EXTENT_SHIFT) | BigInt(op), arg) : reached;
}

/** Does one extent, whose entry of the list is at `entry` (0 when there is no list); false stops the call. */
type ExtentChange = (vcpu: XenVcpu, entry: bigint) => boolean;

const CHANGES: Readonly<Record<number, ExtentChange>> = {
  [XENMEM_increase_reservation]: (vcpu, entry) => {
    const frame = newPage(vcpu, undefined);
    return frame !== undefined && (entry === 0n || writeGuest64(vcpu, entry, BigInt(frame)));
  },
  [XENMEM_populate_physmap]: (vcpu, entry) => {
    const pfn = readGuest64(vcpu, entry);
    if (pfn === undefined) return false;
    const frame = newPage(vcpu, pfn);
    return frame !== undefined && writeGuest64(vcpu, entry, BigInt(frame));
  },
  [XENMEM_decrease_reservation]: (vcpu, entry) => {
    const frame = readGuest64(vcpu, entry);
    return frame !== undefined && giveBack(vcpu, frame);
  },
};

/** A frame for the domain, known to it as `pfn` if it says so (only numbers that can be one are recorded). */
function newPage({ domain }: XenVcpu, pfn: bigint | undefined): Mfn | undefined {
  const { hypervisor } = domain;
  if (domain.pages >= domain.maxPages) return undefined;
  const page = hypervisor.allocatePage();
  if (!page) return undefined;
  const known = pfn !== undefined && pfn < 1n << 40n ? (Number(pfn) as Pfn) : undefined;
  hypervisor.assignPage(page, domain, known);
  return page.mfn;
}

/** Drops the domain's own reference. Whatever else refers to the frame (a mapping, a table) keeps it until it is gone too. */
function giveBack(vcpu: XenVcpu, frame: bigint): boolean {
  const { hypervisor } = vcpu.domain;
  const page = getPage(hypervisor, frame, vcpu.domain);
  if (!page) return false;
  if (page.allocated && !page.xenHeap) {
    page.allocated = false;
    putPage(hypervisor, page);
  }
  putPage(hypervisor, page);
  return true;
}

const isSelf = (domain: Domain, id: number): boolean => id === DOMID_SELF || id === domain.id;

function domainSize(vcpu: XenVcpu, op: number, arg: bigint): number | bigint {
  const request = readGuestStruct(vcpu, arg, 2);
  if (!request) return -EFAULT;
  const { domain } = vcpu;
  const id = request.getUint16(0, true);
  if (!isSelf(domain, id)) return id === 0 || domain.hypervisor.domains.has(id) ? -EPERM : -ESRCH;
  if (op === XENMEM_current_reservation) return domain.pages;
  if (op === XENMEM_maximum_reservation) return domain.maxPages;
  // What the guest itself says in its shared_info.
  const { memory } = domain.hypervisor;
  return memory.read64(maddr(mfnToMaddr(domain.sharedInfo) + SHARED_INFO_arch_max_pfn)) - 1n;
}

/** Exchanging is for contiguous frames: see "Left out". */
function exchange(vcpu: XenVcpu, arg: bigint): number {
  const request = readGuestStruct(vcpu, arg, EXCHANGE_BYTES);
  if (!request) return -EFAULT;
  const [inDomain, outDomain] = [request.getUint16(24, true), request.getUint16(56, true)];
  if (inDomain !== outDomain) return -EINVAL;
  return isSelf(vcpu.domain, inDomain) ? -ENOMEM : -EPERM;
}

/** struct xen_machphys_mapping: v_start, v_end, max_mfn. */
function machphysMapping(vcpu: XenVcpu, arg: bigint): number {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, MACH2PHYS_VIRT_START, true);
  view.setBigUint64(8, MACH2PHYS_VIRT_END, true);
  view.setBigUint64(16, (MACH2PHYS_VIRT_END - MACH2PHYS_VIRT_START) / 8n - 1n, true);
  return copyToGuest(vcpu, arg, bytes) ? 0 : -EFAULT;
}

/** struct xen_machphys_mfn_list: max_extents u32 @0, extent_start* @8, nr_extents u32 @16: the M2P's own frames, per 2 MiB. */
function machphysMfnList(vcpu: XenVcpu, arg: bigint): number {
  const request = readGuestStruct(vcpu, arg, 24);
  if (!request) return -EFAULT;
  const tables = new Map(vcpu.domain.hypervisor.m2p.runs.map(({ first, table }) => [first / M2P_RUN_ENTRIES, table]));
  const count = Math.min(request.getUint32(0, true), Math.ceil(vcpu.domain.hypervisor.endOfRam / M2P_RUN_ENTRIES));
  const list = request.getBigUint64(8, true);
  let last = 0;
  for (let run = 0; run < count; run++) {
    last = tables.get(run) ?? last;
    if (!writeGuest64(vcpu, list + BigInt(run * 8), BigInt(last))) return -EFAULT;
  }
  request.setUint32(16, count, true);
  return copyToGuest(vcpu, arg, new Uint8Array(request.buffer)) ? 0 : -EFAULT;
}
