// What follows from a case's facts without any guess about the cause: one sentence each, in the order in which an expert would
// check them. And where two facts cannot both be true of one moment.

import { GPR_NAMES } from '../../abi/registers.js';
import { hex, hex0x, hex64 } from '../../base/hex.js';
import type { Facts } from '../facts.js';
import type { Case } from './case.js';
import { entryFlags, flagNames, frameOf } from './entry-flags.js';
import { poisonOf } from './places.js';

export function findings(of: Case): readonly string[] {
  return [
    ...indexFinding(of),
    ...pfnFinding(of),
    ...frameOrderFinding(of),
    ...handedFinding(of),
    ...bootTableFinding(of),
    ...idiomFinding(of),
    ...operandFinding(of),
    ...bounceFrameFinding(of),
    ...poisonFinding(of),
    ...relatedFinding(of),
  ];
}

function indexFinding({ walk, address, page }: Case): readonly string[] {
  if (walk === undefined) return [];
  const wrong = walk.steps.filter(({ indexAgrees }) => indexAgrees === false);
  const right = walk.steps.filter(({ indexAgrees }) => indexAgrees === true);
  const name = (step: (typeof walk.steps)[number]) => `L${step.level} 0x${hex(step.computedIndex ?? 0, 3)}`;
  if (wrong.length > 0)
    return [
      `The address ${hex64(address ?? page ?? 0n)} has indexes ${wrong.map(name).join(', ')}, but the walk shows ` +
        `${wrong.map(({ level, statedIndex }) => `L${level} 0x${hex(statedIndex ?? 0, 3)}`).join(', ')}: these lines are of another walk.`,
    ];
  if (address === undefined && page !== undefined)
    return [`The line with the address is missing; the walk's indexes spell its page: ${hex64(page)}.`];
  if (right.length === 0) return [];
  return [`The indexes, recomputed from the address, agree: ${right.map(name).join(', ')}.`];
}

function pfnFinding({ linear, walk, page }: Case): readonly string[] {
  if (walk?.pfn === undefined || page === undefined) return [];
  const pfn = walk.pfn.toString(16);
  if (linear === undefined) return [`pfn ${pfn} is not in a known linear map of this address.`];
  return [
    `pfn ${pfn} fits the address: ${hex64(page)} - ${pfn} * 0x1000 = ${hex64(linear.base)}, ${linear.words}. ` +
      'That sum is how the base is inferred; no other line says it.',
  ];
}

/** Frames handed out in one direction keep mfn + pfn (downwards) or mfn - pfn (upwards) constant within an extent. */
function frameOrderFinding({ walk }: Case): readonly string[] {
  const steps = walk?.steps.filter((step) => step.present && typeof step.pfn === 'bigint') ?? [];
  if (steps.length < 3) return [];
  const sums = new Map<bigint, number>();
  for (const { frame, pfn } of steps) sums.set(frame + (pfn as bigint), (sums.get(frame + (pfn as bigint)) ?? 0) + 1);
  if ([...sums.values()].some((count) => count < 2)) return [];
  const words = [...sums].map(([sum, count]) => `${sum.toString(16)} (${count} of ${steps.length})`).join(' and ');
  return [
    `mfn + pfn is ${words}: the toolstack gave machine frames in descending order, and the columns belong together.`,
  ];
}

function handedFinding({ handed, page }: Case): readonly string[] {
  if (handed === undefined) return [];
  const { register, value, added, matchesWalk, hypercall } = handed;
  const flags = entryFlags(1, value, 'xen-guest');
  const sentences = [
    matchesWalk
      ? `${register} = ${hex64(value)} is the page's own entry as the guest hands it to Xen (${flagNames(flags)}); Xen and the CPU have since added ${flagNames(entryFlags(1, added, 'xen-guest'))}.`
      : `${register} = ${hex64(value)} looks like a page-table entry as a guest hands it to Xen: frame ${frameOf(value).toString(16)}, ${flagNames(flags)}.`,
  ];
  if (hypercall !== undefined)
    sentences.push(
      `With rdi = ${hex64(page ?? 0n)} and rdx = ${hex0x(hypercall.flags)} the registers still read as HYPERVISOR_update_va_mapping(va, entry, flags): ` +
        (hypercall.flush === 'none'
          ? 'flags 0 is UVMF_NONE, no flush. UVMF_INVLPG (2) is what is missing.'
          : `it asked for ${hypercall.flush}.`),
    );
  return sentences;
}

const ORDINALS = ['', 'first', 'second', 'third'];

function bootTableFinding({ bootTables, walk }: Case): readonly string[] {
  if (bootTables === undefined) return [];
  const { l1, l4, l3, l2, firstL1, layout, inUse, faulting } = bootTables;
  const x = (value: bigint): string => value.toString(16);
  const order =
    layout === 'dom0'
      ? `Xen lays out dom0's as L4, the first L1, L2, L3, then the other L1s, so the L4 is pfn ${x(l4)}, the L2 ${x(l2)}, the L3 ${x(l3)}`
      : `L1 tables lie in the order of their 2 MiB regions, so the first is pfn ${x(l1.pfn)} - ${hex0x(l1.region)} = ${x(firstL1)}; right before it the toolstack puts L4, L3, L2: pfns ${x(l4)}, ${x(l3)}, ${x(l2)}`;
  const use = inUse
    ? ' The walk goes through that very L3 and L2: the domain still runs on the tables that Xen built.'
    : '';
  const hit =
    faulting === undefined
      ? ''
      : faulting.table === 'L1'
        ? ` The faulting page, pfn ${x(walk?.pfn ?? 0n)}, is one of the L1 tables.`
        : ` The faulting page, pfn ${x(walk?.pfn ?? 0n)}, is the ${ORDINALS[faulting.position]} of these three boot tables: the ${faulting.table}.`;
  return [`The L1 table of region ${hex0x(l1.region)} is pfn ${x(l1.pfn)}. ${order}.${use}${hit}`];
}

function idiomFinding({ idiom, facts }: Case): readonly string[] {
  if (idiom === undefined) return [];
  const rflags = facts.registers?.rflags;
  const flags =
    idiom.flagsAgree && rflags !== undefined ? ` RFLAGS ${hex64(rflags)} is what its DEC leaves at that count.` : '';
  return [`The code is ${idiom.words}.${flags}`];
}

/** How the faulting address came from the registers, where it is more than one register's value. */
function compositionFinding({ operand, instruction, facts, disassembly }: Case): readonly string[] {
  const access = operand?.access;
  const memory = access?.operand === undefined ? undefined : instruction?.operands[access.operand];
  if (memory?.kind !== 'memory' || access?.address === undefined) return [];
  const isPlain = memory.index < 0 && memory.displacement === 0n && memory.base < GPR_NAMES.length;
  if (isPlain) return [];
  const named = [memory.base, memory.index].flatMap((number) => {
    const name = GPR_NAMES[number];
    const value = name && facts.registers?.[name];
    return value === undefined ? [] : [`${name} = ${hex64(value)}`];
  });
  const written =
    /\[[^\]]+\]/.exec(disassembly?.lines.find(({ trapping }) => trapping)?.intel ?? '')?.[0] ?? 'The operand';
  return [
    `${written} with ${named.join(' and ') || 'the address of the next instruction'} is ${hex64(access.address)}, where it faulted.`,
  ];
}

function operandFinding(of: Case): readonly string[] {
  const { operand, instruction, nearRegisters, address } = of;
  if (instruction !== undefined) {
    const computed = operand?.access.address;
    if (operand === undefined || computed === undefined || address === undefined) return [];
    return operand.faults
      ? compositionFinding(of)
      : [
          `The instruction's operand is at ${hex64(computed)}, which is not the faulting address: registers and code are not of the same moment.`,
        ];
  }
  const exact = nearRegisters.filter(({ offset }) => offset === 0n);
  if (exact.length > 0)
    return [
      `${exact.map(({ register }) => register).join(' and ')} ${exact.length > 1 ? 'hold' : 'holds'} the faulting address: the operand was most likely [${exact[0]?.register}].`,
    ];
  const [near] = nearRegisters;
  if (near === undefined) return [];
  const sign = near.offset < 0n ? '-' : '+';
  const size = near.offset < 0n ? -near.offset : near.offset;
  return [`The faulting address is ${near.register} ${sign} ${hex0x(size)}.`];
}

function bounceFrameFinding({ frame, facts }: Case): readonly string[] {
  if (frame === undefined) return [];
  return [
    `The top of the guest's stack is the exception frame that Xen had pushed before it found no handler: rsp is printed as ${hex64(facts.registers?.rsp ?? 0n)}, and was ${hex64(frame.rsp)} at the fault.`,
  ];
}

function poisonFinding({ facts, address }: Case): readonly string[] {
  const seen = new Set<string>();
  const values = [
    ...(address === undefined ? [] : ([['address', address]] as const)),
    ...Object.entries(facts.registers ?? {}),
  ];
  return values.flatMap(([name, value]) => {
    const words = poisonOf(value);
    if (words === undefined || seen.has(words)) return [];
    seen.add(words);
    return [`${name === 'address' ? 'The faulting address' : name} = ${hex64(value)}: ${words}.`];
  });
}

/** The same slot in a fragment of another dump. */
function relatedFinding({ related, walk, page }: Case): readonly string[] {
  return related.flatMap((facts: Facts) => {
    const other = facts.walk?.[1];
    if (other?.index === undefined) return [];
    const own = walk?.steps.find(({ level }) => level === 1);
    const index = own?.statedIndex ?? (page === undefined ? undefined : Number((page >> 12n) & 0x1ffn));
    if (index !== other.index) return [];
    const otherPfn = typeof other.pfn === 'bigint' ? other.pfn : undefined;
    const samePfn = own !== undefined && otherPfn !== undefined && own.pfn === otherPfn;
    const flags = flagNames(entryFlags(1, other.entry, facts.system));
    const frames =
      own === undefined || own.frame === frameOf(other.entry)
        ? ''
        : `, other frame (${frameOf(other.entry).toString(16)} there)`;
    return [
      `A line of another dump in this text, L1[0x${hex(other.index, 3)}] = ${hex64(other.entry)} (${flags}), has the same index` +
        `${samePfn ? ` and the same pfn ${otherPfn.toString(16)}` : ''}${frames}: both dumps died on the same page.`,
    ];
  });
}

export function contradictions(of: Case): readonly string[] {
  const { errorCode, walk, allowed, facts, access } = of;
  const found: string[] = [];
  if (errorCode?.present && !errorCode.reserved && allowed)
    found.push(
      `Error code ${hex(errorCode.value, 4)} says that a present translation forbade the ${access ?? 'access'}; the tables in memory allow it at every level.`,
    );
  if (errorCode !== undefined && !errorCode.present && walk?.outcome === 'maps')
    found.push(`Error code ${hex(errorCode.value, 4)} says that no translation was present; the walk shows one.`);
  if (errorCode?.present && walk?.outcome === 'not-present')
    found.push(
      `Error code ${hex(errorCode.value, 4)} says that a translation was present; the walk ends at level ${walk.last?.level} with none.`,
    );
  if (facts.address !== undefined && facts.walkFrom !== undefined && facts.address !== facts.walkFrom)
    found.push(
      `The faulting address is given as ${hex64(facts.address)}, but the walk is of ${hex64(facts.walkFrom)}.`,
    );
  const cr2 = facts.registers?.cr2;
  if (of.isPageFault && cr2 !== undefined && facts.walkFrom !== undefined && cr2 !== facts.walkFrom)
    found.push(`cr2 is ${hex64(cr2)}, but the walk is of ${hex64(facts.walkFrom)}.`);
  if (of.operand?.faults === false && of.isPageFault)
    found.push('The instruction at the mark does not touch the faulting address with these registers.');
  return found;
}
