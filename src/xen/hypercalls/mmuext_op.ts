// mmuext_op: a list of operations on page tables and translations: pinning, base pointers, flushes, the LDT.
// Source: Xen 4.1.3 and 4.17 arch/x86/mm.c do_mmuext_op. Left out: superpages (4.1 with allowsuperpage), cache flushes of
// domains with devices, other domains' pages.

import { EACCES, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM } from '../../abi/errno.js';
import * as abi from '../../abi/mmu-ops.js';
import type { Level } from '../../abi/paging.js';
import { isCanonical, PAGE_OFFSET_MASK, vaddr } from '../../base/addresses.js';
import { hex } from '../../base/hex.js';
import { newGuestRoot, newUserRoot } from '../base-pointers.js';
import * as complaints from '../complaints.js';
import { Continuation, eachItem } from '../continuation.js';
import { dropLdt, MAX_LDT_ENTRIES } from '../descriptors.js';
import type { Domain } from '../domain.js';
import { flushCpu, flushCpus, invalidateOnCpus } from '../flush.js';
import { foreignOwner, isSelf } from '../foreign.js';
import { isGuestAddress, readGuest32, readGuestStruct, writeGuest32 } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import { PGT_writable_page, tableType } from '../page-info.js';
import { getPage, getPageAndType, putPage, putPageAndType, type Status } from '../page-types.js';
import type { XenVcpu } from '../vcpu.js';
import { vcpusOfMask } from '../vcpu-mask.js';

/** (operations, count, where to store how many were done, foreigndom) */
export const mmuext_op: Hypercall = (vcpu, [operations, countWord, donePointer, foreignWord]) => {
  const { hypervisor } = vcpu.domain;
  const { profile } = hypervisor.config;
  let count = Number(BigInt.asUintN(32, countWord));
  const foreign = Number(BigInt.asUintN(32, foreignWord));
  let before = 0;
  if (count >= abi.MMU_UPDATE_PREEMPTED) {
    if (profile === '4.17' && count === abi.MMU_UPDATE_PREEMPTED && operations === 0n) return foreign | 0;
    count -= abi.MMU_UPDATE_PREEMPTED;
    before = readGuest32(vcpu, donePointer) ?? 0;
  }
  const found = foreignOwner(vcpu, foreign & 0xffff);
  if (typeof found === 'number') return found;
  // None of the operations is about I/O memory.
  if (!isSelf(vcpu, found.owner)) return profile === '4.17' ? -EPERM : -EINVAL;

  const { done, stop, isPreempted } = eachItem<Status>(vcpu, count, (index) => {
    const words = readGuestStruct(vcpu, operations + BigInt(index * abi.MMUEXT_OP_BYTES), abi.MMUEXT_OP_BYTES);
    if (!words) {
      hypervisor.complain(complaints.unreadableRequest('mmuext_op'));
      return -EFAULT;
    }
    const command = words.getUint32(abi.MMUEXT_OP_cmd, true);
    const arg1 = words.getBigUint64(abi.MMUEXT_OP_arg1, true);
    const arg2 = words.getBigUint64(abi.MMUEXT_OP_arg2, true);
    hypervisor.because(`${COMMAND_NAMES[command] ?? `command ${command}`} ${hex(arg1)}`);
    return carryOut(vcpu, command, arg1, arg2) || undefined;
  });
  if (donePointer !== 0n) writeGuest32(vcpu, donePointer, before + done);
  if (!isPreempted) return stop ?? 0;
  const rest = (count - done) | abi.MMU_UPDATE_PREEMPTED;
  return new Continuation(operations + BigInt(done * abi.MMUEXT_OP_BYTES), rest >>> 0, donePointer, foreign);
};

const COMMAND_NAMES: Readonly<Record<number, string>> = {
  [abi.MMUEXT_PIN_L1_TABLE]: 'MMUEXT_PIN_L1_TABLE',
  [abi.MMUEXT_PIN_L2_TABLE]: 'MMUEXT_PIN_L2_TABLE',
  [abi.MMUEXT_PIN_L3_TABLE]: 'MMUEXT_PIN_L3_TABLE',
  [abi.MMUEXT_PIN_L4_TABLE]: 'MMUEXT_PIN_L4_TABLE',
  [abi.MMUEXT_UNPIN_TABLE]: 'MMUEXT_UNPIN_TABLE',
  [abi.MMUEXT_NEW_BASEPTR]: 'MMUEXT_NEW_BASEPTR',
  [abi.MMUEXT_TLB_FLUSH_LOCAL]: 'MMUEXT_TLB_FLUSH_LOCAL',
  [abi.MMUEXT_INVLPG_LOCAL]: 'MMUEXT_INVLPG_LOCAL',
  [abi.MMUEXT_TLB_FLUSH_MULTI]: 'MMUEXT_TLB_FLUSH_MULTI',
  [abi.MMUEXT_INVLPG_MULTI]: 'MMUEXT_INVLPG_MULTI',
  [abi.MMUEXT_TLB_FLUSH_ALL]: 'MMUEXT_TLB_FLUSH_ALL',
  [abi.MMUEXT_INVLPG_ALL]: 'MMUEXT_INVLPG_ALL',
  [abi.MMUEXT_FLUSH_CACHE]: 'MMUEXT_FLUSH_CACHE',
  [abi.MMUEXT_SET_LDT]: 'MMUEXT_SET_LDT',
  [abi.MMUEXT_NEW_USER_BASEPTR]: 'MMUEXT_NEW_USER_BASEPTR',
  [abi.MMUEXT_CLEAR_PAGE]: 'MMUEXT_CLEAR_PAGE',
  [abi.MMUEXT_COPY_PAGE]: 'MMUEXT_COPY_PAGE',
};

function carryOut(vcpu: XenVcpu, command: number, arg1: bigint, arg2: bigint): Status {
  const { domain } = vcpu;
  const { hypervisor } = domain;
  const isOld = hypervisor.config.profile === '4.1';
  switch (command) {
    case abi.MMUEXT_PIN_L1_TABLE:
    case abi.MMUEXT_PIN_L2_TABLE:
    case abi.MMUEXT_PIN_L3_TABLE:
    case abi.MMUEXT_PIN_L4_TABLE:
      return pin(domain, (command - abi.MMUEXT_PIN_L1_TABLE + 1) as Level, arg1);
    case abi.MMUEXT_UNPIN_TABLE:
      return unpin(domain, arg1);
    case abi.MMUEXT_NEW_BASEPTR: {
      const status = newGuestRoot(vcpu, arg1);
      return isOld && status !== 0 ? -EINVAL : status;
    }
    case abi.MMUEXT_NEW_USER_BASEPTR: {
      const status = newUserRoot(vcpu, arg1);
      return isOld && status !== 0 ? -EINVAL : status;
    }
    case abi.MMUEXT_TLB_FLUSH_LOCAL:
    case abi.MMUEXT_TLB_FLUSH_MULTI:
    case abi.MMUEXT_TLB_FLUSH_ALL:
    case abi.MMUEXT_INVLPG_LOCAL:
    case abi.MMUEXT_INVLPG_MULTI:
    case abi.MMUEXT_INVLPG_ALL:
      return flush(vcpu, command, arg1, arg2);
    case abi.MMUEXT_FLUSH_CACHE:
      hypervisor.complain(complaints.cacheFlushRefused());
      return isOld ? -EINVAL : -EACCES;
    case abi.MMUEXT_FLUSH_CACHE_GLOBAL:
      hypervisor.complain(complaints.globalCacheFlushRefused());
      return -EINVAL;
    case abi.MMUEXT_SET_LDT:
      return setLdt(vcpu, arg1, Number(BigInt.asUintN(32, arg2)));
    case abi.MMUEXT_CLEAR_PAGE:
      return clearPage(domain, arg1);
    case abi.MMUEXT_COPY_PAGE:
      return copyPage(domain, arg1, arg2);
    case abi.MMUEXT_MARK_SUPER:
    case abi.MMUEXT_UNMARK_SUPER:
      if (!isOld) return -EOPNOTSUPP;
      if ((arg1 & 0x1ffn) !== 0n) {
        hypervisor.complain(complaints.superpageMisaligned(arg1));
        return -EINVAL;
      }
      hypervisor.complain(complaints.superpagesDisallowed());
      return -ENOSYS;
    default:
      hypervisor.complain(complaints.unknownExtendedCommand(command));
      return -ENOSYS;
  }
}

/** Keeps a frame validated as a table of this level though nothing refers to it. */
function pin(domain: Domain, level: Level, frame: bigint): Status {
  const { hypervisor } = domain;
  const page = getPageAndType(hypervisor, frame, domain, tableType(level));
  if (typeof page === 'number') {
    hypervisor.complain(complaints.cannotPin(frame, page));
    return page;
  }
  if (page.pinned) {
    hypervisor.complain(complaints.alreadyPinned(frame));
    putPageAndType(hypervisor, page);
    return -EINVAL;
  }
  page.pinned = true;
  return 0;
}

function unpin(domain: Domain, frame: bigint): Status {
  const { hypervisor } = domain;
  const page = getPage(hypervisor, frame, domain);
  if (!page) {
    hypervisor.complain(complaints.cannotUnpin(frame, domain.id));
    return -EINVAL;
  }
  const wasPinned = page.pinned;
  page.pinned = false;
  if (wasPinned) putPageAndType(hypervisor, page);
  else hypervisor.complain(complaints.notPinned(frame));
  putPage(hypervisor, page);
  return wasPinned ? 0 : -EINVAL;
}

function flush(vcpu: XenVcpu, command: number, address: bigint, mask: bigint): Status {
  const { hypervisor, vcpus: all } = vcpu.domain;
  let vcpus: readonly XenVcpu[] =
    command === abi.MMUEXT_TLB_FLUSH_ALL || command === abi.MMUEXT_INVLPG_ALL ? all : [vcpu];
  if (command === abi.MMUEXT_TLB_FLUSH_MULTI || command === abi.MMUEXT_INVLPG_MULTI) {
    const named = vcpusOfMask(vcpu, mask);
    if (typeof named === 'number') return -EINVAL;
    vcpus = named;
  }
  const dirty = vcpus.filter((each) => each.dirty);
  if (
    command === abi.MMUEXT_TLB_FLUSH_LOCAL ||
    command === abi.MMUEXT_TLB_FLUSH_MULTI ||
    command === abi.MMUEXT_TLB_FLUSH_ALL
  ) {
    flushCpus(dirty, hypervisor.why);
    return 0;
  }
  // An address that is none of the guest's is passed over in silence; 4.1 has the CPU invalidate it all the same.
  const isMeant =
    hypervisor.config.profile === '4.1' || command === abi.MMUEXT_INVLPG_LOCAL
      ? isCanonical(address)
      : isGuestAddress(address);
  if (isMeant) invalidateOnCpus(dirty, vaddr(address), hypervisor.why);
  return 0;
}

function setLdt(vcpu: XenVcpu, address: bigint, entries: number): Status {
  const { hypervisor } = vcpu.domain;
  const isOld = hypervisor.config.profile === '4.1';
  const isAligned = (address & BigInt(PAGE_OFFSET_MASK)) === 0n;
  const isFine = entries <= MAX_LDT_ENTRIES && ((!isOld && entries === 0) || (isAligned && isGuestAddress(address)));
  if (!isFine) {
    hypervisor.complain(complaints.badLdt(address, entries));
    return -EINVAL;
  }
  const base = entries === 0 && !isOld ? 0n : address;
  if (vcpu.ldtEntries === entries && vcpu.ldtBase === base) return 0;
  if (dropLdt(vcpu) || isOld) flushCpu(vcpu, hypervisor.why);
  vcpu.ldtBase = base;
  vcpu.ldtEntries = entries;
  return 0;
}

function clearPage(domain: Domain, frame: bigint): Status {
  const { hypervisor } = domain;
  const page = getPageAndType(hypervisor, frame, domain, PGT_writable_page);
  if (typeof page === 'number') {
    hypervisor.complain(complaints.cannotClear(frame));
    return -EINVAL;
  }
  hypervisor.memory.fillFrame(page.mfn, 0);
  putPageAndType(hypervisor, page);
  return 0;
}

function copyPage(domain: Domain, to: bigint, from: bigint): Status {
  const { hypervisor } = domain;
  const source = getPage(hypervisor, from, domain);
  if (!source) {
    hypervisor.complain(complaints.cannotCopyFrom(from));
    return -EINVAL;
  }
  const target = getPageAndType(hypervisor, to, domain, PGT_writable_page);
  if (typeof target === 'number') {
    hypervisor.complain(complaints.cannotCopyTo(to));
  } else {
    hypervisor.memory.copyFrame(source.mfn, target.mfn);
    putPageAndType(hypervisor, target);
  }
  putPage(hypervisor, source);
  return typeof target === 'number' ? -EINVAL : 0;
}
