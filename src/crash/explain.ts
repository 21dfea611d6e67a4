// Text in, explanations out. The order of work: scanner.ts finds crashes, derive/ works out what follows from each, rules/
// rank the causes, and here it is put together. Pure: no input or output, no clock.

import type { CrashReport } from '../abi/crash-report.js';
import { VECTORS } from '../abi/exceptions.js';
import { GPR_NAMES } from '../abi/registers.js';
import { invariant } from '../base/failures.js';
import { hex, hex64, hexBytes } from '../base/hex.js';
import { buildCase, type Case } from './derive/case.js';
import { errorCodeBits } from './derive/error-code.js';
import { contradictions, findings } from './derive/findings.js';
import { missing } from './derive/missing.js';
import { story } from './derive/story.js';
import type {
  AccessFacts,
  Cause,
  CodeFacts,
  CrashFacts,
  ErrorCodeFacts,
  Explanation,
  ModeFacts,
  Reading,
  RegisterNote,
  WalkFacts,
} from './explanation.js';
import type { CrashKind, Facts, StatedCode, WordRegister } from './facts.js';
import type { MachineEvidence } from './machine-evidence.js';
import { print } from './print.js';
import { inWords, type Judgement } from './rules/diagnosis.js';
import { rank } from './rules/index.js';
import { type Evidence, scan } from './scanner.js';

export interface ExplainOptions {
  /** What the machine that ran the guest knows besides. It is taken to be about the text's first crash. */
  readonly machine?: MachineEvidence | undefined;
  /** The name of an address in the system that crashed, as its files have it: "clear_page+0x12". */
  readonly symbol?: ((address: bigint) => string | undefined) | undefined;
  /** The source line of an address: "arch/x86/lib/clear_page_64.S:23". */
  readonly line?: ((address: bigint) => string | undefined) | undefined;
  /** The address of a name, so that a text that prints only names gets its line. */
  readonly find?: ((name: string) => bigint | undefined) | undefined;
}

/** Everything that `text`, of any kind and size, tells about crashes. Never throws; a text without a crash gives none. */
export function explain(text: string, options: ExplainOptions = {}): Reading {
  const { crashes, totals } = scan(text);
  return { crashes: explainAll(crashes, options), ...totals };
}

/** Explains crashes that a scanner found in one text: fragments of further dumps are taken as evidence for the whole ones. */
export function explainAll(crashes: readonly Evidence[], options: ExplainOptions = {}): readonly Explanation[] {
  const whole = crashes.filter(({ whole }) => whole);
  const chosen = whole.length > 0 ? whole : crashes;
  const fragments = crashes.filter((evidence) => !chosen.includes(evidence)).map(({ facts }) => facts);
  return chosen.map((evidence, index) =>
    explainFacts(evidence.facts, {
      ...options,
      machine: index === 0 ? options.machine : undefined,
      related: fragments,
      whole: evidence.whole,
      lines: evidence,
    }),
  );
}

export interface ReportOptions extends Omit<ExplainOptions, 'machine'> {
  /** The guest's code around rip, which Xen's dumps do not have; `trap` is the offset of rip. */
  readonly code?: StatedCode | undefined;
}

/** Explains a report of Paravane's own machine, with what the machine saw besides. */
export function explainReport(
  report: CrashReport,
  machine?: MachineEvidence,
  options: ReportOptions = {},
): Explanation {
  const facts = factsOf(report);
  return explainFacts(options.code === undefined ? facts : { ...facts, code: options.code }, { ...options, machine });
}

/** What a report's text states, and the segment bases, which not every form prints. */
function factsOf(report: CrashReport): Facts {
  const [evidence] = scan(print(report)).crashes;
  invariant(evidence !== undefined, 'a printed report is a crash');
  const { fsBase, gsBase, gsShadow } = report.registers;
  const bases = Object.entries({ fsb: fsBase, gsb: gsBase, gss: gsShadow }).filter(([, base]) => base !== undefined);
  return { ...evidence.facts, registers: { ...evidence.facts.registers, ...Object.fromEntries(bases) } };
}

/** Names and lines for addresses of a kernel that KASLR has moved. */
function movedBy(
  offset: bigint,
  { symbol, line, find }: ExplainOptions,
): Pick<ExplainOptions, 'symbol' | 'line' | 'find'> {
  const moved = (address: bigint | undefined): bigint | undefined => address && BigInt.asUintN(64, address + offset);
  return {
    symbol: symbol && ((address) => symbol(address - offset)),
    line: line && ((address) => line(address - offset)),
    find: find && ((name) => moved(find(name))),
  };
}

interface FactsOptions extends ExplainOptions {
  readonly related?: readonly Facts[];
  readonly whole?: boolean;
  readonly lines?: { readonly firstLine: number; readonly lastLine: number };
}

function explainFacts(facts: Facts, given: FactsOptions): Explanation {
  const options = { ...given, ...movedBy(facts.kernelOffset ?? 0n, given) };
  const of = buildCase(facts, options);
  const judgements = rank(of);
  const [first] = judgements as readonly [Judgement, ...Judgement[]];
  const verdict = {
    id: first.diagnosis.id,
    text: inWords(first.diagnosis.verdict, of),
    family: first.diagnosis.family,
    certainty: first.certainty,
  };
  return {
    summary: summaryOf(of, verdict.text),
    verdict,
    crash: crashFacts(of, options),
    access: accessFacts(of),
    mode: modeFacts(of),
    errorCode: errorCodeFacts(facts),
    walk: walkFacts(of),
    code: codeFacts(of),
    registers: registerNotes(of),
    trace: facts.trace ?? [],
    contradictions: contradictions(of),
    findings: findings(of),
    causes: judgements.map((judgement) => causeOf(judgement, of)),
    next: first.diagnosis.next(of),
    missing: missing(of),
    remarks: facts.remarks ?? [],
    machine: options.machine && { evidence: options.machine, story: story(options.machine) },
  };
}

/** A checker's report without registers: where the access was is the first line of its trace. */
const firstOfReport = ({ kind, address, trace }: Facts): string | undefined =>
  kind === 'sanitizer' && address !== undefined ? trace?.[0]?.symbol : undefined;

const ACCESS_VERBS = { read: 'read from', write: 'wrote to', fetch: 'tried to execute' } as const;
const WENT_ON: readonly CrashKind[] = ['warning', 'sanitizer', 'soft-lockup', 'rcu-stall', 'hung-task', 'state-dump'];
const WHO = {
  'guest-kernel': 'guest kernel',
  'guest-user': 'guest program',
  hypervisor: 'hypervisor',
  kernel: 'kernel',
  user: 'program',
  'hvm-guest': 'HVM guest',
} as const;

function summaryOf(of: Case, verdict: string): string {
  const { facts, access, address, page } = of;
  const subject = subjectOf(of);
  const target = address ?? page;
  const happened =
    access !== undefined && target !== undefined && of.isPageFault !== false
      ? ` when ${pronounOf(of)} ${ACCESS_VERBS[access]} ${hex64(target)}`
      : facts.headline === undefined
        ? ''
        : ` ("${facts.headline}")`;
  // What software reports, and what merely stands still, is no crash.
  const goesOn = facts.kind !== undefined && WENT_ON.includes(facts.kind);
  return goesOn ? `${subject}: ${verdict}.` : `${subject} crashed${happened}: ${verdict}.`;
}

function subjectOf({ facts }: Case): string {
  switch (facts.system) {
    case 'xen-guest':
      return facts.domain === undefined ? 'A Xen guest' : `Xen domain ${facts.domain}`;
    case 'xen':
      return `Xen itself${facts.version === undefined ? '' : ` (${facts.version})`}`;
    case 'linux':
      return `The Linux kernel${facts.version === undefined ? '' : ` (${facts.version})`}`;
    default:
      return 'Something';
  }
}

const pronounOf = ({ mode, facts }: Case): string =>
  mode.who === 'guest-user' || mode.who === 'user'
    ? 'a program'
    : facts.system === 'xen-guest'
      ? mode.who === 'guest-kernel'
        ? 'its kernel'
        : 'it'
      : 'it';

/** Where rip is: the number, or what the text's symbol says with the help of a symbol file. */
function ripOf({ registers, ripSymbol }: Facts, { find }: ExplainOptions): bigint | undefined {
  if (registers?.rip !== undefined) return registers.rip;
  const [, name, offset] = /^([\w.$]+)\+0x([0-9a-f]+)/.exec(ripSymbol ?? '') ?? [];
  const start = name === undefined ? undefined : find?.(name);
  return start === undefined ? undefined : start + BigInt(`0x${offset}`);
}

function crashFacts({ facts }: Case, options: FactsOptions): CrashFacts {
  const { lines, symbol, line } = options;
  const { registers, vector } = facts;
  const known = vector === undefined ? undefined : VECTORS[vector];
  const rip = registers?.rip;
  const place = ripOf(facts, options);
  return {
    system: facts.system,
    kind: facts.kind,
    headline: facts.headline,
    vector,
    exception: vector === undefined ? undefined : known ? `${known.mnemonic} ${known.xenName}` : `vector ${vector}`,
    domain: facts.domain,
    vcpu: facts.vcpu,
    cpu: facts.cpu,
    task: facts.task,
    pid: facts.pid,
    version: facts.version,
    hardware: facts.hardware,
    rip,
    symbol: facts.ripSymbol ?? (rip === undefined ? firstOfReport(facts) : symbol?.(rip)),
    source: place === undefined ? undefined : line?.(place),
    firstLine: lines?.firstLine,
    lastLine: lines?.lastLine,
  };
}

function accessFacts(of: Case): AccessFacts | undefined {
  const { access, address, page, place, operand, effects, disassembly } = of;
  const line = disassembly?.lines.find(({ trapping }) => trapping);
  if (access === undefined && address === undefined && page === undefined && line === undefined) return undefined;
  // Where a lock-up or a report found the CPU, nothing faulted.
  const isFault = of.isPageFault !== undefined || address !== undefined || page !== undefined;
  return {
    kind: isFault ? access : undefined,
    address,
    page,
    place: place?.words,
    bytes: !isFault || operand?.faults === false ? undefined : operand?.access.bytes,
    instruction: line?.intel,
    operand: operandText(line?.intel),
    operandAddress: operand?.access.address,
    operandAgrees: operand?.faults,
    value: isFault && operand?.access.kind === 'write' ? effects?.stored : undefined,
  };
}

/** The memory operand as the disassembly writes it. */
const operandText = (intel: string | undefined): string | undefined => /\[[^\]]+\]/.exec(intel ?? '')?.[0];

const modeFacts = ({ mode }: Case): ModeFacts => ({
  who: mode.who && WHO[mode.who],
  cpl: mode.cpl,
  because: mode.because,
});

const errorCodeFacts = ({ vector, errorCode, system }: Facts): ErrorCodeFacts | undefined =>
  vector === undefined || errorCode === undefined
    ? undefined
    : { value: errorCode, bits: errorCodeBits(vector, errorCode, system === 'xen-guest') };

function walkFacts({ walk, allowed, linear }: Case): WalkFacts | undefined {
  if (walk === undefined) return undefined;
  return {
    address: walk.address,
    levels: walk.steps.map((step) => ({
      level: step.level,
      index: step.statedIndex ?? step.computedIndex,
      indexFromAddress: step.computedIndex,
      indexAgrees: step.indexAgrees,
      entry: step.entry,
      frame: step.frame,
      pfn: step.pfn,
      present: step.present,
      large: step.large,
      flags: step.flags,
    })),
    missing: walk.missing,
    outcome: walk.outcome,
    rights: { writable: walk.writable, user: walk.user, executable: walk.executable },
    allowsAccess: allowed,
    pfnCheck:
      linear === undefined || walk.pfn === undefined
        ? undefined
        : { pfn: walk.pfn, base: linear.base, words: linear.words },
  };
}

const codeFacts = ({ disassembly }: Case): readonly CodeFacts[] =>
  (disassembly?.lines ?? []).map(({ address, offset, bytes, intel, att, trapping }) => ({
    address,
    offset,
    bytes: hexBytes(bytes),
    intel,
    att,
    trapping,
  }));

/** Registers that matter, and why. */
function registerNotes(of: Case): readonly RegisterNote[] {
  const { facts, handed, nearRegisters, idiom } = of;
  const notes: RegisterNote[] = [];
  for (const { register, value, offset } of nearRegisters.slice(0, 4))
    notes.push({
      register,
      value,
      says:
        offset === 0n
          ? 'the faulting address'
          : `the faulting address is ${offset < 0n ? '-' : '+'}${hex(offset < 0n ? -offset : offset)} from here`,
    });
  notes.push(...operandRegisters(of).filter(({ register }) => !notes.some((note) => note.register === register)));
  if (handed !== undefined) {
    notes.push({
      register: handed.register,
      value: handed.value,
      says: handed.matchesWalk ? "the page's entry, as the guest hands it to Xen" : 'looks like an entry handed to Xen',
    });
    if (handed.hypercall !== undefined)
      notes.push({
        register: 'rdx',
        value: handed.hypercall.flags,
        says:
          handed.hypercall.flush === 'none'
            ? 'flags of the hypercall: no flush'
            : `flags of the hypercall: ${handed.hypercall.flush}`,
      });
  }
  const rcx = facts.registers?.rcx;
  if (idiom !== undefined && rcx !== undefined)
    notes.push({
      register: 'rcx',
      value: rcx,
      says: `counter of ${idiom.name}${idiom.turn === 'first' ? ': first turn' : ''}`,
    });
  return notes;
}

/** Base and index of the faulting operand. */
function operandRegisters({ operand, instruction, facts }: Case): RegisterNote[] {
  const memory = operand?.access.operand === undefined ? undefined : instruction?.operands[operand.access.operand];
  if (memory?.kind !== 'memory') return [];
  const parts = [
    [memory.base, 'base of the operand'],
    [memory.index, `index of the operand, times ${memory.scale}`],
  ] as const;
  return parts.flatMap(([number, says]) => {
    const register = GPR_NAMES[number] as WordRegister | undefined;
    const value = register && facts.registers?.[register];
    return register === undefined || value === undefined ? [] : [{ register, value, says }];
  });
}

const causeOf = (
  { diagnosis, score, certainty, evidenceFor, evidenceAgainst, wanted }: Judgement,
  of: Case,
): Cause => ({
  id: diagnosis.id,
  text: inWords(diagnosis.verdict, of),
  family: diagnosis.family,
  certainty,
  score,
  explanation: diagnosis.explanation(of),
  evidenceFor,
  evidenceAgainst,
  wanted,
  sources: diagnosis.sources,
  alike: diagnosis.alike ?? [],
});
