// From what the toolstack has built to a domain that can run: frames get their owner, the first page tables are audited and
// pinned, and vCPU 0 gets the registers of Xen's start-of-day state.
// Sources: Xen's toolstack, 4.17 tools/libs/guest/xg_dom_boot.c, xg_dom_x86.c (vcpu_x86_64, shared_info_x86_64,
// setup_pgtables: pin_table); public/arch-x86/xen-x86_64.h; Xen 4.17 arch/x86/domain.c arch_set_info_guest.
// Left out: 32-bit guests, dom0 (which Xen builds itself), restoring a saved domain.

import {
  CS,
  DS,
  ES,
  FLAT_RING3_CS64,
  FLAT_RING3_SS64,
  FS,
  GPR_COUNT,
  GS,
  RFLAGS_FIXED,
  RFLAGS_IF,
  RSI,
  RSP,
  SS,
} from '../abi/registers.js';
import { VCPU_INFO_BYTES, VCPU_INFO_evtchn_upcall_mask, XEN_LEGACY_MAX_VCPUS } from '../abi/xen-layout.js';
import { type Maddr, type Mfn, maddr, mfnToMaddr, pfn, type Vaddr } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import { Domain } from './domain.js';
import type { Hypervisor } from './hypervisor.js';
import { PGT_l4_page_table } from './page-info.js';
import { getPageAndType } from './page-types.js';
import { publishWallClock } from './time.js';
import { type VcpuHardware, XenVcpu } from './vcpu.js';
import { startOnCpu } from './vcpu-context.js';

/** What the domain builder made (builder's BuiltDomain has this shape, and more). */
export interface DomainImage {
  /** The domain's frames by pfn. */
  readonly p2m: readonly Mfn[];
  /** The first L4, with the tables below it as the toolstack wrote them. */
  readonly l4: Mfn;
  readonly entry: Vaddr;
  readonly startInfo: Vaddr;
  /** rsp: the end of the boot stack. */
  readonly stackEnd: Vaddr;
  /** A frame of Xen's own. */
  readonly sharedInfo: Mfn;
}

export interface DomainOptions {
  readonly id: number;
  readonly image: DomainImage;
  /** One for each vCPU, 1 to 32; only vCPU 0 is started. */
  readonly vcpus: readonly VcpuHardware[];
  /** The most pages that it may have; default: as many as it has. */
  readonly maxPages?: number;
}

/** Makes the domain and starts its vCPU 0. The image's tables must be valid ones: the builder's, not a guest's. */
export function createDomain(hypervisor: Hypervisor, { id, image, vcpus, maxPages }: DomainOptions): Domain {
  invariant(!hypervisor.domains.has(id), 'each domain has a number of its own');
  invariant(vcpus.length >= 1 && vcpus.length <= XEN_LEGACY_MAX_VCPUS, 'a domain has 1 to 32 vCPUs');
  const domain = new Domain(hypervisor, id, image.sharedInfo, maxPages ?? image.p2m.length);
  hypervisor.domains.set(id, domain);
  vcpus.forEach((hardware, index) => {
    const vcpu = new XenVcpu(domain, index, hypervisor.config.firstCpu + index, hardware);
    vcpu.vcpuInfo = maddr(mfnToMaddr(image.sharedInfo) + index * VCPU_INFO_BYTES);
    domain.vcpus.push(vcpu);
  });
  giveFrames(hypervisor, domain, image);
  fillSharedInfo(domain);
  const first = domain.initialVcpu;
  hypervisor.onBehalfOf(first, undefined, 'building the domain', () => {
    hypervisor.slots.mapM2p();
    for (const purpose of ['pinned', 'loaded'] as const) {
      const table = getPageAndType(hypervisor, image.l4, domain, PGT_l4_page_table);
      invariant(typeof table !== 'number', 'the page tables that the builder made are valid');
      if (purpose === 'pinned') table.pinned = true;
      else first.kernelTable = table;
    }
    setInitialRegisters(first, image);
    startOnCpu(first);
    first.time.setRunState('runnable');
  });
  return domain;
}

function giveFrames(hypervisor: Hypervisor, domain: Domain, image: DomainImage): void {
  image.p2m.forEach((frame, number) => {
    const page = hypervisor.page(frame);
    invariant(page && hypervisor.m2p.cover(frame), 'the domain is built of RAM that the M2P covers');
    hypervisor.assignPage(page, domain, pfn(number));
  });
  const shared = hypervisor.page(image.sharedInfo);
  invariant(shared, 'shared_info is RAM');
  hypervisor.shareWithDomain(shared, domain);
}

/** All vCPUs start with events masked; the rest is zero, but for the time of day. */
function fillSharedInfo(domain: Domain): void {
  const { memory } = domain.hypervisor;
  const at = (slot: number): Maddr =>
    maddr(mfnToMaddr(domain.sharedInfo) + slot * VCPU_INFO_BYTES + VCPU_INFO_evtchn_upcall_mask);
  for (let slot = 0; slot < XEN_LEGACY_MAX_VCPUS; slot++) memory.write8(at(slot), 1);
  publishWallClock(domain);
}

function setInitialRegisters(vcpu: XenVcpu, image: DomainImage): void {
  const { registers } = vcpu;
  for (let index = 0; index < GPR_COUNT; index++) registers.writeGpr(index, 0n);
  registers.rip = image.entry;
  registers.writeGpr(RSI, image.startInfo);
  registers.writeGpr(RSP, image.stackEnd);
  registers.rflags = BigInt(RFLAGS_IF | RFLAGS_FIXED);
  registers.writeSelector(CS, FLAT_RING3_CS64);
  registers.writeSelector(SS, FLAT_RING3_SS64);
  for (const segment of [DS, ES, FS, GS]) registers.writeSelector(segment, 0);
  registers.writeSegmentBase(FS, 0n);
  registers.writeSegmentBase(GS, 0n);
  vcpu.kernelSs = FLAT_RING3_SS64;
  vcpu.kernelSp = image.stackEnd;
}
