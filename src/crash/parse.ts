// A dump of a crashed guest as text → the CrashReport that it is of, when nothing of it is lost.
// Sources: print.ts, which writes the two forms; dumps of versions between and around them are read as the form they are
// closest to.

import type { CrashCause, CrashRegisters, CrashReport, DumpForm, WalkLine } from '../abi/crash-report.js';
import type { Level } from '../abi/paging.js';
import { GPR_NAMES } from '../abi/registers.js';
import type { Facts, SelectorRegister, WordRegister } from './facts.js';
import { scan } from './scanner.js';

/** The first guest's crash in `text` that is complete; undefined when there is none. Use `scan` for incomplete ones. */
export function parse(text: string): CrashReport | undefined {
  for (const { facts } of scan(text).crashes) {
    const report = reportOf(facts);
    if (report !== undefined) return report;
  }
  return undefined;
}

/** The report that a crash states, if it states all of one. */
export function reportOf(facts: Facts): CrashReport | undefined {
  const { system, domain, vcpu, cpu, version, debug, taint, eventMask, context, stackFrom } = facts;
  const registers = reportRegisters(facts);
  const cause = reportCause(facts);
  if (system !== 'xen-guest' || context !== 'pv guest' || registers === undefined || cause === undefined)
    return undefined;
  if (domain === undefined || vcpu === undefined || cpu === undefined || eventMask === undefined) return undefined;
  if (version === undefined || debug === undefined || taint === undefined || stackFrom === undefined) return undefined;
  const lines = reportWalk(facts);
  if (facts.walkFrom === undefined ? lines.length > 0 : cause.kind === 'unhandled' && cause.vector !== 14)
    return undefined;
  return {
    domain,
    vcpu,
    cpu,
    cause,
    walk: facts.walkFrom === undefined ? undefined : { vaddr: facts.walkFrom, lines },
    xen: { form: formOf(facts), version, debug, taint, entryPoint: facts.entryPoint },
    eventMask,
    registers,
    stack: { words: facts.stack ?? [], stop: facts.stackStop },
  };
}

const formOf = ({ contextNamesVcpu }: Facts): DumpForm => (contextNamesVcpu ? '4.17' : '4.1');

function reportCause({ vector, errorCode, crashCall, remarks, wording }: Facts): CrashCause | undefined {
  if (crashCall === undefined) return undefined;
  if (vector !== undefined && wording !== undefined) return { kind: 'unhandled', vector, errorCode };
  const plain = /^d\d+:?v\d+:? (.*)$/;
  const said = remarks?.findLast((remark) => plain.test(remark));
  return {
    kind: 'domain-crash',
    message: said === undefined ? '' : (plain.exec(said)?.[1] ?? ''),
    calledFrom: crashCall,
  };
}

function reportWalk({ walk }: Facts): readonly WalkLine[] {
  return ([4, 3, 2, 1] as const).flatMap((level) => {
    const stated = walk?.[level];
    if (stated?.index === undefined || stated.pfn === undefined) return [];
    const pfn = stated.pfn === 'invalid' ? undefined : stated.pfn;
    return [{ level: level satisfies Level, index: stated.index, entry: stated.entry, pfn }];
  });
}

function reportRegisters({ registers, selectors }: Facts): CrashRegisters | undefined {
  const words: Partial<Record<WordRegister, bigint>> = registers ?? {};
  const seg: Partial<Record<SelectorRegister, number>> = selectors ?? {};
  const gpr = GPR_NAMES.map((name) => words[name]).filter((value) => value !== undefined);
  const { rip, rflags, cr0, cr2, cr3, cr4 } = words;
  const { ds, es, fs, gs, ss, cs } = seg;
  if (gpr.length !== GPR_NAMES.length) return undefined;
  if (rip === undefined || rflags === undefined) return undefined;
  if (cr0 === undefined || cr2 === undefined || cr3 === undefined || cr4 === undefined) return undefined;
  if (ds === undefined || es === undefined || fs === undefined) return undefined;
  if (gs === undefined || ss === undefined || cs === undefined) return undefined;
  const bases = { fsBase: words.fsb, gsBase: words.gsb, gsShadow: words.gss };
  return { rip, rflags, gpr, cr0, cr2, cr3, cr4, ...bases, ds, es, fs, gs, ss, cs };
}
