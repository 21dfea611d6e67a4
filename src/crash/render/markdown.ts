// An explanation as Markdown, for bug trackers and mail: the same content as the text, with tables and code blocks.

import { hex, hex64 } from '../../base/hex.js';
import { flagNames } from '../derive/entry-flags.js';
import type { Explanation } from '../explanation.js';

/** GitHub-flavoured Markdown. `level` is the depth of its top heading. */
export function renderMarkdown(of: Explanation, level = 2): string {
  const head = '#'.repeat(level);
  const parts: string[] = [`${head} ${inline(of.summary)}`];
  const section = (title: string, ...body: readonly string[]): void => {
    const lines = body.filter((line) => line !== '');
    if (lines.length > 0) parts.push(`${head}# ${title}`, lines.join('\n'));
  };
  section('Facts', factTable(of));
  if (of.errorCode !== undefined)
    section(
      `Error code ${hex(of.errorCode.value, 4)}`,
      rows(
        ['bit', 'name', 'value', 'says'],
        of.errorCode.bits.map(({ bit, name, set, meaning }) => [String(bit), name, set ? '1' : '0', meaning]),
      ),
    );
  if (of.walk !== undefined)
    section(
      'The page-table walk',
      rows(
        ['level', 'index', 'entry', 'frame', 'pfn', 'flags'],
        of.walk.levels.map(({ level: number, index, entry, frame, pfn, flags }) => [
          `L${number}`,
          index === undefined ? '' : `0x${hex(index, 3)}`,
          code(hex64(entry)),
          frame.toString(16),
          pfn === undefined ? '' : pfn === 'invalid' ? 'invalid' : pfn.toString(16),
          flagNames(flags),
        ]),
      ),
    );
  if (of.code.length > 0)
    section(
      'The code',
      '```',
      ...of.code.map(({ address, offset, bytes, intel, trapping }) =>
        `${trapping ? '->' : '  '} ${address === undefined ? hex(offset, 4) : hex64(address)}  ${bytes.padEnd(24)}  ${intel}`.trimEnd(),
      ),
      '```',
    );
  section('Contradiction', bullets(of.contradictions));
  section('What follows', bullets(of.findings));
  section('What the machine saw', bullets(of.machine?.story ?? []));
  section(
    'Causes, most likely first',
    ...of.causes.flatMap((cause, index) => [
      `${index + 1}. **${inline(cause.text)}** (${cause.certainty})`,
      ...(index === 0 ? [`   ${inline(cause.explanation)}`] : []),
      ...cause.evidenceFor.map((words) => `   - for: ${inline(words)}`),
      ...cause.evidenceAgainst.map((words) => `   - against: ${inline(words)}`),
      ...cause.wanted.map((words) => `   - would tell: ${inline(words)}`),
      ...(index === 0 ? cause.sources.map((source) => `   - see: ${inline(source)}`) : []),
    ]),
  );
  section('What to do', bullets(of.next));
  section('Not in the text', bullets(of.missing));
  return `${parts.join('\n\n')}\n`;
}

function factTable({ crash, access, mode }: Explanation): string {
  const facts: (readonly [string, string | undefined])[] = [
    ['system', crash.system],
    ['kind', crash.kind],
    ['exception', crash.exception],
    ['said', crash.headline],
    ['domain', crash.domain?.toString()],
    ['vCPU', crash.vcpu?.toString()],
    ['CPU', crash.cpu?.toString()],
    ['task', crash.task],
    ['version', crash.version],
    [
      'at',
      crash.rip === undefined
        ? undefined
        : [code(hex64(crash.rip)), crash.symbol, crash.source].filter(Boolean).join(' '),
    ],
    ['access', access?.kind],
    ['address', access?.address === undefined ? undefined : code(hex64(access.address))],
    ['there', access?.place],
    ['instruction', access?.instruction === undefined ? undefined : code(access.instruction)],
    ['mode', mode.who === undefined ? undefined : `${mode.who}${mode.cpl === undefined ? '' : `, CPL ${mode.cpl}`}`],
  ];
  return rows(
    ['fact', 'value'],
    facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

const code = (text: string): string => `\`${text}\``;
/** Characters that Markdown would take as its own, in a text that may come from anywhere. */
const inline = (text: string): string => text.replace(/[\\*_<>|`[\]#]/g, '\\$&');
const cell = (text: string): string => (text.startsWith('`') ? text.replaceAll('|', '\\|') : inline(text));
const bullets = (sentences: readonly string[]): string =>
  sentences.map((sentence) => `- ${inline(sentence)}`).join('\n');

function rows(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map((cells) => line(cells.map(cell)))].join('\n');
}
