// Every format reads its own samples, and no earlier format takes them away.

import { describe, expect, test } from 'vitest';
import { FORMATS } from '../../src/crash/formats/index.js';
import { scan } from '../../src/crash/scanner.js';
import { clean } from '../../src/crash/text/clean.js';

describe.each(FORMATS.map((format) => [format.name, format] as const))('format %s', (_, format) => {
  test.each(format.samples.map((sample) => [sample.line, sample] as const))('%s', (line, { states, given }) => {
    format.pattern.lastIndex = 0;
    const match = format.pattern.exec(clean(line).text);
    expect(match).not.toBeNull();
    expect(format.read(match as RegExpExecArray, given ?? {})).toMatchObject(states);
    if (format.hint instanceof RegExp) expect(line).toMatch(format.hint);
    else if (format.hint !== undefined) expect(line).toContain(format.hint);
  });

  test('has a sample', () => expect(format.samples.length).toBeGreaterThan(0));
});

describe('what beginnings lead to', () => {
  const opening = FORMATS.filter(({ role }) => role === 'begins' || role === 'belongs');
  test.each(
    opening.flatMap((format) =>
      format.samples.filter(({ given }) => !given).map(({ line }) => [format.name, format.origin, line] as const),
    ),
  )('a line of %s alone is found by the scanner', (name, origin, line) => {
    const { crashes } = scan(`${origin === 'xen' ? '(XEN) ' : ''}${line}\n`);
    expect(crashes).toHaveLength(1);
    expect(crashes[0]?.formats).toEqual([name]);
  });
});

test('names are unique within an origin', () => {
  const names = FORMATS.map(({ name, origin }) => `${origin}/${name}`);
  expect(new Set(names).size).toBe(names.length);
});
