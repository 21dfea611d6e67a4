// mmu_update: a list of stores to page tables (or to the machine-to-phys table), each checked by what the target frame is.
// Source: Xen 4.1.3 and 4.17 arch/x86/mm.c do_mmu_update. Left out: other domains' page tables (dom0's business).
// No flush is promised. xen-4.17 flushes all the domain's CPUs after a batch that changed an L2, L3 or L4 entry (XSA-286).

import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../../abi/errno.js';
import {
  MMU_MACHPHYS_UPDATE,
  MMU_NORMAL_PT_UPDATE,
  MMU_PT_UPDATE_NO_TRANSLATE,
  MMU_PT_UPDATE_PRESERVE_AD,
  MMU_UPDATE_BYTES,
  MMU_UPDATE_PREEMPTED,
  MMU_UPDATE_ptr,
  MMU_UPDATE_val,
} from '../../abi/mmu-ops.js';
import { type Maddr, maddr, pfn } from '../../base/addresses.js';
import * as complaints from '../complaints.js';
import { Continuation, eachItem } from '../continuation.js';
import { updateL1e, updateUpper } from '../entry-update.js';
import { flushCpus } from '../flush.js';
import { foreignOwner } from '../foreign.js';
import { readGuest32, readGuestStruct, writeGuest32 } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import { type PageInfo, PGT_writable_page, tableLevel } from '../page-info.js';
import { getPage, getPageType, putPage, putPageType, type Status } from '../page-types.js';
import type { PageOwner } from '../validate.js';
import type { XenVcpu } from '../vcpu.js';

/** (requests, count, where to store how many were done, foreigndom) */
export const mmu_update: Hypercall = (vcpu, [requests, countWord, donePointer, foreignWord]) => {
  const { hypervisor } = vcpu.domain;
  const { profile, flush } = hypervisor.config;
  let count = Number(BigInt.asUintN(32, countWord));
  const foreign = Number(BigInt.asUintN(32, foreignWord));
  let before = 0;
  if (count >= MMU_UPDATE_PREEMPTED) {
    if (profile === '4.17' && count === MMU_UPDATE_PREEMPTED && requests === 0n) return foreign | 0;
    count -= MMU_UPDATE_PREEMPTED;
    before = readGuest32(vcpu, donePointer) ?? 0;
  }
  const tableOwner = foreign >>> 16;
  if (tableOwner !== 0 && tableOwner - 1 !== vcpu.domain.id) return foreignTables(vcpu, tableOwner - 1);
  const found = foreignOwner(vcpu, foreign & 0xffff);
  if (typeof found === 'number') return found;

  let changedUpper = false;
  const { done, stop, isPreempted } = eachItem<Status>(vcpu, count, (index) => {
    const request = readGuestStruct(vcpu, requests + BigInt(index * MMU_UPDATE_BYTES), MMU_UPDATE_BYTES);
    if (!request) {
      hypervisor.complain(complaints.unreadableRequest('mmu_update'));
      return -EFAULT;
    }
    const update = {
      vcpu,
      pointer: request.getBigUint64(MMU_UPDATE_ptr, true),
      value: request.getBigUint64(MMU_UPDATE_val, true),
    };
    const outcome = carryOut(update, found.owner);
    changedUpper ||= outcome === 'upper';
    return outcome === 'upper' || outcome === 0 ? undefined : outcome;
  });
  if (changedUpper && flush.accidental === 'xen-4.17') flushCpus(vcpu.domain.dirtyVcpus(), hypervisor.why);
  if (donePointer !== 0n) writeGuest32(vcpu, donePointer, before + done);
  if (!isPreempted) return stop ?? 0;
  const rest = (count - done) | MMU_UPDATE_PREEMPTED;
  return new Continuation(requests + BigInt(done * MMU_UPDATE_BYTES), rest >>> 0, donePointer, foreign);
};

function foreignTables(vcpu: XenVcpu, owner: number): Status {
  const { hypervisor } = vcpu.domain;
  const exists = hypervisor.domains.has(owner);
  if (hypervisor.config.profile === '4.1') return exists ? -ESRCH : -EINVAL;
  return exists ? -EPERM : -ESRCH;
}

interface Update {
  readonly vcpu: XenVcpu;
  readonly pointer: bigint;
  readonly value: bigint;
}

/** 0 or 'upper' (an entry above L1 was changed) for a request that was carried out, else a negative errno. */
function carryOut(update: Update, pageOwner: PageOwner): Status | 'upper' {
  const { hypervisor } = update.vcpu.domain;
  const command = Number(update.pointer & 7n);
  switch (command) {
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_PRESERVE_AD:
      return storeChecked(update, command === MMU_PT_UPDATE_PRESERVE_AD, pageOwner);
    case MMU_MACHPHYS_UPDATE:
      return storeM2p(update, pageOwner);
    default:
      if (command === MMU_PT_UPDATE_NO_TRANSLATE && hypervisor.config.profile === '4.17')
        return storeChecked(update, false, pageOwner);
      hypervisor.complain(complaints.unknownUpdateCommand(command));
      return -ENOSYS;
  }
}

function storeChecked(update: Update, preserveAd: boolean, pageOwner: PageOwner): Status | 'upper' {
  const { domain } = update.vcpu;
  const { hypervisor } = domain;
  const page = getPage(hypervisor, update.pointer >> 12n, domain);
  if (!page) {
    hypervisor.complain(complaints.noPageForUpdate());
    return -EINVAL;
  }
  const status = storeByType(update, page, preserveAd, pageOwner);
  putPage(hypervisor, page);
  return status;
}

/** A page table's entry is audited; a word of a page that is (or can be) writable is stored as it is. */
function storeByType(
  { vcpu, pointer, value }: Update,
  page: PageInfo,
  preserveAd: boolean,
  pageOwner: PageOwner,
): Status | 'upper' {
  const { hypervisor } = vcpu.domain;
  const at: Maddr = maddr(Number(pointer & ~7n));
  const level = page.typeCount > 0 && page.validated ? tableLevel(page.type) : undefined;
  if (level === 1) return updateL1e(hypervisor, { at, entry: value, preserveAd, tableOwner: vcpu.domain, pageOwner });
  if (level !== undefined) {
    if (hypervisor.config.profile === '4.17' && pageOwner !== vcpu.domain) return -EINVAL;
    const status = updateUpper(hypervisor, level, page, at, value, preserveAd);
    return status === 0 ? 'upper' : status;
  }
  if (getPageType(hypervisor, page, PGT_writable_page) !== 0) return -EINVAL;
  hypervisor.memory.write64(at, value);
  putPageType(hypervisor, page);
  return 0;
}

/** DEVIATION: a value of 2^53 or more is stored as "no such frame"; it names none. */
function storeM2p({ vcpu, pointer, value }: Update, pageOwner: PageOwner): Status {
  const { hypervisor } = vcpu.domain;
  const page = getPage(hypervisor, pointer >> 12n, pageOwner);
  if (!page) {
    hypervisor.complain(complaints.noPageForMachphys());
    return -EINVAL;
  }
  hypervisor.m2p.set(page.mfn, value < 1n << 53n ? pfn(Number(value)) : undefined);
  putPage(hypervisor, page);
  return 0;
}
