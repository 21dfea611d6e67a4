// A report as the facts that its printed text would state: the short way round for reports that never were text.

import type { CrashReport } from '../abi/crash-report.js';
import { GPR_NAMES } from '../abi/registers.js';
import { type Facts, LIST_LIMITS, type StatedEntry, type WalkLevel } from './facts.js';
import { exceptionKind } from './formats/vectors.js';

/** The facts of a report. */
export function factsOf(report: CrashReport): Facts {
  const { cause, registers: r, walk, xen } = report;
  const words = Object.fromEntries(GPR_NAMES.map((name, number) => [name, r.gpr[number] as bigint]));
  const bases = { fsb: r.fsBase, gsb: r.gsBase, gss: r.gsShadow };
  const known = Object.entries(bases).filter(([, value]) => value !== undefined);
  return {
    system: 'xen-guest',
    ...(cause.kind === 'unhandled'
      ? {
          kind: exceptionKind(cause.vector),
          vector: cause.vector,
          crashCall: 'entry.S',
          ...(cause.errorCode === undefined ? {} : { errorCode: cause.errorCode }),
        }
      : { kind: 'domain-crash', crashCall: cause.calledFrom, remarks: cause.message === '' ? [] : [cause.message] }),
    domain: report.domain,
    vcpu: report.vcpu,
    cpu: report.cpu,
    version: xen.version,
    debug: xen.debug,
    taint: xen.taint,
    context: 'pv guest',
    contextNamesVcpu: xen.form === '4.17',
    eventMask: report.eventMask,
    ...(xen.entryPoint === undefined ? {} : { entryPoint: xen.entryPoint }),
    ...(walk === undefined ? {} : { walkFrom: walk.vaddr, walk: statedWalk(walk.lines) }),
    registers: {
      ...words,
      rip: r.rip,
      rflags: r.rflags,
      cr0: r.cr0,
      cr2: r.cr2,
      cr3: r.cr3,
      cr4: r.cr4,
      ...Object.fromEntries(known),
    },
    selectors: { cs: r.cs, ss: r.ss, ds: r.ds, es: r.es, fs: r.fs, gs: r.gs },
    stackFrom: r.gpr[4] as bigint,
    stack: report.stack.words.slice(0, LIST_LIMITS.stack),
    ...(report.stack.stop === undefined ? {} : { stackStop: report.stack.stop }),
  };
}

function statedWalk(lines: NonNullable<CrashReport['walk']>['lines']): Partial<Record<WalkLevel, StatedEntry>> {
  const entries = lines.map(
    ({ level, index, entry, pfn }) => [level, { level, index, entry, pfn: pfn ?? 'invalid' }] as const,
  );
  return Object.fromEntries(entries);
}
