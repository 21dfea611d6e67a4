// set_gdt and update_descriptor: the guest's GDT, and single descriptors.
// Source: Xen 4.1.3 arch/x86/mm.c, Xen 4.17 arch/x86/pv/descriptor-tables.c.

import { EFAULT, EINVAL } from '../../abi/errno.js';
import { maddr } from '../../base/addresses.js';
import { checkDescriptor, FIRST_RESERVED_GDT_ENTRY } from '../descriptor.js';
import { setGdt } from '../descriptors.js';
import { flushCpu } from '../flush.js';
import { readGuestStruct } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import { PGT_seg_desc_page, PGT_writable_page } from '../page-info.js';
import { getPage, getPageType, putPage, putPageType } from '../page-types.js';

const ENTRIES_PER_PAGE = 512;

/** (list of frame numbers, number of entries) */
export const set_gdt: Hypercall = (vcpu, [list, countWord]) => {
  const entries = Number(BigInt.asUintN(32, countWord));
  if (entries > FIRST_RESERVED_GDT_ENTRY) return -EINVAL;
  const count = Math.ceil(entries / ENTRIES_PER_PAGE);
  const words = readGuestStruct(vcpu, list, 8 * count);
  if (!words) return -EFAULT;
  const frames = Array.from({ length: count }, (_, index) => words.getBigUint64(8 * index, true));
  const status = setGdt(vcpu, frames, entries);
  if (status === 0) flushCpu(vcpu, vcpu.domain.hypervisor.why);
  return status;
};

/** (machine address, descriptor) */
export const update_descriptor: Hypercall = (vcpu, [address, descriptor]) => {
  const { hypervisor } = vcpu.domain;
  const checked = checkDescriptor(descriptor);
  if (address % 8n !== 0n || checked === undefined) return -EINVAL;
  const page = getPage(hypervisor, address >> 12n, vcpu.domain);
  if (!page) return -EINVAL;
  const type = page.type === PGT_seg_desc_page ? PGT_seg_desc_page : PGT_writable_page;
  const status = getPageType(hypervisor, page, type) === 0 ? 0 : -EINVAL;
  if (status === 0) {
    hypervisor.memory.write64(maddr(Number(address)), checked);
    putPageType(hypervisor, page);
  }
  putPage(hypervisor, page);
  return status;
};
