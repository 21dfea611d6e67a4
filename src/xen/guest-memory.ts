// Copying to and from a guest's memory through the calling vCPU's translations, as hypercalls do with pointer arguments.
// Sources: Xen 4.17 arch/x86/usercopy.c, asm-x86/x86_64/uaccess.h (__addr_ok), arch/x86/traps.c (spurious_page_fault: a
// fault of Xen's own that the tables do not justify is tried again). A failed copy may have moved its first bytes.

import { HYPERVISOR_VIRT_END } from '../abi/xen-layout.js';
import { type Maddr, maddr, mfnToMaddr, PAGE_BYTES, PAGE_OFFSET_MASK, vaddr, vaddrToVpn } from '../base/addresses.js';
import { READ, type Translation, translation, WRITE } from '../mmu/index.js';
import type { XenVcpu } from './vcpu.js';

const LOW_HALF_END = 0x8000_0000_0000n;

/** Whether a guest may hand Xen this pointer: canonical and not in Xen's hole. Only the first byte is asked about. */
export const isGuestAddress = (address: bigint): boolean => address < LOW_HALF_END || address >= HYPERVISOR_VIRT_END;

const result: Translation = translation();

/** Where Xen's own access to this guest address lands, or undefined when it faults. The access may fill the TLB. */
function accessAsXen(vcpu: XenVcpu, address: bigint, access: number): Maddr | undefined {
  if (!isGuestAddress(address)) return undefined;
  const target = vaddr(address);
  for (let attempt = 0; attempt < 2; attempt++) {
    if (vcpu.mmu.translate(vaddrToVpn(target), access, result)) {
      if (!vcpu.domain.hypervisor.memory.isRam(result.frame)) return undefined;
      return maddr(mfnToMaddr(result.frame) + Number(address & BigInt(PAGE_OFFSET_MASK)));
    }
    vcpu.mmu.pageFault(target);
  }
  return undefined;
}

/** Calls `visit` for each piece within one page, in order; false as soon as one is not accessible. */
function eachPiece(
  vcpu: XenVcpu,
  address: bigint,
  lengthBytes: number,
  access: number,
  visit: (at: Maddr, offset: number, bytes: number) => void,
): boolean {
  for (let offset = 0; offset < lengthBytes; ) {
    const at = accessAsXen(vcpu, vaddr(address + BigInt(offset)), access);
    if (at === undefined) return false;
    const bytes = Math.min(lengthBytes - offset, PAGE_BYTES - (at & PAGE_OFFSET_MASK));
    visit(at, offset, bytes);
    offset += bytes;
  }
  return true;
}

/** The bytes at `address`, or undefined (-EFAULT) when one of them is not the guest's or not mapped. */
export function copyFromGuest(vcpu: XenVcpu, address: bigint, lengthBytes: number): Uint8Array | undefined {
  const { memory } = vcpu.domain.hypervisor;
  const copy = new Uint8Array(lengthBytes);
  const whole = eachPiece(vcpu, address, lengthBytes, READ, (at, offset, bytes) =>
    copy.set(memory.copyOut(at, bytes), offset),
  );
  return whole ? copy : undefined;
}

/** Stores the bytes; false (-EFAULT) when one of them is not the guest's, not mapped, or not writable. */
export function copyToGuest(vcpu: XenVcpu, address: bigint, source: Uint8Array): boolean {
  const { memory } = vcpu.domain.hypervisor;
  return eachPiece(vcpu, address, source.length, WRITE, (at, offset, bytes) =>
    memory.copyIn(at, source.subarray(offset, offset + bytes)),
  );
}

/** A view of a copy of a guest's structure, or undefined (-EFAULT). Little-endian: pass true to its getters. */
export function readGuestStruct(vcpu: XenVcpu, address: bigint, lengthBytes: number): DataView | undefined {
  const bytes = copyFromGuest(vcpu, address, lengthBytes);
  return bytes && new DataView(bytes.buffer);
}

export const readGuest32 = (vcpu: XenVcpu, address: bigint): number | undefined =>
  readGuestStruct(vcpu, address, 4)?.getUint32(0, true);

export const readGuest64 = (vcpu: XenVcpu, address: bigint): bigint | undefined =>
  readGuestStruct(vcpu, address, 8)?.getBigUint64(0, true);

/** False is -EFAULT. */
export function writeGuest32(vcpu: XenVcpu, address: bigint, value: number): boolean {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value, true);
  return copyToGuest(vcpu, address, new Uint8Array(view.buffer));
}

/** False is -EFAULT. */
export function writeGuest64(vcpu: XenVcpu, address: bigint, value: bigint): boolean {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, true);
  return copyToGuest(vcpu, address, new Uint8Array(view.buffer));
}

/** The bytes at `address` as the page tables say, without any effect; undefined when one of them is not there. */
export function peekGuest(vcpu: XenVcpu, address: bigint, lengthBytes: number): Uint8Array | undefined {
  const { memory } = vcpu.domain.hypervisor;
  const copy = new Uint8Array(lengthBytes);
  for (let offset = 0; offset < lengthBytes; ) {
    const at = vaddr(address + BigInt(offset));
    if (!isGuestAddress(at)) return undefined;
    const { frame } = vcpu.mmu.walk(at);
    if (frame === undefined || !memory.isRam(frame)) return undefined;
    const within = Number(at & BigInt(PAGE_OFFSET_MASK));
    const bytes = Math.min(lengthBytes - offset, PAGE_BYTES - within);
    copy.set(memory.copyOut(maddr(mfnToMaddr(frame) + within), bytes), offset);
    offset += bytes;
  }
  return copy;
}

/** The word at `address` as the page tables say, without any effect. */
export function peekGuest64(vcpu: XenVcpu, address: bigint): bigint | undefined {
  const bytes = peekGuest(vcpu, address, 8);
  return bytes && new DataView(bytes.buffer).getBigUint64(0, true);
}
