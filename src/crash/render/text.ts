// An explanation for a terminal: the sentence first, then what an expert wants to check, in the order in which they would.
// Knows no terminal: emphasis comes in as functions, and the width as a number.

import { hex, hex64 } from '../../base/hex.js';
import { type EntryFlag, flagNames } from '../derive/entry-flags.js';
import type { Cause, Explanation, WalkFacts, WalkLevelFacts } from '../explanation.js';
import { paragraph, table } from './layout.js';

/** The kinds of emphasis; each function takes and gives text of the same visible length. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly note: (text: string) => string;
}

const same = (text: string): string => text;
/** No emphasis: for files and pipes. */
export const plain: Style = { bold: same, dim: same, good: same, bad: same, note: same };

export interface RenderOptions {
  /** Columns; 80 unless given, and never below 40. */
  readonly width?: number;
  readonly style?: Style;
}

/** The explanation as lines of at most `width` columns (what cannot be broken may be longer). */
export function renderText(explanation: Explanation, options: RenderOptions = {}): string {
  return new TextReport(explanation, Math.max(options.width ?? 80, 40), options.style ?? plain).render();
}

/** Columns for an instruction's bytes: eight of them. */
const LONGEST_BYTES = 26;

class TextReport {
  private readonly of: Explanation;
  private readonly width: number;
  private readonly style: Style;
  private out = '';

  constructor(of: Explanation, width: number, style: Style) {
    this.of = of;
    this.width = width;
    this.style = style;
  }

  render(): string {
    const { of, style } = this;
    this.out += style.bold(paragraph(of.summary, this.width));
    this.facts();
    this.errorCode();
    this.walk();
    this.code();
    this.list('Contradiction', of.contradictions, style.bad);
    this.list('What follows', of.findings, same);
    this.trace();
    this.list('Said besides', of.remarks, same);
    this.machine();
    this.causes();
    this.list('What to do', of.next, same);
    this.list('Not in the text', of.missing, style.dim);
    return this.out;
  }

  private heading(title: string): void {
    this.out += `\n${this.style.note(title)}\n`;
  }

  private list(title: string, sentences: readonly string[], emphasis: (text: string) => string): void {
    if (sentences.length === 0) return;
    this.heading(title);
    for (const sentence of sentences) this.out += emphasis(paragraph(sentence, this.width, '  - ', '    '));
  }

  private facts(): void {
    const { crash, access, mode } = this.of;
    const rows: (readonly [string, string])[] = [];
    const row = (name: string, ...parts: (string | undefined | false)[]): void => {
      const words = parts.filter((part) => part !== undefined && part !== false && part !== '').join(', ');
      if (words !== '') rows.push([name, words]);
    };
    row(
      'crashed',
      systemWords(this.of),
      crash.version !== undefined && versionWords(this.of),
      crash.cpu !== undefined && `CPU ${crash.cpu}`,
    );
    row('exception', crash.exception);
    row('said', crash.headline !== undefined && `"${crash.headline}"`);
    row('task', crash.task, crash.pid !== undefined && `pid ${crash.pid}`);
    if (access !== undefined) {
      const target =
        access.address !== undefined
          ? hex64(access.address)
          : access.page !== undefined
            ? `page ${hex64(access.page)}`
            : undefined;
      const isKnown = access.kind !== undefined || target !== undefined;
      row('access', isKnown && `${accessWords(this.of)}${target === undefined ? '' : ` at ${target}`}`);
      row('there', access.place);
      row('instruction', access.instruction, operandWords(this.of));
    }
    row('at', crash.rip !== undefined && hex64(crash.rip), crash.symbol, crash.source);
    row('mode', mode.who, mode.cpl !== undefined && `CPL ${mode.cpl}`);
    if (crash.firstLine !== undefined) row('in the text', `lines ${crash.firstLine} to ${crash.lastLine}`);
    this.out += '\n';
    const labels = Math.max(...rows.map(([name]) => name.length));
    for (const [name, words] of rows) {
      this.out += paragraph(words, this.width, `  ${name.padEnd(labels)}  `, ' '.repeat(labels + 4));
      if (name !== 'mode') continue;
      for (const reason of mode.because)
        this.out += this.style.dim(paragraph(reason, this.width, ' '.repeat(labels + 4)));
    }
  }

  private errorCode(): void {
    const { errorCode } = this.of;
    if (errorCode === undefined) return;
    this.heading(`Error code ${hex(errorCode.value, 4)}`);
    for (const { bit, name, set, meaning } of errorCode.bits)
      this.out += paragraph(
        meaning,
        this.width,
        `  bit ${String(bit).padEnd(2)} ${name.padEnd(5)} ${set ? '1' : '0'}  `,
        ' '.repeat(18),
      );
  }

  private walk(): void {
    const { walk } = this.of;
    if (walk === undefined) return;
    this.heading('The page-table walk');
    if (walk.address !== undefined) this.out += paragraph(splitAddress(walk.address), this.width, '  ', '    ');
    const rows = walk.levels.map((level, depth) => [
      `${'  '.repeat(depth)}${depth === 0 ? '' : '└ '}L${level.level}${level.index === undefined ? '' : `[${hex(level.index, 3)}]`}`,
      hex64(level.entry),
      `mfn ${level.frame.toString(16)}`,
      level.pfn === undefined ? '' : `pfn ${level.pfn === 'invalid' ? '-' : level.pfn.toString(16)}`,
      flagWords(level),
    ]);
    const linux = this.of.crash.system === 'linux';
    const shown = linux
      ? rows.map(
          ([name, entry, frame, , flags]) =>
            [name, entry, (frame as string).replace('mfn', 'frame'), flags] as string[],
        )
      : (rows as string[][]);
    this.out += table(shown, this.width, '  ').join('');
    for (const level of walk.missing) this.out += `  ${this.style.dim(`L${level}: this line is missing`)}\n`;
    this.out += paragraph(rightsWords(walk), this.width, '  ');
    const notes = noteworthyFlags(walk);
    for (const note of notes) this.out += this.style.dim(paragraph(note, this.width, '  ', '    '));
  }

  private code(): void {
    const { code } = this.of;
    if (code.length === 0) return;
    const trap = code.findIndex(({ trapping }) => trapping);
    const from = Math.max(0, trap < 0 ? 0 : trap - 6);
    const shown = code.slice(from, trap < 0 ? 10 : trap + 4);
    this.heading('The code');
    const rows = shown.map(({ address, offset, bytes, intel, trapping }) => [
      trapping ? '->' : '',
      address === undefined ? hex(offset) : hex64(address),
      bytes.length > LONGEST_BYTES ? `${bytes.slice(0, LONGEST_BYTES - 3)}...` : bytes,
      intel,
    ]);
    for (const [index, line] of table(rows, this.width, '  ').entries())
      this.out += shown[index]?.trapping ? this.style.bold(line) : line;
  }

  private trace(): void {
    const named = this.of.trace.filter(({ symbol }) => symbol !== undefined);
    const certain = named.filter((line) => line.certain);
    // A trace that only guesses (Xen without frame pointers) is better than none.
    const shown = certain.length > 1 ? certain : named;
    if (shown.length < 2) return;
    this.heading(shown === certain ? 'Called from' : 'Called from, as far as the stack tells');
    this.out += paragraph(
      shown
        .slice(0, 12)
        .map(({ symbol }) => symbol)
        .join(' < '),
      this.width,
      '  ',
    );
  }

  private machine(): void {
    const { machine } = this.of;
    if (machine === undefined) return;
    this.list('What the machine saw', machine.story, same);
    if (machine.evidence.replay !== undefined)
      this.out += `  Again, to the instruction:\n    ${machine.evidence.replay}\n`;
  }

  private causes(): void {
    this.heading('Causes, most likely first');
    for (const [index, cause] of this.of.causes.entries()) this.cause(cause, index);
  }

  private cause(cause: Cause, index: number): void {
    const { style, width } = this;
    const mark = index === 0 ? style.bold : same;
    this.out += mark(paragraph(`${cause.text} (${cause.certainty})`, width, `  ${index + 1}. `, '     '));
    if (index === 0) this.out += paragraph(cause.explanation, width, '     ');
    for (const words of cause.evidenceFor) this.out += style.good(paragraph(words, width, '     + ', '       '));
    for (const words of cause.evidenceAgainst) this.out += style.bad(paragraph(words, width, '     - ', '       '));
    for (const words of cause.wanted) this.out += style.dim(paragraph(words, width, '     ? ', '       '));
    if (index > 0) return;
    for (const { name, words } of cause.alike)
      this.out += style.dim(paragraph(`${name}: ${words}`, width, '     like ', '          '));
    for (const source of cause.sources) this.out += style.dim(paragraph(source, width, '     see  ', '          '));
  }
}

const systemWords = ({ crash }: Explanation): string | undefined => {
  if (crash.system === 'xen-guest')
    return `a Xen guest${crash.domain === undefined ? '' : `: domain ${crash.domain}`}${crash.vcpu === undefined ? '' : `, vCPU ${crash.vcpu}`}`;
  if (crash.system === 'xen') return 'the hypervisor';
  return crash.system === 'linux' ? 'a Linux kernel' : undefined;
};

const versionWords = ({ crash }: Explanation): string =>
  `${crash.system === 'linux' ? 'Linux' : 'Xen'} ${crash.version}`;

function accessWords({ access }: Explanation): string {
  const size = access?.bytes === undefined ? '' : ` of ${access.bytes} byte${access.bytes === 1 ? '' : 's'}`;
  const kind = access?.kind === 'fetch' ? 'instruction fetch' : (access?.kind ?? 'access');
  return `${kind}${size}${access?.value === undefined ? '' : `, value 0x${access.value.toString(16)}`}`;
}

function operandWords({ access }: Explanation): string | undefined {
  if (access?.operandAddress === undefined || access.operand === undefined) return undefined;
  const address = hex64(access.operandAddress);
  return access.operandAgrees === false
    ? `${access.operand} = ${address}`
    : `${access.operand} = ${address}, the faulting address`;
}

/** "ffffffff84dc7000 = 1ff . 1fe . 026 . 1c7 . 000". */
function splitAddress(address: bigint): string {
  const parts = [39n, 30n, 21n, 12n].map((shift) => hex(Number((address >> shift) & 0x1ffn), 3));
  return `${hex64(address)} = ${parts.join(' . ')} . ${hex(Number(address & 0xfffn), 3)}`;
}

function flagWords(level: WalkLevelFacts): string {
  if (level.entry === 0n) return 'empty';
  const agree = level.indexAgrees === false ? '  (index of another address)' : '';
  return `${flagNames(level.flags)}${agree}`;
}

function rightsWords({ rights, outcome, levels, allowsAccess }: WalkFacts): string {
  if (outcome === 'not-present') return `Ends at level ${levels.at(-1)?.level}: not present.`;
  const right = (name: string, truth: boolean | undefined): string =>
    truth === undefined ? `${name}: not known` : truth ? name : `not ${name}`;
  const rightsText = [
    right('writable', rights.writable),
    right('user-accessible', rights.user),
    right('executable', rights.executable),
  ].join(', ');
  const verdict =
    allowsAccess === undefined
      ? ''
      : allowsAccess
        ? ' These tables allow the access.'
        : ' These tables forbid the access.';
  return `Effective rights: ${rightsText}.${verdict}`;
}

/** Software bits, explained once. */
function noteworthyFlags({ levels }: WalkFacts): readonly string[] {
  const byMeaning = new Map<string, Map<number, EntryFlag>>();
  for (const flag of levels.flatMap(({ flags }) => flags)) {
    if (flag.bit < 9 || flag.name === 'NX') continue;
    const alike = byMeaning.get(flag.meaning) ?? new Map<number, EntryFlag>();
    byMeaning.set(flag.meaning, alike.set(flag.bit, flag));
  }
  return [...byMeaning].map(([meaning, flags]) => {
    const sorted = [...flags.values()].sort((a, b) => a.bit - b.bit);
    return `${flagNames(sorted)}: ${meaning}`;
  });
}
