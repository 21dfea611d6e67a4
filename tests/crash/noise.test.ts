// The same dump as terminals, loggers, mail programs and web pages leave it: what it states stays the same.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Evidence, explain, print, scan, toJsonValue } from '../../src/crash/index.js';
import { sketch, UPPER } from './reports.js';

const LOG = readFileSync(join(import.meta.dirname, 'crash-dl380-g4.txt'), 'utf8');
const FULL = print(
  sketch({
    form: '4.17',
    errorCode: 3,
    entries: [...UPPER, 0x00100000dc8da067n],
    words: Array.from({ length: 10 }, (_, n) => BigInt(n)),
  }),
);

const each = (text: string, change: (line: string, index: number) => string): string =>
  text.split('\n').slice(0, -1).map(change).join('\n');
const bare = (line: string): string => line.replace(/^\(XEN\) /, '');
const wrapAt =
  (columns: number) =>
  (line: string): string =>
    line.replace(new RegExp(`(.{${columns}})(?=.)`, 'g'), '$1\n');
/** As mail programs do: at the last blank before the column. */
const foldAt =
  (columns: number) =>
  (line: string): string => {
    const cut = line.length > columns ? line.lastIndexOf(' ', columns) : -1;
    return cut < 20 ? line : `${line.slice(0, cut + 1)}\n${line.slice(cut + 1)}`;
  };

/** Where it stands in the text is the one thing that layout may change. */
const stated = (text: string): unknown =>
  scan(text).crashes.map(({ facts, formats, whole }: Evidence) => toJsonValue({ facts, formats, whole }));

describe.each([
  ['the seed', LOG],
  ['a whole dump', FULL],
])('%s', (_, text) => {
  test.each<[string, (text: string) => string]>([
    ['CR LF', (t) => t.replaceAll('\n', '\r\n')],
    ['CR alone', (t) => t.replaceAll('\n', '\r')],
    ['no last line end', (t) => t.trimEnd()],
    ['non-breaking spaces', (t) => t.replaceAll(' ', '\u00a0')],
    ['no (XEN)', (t) => each(t, bare)],
    ['byte-order mark', (t) => `\ufeff${t}`],
    ['trailing blanks', (t) => each(t, (line) => `${line}   `)],
    ['quote marks', (t) => each(t, (line) => `> > ${line}`)],
    ['tight quote marks', (t) => each(t, (line) => `>>> ${line}`)],
    ['indented', (t) => each(t, (line) => `      ${line}`)],
    ['a tab before', (t) => each(t, (line) => `\t${line}`)],
    ['HTML', (t) => `<html><pre>${t.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</pre>`],
    [
      'HTML with tags per line',
      (t) => each(t, (l) => `<span class="x">${l.replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</span><br/>`),
    ],
    ['HTML blanks', (t) => t.replaceAll(' ', '&nbsp;')],
    ['colours', (t) => each(t, (line) => `\u001b[31m${line}\u001b[0m`)],
    ['quoted-printable', (t) => t.replaceAll('=', '=3D')],
    ['Xen date', (t) => each(t, (line) => `(XEN) [2013-03-29 14:20:56] ${bare(line)}`)],
    ['Xen date with milliseconds', (t) => each(t, (line) => `(XEN) [2013-03-29 14:20:56.123] ${bare(line)}`)],
    ['Xen boot time', (t) => each(t, (line, n) => `(XEN) [   12.${100000 + n}] ${bare(line)}`)],
    ['Xen raw time', (t) => each(t, (line) => `(XEN) [000000a1b2c3d4e5] ${bare(line)}`)],
    ['syslog', (t) => each(t, (line) => `Mar 29 14:20:56 host1 xenlogd: ${line}`)],
    ['journal, ISO', (t) => each(t, (line) => `2013-03-29T14:20:56+0000 host1 conserver[12]: ${line}`)],
    ['terminal log', (t) => each(t, (line) => `[14:20:56] ${line}`)],
    ['screen log, whole date', (t) => each(t, (line) => `[Fri Mar 29 14:20:56 2013] ${line}`)],
    ['through a kernel', (t) => each(t, (line, n) => `[  100.${100000 + n}] ${line}`)],
    ['empty lines between', (t) => each(t, (line) => `${line}\n`)],
    ['folded at 72 by a mail program', (t) => each(t, foldAt(72))],
    ['folded at 60', (t) => each(t, foldAt(60))],
    ['broken at 80 by a terminal', (t) => each(t, wrapAt(80))],
    ['broken at 66', (t) => each(t, wrapAt(66))],
  ])('%s', (_name, change) => {
    expect(stated(change(text))).toEqual(stated(text));
  });

  test('console noise in between', () => {
    const noise = [
      '[  3.141593] usb 1-1: new device',
      'login: ',
      '',
      'Loading initrd ...',
      '(XEN) Freed 184kB init memory.',
    ];
    const noisy = each(text, (line, n) => `${noise[n % noise.length]}\n${line}`);
    expect(stated(noisy)).toEqual(stated(text));
    expect(scan(noisy).totals.noise - scan(text).totals.noise).toBe(text.split('\n').length - 1);
  });
});

test.each([
  ['nothing', ''],
  ['an empty line', '\n'],
  ['prose', 'The machine crashed yesterday.\nWe do not know why.\n'],
  [
    'a boot log',
    '[    0.000000] Linux version 6.1.0\n[    0.000001] Command line: root=/dev/xvda\n(XEN) Freed 184kB init memory.\n',
  ],
])('%s holds no crash', (_, text) => expect(explain(text).crashes).toEqual([]));

test('two crashes in one log', () => {
  const other = print(sketch({ domain: 9, errorCode: 0, vaddr: 0x10n, entries: [0n] }));
  const { crashes } = explain(`${FULL}noise\n${other}`);
  expect(crashes.map(({ crash, verdict }) => [crash.domain, verdict.id])).toEqual([
    [7, 'stale-tlb-entry'],
    [9, 'null-pointer-dereference'],
  ]);
});

test('the same crash twice is two crashes', () => expect(explain(FULL + FULL).crashes).toHaveLength(2));

test('a lone line of a walk is explained for what it is', () => {
  const [explanation] = explain('(XEN)  L1[0x1c7] = 001000004885f067 0000000000004dc7\n').crashes;
  expect(explanation?.crash.kind).toBe('fragment');
  expect(explanation?.walk?.levels[0]?.flags.map(({ name }) => name)).toContain('bit 52');
  expect(explanation?.verdict.id).toBe('unexplained');
});

describe('several writers at once', () => {
  const oops = (caller: string, address: string, symbol: string): string[] => [
    `[  100.000001][ ${caller}] BUG: kernel NULL pointer dereference, address: ${address}`,
    `[  100.000002][ ${caller}] #PF: supervisor read access in kernel mode`,
    `[  100.000003][ ${caller}] #PF: error_code(0x0000) - not-present page`,
    `[  100.000004][ ${caller}] PGD 0 P4D 0`,
    `[  100.000005][ ${caller}] Oops: 0000 [#1] SMP PTI`,
    `[  100.000006][ ${caller}] RIP: 0010:${symbol}+0x10/0x20`,
    `[  100.000007][ ${caller}] ---[ end trace 0000000000000000 ]---`,
  ];
  const braid = (...texts: readonly (readonly string[])[]): string =>
    Array.from({ length: Math.max(...texts.map(({ length }) => length)) }, (_, n) => texts.flatMap((t) => t[n] ?? []))
      .flat()
      .join('\n');

  test('tasks of one kernel, told apart by printk caller ids', () => {
    const { crashes } = explain(
      braid(oops('T100', '0000000000000010', 'first'), oops('T200', '0000000000000020', 'second')),
    );
    expect(crashes.map(({ access, crash }) => [access?.address, crash.symbol])).toEqual([
      [0x10n, 'first+0x10/0x20'],
      [0x20n, 'second+0x10/0x20'],
    ]);
  });

  test('Xen and a kernel', () => {
    const { crashes } = explain(braid(FULL.split('\n'), oops('C3', '0000000000000018', 'other')));
    expect(crashes.map(({ crash }) => crash.system).sort()).toEqual(['linux', 'xen-guest']);
    expect(crashes.find(({ crash }) => crash.system === 'xen-guest')?.verdict.id).toBe('stale-tlb-entry');
  });

  test("a guest's Xen inside a Xen", () => {
    const inner = FULL.split('\n').map((line) => `(d6) ${line}`);
    const { crashes } = explain(braid(LOG.split('\n'), inner));
    expect(crashes.map(({ crash }) => crash.domain).sort()).toEqual([244, 7]);
  });
});
