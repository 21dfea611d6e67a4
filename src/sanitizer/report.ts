// A finding as text, in the manner of KCSAN and TSan: a title that stays the same, both sides with their stacks, and what the
// flushes in between did not do.

import { tableIndex } from '../abi/paging.js';
import { vpnToVaddr } from '../base/addresses.js';
import { hex, hex64 } from '../base/hex.js';
import { RIGHT_EXECUTE, RIGHT_USER, RIGHT_WRITE } from '../mmu/access.js';
import type { Answer, Change, Finding, FlushSeen, Grade, Mistake, Place } from './finding.js';

export interface ReportOptions {
  /** "clear_page+0x12"; undefined where no symbol covers the address. */
  readonly symbolOf: (address: bigint) => string | undefined;
  /** The command that runs this again and stops at an instruction. */
  readonly replay: (at: number) => string;
}

const RULE = '='.repeat(66);
const STACK_SHOWN = 8;

const GRADE_WORDS: Readonly<Record<Grade, string>> = {
  fatal: 'the guest dies of it: it has no handler for this fault, or did not survive it',
  're-use': 'the frame had a new use by then',
  'stale-use': 'a wrong frame, or a right that was no longer there',
  window: 'used before the flush came that was asked for',
  tolerated: 'a spurious fault that the guest has a handler for, or an accessed bit',
};

const MISTAKE_WORDS: Readonly<Record<Mistake, string>> = {
  'no-flush': 'No flush was asked for between the change and the use.',
  'flush-before-store': 'The flush came before the store: the old entry could be loaded again in between.',
  'batch-order': 'In the batch, the flush comes before the store: the old entry could be loaded again in between.',
  'other-vcpu': 'The flush reached another vCPU, and not this one.',
  'wrong-address': 'The flush named another address.',
  'wrong-alias': 'The flush named another address of the same frame.',
  'global-left': 'The flush leaves global translations, and this one is global.',
  'other-root': 'The entry was changed below another root than the one in use.',
};

/** What was wrong with the flushes, in a sentence. */
export const mistakeWords = (mistake: Mistake): string => MISTAKE_WORDS[mistake];

/** What a grade means, in a few words. */
export const gradeWords = (grade: Grade): string => GRADE_WORDS[grade];

/** The whole report; ends with a line break. */
export function renderFinding(finding: Finding, options: ReportOptions): string {
  const { change, use, stale, fresh, title, grade } = finding;
  const name = (address: bigint): string => {
    const symbol = options.symbolOf(address);
    return symbol === undefined ? hex64(address) : `${symbol} [${hex(address)}]`;
  };
  const stack = (first: bigint, place: Place): string[] =>
    [first, ...place.stack.filter((address) => address !== first)]
      .slice(0, STACK_SHOWN)
      .map((address, depth) => `    #${depth} ${name(address)}`);
  const page = vpnToVaddr(use.page);
  return `${[
    RULE,
    `PARAVANE: ${title}`,
    `  grade ${grade}: ${GRADE_WORDS[grade]}; ${times(finding.count)}`,
    '',
    `${use.by === 'xen' ? 'Xen, for the guest, made a ' : ''}${use.access} of page ${hex64(page)} by vCPU ${use.place.vcpu} at instruction ${use.at}:`,
    ...stack(use.place.rip, use.place),
    `  a stale translation gives: ${answerText(stale)}`,
    `  memory says:               ${answerText(fresh)}`,
    `  ${takenText(finding)}`,
    '',
    `The entry was changed by vCPU ${change.place.vcpu} at instruction ${change.at}, ${callText(change)}:`,
    ...stack(change.call?.site ?? change.place.rip, change.place),
    `  L${change.level} entry at machine address ${hex(change.address)}: ${hex64(change.before)} -> ${hex64(change.after)}`,
    `    (${differenceText(change)})`,
    '',
    ...loadLines(finding, stack),
    '',
    `${MISTAKE_WORDS[finding.mistake]}`,
    ...(finding.flushes.length > 0 ? finding.flushes.map(flushLine) : ['  (no flush of any kind since)']),
    ...(finding.hiddenBy === undefined
      ? []
      : [`  This Xen hides it: ${finding.hiddenBy}. Another need not flush there.`]),
    ...(finding.reuse === undefined ? [] : [`  The frame meanwhile: ${finding.reuse}.`]),
    `  It takes: ${finding.cure}`,
    '',
    `Page-table walk for ${hex64(page)}:`,
    ...finding.walk.steps.map(
      ({ level, entry }) => `  L${level}[0x${hex(tableIndex(page, level), 3)}] = ${hex64(entry)}`,
    ),
    '',
    `Again, stopping there: ${options.replay(use.at)}`,
    RULE,
  ].join('\n')}\n`;
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);

function answerText({ frame, rights, served }: Answer): string {
  if (frame === undefined) return 'no page: a fault';
  const words = [
    (rights & RIGHT_WRITE) !== 0 ? 'writable' : 'read-only',
    ...((rights & RIGHT_USER) !== 0 ? [] : ['supervisor']),
    ...((rights & RIGHT_EXECUTE) !== 0 ? [] : ['no-execute']),
  ];
  return `frame ${hex(frame)}, ${words.join(', ')}: ${served ? 'served' : 'a fault'}`;
}

function takenText({ taken, use }: Finding): string {
  if (!taken) return 'In this run the CPU took what memory says; another may not.';
  if (taken.at === use.at) return 'In this run the CPU used the stale one.';
  return `In this run the CPU took what memory says here, and the stale one at instruction ${taken.at} (page ${hex64(vpnToVaddr(taken.page))}).`;
}

function callText({ call, what }: Change): string {
  if (!call) return `by ${what}`;
  const flags = call.flags === undefined ? '' : ` with ${call.flags}`;
  const within = call.within ? ` (${call.within.name} entry ${call.within.index})` : '';
  return `by ${call.name}${flags}${within}`;
}

const BITS: readonly (readonly [bigint, string])[] = [
  [1n, 'P'],
  [2n, 'RW'],
  [4n, 'US'],
  [0x20n, 'A'],
  [0x40n, 'D'],
  [0x80n, 'PS'],
  [0x100n, 'G'],
  [1n << 63n, 'NX'],
];
const FRAME = 0x000f_ffff_ffff_f000n;

/** "RW 0->1, D 0->1", "frame 12ab -> 12ac". */
function differenceText({ before, after }: Change): string {
  const bits = BITS.flatMap(([bit, name]) => {
    const [old, now] = [(before & bit) !== 0n, (after & bit) !== 0n];
    return old === now ? [] : [`${name} ${old ? 1 : 0}->${now ? 1 : 0}`];
  });
  const frames =
    (before & FRAME) === (after & FRAME)
      ? []
      : [`frame ${hex((before & FRAME) >> 12n)} -> ${hex((after & FRAME) >> 12n)}`];
  return [...bits, ...frames].join(', ') || 'nothing that the CPU looks at';
}

const CAUSES: Readonly<Record<string, string>> = {
  access: 'by an access of the guest',
  'wrong-path': 'on a mispredicted path',
  any: 'by the CPU, unasked (--refill any)',
  chance: 'by chance (--tlb random)',
};

function loadLines({ loaded, couldLoadUntil }: Finding, stack: (first: bigint, place: Place) => string[]): string[] {
  if (!loaded)
    return [`The stale translation could be loaded until instruction ${couldLoadUntil}; in this run it was not.`];
  return [
    `The stale translation was loaded at instruction ${loaded.at} ${CAUSES[loaded.cause] ?? loaded.cause}:`,
    ...(loaded.cause === 'access' || loaded.cause === 'wrong-path' ? stack(loaded.place.rip, loaded.place) : []),
    `  (it could be loaded until instruction ${couldLoadUntil})`,
  ];
}

const flushLine = ({ vcpu, at, what, why }: FlushSeen): string =>
  `  instruction ${at}, vCPU ${vcpu}: ${what}\n    ${why}`;
