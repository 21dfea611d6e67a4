// Segment descriptors: which ones a guest may have, the frames of its GDT and LDT, and the lookup that a segment load needs.
// Sources: Xen 4.17 and 4.1.3 arch/x86/pv/descriptor-tables.c (check_descriptor, pv_set_gdt, pv_destroy_gdt), pv/mm.c
// pv_map_ldt_shadow_page, asm-x86/ldt.h, public/arch-x86/xen-x86_64.h (the reserved selectors); SDM 3A "Segment Descriptors".
// Left out: 32-bit guests, the LDT's and TSS's own descriptors (a guest's ltr and lldt are not emulated), accessed bits.
//
//   GDT as a 64-bit guest sees it: entries 0..7167 its own (14 frames), entries 7168.. Xen's page:
//     7172 (e023) code, 32-bit     7173 (e02b) data     7174 (e033) code, 64-bit      all DPL 3

import { EINVAL } from '../abi/errno.js';
import { ENTRIES_PER_TABLE } from '../abi/paging.js';
import { FLAT_RING3_CS32, FLAT_RING3_CS64, FLAT_RING3_DS32 } from '../abi/registers.js';
import { GDT_LDT_VCPU_BYTES, GDT_LDT_VIRT_START } from '../abi/xen-layout.js';
import { type Maddr, type Mfn, maddr, mfn, mfnToMaddr, PAGE_BYTES, vaddr } from '../base/addresses.js';
import { walk } from '../mmu/index.js';
import { hardwareCr0 } from './control-registers.js';
import type { Domain } from './domain.js';
import { flushCpu } from './flush.js';
import { isGuestAddress } from './guest-memory.js';
import type { Hypervisor } from './hypervisor.js';
import { type PageInfo, PGT_seg_desc_page } from './page-info.js';
import { getPageAndType, putPageAndType, type Status } from './page-types.js';
import type { XenVcpu } from './vcpu.js';
import { entryMaddr } from './xen-slots.js';

/** The first of Xen's entries in every GDT. */
export const FIRST_RESERVED_GDT_ENTRY = 7168;
export const MAX_LDT_ENTRIES = 8192;

// Bits of a descriptor's high half.
const SEGMENT_TYPE = 0xfn << 40n;
const SEGMENT_S = 1n << 44n;
const SEGMENT_DPL = 3n << 45n;
const SEGMENT_P = 1n << 47n;
const CALL_GATE = 0xcn << 40n;

/** What Xen's own page of the GDT holds, by entry number. */
const RESERVED_DESCRIPTORS: ReadonlyMap<number, bigint> = new Map([
  [FLAT_RING3_CS32 >> 3, 0x00cf_fb00_0000_ffffn],
  [FLAT_RING3_DS32 >> 3, 0x00cf_f300_0000_ffffn],
  [FLAT_RING3_CS64 >> 3, 0x00af_fb00_0000_0000n],
]);

/** The descriptor as a guest may have it, with its DPL raised to 3; undefined when it may not have it at all. */
export function checkDescriptor(descriptor: bigint): bigint | undefined {
  if ((descriptor & SEGMENT_P) === 0n) return descriptor;
  const raised = descriptor | SEGMENT_DPL;
  if ((descriptor & SEGMENT_S) !== 0n) return raised;
  const type = descriptor & SEGMENT_TYPE;
  // Type 0 is the second half of a call gate.
  if (type === 0n) return raised;
  if (type !== CALL_GATE || !isGateSelector(Number((descriptor >> 16n) & 0xffffn))) return undefined;
  // Using the gate must fault, so that Xen could emulate it: DPL 0, with the real DPL kept in the selector's RPL.
  if (((descriptor >> 32n) & 0xffn) !== 0n) return undefined;
  return (raised & ~SEGMENT_DPL) | (3n << 16n);
}

/** Whether a call gate may lead to this selector. */
const isGateSelector = (selector: number): boolean =>
  (selector & 4) !== 0 || selector >> 3 < FIRST_RESERVED_GDT_ENTRY || RESERVED_DESCRIPTORS.has(selector >> 3);

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

/** Where a descriptor's eight bytes lie in a frame, for update_descriptor. */
export const descriptorAddress = (frame: number, offset: number): Maddr => maddr(mfnToMaddr(mfn(frame)) + offset);

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

const SEGMENT_EXECUTABLE = 1n << 43n;
const SEGMENT_READ_OR_WRITE = 1n << 41n;
const SEGMENT_LONG = 1n << 53n;
const SEGMENT_DEFAULT_32 = 1n << 54n;

const isSegment = (descriptor: bigint): boolean =>
  (descriptor & (SEGMENT_P | SEGMENT_S | SEGMENT_DPL)) === (SEGMENT_P | SEGMENT_S | SEGMENT_DPL);

/** A present data or readable code segment for CPL 3: what DS, ES, FS and GS may be. */
export const isUserDataDescriptor = (descriptor: bigint): boolean =>
  isSegment(descriptor) && (descriptor & (SEGMENT_EXECUTABLE | SEGMENT_READ_OR_WRITE)) !== SEGMENT_EXECUTABLE;

/** A present, writable data segment for CPL 3: what SS may be. */
export const isUserStackDescriptor = (descriptor: bigint): boolean =>
  isSegment(descriptor) && (descriptor & (SEGMENT_EXECUTABLE | SEGMENT_READ_OR_WRITE)) === SEGMENT_READ_OR_WRITE;

/** A present 64-bit code segment for CPL 3: what CS may be. */
export const isUserCode64Descriptor = (descriptor: bigint): boolean =>
  isSegment(descriptor) &&
  (descriptor & (SEGMENT_EXECUTABLE | SEGMENT_LONG | SEGMENT_DEFAULT_32)) === (SEGMENT_EXECUTABLE | SEGMENT_LONG);

/** Bits 31:0 of a segment's base: what a selector can give FS or GS. */
export const segmentBase = (descriptor: bigint): bigint =>
  ((descriptor >> 16n) & 0xff_ffffn) | ((descriptor >> 32n) & 0xff00_0000n);

export const isPresentDescriptor = (descriptor: bigint): boolean => (descriptor & SEGMENT_P) !== 0n;
