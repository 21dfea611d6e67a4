// Crash texts from public threads (tests/crash/corpus, sources in each entry): what was read of each, held against what the
// thread established. `npm run corpus` prints the same as a table.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkCorpus } from '../../scripts/corpus.mjs';
import { explain, renderMarkdown, renderText } from '../../src/crash/index.js';
import { DIAGNOSES } from '../../src/crash/rules/index.js';

const entries = checkCorpus(explain);

/** Readings that differ from the corpus, each with the reason why it stays so. */
const DIFFER: Readonly<Record<string, string>> = {
  'linux-4.14-chacha20-user-address version': 'the mail broke the line inside the version; joined it is …-symbol',
  'xen-4.14-interleaved-cpu-online version': "the banner is torn between two CPUs; it is read as the second crash's",
};

test('the corpus is as large as it should be', () => {
  expect(entries.length).toBeGreaterThanOrEqual(60);
  expect(entries.filter(({ expected }) => expected.system.startsWith('xen')).length).toBeGreaterThanOrEqual(20);
  expect(entries.filter(({ expected }) => expected.tlb).length).toBeGreaterThanOrEqual(5);
});

describe.each(entries.map((entry) => [entry.name, entry] as const))('%s', (name, { fields }) => {
  test.each(fields.map((field) => [field.name, field] as const))('%s', (fieldName, { wanted, got, right }) => {
    if (DIFFER[`${name} ${fieldName}`] !== undefined) expect(right).toBe(false);
    else expect({ right, got: right ? undefined : got, wanted: right ? undefined : wanted }).toEqual({ right: true });
  });

  test('renders within 80 columns but for what cannot be broken', () => {
    const text = readFileSync(join(import.meta.dirname, 'corpus', `${name}.log`), 'utf8');
    for (const crash of explain(text).crashes) {
      for (const line of renderText(crash, { width: 80 }).split('\n'))
        if (line.length > 80) expect(line.trim().split(' ').at(-1)?.length).toBeGreaterThan(30);
      expect(renderMarkdown(crash).length).toBeGreaterThan(100);
    }
  });
});

describe('diagnoses', () => {
  test.each(DIAGNOSES.flatMap(({ id, examples }) => examples.map((file) => [id, file] as const)))(
    '%s is what %s is explained by',
    (id, file) => {
      const path = join(import.meta.dirname, file);
      expect(existsSync(path)).toBe(true);
      expect(explain(readFileSync(path, 'utf8')).crashes[0]?.verdict.id).toBe(id);
    },
  );

  test('each has an id of its own, and sources unless it is the absence of one', () => {
    const ids = DIAGNOSES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(DIAGNOSES.filter(({ sources, id }) => sources.length === 0 && id !== 'unexplained')).toEqual([]);
  });
});
