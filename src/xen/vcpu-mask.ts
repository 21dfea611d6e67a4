// A guest's bitmap of vCPUs, as MMUEXT_*_MULTI and update_va_mapping take it: one u64 for each 64 vCPUs.
// Source: Xen 4.17 arch/x86/mm.c vcpumask_to_pcpumask.

import { EFAULT } from '../abi/errno.js';
import { readGuest64 } from './guest-memory.js';
import type { XenVcpu } from './vcpu.js';

/** The vCPUs named whose CPUs may hold translations, or -EFAULT. */
export function vcpusOfMask(vcpu: XenVcpu, pointer: bigint): readonly XenVcpu[] | number {
  const { vcpus } = vcpu.domain;
  const named: XenVcpu[] = [];
  for (let first = 0; first < vcpus.length; first += 64) {
    const word = readGuest64(vcpu, pointer + BigInt(first / 8));
    if (word === undefined) return -EFAULT;
    for (const each of vcpus.slice(first, first + 64))
      if (each.dirty && ((word >> BigInt(each.id - first)) & 1n) !== 0n) named.push(each);
  }
  return named;
}
