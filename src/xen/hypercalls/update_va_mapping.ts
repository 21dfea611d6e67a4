// update_va_mapping: replaces the L1e that maps an address now, and flushes what the flags ask for. With UVMF_NONE it does
// not flush: a CPU may go on using the translation that it holds.
// Source: Xen 4.1.3 and 4.17 arch/x86/mm.c do_update_va_mapping, arch/x86/pv/mm.c map_guest_l1e.

import { EINVAL } from '../../abi/errno.js';
import { UVMF_ALL, UVMF_FLUSHTYPE_MASK, UVMF_INVLPG, UVMF_LOCAL, UVMF_TLB_FLUSH } from '../../abi/mmu-ops.js';
import { isCanonical, type Maddr, maddrToMfn, vaddr } from '../../base/addresses.js';
import { updateL1e } from '../entry-update.js';
import { flushCpus, invalidateOnCpus } from '../flush.js';
import { foreignOwner } from '../foreign.js';
import { isGuestAddress } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import { PGT_l1_page_table } from '../page-info.js';
import { getPage, putPage, type Status } from '../page-types.js';
import type { PageOwner } from '../validate.js';
import type { XenVcpu } from '../vcpu.js';
import { vcpusOfMask } from '../vcpu-mask.js';

/** (address, entry, flags) */
export const update_va_mapping: Hypercall = (vcpu, [address, entry, flags]) =>
  updateMapping(vcpu, address, entry, flags, vcpu.domain);

/** (address, entry, flags, whose page the entry maps) */
export const update_va_mapping_otherdomain: Hypercall = (vcpu, [address, entry, flags, id]) => {
  const found = foreignOwner(vcpu, Number(BigInt.asUintN(16, id)));
  return typeof found === 'number' ? found : updateMapping(vcpu, address, entry, flags, found.owner);
};

function updateMapping(vcpu: XenVcpu, address: bigint, entry: bigint, flags: bigint, pageOwner: PageOwner): Status {
  const { hypervisor } = vcpu.domain;
  const isOld = hypervisor.config.profile === '4.1';
  const status = replaceL1e(vcpu, address, entry, pageOwner);
  // 4.1 flushes all the same.
  if (status !== 0 && !isOld) return status;
  const flushed = flush(vcpu, address, flags);
  // 4.1 lets the outcome of reading the bitmap stand for all of it.
  return flushed ?? status;
}

function replaceL1e(vcpu: XenVcpu, address: bigint, entry: bigint, pageOwner: PageOwner): Status {
  const { domain } = vcpu;
  const { hypervisor } = domain;
  const at = isGuestAddress(address) ? l1eOf(vcpu, address) : undefined;
  const table = at === undefined ? undefined : getPage(hypervisor, maddrToMfn(at), domain);
  if (!table || at === undefined) return -EINVAL;
  const isTable = table.type === PGT_l1_page_table && table.typeCount > 0 && table.validated;
  const status = isTable
    ? updateL1e(hypervisor, { at, entry, preserveAd: false, tableOwner: domain, pageOwner })
    : -EINVAL;
  putPage(hypervisor, table);
  return status;
}

/** Where the L1e of the address lies, if the tables in use lead to one (present or not). */
function l1eOf(vcpu: XenVcpu, address: bigint): Maddr | undefined {
  const step = vcpu.mmu.walk(vaddr(address)).steps.at(-1);
  return step?.level === 1 ? step.address : undefined;
}

/** What the flags ask for. Undefined when they name no bitmap of vCPUs; else 0 or -EFAULT. */
function flush(vcpu: XenVcpu, address: bigint, flags: bigint): Status | undefined {
  const { hypervisor } = vcpu.domain;
  const kind = Number(flags & BigInt(UVMF_FLUSHTYPE_MASK));
  if (kind !== UVMF_TLB_FLUSH && kind !== UVMF_INVLPG) return undefined;
  const scope = flags & ~BigInt(UVMF_FLUSHTYPE_MASK);
  let vcpus: readonly XenVcpu[] = [vcpu];
  let status: Status | undefined;
  if (scope === BigInt(UVMF_ALL)) {
    vcpus = vcpu.domain.dirtyVcpus();
  } else if (scope !== BigInt(UVMF_LOCAL)) {
    const named = vcpusOfMask(vcpu, scope);
    status = typeof named === 'number' ? named : 0;
    vcpus = typeof named === 'number' ? [] : named;
  }
  if (kind === UVMF_TLB_FLUSH) flushCpus(vcpus, hypervisor.why);
  else if (isCanonical(address)) invalidateOnCpus(vcpus, vaddr(address), hypervisor.why);
  return status;
}
