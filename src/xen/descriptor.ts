// One segment descriptor: whether a guest may have it, and what it is good for at CPL 3.
// Sources: Xen 4.1.3 arch/x86/x86_64/mm.c and 4.17 arch/x86/pv/descriptor-tables.c (check_descriptor),
// public/arch-x86/xen-x86_64.h (the reserved selectors); SDM 3A "Segment Descriptors" (§3.4.5). Left out: 32-bit guests.
//
//  63     56 55 54 53 52 51   48 47 46 45 44 43     40 39          16 15         0
// +---------+--+--+--+--+-------+--+-----+--+---------+--------------+------------+
// | base    |G |DB|L |  | limit |P | DPL |S | type    | base 23:0    | limit 15:0 |
// +---------+--+--+--+--+-------+--+-----+--+---------+--------------+------------+

import { FLAT_RING3_CS32, FLAT_RING3_CS64, FLAT_RING3_DS32 } from '../abi/registers.js';

/** The first of Xen's entries in every GDT. */
export const FIRST_RESERVED_GDT_ENTRY = 7168;

const SEGMENT_TYPE = 0xfn << 40n;
const SEGMENT_READ_OR_WRITE = 1n << 41n;
const SEGMENT_EXECUTABLE = 1n << 43n;
const SEGMENT_S = 1n << 44n;
const SEGMENT_DPL = 3n << 45n;
const SEGMENT_P = 1n << 47n;
const SEGMENT_LONG = 1n << 53n;
const SEGMENT_DEFAULT_32 = 1n << 54n;
/** As a type of a system descriptor (S = 0). */
const CALL_GATE = 0xcn << 40n;

/** What Xen's own page of the GDT holds, by entry number. */
export const RESERVED_DESCRIPTORS: ReadonlyMap<number, bigint> = new Map([
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
