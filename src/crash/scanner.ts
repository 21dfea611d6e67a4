// A stream of log text → the crashes in it, in constant memory and linear time. Knows lines, not systems: what a line means
// is in formats/. Lines of several writers (Xen, a kernel's CPUs or tasks, nested guests) may be interleaved: each writer
// has a crash of its own open at any time.
// Handles lines that a terminal or a mail program broke in two: when a line means nothing by itself and more when it is
// joined to the one before it, it is joined. Leaves out lines torn apart character by character by two CPUs.

import { X86_EXC_PF } from '../abi/exceptions.js';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../abi/xen-layout.js';
import type { CrashSystem, Facts } from './facts.js';
import type { Format } from './formats/format.js';
import { FORMATS } from './formats/index.js';
import { conflict, countStated, merge, overrule } from './merge.js';
import { type CleanLine, clean } from './text/clean.js';
import { lineSplitter } from './text/lines.js';

/** A crash as it stands in a text: what it states, and where. */
export interface Evidence {
  readonly facts: Facts;
  /** Numbers of its first and last line, from 1. */
  readonly firstLine: number;
  readonly lastLine: number;
  /** Names of the formats that were recognised, each once: what is missing follows from what is not here. */
  readonly formats: readonly string[];
  /** False when no line that begins a dump was seen: some lines of one, and no more. */
  readonly whole: boolean;
}

export interface Scanner {
  /** Takes the next piece of text, cut anywhere. */
  push(chunk: string): void;
  /** Ends the text: hands over the crashes still open, and says how much was read. */
  end(): ScanTotals;
}

export interface ScanTotals {
  readonly lines: number;
  /** Lines that no format recognises. */
  readonly noise: number;
}

/** A scanner that hands over each crash as soon as it is known to be complete. */
export function createScanner(found: (evidence: Evidence) => void): Scanner {
  return new LineScanner(found);
}

/** All crashes of a text, in the order of their first lines. */
export function scan(text: string): { readonly crashes: readonly Evidence[]; readonly totals: ScanTotals } {
  const crashes: Evidence[] = [];
  const scanner = createScanner((evidence) => crashes.push(evidence));
  scanner.push(text);
  const totals = scanner.end();
  return { crashes: crashes.sort((a, b) => a.firstLine - b.firstLine), totals };
}

/** At most this many writers have a crash open; the one that was silent longest is closed for a new one. */
const MOST_WRITERS = 16;
/** Remarks that precede a crash are kept this many deep, and forgotten after this many lines. */
const REMARKS = { kept: 4, lines: 40 };
/** How wide a terminal's line is: where it breaks one that it cannot show. */
const WRAP_COLUMNS = { from: 78, to: 82 };
/** A line is joined from no more than this many. */
const MOST_PARTS = 6;

interface Draft {
  readonly writer: string;
  readonly facts: Facts;
  readonly stage: number;
  readonly firstLine: number;
  readonly lastLine: number;
  readonly formats: ReadonlySet<string>;
  readonly whole: boolean;
}

/** What one line turned out to be. */
interface Reading {
  readonly format: Format;
  readonly writer: string;
  readonly facts: Facts;
}

/** The line before, kept in case the next one is its other half. */
interface Previous {
  readonly text: string;
  readonly line: number;
  readonly reading: Reading | undefined;
  /** The writer's crash before the line was added to it. */
  readonly before: Draft | undefined;
  /** It holds what some format looks for, or ends with the = of a soft break. */
  readonly hinted: boolean;
  /** Lines that it is made of. */
  readonly parts: number;
}

const HINTED = FORMATS.filter(({ hint }) => hint !== undefined);
const FOLLOWERS = FORMATS.filter(({ follows }) => follows !== undefined);
const FOLLOWED: ReadonlySet<string | undefined> = new Set(FOLLOWERS.map(({ follows }) => follows));

const XEN_MARK = '(XEN)';

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const HINTS = [...new Set(HINTED.map(({ hint }) => (hint instanceof RegExp ? hint.source : escaped(hint as string))))];
/** One pass over a line tells whether any format could want it; */
const ANY_HINT = new RegExp(HINTS.join('|'));
/** and one over a raw line, whether it could once it is cleaned: blanks of other kinds and HTML hide hints. */
const ANY_RAW_HINT = new RegExp([...HINTS, '[\\t\\u00a0\\u202f]', '&[lg]t;', '&nbsp;', '&#160;'].join('|'));

class LineScanner implements Scanner {
  private readonly found: (evidence: Evidence) => void;
  private readonly splitter = lineSplitter((line) => this.line(line));
  private readonly drafts = new Map<string, Draft>();
  private remarks: { readonly writer: string; readonly line: number; readonly facts: Facts }[] = [];
  private latest: string | undefined;
  private awaited: { readonly format: string; readonly writer: string } | undefined;
  private previous: Previous | undefined;
  private lines = 0;
  private recognised = 0;
  private lastRecognised = 0;

  constructor(found: (evidence: Evidence) => void) {
    this.found = found;
  }

  push(chunk: string): void {
    this.splitter.push(chunk);
  }

  end(): ScanTotals {
    this.splitter.end();
    const open = [...this.drafts.values()].sort((a, b) => a.firstLine - b.firstLine);
    for (const draft of open) this.close(draft);
    return { lines: this.lines, noise: this.lines - this.recognised };
  }

  private line(raw: string): void {
    this.lines++;
    const second = raw.indexOf(XEN_MARK, raw.indexOf(XEN_MARK) + 1);
    // Several printed lines in one: a mail program or a web page has run them together.
    for (const piece of second < 0 ? [raw] : raw.split(/(?=\(XEN\))/)) this.part(piece);
  }

  private part(raw: string): void {
    const { previous } = this;
    this.previous = undefined;
    const alone = previous === undefined || !couldBreakAt(previous, raw);
    if (alone && this.awaited === undefined && !ANY_RAW_HINT.test(raw)) {
      if (isWrapWidth(raw) || raw.endsWith('=')) this.previous = this.firstHalf(raw, clean(raw), false, undefined);
      return;
    }
    const line = clean(raw);
    const hinted = ANY_HINT.test(line.text);
    const reading = this.read(line, hinted);
    if (reading !== undefined) {
      this.countRecognised(1);
      const before = this.drafts.get(reading.writer);
      this.add(reading, this.lines);
      this.previous = { text: line.text, line: this.lines, reading, before, hinted: true, parts: 1 };
      return;
    }
    if (line.text.trim() === '') return;
    this.awaited = undefined;
    if (previous !== undefined && this.joins(previous, line)) return;
    this.previous = this.firstHalf(raw, line, hinted, previous);
  }

  /** Counts lines that mean something; of pieces of one line, only the first. */
  private countRecognised(lines: number): void {
    if (this.lastRecognised === this.lines) return;
    this.lastRecognised = this.lines;
    this.recognised += lines;
  }

  /** A line that means nothing, but may be the beginning of one that does; together with the line before, if that was one. */
  private firstHalf(raw: string, line: CleanLine, hinted: boolean, before: Previous | undefined): Previous | undefined {
    const goesOn = before !== undefined && before.reading === undefined && before.hinted && before.parts < MOST_PARTS;
    if (goesOn && line.origin === undefined && before.line === this.lines - 1) {
      const text = joinings(before.text, line.text).at(-1) as string;
      return { ...before, text, line: this.lines, parts: before.parts + 1 };
    }
    const wanted = hinted || line.text.endsWith('=');
    if (!wanted && !isWrapWidth(raw)) return undefined;
    return { text: line.text, line: this.lines, reading: undefined, before: undefined, hinted: wanted, parts: 1 };
  }

  /** What the line is to the crash that its writer has open, if it is anything. */
  private read(
    line: CleanLine,
    hinted: boolean,
    drafts: ReadonlyMap<string, Draft> = this.drafts,
  ): Reading | undefined {
    const { awaited } = this;
    if (hinted) {
      for (const format of HINTED) {
        const reading = this.readAs(format, line, drafts);
        if (reading !== undefined) return reading;
      }
    }
    if (awaited === undefined) return undefined;
    for (const format of FOLLOWERS) {
      if (format.follows !== awaited.format) continue;
      const reading = this.readAs(format, line, drafts);
      if (reading !== undefined && reading.writer === awaited.writer) return reading;
    }
    return undefined;
  }

  private readAs(format: Format, line: CleanLine, drafts: ReadonlyMap<string, Draft>): Reading | undefined {
    if (format.origin !== undefined && line.origin !== undefined && format.origin !== line.origin) return undefined;
    if (format.needsPrefix && line.origin !== format.origin) return undefined;
    if (typeof format.hint === 'string' && !line.text.includes(format.hint)) return undefined;
    const writer = format.origin === undefined ? this.latest : `${format.origin}/${line.writer}`;
    if (writer === undefined) return undefined;
    const draft = drafts.get(writer);
    if (draft === undefined && format.role === 'inside') return undefined;
    const known = draft?.facts ?? {};
    if (format.within !== undefined && !format.within(known)) return undefined;
    format.pattern.lastIndex = 0;
    const match = format.pattern.exec(line.text);
    if (match === null) return undefined;
    const facts = format.read(match, known);
    return facts === undefined ? undefined : { format, writer, facts };
  }

  /** Adds a recognised line to its writer's crash, or begins another one with it. */
  private add({ format, writer, facts }: Reading, line: number): void {
    this.awaited = FOLLOWED.has(format.name) ? { format: format.name, writer } : undefined;
    if (format.role === 'precedes') {
      this.remarks = [...this.remarks.filter((remark) => line - remark.line <= REMARKS.lines), { writer, line, facts }];
      if (this.remarks.length > REMARKS.kept) this.remarks.shift();
      return;
    }
    const draft = this.drafts.get(writer);
    if (format.role === 'cut') {
      if (draft !== undefined) this.close(draft);
      return;
    }
    const stage = typeof format.stage === 'function' ? format.stage(draft?.facts ?? {}) : format.stage;
    if (draft !== undefined && belongsTo(draft, stage, facts, format)) {
      this.keep({
        ...draft,
        facts: format.overrules ? overrule(draft.facts, facts) : merge(draft.facts, facts),
        stage: Math.max(draft.stage, stage ?? draft.stage),
        lastLine: line,
        formats: new Set([...draft.formats, format.name]),
        whole: draft.whole || format.role === 'begins',
      });
      return;
    }
    if (format.role === 'inside') return;
    if (draft !== undefined) this.close(draft);
    if (this.drafts.size >= MOST_WRITERS) this.close(oldest(this.drafts));
    this.keep({
      writer,
      facts: merge(facts, this.takeRemarks(writer, line)),
      stage: stage ?? 0,
      firstLine: line,
      lastLine: line,
      formats: new Set([format.name]),
      whole: format.role === 'begins',
    });
  }

  private takeRemarks(writer: string, line: number): Facts {
    const mine = this.remarks.filter((remark) => remark.writer === writer && line - remark.line <= REMARKS.lines);
    this.remarks = this.remarks.filter((remark) => remark.writer !== writer);
    return mine.reduce<Facts>((facts, remark) => merge(facts, remark.facts), {});
  }

  private keep(draft: Draft): void {
    this.drafts.set(draft.writer, draft);
    this.latest = draft.writer;
  }

  private close(draft: Draft): void {
    this.drafts.delete(draft.writer);
    if (this.latest === draft.writer) this.latest = undefined;
    const { facts, firstLine, lastLine } = draft;
    const whole = draft.whole || isSubstantial(facts);
    this.found({ facts: settle(facts, whole), firstLine, lastLine, formats: [...draft.formats], whole });
  }

  /** Tries the line as the second half of the one before; true when the two together say more than the first alone. */
  private joins(previous: Previous, line: CleanLine): boolean {
    if (line.origin !== undefined || line.writer !== '' || previous.line !== this.lines - 1) return false;
    const drafts = new Map(this.drafts);
    const { reading: half, before } = previous;
    if (half !== undefined) {
      if (before === undefined) drafts.delete(half.writer);
      else drafts.set(half.writer, before);
    }
    for (const text of joinings(previous.text, line.text)) {
      if (!ANY_HINT.test(text)) continue;
      const whole = this.read(
        { text, origin: half?.format.origin, writer: half ? writerName(half.writer) : '' },
        true,
        drafts,
      );
      const isSoftBreak = previous.text.endsWith('=');
      if (whole === undefined || (half !== undefined && !saysMore(whole, half, isSoftBreak))) continue;
      if (half !== undefined) {
        if (before === undefined) this.drafts.delete(half.writer);
        else this.drafts.set(half.writer, before);
      }
      this.countRecognised(half === undefined ? 1 + previous.parts : 1);
      this.add(whole, this.lines);
      this.previous = { text, line: this.lines, reading: whole, before, hinted: true, parts: previous.parts + 1 };
      return true;
    }
    return false;
  }
}

/** How much on each side of a break is looked at for a hint that was broken in two. */
const BREAK_CONTEXT = 64;

/** False when the line before was kept for its width alone, and nothing that any format could want lies across the break. */
function couldBreakAt({ text, reading, hinted }: Previous, raw: string): boolean {
  if (reading !== undefined || hinted) return true;
  return ANY_RAW_HINT.test(text.slice(-BREAK_CONTEXT) + raw.slice(0, BREAK_CONTEXT));
}

const isWrapWidth = (raw: string): boolean => raw.length >= WRAP_COLUMNS.from && raw.length <= WRAP_COLUMNS.to;

/** The part of a writer's key that tells it from others of the same origin. */
const writerName = (key: string): string => key.slice(key.indexOf('/') + 1);

/** The two halves as one line: as a mail program breaks (=, or at a blank) and as a terminal does (anywhere). */
function joinings(first: string, second: string): readonly string[] {
  if (first.endsWith('=')) return [first.slice(0, -1) + second];
  return [first + second.trimStart(), `${first.trimEnd()} ${second.trim()}`];
}

/** A soft break (=) of quoted-printable is sure: the line need not say more things, a longer one is enough. */
function saysMore(whole: Reading, half: Reading, isSoftBreak: boolean): boolean {
  const [more, before] = [countStated(whole.facts), countStated(half.facts)];
  return whole.format === half.format && (more > before || (isSoftBreak && more === before));
}

function belongsTo(draft: Draft, stage: number | undefined, facts: Facts, format: Format): boolean {
  if (format.overrules) return true;
  if (conflict(draft.facts, facts)) return false;
  if (stage === undefined || stage >= draft.stage) return true;
  // A dump that has said nothing yet: its printing failed, and another one begins at once.
  return draft.facts.registers === undefined && draft.facts.walk === undefined && draft.facts.address === undefined;
}

function oldest(drafts: ReadonlyMap<string, Draft>): Draft {
  return [...drafts.values()].reduce((a, b) => (a.lastLine <= b.lastLine ? a : b));
}

/** A dump without its beginning that still has a state worth explaining. */
const isSubstantial = ({ registers, trace, code }: Facts): boolean =>
  Object.keys(registers ?? {}).length >= 3 && (trace !== undefined || code !== undefined);

/** What the whole of the facts says that no single line did: whose dump it is, and of what kind. */
function settle(facts: Facts, whole: boolean): Facts {
  const system = facts.system ?? systemOf(facts);
  // Xen walks its own tables for page faults only.
  if (system === 'xen' && facts.kind === undefined && facts.walkFrom !== undefined)
    return { ...facts, system, kind: 'page-fault', vector: facts.vector ?? X86_EXC_PF };
  const kind = facts.is32Bit
    ? '32-bit'
    : (facts.kind ?? (whole ? (facts.crashCall === undefined ? undefined : 'domain-crash') : 'fragment'));
  return { ...facts, ...(system === undefined ? {} : { system }), ...(kind === undefined ? {} : { kind }) };
}

const XEN_SELECTORS = { hypervisor: 0xe008, lowestGuest: 0xe019 };

function systemOf({ context, selectors, walk, walkFrom, version }: Facts): CrashSystem | undefined {
  if (context === 'hypervisor' || selectors?.cs === XEN_SELECTORS.hypervisor) return 'xen';
  if (context !== undefined || (selectors?.cs ?? 0) >= XEN_SELECTORS.lowestGuest) return 'xen-guest';
  // A walk alone: of Xen's own area it is Xen's.
  if (walkFrom !== undefined && walkFrom >= HYPERVISOR_VIRT_START && walkFrom < HYPERVISOR_VIRT_END) return 'xen';
  return walk || walkFrom !== undefined || version !== undefined ? 'xen-guest' : undefined;
}
