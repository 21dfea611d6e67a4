// The guest's GDT and LDT: the frames they are made of, and the lookup that a segment load needs.
// Sources: Xen 4.17 arch/x86/pv/descriptor-tables.c (pv_set_gdt, pv_destroy_gdt), pv/mm.c pv_map_ldt_shadow_page,
// asm-x86/ldt.h; Xen 4.1.3 arch/x86/mm.c (set_gdt, map_ldt_shadow_page, invalidate_shadow_ldt).
// Left out: 32-bit guests, the LDT's and TSS's own descriptors (a guest's ltr and lldt are not emulated), accessed bits.
//
//   GDT as a 64-bit guest sees it: entries 0..7167 its own (14 frames), entries 7168.. Xen's page (descriptor.ts)

import { EINVAL } from '../abi/errno.js';
import { ENTRIES_PER_TABLE } from '../abi/paging.js';
import { GDT_LDT_VCPU_BYTES, GDT_LDT_VIRT_START } from '../abi/xen-layout.js';
import { type Maddr, type Mfn, PAGE_BYTES, vaddr } from '../base/addresses.js';
import { walk } from '../mmu/index.js';
import { hardwareCr0 } from './control-registers.js';
import { checkDescriptor, FIRST_RESERVED_GDT_ENTRY, RESERVED_DESCRIPTORS } from './descriptor.js';
import type { Domain } from './domain.js';
import { flushCpu } from './flush.js';
import { isGuestAddress } from './guest-memory.js';
import type { Hypervisor } from './hypervisor.js';
import { type PageInfo, PGT_seg_desc_page } from './page-info.js';
import { getPageAndType, putPageAndType, type Status } from './page-types.js';
import type { XenVcpu } from './vcpu.js';
import { entryMaddr } from './xen-slots.js';

export const MAX_LDT_ENTRIES = 8192;

/** Checks all of a page that is to hold descriptors, and stores them as they may be; 0 or -EINVAL. */
export function auditDescriptorPage(hypervisor: Hypervisor, page: PageInfo): Status {
  const { memory } = hypervisor;
  for (let index = 0; index < ENTRIES_PER_TABLE; index++) {
    const at = entryMaddr(page.mfn, index);
    const descriptor = memory.read64(at);
    const checked = checkDescriptor(descriptor);
    if (checked === undefined) return -EINVAL;
    if (checked !== descriptor) memory.write64(at, checked);
  }
  return 0;
}

/** Installs a GDT of `entries` entries in these frames, in place of the old one; 0, or -EINVAL and nothing has changed. */
export function setGdt(vcpu: XenVcpu, frames: readonly bigint[], entries: number): Status {
  const { hypervisor } = vcpu.domain;
  if (entries > FIRST_RESERVED_GDT_ENTRY) return -EINVAL;
  const taken: PageInfo[] = [];
  for (const frame of frames) {
    const page = getPageAndType(hypervisor, frame, vcpu.domain, PGT_seg_desc_page);
    if (typeof page === 'number') {
      for (const earlier of taken) putPageAndType(hypervisor, earlier);
      return -EINVAL;
    }
    taken.push(page);
  }
  const old = vcpu.gdtFrames;
  vcpu.gdtFrames = taken;
  vcpu.gdtEntries = entries;
  for (const page of old) putPageAndType(hypervisor, page);
  return 0;
}

/** Lets go of the LDT frames in use; they are taken again when needed. Returns whether there were any. */
export function dropLdt(vcpu: XenVcpu): boolean {
  const frames = [...vcpu.ldtFrames.values()];
  vcpu.ldtFrames.clear();
  for (const page of frames) putPageAndType(vcpu.domain.hypervisor, page);
  return frames.length > 0;
}

/** Drops the LDTs of all the domain's vCPUs, and flushes each CPU that used one. */
export function dropLdtOf(domain: Domain): void {
  for (const vcpu of domain.vcpus) if (dropLdt(vcpu)) flushCpu(vcpu, { what: 'LDT frames dropped' });
}

/**
 * The descriptor that a selector names, as the CPU reads it through Xen's mapping of the guest's tables. Undefined beyond
 * the table's limit, or when the LDT's page cannot be taken: the load raises #GP.
 */
export function readDescriptor(vcpu: XenVcpu, selector: number): bigint | undefined {
  const { hypervisor } = vcpu.domain;
  const at = hypervisor.onBehalfOf(vcpu, undefined, 'segment load', () => descriptorMaddr(vcpu, selector));
  return typeof at === 'bigint' ? at : at && hypervisor.memory.read64(at);
}

/** Where the descriptor lies, or what it is for Xen's own. */
function descriptorMaddr(vcpu: XenVcpu, selector: number): Maddr | bigint | undefined {
  const index = selector >> 3;
  const [page, slot] = [index >> 9, index & 0x1ff];
  if ((selector & 4) !== 0) {
    const frame = index < vcpu.ldtEntries ? takeLdtPage(vcpu, page) : undefined;
    return frame === undefined ? undefined : entryMaddr(frame, slot);
  }
  if (index >= FIRST_RESERVED_GDT_ENTRY) return RESERVED_DESCRIPTORS.get(index);
  const frame = vcpu.gdtFrames[page];
  return frame && entryMaddr(frame.mfn, slot);
}

/** The frame of a page of the LDT: taken as a descriptor page on first use. */
function takeLdtPage(vcpu: XenVcpu, page: number): Mfn | undefined {
  const known = vcpu.ldtFrames.get(page);
  if (known) return known.mfn;
  const { hypervisor } = vcpu.domain;
  const address = vaddr(vcpu.ldtBase + BigInt(page * PAGE_BYTES));
  const root = vcpu.kernelTable;
  if (!isGuestAddress(address) || !root) return undefined;
  const found = walk(hypervisor.memory, root.mfn, address);
  if (found.outcome !== 'mapped' || found.frame === undefined) return undefined;
  const taken = getPageAndType(hypervisor, found.frame, vcpu.domain, PGT_seg_desc_page);
  if (typeof taken === 'number') return undefined;
  vcpu.ldtFrames.set(page, taken);
  return taken.mfn;
}

// Xen's page of the GDT: the CPU's task state, and the LDT's own descriptor while the guest has an LDT.
const TSS_SELECTOR = 0xe040;
const LDT_SELECTOR = 0xe050;
const GDT_LIMIT = 0xefff;
/** UNVERIFIED: where Xen's interrupt table lies differs from build to build. */
const XEN_IDT = { limit: 0xfff, base: 0xffff_82d0_8040_0000n };

/** What SGDT, SIDT, SLDT, STR and SMSW show a guest: Xen's, for they do not trap. */
export const systemRegisters = (vcpu: XenVcpu) => ({
  gdt: { limit: GDT_LIMIT, base: GDT_LDT_VIRT_START + BigInt(vcpu.id) * GDT_LDT_VCPU_BYTES },
  idt: XEN_IDT,
  ldtr: vcpu.ldtEntries === 0 ? 0 : LDT_SELECTOR,
  tr: TSS_SELECTOR,
  msw: Number(hardwareCr0(vcpu) & 0xffffn),
});
