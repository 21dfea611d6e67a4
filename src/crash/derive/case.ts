// Everything that can be worked out from one crash's facts, before anybody asks why: the address and what lies there, the mode,
// the access, the walk, the instruction and its operand. Rules (rules/*.ts) read this and nothing else.

import { X86_EXC_PF } from '../../abi/exceptions.js';
import { FLAT_RING3_CS64, GPR_NAMES } from '../../abi/registers.js';
import { isCanonical } from '../../base/addresses.js';
import type { Instruction } from '../../isa/instruction.js';
import type { Facts, WordRegister } from '../facts.js';
import type { MachineEvidence } from '../machine-evidence.js';
import { type Effects, effectsOf, type KnownRegisters, type MemoryAccess } from './accesses.js';
import { type BootTables, bootTables } from './boot-tables.js';
import { type BounceFrame, bounceFrame } from './bounce-frame.js';
import { type Disassembly, disassemble } from './disassemble.js';
import { type PageFaultCode, pageFaultCode } from './error-code.js';
import { type HandedEntry, handedEntry } from './handed-entry.js';
import { type Idiom, idiomOf } from './idioms.js';
import { type LinearMapping, linearMapOf, type Place, placeOf, poisonOf } from './places.js';
import type { Truth } from './truth.js';
import { allows, analyseWalk, indexAt, pageFromIndexes, type Walk } from './walk.js';

export interface Mode {
  /** Who was running; undefined when the text does not tell. */
  readonly who: 'guest-kernel' | 'guest-user' | 'hypervisor' | 'kernel' | 'user' | 'hvm-guest' | undefined;
  readonly cpl: 0 | 3 | undefined;
  /** How it is known: sentences. */
  readonly because: readonly string[];
}

export interface Operand {
  readonly access: MemoryAccess;
  /** Whether it is the access that faulted: its bytes hold the faulting address. */
  readonly faults: Truth;
}

/** A register whose value is, or nearly is, the faulting address. */
export interface NearRegister {
  readonly register: WordRegister;
  readonly value: bigint;
  /** Address minus value. */
  readonly offset: bigint;
}

export interface Case {
  readonly facts: Facts;
  /** False for lines of a dump whose beginning is not in the text. */
  readonly whole: boolean;
  /** Fragments of other dumps in the same text. */
  readonly related: readonly Facts[];
  readonly machine: MachineEvidence | undefined;
  readonly isPageFault: Truth;
  /** The error code of a page fault, decoded. */
  readonly errorCode: PageFaultCode | undefined;
  /** The faulting address, when the text states it. */
  readonly address: bigint | undefined;
  /** Its page: also when only the walk's indexes spell it. */
  readonly page: bigint | undefined;
  readonly addressSource: 'stated' | 'cr2' | 'indexes' | undefined;
  readonly place: Place | undefined;
  readonly mode: Mode;
  readonly access: 'read' | 'write' | 'fetch' | undefined;
  readonly accessSource: 'error code' | 'instruction' | 'words' | undefined;
  readonly walk: Walk | undefined;
  /** Whether the tables as printed allow the access. */
  readonly allowed: Truth;
  readonly disassembly: Disassembly | undefined;
  readonly instruction: Instruction | undefined;
  readonly effects: Effects | undefined;
  readonly operand: Operand | undefined;
  readonly nearRegisters: readonly NearRegister[];
  readonly idiom: Idiom | undefined;
  readonly handed: HandedEntry | undefined;
  readonly linear: LinearMapping | undefined;
  readonly bootTables: BootTables | undefined;
  readonly frame: BounceFrame | undefined;
  /** A mark of freed or uninitialised memory in a register or as the address. */
  readonly poison: PoisonFound | undefined;
}

export interface PoisonFound {
  /** "r14", "the faulting address". */
  readonly name: string;
  readonly value: bigint;
  readonly words: string;
  /** The faulting access went through it. */
  readonly used: Truth;
}

export interface CaseOptions {
  /** True unless given. */
  readonly whole?: boolean;
  readonly related?: readonly Facts[];
  readonly machine?: MachineEvidence | undefined;
  readonly symbol?: ((address: bigint) => string | undefined) | undefined;
}

export function buildCase(facts: Facts, options: CaseOptions = {}): Case {
  const isPageFault = facts.vector === undefined ? undefined : facts.vector === X86_EXC_PF;
  const errorCode =
    isPageFault && facts.errorCode !== undefined
      ? pageFaultCode(facts.errorCode, facts.system === 'xen-guest')
      : undefined;
  const { address, page, addressSource } = addressOf(facts, isPageFault);
  const frame = facts.system === 'xen-guest' ? bounceFrame(facts) : undefined;
  const mode = modeOf(facts, errorCode, frame);
  const walk = analyseWalk(facts, address ?? page);
  const disassembly =
    facts.code === undefined
      ? undefined
      : disassemble(facts.code, { rip: facts.registers?.rip, symbol: options.symbol });
  const instruction = disassembly?.trapping;
  const effects = instruction && effectsOf(instruction, knownRegisters(facts, instruction, frame));
  // A fault on fetching the instruction comes before anything it does.
  const operand = errorCode?.fetch ? undefined : operandOf(effects, address, page, isPageFault);
  const { access, accessSource } = accessOf(facts, errorCode, operand);
  const place =
    address === undefined && page === undefined ? undefined : placeOf(address ?? (page as bigint), facts.system);
  const atUser = mode.cpl === undefined ? undefined : mode.cpl === 3;
  const leafPfn = walk?.pfn;
  return {
    facts,
    whole: options.whole ?? true,
    related: options.related ?? [],
    machine: options.machine,
    isPageFault,
    errorCode,
    address,
    page,
    addressSource,
    place,
    mode,
    access,
    accessSource,
    walk,
    allowed: walk && isAllowed(walk, { access, atUser, isReserved: errorCode?.reserved ?? false }),
    disassembly,
    instruction,
    effects,
    operand,
    nearRegisters: address === undefined ? [] : nearRegisters(facts, address),
    idiom: disassembly === undefined ? undefined : idiomOf(disassembly.fromTrap, facts),
    handed: facts.system === 'xen-guest' ? handedEntry(facts, walk, page) : undefined,
    linear: page === undefined || leafPfn === undefined ? undefined : linearMapOf(page, leafPfn),
    bootTables:
      page === undefined || walk === undefined || facts.system !== 'xen-guest'
        ? undefined
        : bootTables(walk, page, facts.domain),
    frame,
    poison: findPoison(facts, address, operand, instruction),
  };
}

interface Asked {
  readonly access: 'read' | 'write' | 'fetch' | undefined;
  readonly atUser: Truth;
  /** The CPU found a reserved bit: whatever the other bits say, the entry allows nothing. */
  readonly isReserved: boolean;
}

function isAllowed(walk: Walk, { access, atUser, isReserved }: Asked): Truth {
  if (isReserved) return false;
  const isKind = (kind: 'write' | 'fetch'): Truth => (access === undefined ? undefined : access === kind);
  return allows(walk, { write: isKind('write'), fetch: isKind('fetch'), atUserPrivilege: atUser });
}

/** The faulting address first, then the registers of the faulting operand, then any register. */
function findPoison(
  facts: Facts,
  address: bigint | undefined,
  operand: Operand | undefined,
  instruction: Instruction | undefined,
): PoisonFound | undefined {
  const words = address === undefined ? undefined : poisonOf(address);
  if (address !== undefined && words !== undefined)
    return { name: 'the faulting address', value: address, words, used: true };
  const memory = operand?.access.operand === undefined ? undefined : instruction?.operands[operand.access.operand];
  const used = memory?.kind === 'memory' ? [memory.base, memory.index].map((number) => GPR_NAMES[number]) : [];
  const names = [...used, ...GPR_NAMES].filter((name) => name !== undefined);
  for (const name of names) {
    const value = facts.registers?.[name];
    const says = value === undefined ? undefined : poisonOf(value);
    if (value !== undefined && says !== undefined)
      return { name, value, words: says, used: instruction === undefined ? undefined : used.includes(name) };
  }
  return undefined;
}

function addressOf(facts: Facts, isPageFault: Truth): Pick<Case, 'address' | 'page' | 'addressSource'> {
  const stated = facts.address ?? facts.walkFrom;
  if (stated !== undefined) return { address: stated, page: stated & ~0xfffn, addressSource: 'stated' };
  const cr2 = facts.registers?.cr2;
  if (isPageFault && cr2 !== undefined && agreesWithIndexes(facts, cr2))
    return { address: cr2, page: cr2 & ~0xfffn, addressSource: 'cr2' };
  const page = pageFromIndexes(facts);
  return { address: undefined, page, addressSource: page === undefined ? undefined : 'indexes' };
}

const agreesWithIndexes = ({ walk }: Facts, address: bigint): boolean =>
  Object.values(walk ?? {}).every(({ level, index }) => index === undefined || index === indexAt(address, level));

const KERNEL_HALF = 0xffff_8000_0000_0000n;

function modeOf(facts: Facts, errorCode: PageFaultCode | undefined, frame: BounceFrame | undefined): Mode {
  const cs = facts.selectors?.cs;
  const rip = facts.registers?.rip;
  if (facts.system === 'xen') return { who: 'hypervisor', cpl: 0, because: ['the dump is of Xen itself'] };
  if (facts.context === 'hvm guest') return { who: 'hvm-guest', cpl: undefined, because: ['CONTEXT: hvm guest'] };
  const because: string[] = [];
  if (facts.system === 'xen-guest') {
    if (cs === FLAT_RING3_CS64)
      because.push(
        'cs e033 is the 64-bit code segment that Xen gives a PV guest: it runs at CPL 3, kernel and programs alike',
      );
    const kernel =
      frame?.kernelMode ?? (errorCode ? !errorCode.user : rip === undefined ? undefined : rip >= KERNEL_HALF);
    if (frame !== undefined)
      because.push(
        `the frame that Xen pushed on the guest's stack has cs ${frame.cs.toString(16)}: ` +
          (frame.kernelMode ? 'RPL cleared, so its kernel was running' : 'RPL 3, so a program was running'),
      );
    if (errorCode !== undefined)
      because.push(
        `bit 2 of the error code, which Xen rewrites for a PV guest, is ${errorCode.user ? 1 : 0}: ` +
          (errorCode.user ? "the guest's user mode" : "the guest's kernel mode"),
      );
    else if (frame === undefined && rip !== undefined)
      because.push(`rip is in the ${rip >= KERNEL_HALF ? "kernel's" : "programs'"} half of the address space`);
    return { who: kernel === undefined ? undefined : kernel ? 'guest-kernel' : 'guest-user', cpl: 3, because };
  }
  if (facts.system === 'linux') return linuxMode(facts, errorCode);
  return { who: undefined, cpl: undefined, because };
}

/** Linux under Xen PV sees its own cs as e030: Xen clears the RPL for the guest's kernel. */
const PV_KERNEL_CS = 0xe030;

function linuxMode(facts: Facts, errorCode: PageFaultCode | undefined): Mode {
  const cs = facts.selectors?.cs;
  const privilege = facts.accessWords?.privilege;
  if (cs === PV_KERNEL_CS)
    return { who: 'kernel', cpl: 3, because: ['cs e030: the kernel of a Xen PV guest, which runs at CPL 3'] };
  const cpl = cs === undefined ? undefined : (cs & 3) === 0 ? 0 : 3;
  if (cpl !== undefined)
    return {
      who: cpl === 0 ? 'kernel' : 'user',
      cpl,
      because: [`cs ${cs?.toString(16).padStart(4, '0')}: CPL ${cpl}`],
    };
  if (errorCode !== undefined)
    return {
      who: errorCode.user ? 'user' : 'kernel',
      cpl: errorCode.user ? 3 : 0,
      because: [`bit 2 of the error code is ${errorCode.user ? 1 : 0}`],
    };
  if (privilege !== undefined)
    return {
      who: privilege === 'user' ? 'user' : 'kernel',
      cpl: privilege === 'user' ? 3 : 0,
      because: [`"${privilege}"`],
    };
  return { who: undefined, cpl: undefined, because: [] };
}

/** Registers as they stood when the instruction began. Xen moves rsp when it pushes its frame: the frame has the old one. */
function knownRegisters(facts: Facts, instruction: Instruction, frame: BounceFrame | undefined): KnownRegisters {
  const { registers } = facts;
  const rip = registers?.rip;
  return {
    gpr: (number) => {
      const name = GPR_NAMES[number] as WordRegister;
      return name === 'rsp' && frame !== undefined ? frame.rsp : registers?.[name];
    },
    nextRip: rip === undefined ? undefined : BigInt.asUintN(64, rip + BigInt(instruction.length)),
    rflags: frame?.rflags ?? registers?.rflags,
    segmentBase: (segment) => (segment === 4 ? registers?.fsb : registers?.gsb),
  };
}

function operandOf(
  effects: Effects | undefined,
  address: bigint | undefined,
  page: bigint | undefined,
  isPageFault: Truth,
): Operand | undefined {
  if (effects === undefined || effects.accesses.length === 0) return undefined;
  const judged = effects.accesses.map((access) => ({ access, faults: covers(access, address, page) }));
  const hit = judged.find(({ faults }) => faults === true);
  if (hit !== undefined) return hit;
  if (isPageFault === false)
    return judged.find(({ access }) => access.address !== undefined && !isCanonical(access.address));
  return judged.find(({ faults }) => faults === undefined) ?? judged[0];
}

function covers({ address: from, bytes }: MemoryAccess, address: bigint | undefined, page: bigint | undefined): Truth {
  if (from === undefined || (address === undefined && page === undefined)) return undefined;
  const end = from + BigInt(bytes);
  if (address !== undefined) return address >= from && address < end;
  return (page as bigint) < end && from < (page as bigint) + 0x1000n;
}

function accessOf(
  facts: Facts,
  errorCode: PageFaultCode | undefined,
  operand: Operand | undefined,
): Pick<Case, 'access' | 'accessSource'> {
  if (errorCode !== undefined) return { access: errorCode.access, accessSource: 'error code' };
  const words = facts.accessWords?.access;
  if (words !== undefined) return { access: words, accessSource: 'words' };
  if (operand !== undefined && operand.faults !== false)
    return { access: operand.access.kind === 'read' ? 'read' : 'write', accessSource: 'instruction' };
  return { access: undefined, accessSource: undefined };
}

const NEAR = 0x1000n;

function nearRegisters({ registers }: Facts, address: bigint): readonly NearRegister[] {
  const near: NearRegister[] = [];
  for (const name of GPR_NAMES) {
    const value = registers?.[name];
    if (value === undefined) continue;
    const offset = BigInt.asIntN(64, address - value);
    if (offset > -NEAR && offset < NEAR) near.push({ register: name, value, offset });
  }
  return near.sort((a, b) => Number((a.offset < 0n ? -a.offset : a.offset) - (b.offset < 0n ? -b.offset : b.offset)));
}
