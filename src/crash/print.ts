// A CrashReport as Xen prints it, to the character: trailing blanks, padded labels, where the stack stops.
// Sources: Xen 4.1.3 and 4.17.0 arch/x86/traps.c (do_guest_trap, propagate_page_fault, show_guest_stack), arch/x86/pv/traps.c
// (pv_inject_event), arch/x86/x86_64/traps.c (show_page_walk, print_xen_info, _show_registers), x86_64/entry.S, xen/sched.h
// (domain_crash), common/domain.c (__domain_crash).
// The line number in 4.1's "traps.c:481" is 4.1.3's; other 4.1 releases have others.

import type { CrashCause, CrashRegisters, CrashReport, DumpForm, WalkLine } from '../abi/crash-report.js';
import { VECTORS, X86_EXC_PF } from '../abi/exceptions.js';
import { PTE_PS } from '../abi/paging.js';
import { invariant } from '../base/failures.js';
import { hex, hex64 } from '../base/hex.js';

export interface PrintOptions {
  /** What stands before every line; '(XEN) ' unless given, as on Xen's console. */
  readonly prefix?: string;
}

/** The dump, each line with its line feed. */
export function print(report: CrashReport, options: PrintOptions = {}): string {
  const { prefix = '(XEN) ' } = options;
  return dumpLines(report)
    .map((line) => `${prefix}${line}\n`)
    .join('');
}

/** What of a report its form prints: a text can give back no more. 4.1 prints no segment bases and no entry point. */
export function asPrinted(report: CrashReport): CrashReport {
  const { registers, xen } = report;
  const newer = xen.form === '4.17';
  return {
    ...report,
    registers: newer ? registers : { ...registers, fsBase: undefined, gsBase: undefined, gsShadow: undefined },
    xen: { ...xen, entryPoint: newer && isFromEntry(report.cause) ? xen.entryPoint : undefined },
  };
}

/** The crash was noticed in Xen's entry code, while it was about to return to the guest. */
const isFromEntry = (cause: CrashCause): boolean => cause.kind === 'unhandled' || cause.calledFrom === 'entry.S';

/** Words of stack that Xen prints: 20 lines (debug_stack_lines) of four. */
export const STACK_WORDS = 80;
const WORDS_PER_LINE = 4;
const ALL_ONES = 0xffff_ffff_ffff_ffffn;

function dumpLines(report: CrashReport): readonly string[] {
  const { domain, vcpu, cpu, cause, walk, xen } = report;
  return [
    ...causeLines(report),
    ...(walk === undefined ? [] : [`Pagetable walk from ${hex64(walk.vaddr)}:`]),
    ...(walk?.lines ?? []).map((line) => walkLine(line, xen.form)),
    callLine(cause, xen),
    `Domain ${domain} (vcpu#${vcpu}) crashed on cpu#${cpu}:`,
    `----[ Xen-${xen.version}  x86_64  debug=${xen.debug}  ${xen.taint} ]----`,
    `CPU:    ${cpu}`,
    ...registerLines(report),
    ...stackLines(report),
  ];
}

function causeLines({ domain, vcpu, cause, xen }: CrashReport): readonly string[] {
  const name = xen.form === '4.1' ? `d${domain}:v${vcpu}:` : `d${domain}v${vcpu}`;
  if (cause.kind === 'domain-crash') return cause.message === '' ? [] : [`${name} ${cause.message}`];
  const { vector, errorCode } = cause;
  if (xen.form === '4.17')
    return [`${name} Unhandled: vec ${vector}, ${mnemonic(vector)}[${hex(errorCode ?? 0xffff_ffff, 4)}]`];
  if (vector === X86_EXC_PF) return [`${name} unhandled page fault (ec=${hex(errorCode ?? 0, 4).toUpperCase()})`];
  return [
    `traps.c:481:d${domain} Unhandled ${trapName(vector)} fault/trap [#${vector}] on VCPU ${vcpu} ` +
      `[ec=${hex(errorCode ?? 0, 4)}]`,
  ];
}

/** Mnemonics of 4.17's vector_name() that abi/exceptions.ts, which ends with #XM, does not have. */
const NEWER_MNEMONICS: Readonly<Record<number, string>> = {
  9: 'CSO',
  15: 'SPV',
  20: '#VE',
  21: '#CP',
  28: '#HV',
  29: '#VC',
  30: '#SX',
};
const SPURIOUS_INTERRUPT = 15;

const mnemonic = (vector: number): string => NEWER_MNEMONICS[vector] ?? VECTORS[vector]?.mnemonic ?? '???';
const trapName = (vector: number): string =>
  vector === SPURIOUS_INTERRUPT ? 'spurious interrupt' : (VECTORS[vector]?.xenName ?? '???');

function walkLine({ level, index, entry, pfn }: WalkLine, form: DumpForm): string {
  const large = (level === 2 || level === 3) && (entry & PTE_PS) !== 0n;
  // 4.1 prints the L2 line's mark with its blank outside: the blank is there without the mark, too.
  const mark = large ? ' (PSE)' : form === '4.1' && level === 2 ? ' ' : '';
  return ` L${level}[0x${hex(index, 3)}] = ${hex64(entry)} ${hex64(pfn ?? ALL_ONES)}${mark}`;
}

function callLine(cause: CrashCause, { form, entryPoint }: CrashReport['xen']): string {
  if (cause.kind === 'domain-crash' && !isFromEntry(cause)) return `domain_crash called from ${cause.calledFrom}`;
  const place = form === '4.17' && entryPoint ? `: fault at ${hex64(entryPoint.address)} ${entryPoint.symbol}` : '';
  return `domain_crash_sync called from entry.S${place}`;
}

function registerLines({ registers: r, eventMask, domain, vcpu, xen }: CrashReport): readonly string[] {
  const newer = xen.form === '4.17';
  const gpr = (number: number): string => hex64(r.gpr[number] ?? 0n);
  return [
    `RIP:    ${hex(r.cs, 4)}:[<${hex64(r.rip)}>]`,
    `RFLAGS: ${hex64(r.rflags)}   EM: ${eventMask ? 1 : 0}   CONTEXT: pv guest${newer ? ` (d${domain}v${vcpu})` : ''}`,
    `rax: ${gpr(0)}   rbx: ${gpr(3)}   rcx: ${gpr(1)}`,
    `rdx: ${gpr(2)}   rsi: ${gpr(6)}   rdi: ${gpr(7)}`,
    `rbp: ${gpr(5)}   rsp: ${gpr(4)}   r8:  ${gpr(8)}`,
    `r9:  ${gpr(9)}   r10: ${gpr(10)}   r11: ${gpr(11)}`,
    `r12: ${gpr(12)}   r13: ${gpr(13)}   r14: ${gpr(14)}`,
    `r15: ${gpr(15)}   cr0: ${hex64(r.cr0)}   cr4: ${hex64(r.cr4)}`,
    `cr3: ${hex64(r.cr3)}   cr2: ${hex64(r.cr2)}`,
    ...(newer ? [basesLine(r)] : []),
    `ds: ${hex(r.ds, 4)}   es: ${hex(r.es, 4)}   fs: ${hex(r.fs, 4)}   gs: ${hex(r.gs, 4)}   ` +
      `ss: ${hex(r.ss, 4)}   cs: ${hex(r.cs, 4)}`,
  ];
}

const basesLine = ({ fsBase = 0n, gsBase = 0n, gsShadow = 0n }: CrashRegisters): string =>
  `fsb: ${hex64(fsBase)}   gsb: ${hex64(gsBase)}   gss: ${hex64(gsShadow)}`;

const STOP_TEXT = {
  fault: 'Fault while accessing guest memory.',
  inaccessible: 'Guest-inaccessible memory.',
  empty: 'Stack empty.',
} as const;

function stackLines({ registers, stack: { words, stop } }: CrashReport): readonly string[] {
  invariant(words.length <= STACK_WORDS, 'a report holds no more stack words than Xen prints');
  invariant(words.length > 0 ? stop !== 'empty' : stop !== undefined, 'a stack without words says why it has none');
  const lines = [`Guest stack trace from rsp=${hex64(registers.gpr[4] ?? 0n)}:`];
  for (let at = 0; at < words.length; at += WORDS_PER_LINE)
    lines.push(
      `   ${words
        .slice(at, at + WORDS_PER_LINE)
        .map(hex64)
        .join(' ')}`,
    );
  if (stop !== undefined) lines.push(`${words.length === 0 ? '  ' : '    '}${STOP_TEXT[stop]}`);
  return lines;
}
