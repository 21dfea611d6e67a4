// README.md shows the real output of real commands: each `$ npx paravane …` in it is run, and what stands below the command
// must come out, in that order. A line with only "…" stands for any number of lines.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { debianFile } from '../support/debian.js';
import { paravane } from './paravane.js';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const examples = [...readme.matchAll(/```console\n\$ (.*)\n([\s\S]*?)```/g)].map((match) => ({
  command: match[1] as string,
  shown: (match[2] as string).trimEnd(),
}));

/** Runs of lines that must stand together, in this order. */
const passages = (shown: string): string[] =>
  shown
    .split(/^…$/m)
    .map((passage) => passage.trim())
    .filter((passage) => passage !== '');

describe('README.md', () => {
  test('has examples', () => expect(examples.length).toBeGreaterThanOrEqual(3));

  test.for(examples)('$command', ({ command, shown }, { skip }) => {
    const [, typed, args] = /^(?:printf '([^']*)' \| )?npx paravane (.*)$/.exec(command) ?? [];
    expect(args, 'the form of the command').toBeDefined();
    const words = (args as string).split(' ');
    const grub = words.indexOf('grub-x86_64-xen.bin');
    if (grub >= 0) {
      const file = debianFile('grub-xen-host', 'usr/lib/grub-xen/grub-x86_64-xen.bin');
      if ('missing' in file) skip(file.missing);
      else words[grub] = file.path;
    }
    const { stdout, stderr } = paravane(words, { stdin: (typed ?? '').replaceAll('\\r', '\r') });
    let output = `${stdout}${stderr}`.replaceAll('\r', '');
    for (const passage of passages(shown)) {
      expect(output).toContain(passage);
      output = output.slice(output.indexOf(passage) + passage.length);
    }
  });
});
