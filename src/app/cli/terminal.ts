// What a command may use of the outside world, gathered in one value so that a test can hand in its own.
// Colour only on a terminal; NO_COLOR and FORCE_COLOR are respected (picocolors reads them).

import type { Readable } from 'node:stream';
import pc from 'picocolors';
import type { Style } from '../../crash/index.js';

export type { Style };

export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown };
  readonly stdout: Output;
  readonly stderr: Output;
}

export interface Output {
  write(text: string | Uint8Array): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const forced = (): boolean => process.env['FORCE_COLOR'] !== undefined && process.env['FORCE_COLOR'] !== '0';

/** Emphasis for text that goes to `output`. */
export function styleFor(output: Output): Style {
  const colours = pc.createColors(pc.isColorSupported && (output.isTTY === true || forced()));
  return { bold: colours.bold, dim: colours.dim, good: colours.green, bad: colours.red, note: colours.cyan };
}

/** The width to lay text out for: the terminal's, but never wider than 100, and 80 where nobody says. */
export const widthOf = (output: Output): number => Math.min(output.columns ?? 80, 100);

/** A heading with a rule to the width, as the demo's steps use it. */
export function heading(text: string, width: number, style: Style): string {
  const rule = '─'.repeat(Math.max(0, Math.min(width, 80) - text.length - 1));
  return `${style.bold(text)} ${style.dim(rule)}\n`;
}

/** `rows` as columns padded to their widest cell; `right` names the columns that are aligned right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map((row) =>
      row
        .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** A whole number with thin grouping: 1,234,567. */
export const count = (n: number): string => n.toLocaleString('en-US');

/** Wraps a paragraph at `width`, each line after `indent`. */
export function paragraph(text: string, width: number, indent = ''): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(/\s+/)) {
    if (line.length > indent.length && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
    }
    line += (line.length > indent.length ? ' ' : '') + word;
  }
  return `${[...lines, line].join('\n')}\n`;
}
