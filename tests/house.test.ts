// The house keeps its arrows: which room may import which (docs/architecture.md, "Rooms"). Fails when an import runs the
// wrong way, when a room below `app` names a Node module, and when a folder is not in the table.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const SRC = resolve(import.meta.dirname, '../src');

/** room -> rooms it may import, beside itself. The same table stands, with captions, in docs/architecture.md. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  abi: ['base'],
  memory: ['base', 'abi'],
  isa: ['base', 'abi'],
  mmu: ['base', 'abi', 'memory'],
  engine: ['base', 'abi', 'memory', 'isa', 'mmu'],
  xen: ['base', 'abi', 'memory', 'mmu', 'isa'],
  backends: ['base', 'abi', 'memory', 'xen'],
  builder: ['base', 'abi', 'memory'],
  sanitizer: ['base', 'abi', 'mmu'],
  crash: ['base', 'abi', 'isa'],
  symbols: ['base'],
  guests: ['base', 'abi', 'isa'],
  machine: [
    'base',
    'abi',
    'memory',
    'isa',
    'mmu',
    'engine',
    'xen',
    'backends',
    'builder',
    'sanitizer',
    'crash',
    'symbols',
    'guests',
  ],
  app: ['machine', 'sanitizer', 'crash', 'symbols', 'builder', 'guests', 'base', 'abi'],
};

/** Narrower than a whole room: `from` may take only these files of `room`. */
const ONLY_FILES: readonly { from: string; room: string; files: RegExp }[] = [
  { from: 'backends', room: 'xen', files: /^(events|grants|index)\.ts$/ },
  // It sees what is said about translations, and nothing of the TLB: a bug in there must not hide itself.
  { from: 'sanitizer', room: 'mmu', files: /^(events|access)\.ts$/ },
];

interface Import {
  readonly from: string;
  readonly target: string;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

/** Every specifier of a static import or re-export (which begin a line), and of a dynamic or type import. */
function specifiers(text: string): string[] {
  const statements = text.matchAll(/^(?:import|export)(?:\s[^;'=]*\bfrom)?\s*'([^']+)';/gm);
  const calls = text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g);
  return [...statements, ...calls].map((match) => match[1] as string);
}

const roomOf = (file: string): string => relative(SRC, file).split(/[\\/]/)[0] as string;

/** What is wrong with one import, or undefined. Split off so that the rule itself can be tested. */
function complaint({ from, target }: Import): string | undefined {
  const room = roomOf(from);
  const allowed = MAY_IMPORT[room];
  if (!allowed) return `${relative(SRC, from)}: the folder ${room} is not in the table of rooms`;
  if (!target.startsWith('.')) {
    if (room === 'app') return undefined;
    return `${relative(SRC, from)}: imports ${target}; below app nothing comes from outside the house`;
  }
  const file = resolve(dirname(from), target.replace(/\.js$/, '.ts'));
  const other = roomOf(file);
  if (other === room) return undefined;
  if (!allowed.includes(other)) return `${relative(SRC, from)}: ${room} may not import ${other} (${target})`;
  const narrow = ONLY_FILES.find((rule) => rule.from === room && rule.room === other);
  if (narrow && !narrow.files.test(relative(join(SRC, other), file)))
    return `${relative(SRC, from)}: of ${other}, ${room} may import only ${narrow.files.source} (${target})`;
  return undefined;
}

describe('the house', () => {
  const files = sourceFiles(SRC);

  test('no import runs the wrong way', () => {
    const complaints = files.flatMap((from) =>
      specifiers(readFileSync(from, 'utf8')).flatMap((target) => complaint({ from, target }) ?? []),
    );
    expect(complaints).toEqual([]);
  });

  test.each([
    ['engine/run.ts', '../xen/index.js', 'engine may not import xen'],
    ['xen/traps.ts', '../engine/index.js', 'xen may not import engine'],
    ['base/words.ts', '../abi/paging.js', 'base may not import abi'],
    ['crash/parse.ts', '../machine/index.js', 'crash may not import machine'],
    ['memory/frames.ts', 'node:fs', 'nothing comes from outside'],
    ['cellar/barrel.ts', '../base/hex.js', 'not in the table'],
  ])('the rule itself: %s importing %s is refused', (from, target, words) => {
    expect(complaint({ from: join(SRC, from), target })).toContain(words);
  });

  test('every form of import is seen', () => {
    const text = [
      "import { a } from './one.js';",
      "import type {\n  b,\n} from './two.js';",
      "export * from './three.js';",
      "import './four.js';",
      "const five = await import('./five.js');",
      "let six: import('./six.js').Six;",
      "const words = /walk from (x)/; // 'no import'",
      "export const seven = 'not one either';",
    ].join('\n');
    expect(specifiers(text)).toEqual(['./one.js', './two.js', './three.js', './four.js', './five.js', './six.js']);
  });

  test.each([
    ['engine/run.ts', '../mmu/index.js'],
    ['app/cli/main.ts', 'node:fs'],
    ['machine/run.ts', '../engine/index.js'],
  ])('the rule itself: %s importing %s is fine', (from, target) => {
    expect(complaint({ from: join(SRC, from), target })).toBeUndefined();
  });

  test('every room of the table has a line in docs/architecture.md', () => {
    const text = readFileSync(resolve(SRC, '../docs/architecture.md'), 'utf8');
    const missing = Object.keys(MAY_IMPORT).filter((room) => !text.includes(`\`${room}`));
    expect(missing).toEqual([]);
  });
});
