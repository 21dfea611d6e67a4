// Every exhibit does what it says of itself: on each bench, before and after. And the command that shows them.

import { describe, expect, test } from 'vitest';
import { tryOut } from '../../src/app/cli/museum.js';
import { BENCHES, type BenchName, BUILDS, MUSEUM } from '../../src/guests/index.js';
import { paravane } from './paravane.js';

const benches = Object.keys(BENCHES) as BenchName[];

describe('an exhibit goes wrong where it says and only before; the sanitizer finds it everywhere, and nothing after', () => {
  for (const exhibit of MUSEUM)
    test(exhibit.name, () => {
      for (const build of BUILDS) {
        const trials = benches.map((bench) => tryOut(exhibit, build, bench));
        expect(
          trials.flatMap(({ bench, complaints }) => complaints.map((words) => `${build} on ${bench}: ${words}`)),
        ).toEqual([]);
      }
    });
});

describe('the exhibits', () => {
  test('have names of their own', () => {
    expect(new Set(MUSEUM.map(({ name }) => name)).size).toBe(MUSEUM.length);
  });

  test('are fine where no translation is ever stale, and wrong where all may be that the rules allow', () => {
    for (const { name, goesWrongOn } of MUSEUM) {
      expect(goesWrongOn, name).toContain('worst');
      expect(goesWrongOn, name).not.toContain('coherent');
    }
  });
});

describe('paravane museum', () => {
  test('lists them', () => {
    const { status, stdout } = paravane(['museum']);
    expect(status).toBe(0);
    for (const { name, title } of MUSEUM)
      expect(stdout).toMatch(new RegExp(`^${name} .*${title.replace(/\W/g, '.')}$`, 'm'));
  });

  test('tells of one, and runs it', () => {
    const { status, stdout } = paravane(['museum', 'remap']);
    expect(status).toBe(0);
    expect(stdout).toContain('museum: wrong: read the old frame');
    expect(stdout).toContain('museum: all is well');
  });

  test('takes a machine of the user’s choice', () => {
    const { stdout } = paravane(['museum', 'remap', '--tlb', 'coherent', '--json']);
    expect(JSON.parse(stdout).runs).toMatchObject([
      { build: 'before', tlb: 'coherent', verdict: 'fine', words: '' },
      { build: 'after', verdict: 'fine' },
    ]);
  });

  test('checks one', () => {
    const { status, stdout } = paravane(['museum', 'remap', '--check', '--json']);
    expect(status).toBe(0);
    const trials = JSON.parse(stdout) as { asExpected: boolean }[];
    expect(trials).toHaveLength(2 * benches.length);
    expect(trials.every(({ asExpected }) => asExpected)).toBe(true);
  });

  test('knows no other', () => {
    expect(paravane(['museum', 'mona-lisa'])).toMatchObject({ status: 2, stdout: '' });
  });
});
