// Words into lines and cells into columns.

/** `text` wrapped at `width`: the first line behind `first`, the others behind `rest`. Ends with a line feed. */
export function paragraph(text: string, width: number, first = '', rest = first): string {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = rest;
      empty = true;
    }
    line += `${empty ? '' : ' '}${word}`;
    empty = false;
  }
  return `${[...lines, line].join('\n')}\n`;
}

/** A last column narrower than this goes onto a line of its own. */
const LEAST_COLUMN = 20;

/** Rows as columns two blanks apart, each behind `indent`; the last column is wrapped at `width`. One text for each row. */
export function table(rows: readonly (readonly string[])[], width: number, indent = ''): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows.map((row) => {
    const last = row.length - 1;
    const cells = row.slice(0, last).map((cell, i) => `${cell.padEnd(widths[i] ?? 0)}  `);
    const first = `${indent}${cells.join('')}`;
    const text = row[last] ?? '';
    if (text === '') return `${first.trimEnd()}\n`;
    if (first.length + LEAST_COLUMN > width) return `${first.trimEnd()}\n${paragraph(text, width, `${indent}    `)}`;
    return paragraph(text, width, first, ' '.repeat(first.length));
  });
}
