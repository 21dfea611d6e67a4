// Segment registers, far transfers, and questions about descriptors. SDM 2A "CALL", "IRET", "JMP", "LAR", "LDS/LES/LFS/LGS/LSS",
// "LSL"; SDM 2B "MOV", "POP"; SDM 2C "VERR/VERW"; SDM 3A "Segment Descriptors" (§3.4.5), "Privilege Levels" (§5.5 ff.).
// Everything happens at CPL 3 and stays there: a far transfer to another level is #GP, gates are refused.
// Loading a null selector into FS or GS clears the base, as on Intel's processors; AMD's keep it.
// DEVIATION: a code segment that is not 64-bit is refused with #GP (no compatibility mode yet).
// Leaves out: setting the descriptor's accessed bit (Xen sets it in every descriptor that a guest may load).

import { X86_EXC_GP, X86_EXC_NP, X86_EXC_SS } from '../../abi/exceptions.js';
import { CS, FS, GS, RFLAGS_NT, RSP, SS } from '../../abi/registers.js';
import type { I32 } from './expression.js';
import { I64 } from './expression.js';
import { setZero } from './flags.js';
import type { Bits, Meaning, Semantics } from './semantics.js';
import { dropFromStack, loadFlags, pushValue, stackWord } from './stack.js';

// A descriptor's 8 bytes:
//  63      56 55 54 53 52 51   48 47 46 45 44 43  40 39            16 15          0
//  +---------+--+--+--+--+-------+--+-----+--+------+----------------+-------------+
//  | base    |G |D |L |A | limit |P | DPL |S | type | base 23:0      | limit 15:0  |
//  | 31:24   |  |  |  |VL| 19:16 |  |     |  |      |                |             |
//  +---------+--+--+--+--+-------+--+-----+--+------+----------------+-------------+
const [CODE_BIT, CONFORMING_BIT, READ_WRITE_BIT] = [43, 42, 41] as const;
const [SEGMENT_BIT, DPL_SHIFT, PRESENT_BIT, LONG_BIT, GRANULARITY_BIT] = [44, 45n, 47, 53, 55] as const;
const at = (bit: number): bigint => 1n << BigInt(bit);

const dplIs3 = (descriptor: I64): I32 => descriptor.shiftRight(DPL_SHIFT).and(3n).equals(3n);
/** Whether the bits under `mask` have the value. */
const matches = (descriptor: I64, mask: bigint, value: bigint): I32 => descriptor.and(mask).equals(value);
const isConformingCode = (descriptor: I64): I32 => {
  const mask = at(SEGMENT_BIT) | at(CODE_BIT) | at(CONFORMING_BIT);
  return matches(descriptor, mask, mask);
};
/** Readable: data, or code that says so. */
const isReadable = (descriptor: I64): I32 =>
  matches(descriptor, at(SEGMENT_BIT) | at(CODE_BIT), at(SEGMENT_BIT)).or(
    matches(descriptor, at(SEGMENT_BIT) | at(READ_WRITE_BIT), at(SEGMENT_BIT) | at(READ_WRITE_BIT)),
  );
const isWritableData = (descriptor: I64): I32 =>
  matches(descriptor, at(SEGMENT_BIT) | at(CODE_BIT) | at(READ_WRITE_BIT), at(SEGMENT_BIT) | at(READ_WRITE_BIT));
const baseOf = (descriptor: I64): I64 =>
  descriptor.shiftRight(16n).and(0xff_ffffn).or(descriptor.shiftRight(32n).and(0xff00_0000n));

/** A selector in an error code: its RPL is cut off. */
const errorCode = (selector: I64): I64 => selector.and(0xfffcn);

/** The descriptor of a selector (kept) that must not be null and must exist: else #GP. */
function descriptorOrFault(cpu: Semantics, selector: I64): I64 {
  const [found, descriptor] = cpu.ask('descriptor', selector) as readonly [I64, I64];
  cpu.raiseIf(found.isZero(), X86_EXC_GP, errorCode(selector));
  return descriptor;
}

/** Makes every check that loading a data or stack segment makes; the returned function then loads it. */
function checkSegment(cpu: Semantics, segment: number, selector: I64): () => void {
  const base = cpu.variable(I64.constant(0n));
  if (segment === SS) cpu.raiseIf(errorCode(selector).isZero(), X86_EXC_GP, I64.constant(0n));
  cpu.when(errorCode(selector).isNotZero(), () => {
    const descriptor = descriptorOrFault(cpu, selector);
    const allowed =
      segment === SS
        ? isWritableData(descriptor).and(dplIs3(descriptor)).and(selector.and(3n).equals(3n))
        : isReadable(descriptor).and(dplIs3(descriptor).or(isConformingCode(descriptor)));
    cpu.raiseIf(allowed.not(), X86_EXC_GP, errorCode(selector));
    const absent = segment === SS ? X86_EXC_SS : X86_EXC_NP;
    cpu.raiseIf(descriptor.bit(PRESENT_BIT).not(), absent, errorCode(selector));
    base.set(baseOf(descriptor));
  });
  return () => {
    cpu.writeSelector(segment, selector);
    if (segment === FS || segment === GS) cpu.writeSegmentBase(segment, base.get());
  };
}

/** Makes every check that a far transfer to `selector` (kept) makes; `mustBeRing3` for returns, which load the RPL. */
function checkCodeSegment(cpu: Semantics, selector: I64, mustBeRing3: boolean): void {
  cpu.raiseIf(errorCode(selector).isZero(), X86_EXC_GP, I64.constant(0n));
  const descriptor = descriptorOrFault(cpu, selector);
  const is64Bit = at(SEGMENT_BIT) | at(CODE_BIT) | at(LONG_BIT);
  let allowed = matches(descriptor, is64Bit, is64Bit).and(dplIs3(descriptor).or(isConformingCode(descriptor)));
  if (mustBeRing3) allowed = allowed.and(selector.and(3n).equals(3n));
  cpu.raiseIf(allowed.not(), X86_EXC_GP, errorCode(selector));
  cpu.raiseIf(descriptor.bit(PRESENT_BIT).not(), X86_EXC_NP, errorCode(selector));
}

export const movFromSegment: Meaning = (cpu) => {
  cpu.operand(0).write(cpu.readSelector(cpu.segmentNumber(1)));
};

export const movToSegment: Meaning = (cpu) => {
  const load = checkSegment(cpu, cpu.segmentNumber(0), cpu.operand(1).read());
  load();
};

export const pushSegment: Meaning = (cpu) => pushValue(cpu, cpu.readSelector(cpu.segmentNumber(0)), cpu.bits);

export const popSegment: Meaning = (cpu) => {
  const load = checkSegment(cpu, cpu.segmentNumber(0), cpu.keep(stackWord(cpu, 0, cpu.bits).and(0xffffn)));
  load();
  dropFromStack(cpu, BigInt(cpu.bits / 8));
};

/** A far pointer in memory: the offset, and behind it the selector. */
function readFarPointer(cpu: Semantics, index: number): { readonly offset: I64; readonly selector: I64 } {
  const address = cpu.keep(cpu.effectiveAddress(index));
  const offset = cpu.memory(address, cpu.bits, { of: index }).read();
  const selector = cpu.memory(cpu.keep(address.add(BigInt(cpu.bits / 8))), 16, { of: index }).read();
  return { offset, selector };
}

/** LSS, LFS, LGS; the segment is fixed by the opcode. */
const loadFarPointer =
  (segment: number): Meaning =>
  (cpu) => {
    const { offset, selector } = readFarPointer(cpu, 1);
    const load = checkSegment(cpu, segment, selector);
    load();
    cpu.operand(0).write(offset);
  };

export const lss: Meaning = loadFarPointer(SS);
export const lfs: Meaning = loadFarPointer(FS);
export const lgs: Meaning = loadFarPointer(GS);

export const jmpFar: Meaning = (cpu) => {
  const { offset, selector } = readFarPointer(cpu, 0);
  checkCodeSegment(cpu, selector, false);
  cpu.checkTarget(offset);
  cpu.writeSelector(CS, selector.or(3n));
  cpu.jump(offset);
};

/** Both words are written before rSP moves; a fault on the second leaves the first below rSP, as on the processor. */
export const callFar: Meaning = (cpu) => {
  const { offset, selector } = readFarPointer(cpu, 0);
  checkCodeSegment(cpu, selector, false);
  cpu.checkTarget(offset);
  const bytes = BigInt(cpu.bits / 8);
  const top = cpu.register(RSP, 64).read();
  cpu.memory(cpu.keep(top.sub(bytes)), cpu.bits, 'stack').write(cpu.readSelector(CS));
  const end = cpu.keep(top.sub(2n * bytes));
  cpu.memory(end, cpu.bits, 'stack').write(cpu.nextRip());
  cpu.register(RSP, 64).write(end);
  cpu.writeSelector(CS, selector.or(3n));
  cpu.jump(offset);
};

export const retFar: Meaning = (cpu) => {
  const bytes = cpu.bits / 8;
  const target = stackWord(cpu, 0, cpu.bits);
  const selector = cpu.keep(stackWord(cpu, bytes, cpu.bits).and(0xffffn));
  checkCodeSegment(cpu, selector, true);
  cpu.checkTarget(target);
  const popped = BigInt(2 * bytes);
  dropFromStack(cpu, cpu.operandCount === 0 ? popped : cpu.operand(0).read().add(popped));
  cpu.writeSelector(CS, selector);
  cpu.jump(target);
};

/** Pops rip, cs, rflags, rsp and ss, all of the operand size, as IRET does in 64-bit mode at every level. */
export const iret: Meaning = (cpu) => {
  const word = (index: number, bits: Bits = cpu.bits): I64 => {
    const value = stackWord(cpu, (index * cpu.bits) / 8, cpu.bits);
    return bits === cpu.bits ? value : cpu.keep(value.zeroExtend(bits));
  };
  cpu.raiseIf(cpu.systemFlags().and(BigInt(RFLAGS_NT)).isNotZero(), X86_EXC_GP, I64.constant(0n));
  const [target, code, flags, stackPointer, stack] = [word(0), word(1, 16), word(2), word(3), word(4, 16)];
  checkCodeSegment(cpu, code, true);
  cpu.checkTarget(target);
  const loadStack = checkSegment(cpu, SS, stack);
  loadStack();
  cpu.writeSelector(CS, code);
  cpu.register(RSP, 64).write(stackPointer);
  loadFlags(cpu, flags, cpu.bits);
  cpu.jump(target);
};

/** Answers through ZF whether a segment exists and may be used so from CPL 3; `then` runs if it may, with its descriptor. */
function askAboutSegment(
  cpu: Semantics,
  selector: I64,
  isAllowed: (descriptor: I64) => I32,
  then: (descriptor: I64) => void,
): void {
  const [found, descriptor] = cpu.ask('descriptor', selector) as readonly [I64, I64];
  const allowed = found
    .isNotZero()
    .and(errorCode(selector).isNotZero())
    .and(dplIs3(descriptor).or(isConformingCode(descriptor)))
    .and(isAllowed(descriptor));
  const answer = cpu.keepBit(allowed);
  cpu.when(answer, () => then(descriptor));
  setZero(cpu, answer);
}

/** Whether it is a code or data segment, or a system segment of one of the types. */
const isSegmentOr =
  (systemTypes: readonly bigint[]) =>
  (descriptor: I64): I32 =>
    systemTypes.reduce(
      (any, type) => any.or(matches(descriptor, 0x1fn << 40n, type << 40n)),
      descriptor.bit(SEGMENT_BIT),
    );

const [LDT, TSS_AVAILABLE, TSS_BUSY, CALL_GATE] = [0x2n, 0x9n, 0xbn, 0xcn] as const;

/** UNVERIFIED: bits 19:16 of what LAR gives are undefined to the SDM; here they are the limit's. */
export const lar: Meaning = (cpu) => {
  const isAllowed = isSegmentOr([LDT, TSS_AVAILABLE, TSS_BUSY, CALL_GATE]);
  askAboutSegment(cpu, cpu.operand(1).read(), isAllowed, (descriptor) => {
    cpu.operand(0).write(descriptor.shiftRight(32n).and(0xff_ff00n));
  });
};

export const lsl: Meaning = (cpu) => {
  askAboutSegment(cpu, cpu.operand(1).read(), isSegmentOr([LDT, TSS_AVAILABLE, TSS_BUSY]), (descriptor) => {
    const limit = cpu.keep(descriptor.and(0xffffn).or(descriptor.shiftRight(32n).and(0xf_0000n)));
    const inPages = limit.shiftLeft(12n).or(0xfffn);
    cpu.operand(0).write(descriptor.bit(GRANULARITY_BIT).select(inPages, limit));
  });
};

export const verr: Meaning = (cpu) => askAboutSegment(cpu, cpu.operand(0).read(), isReadable, () => {});

/** Conforming code is no data, so the privilege check that lets it through does no harm. */
export const verw: Meaning = (cpu) => askAboutSegment(cpu, cpu.operand(0).read(), isWritableData, () => {});
