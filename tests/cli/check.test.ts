// `paravane check` as a stranger runs it.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { debianFile } from '../support/debian.js';
import { paravane } from './paravane.js';

const check = (...args: string[]) => paravane(['check', ...args]);
const TITLE = 'stale translation without an added right: write in clear_page, entry changed in set_page_prot_flags';

describe('paravane check --guest seed', () => {
  test.each([
    [[]],
    [['--tlb', 'coherent', '--refill', 'none']],
    [['--tlb', 'hoarding', '--refill', 'any', '--cpu', 'amd', '--flush', 'abi']],
    [['--flush', 'xen-4.17,xpti']],
  ])('finds the bug on the first run: %s', (options) => {
    const { status, stdout } = check('--guest', 'seed', ...options);
    expect(status).toBe(3);
    expect(stdout).toContain(`PARAVANE: ${TITLE}\n  grade fatal`);
    expect(stdout.match(/#1 xen_setup_kernel_pagetable\+/g)?.length).toBeGreaterThanOrEqual(2);
    expect(stdout).toContain('by update_va_mapping with UVMF_NONE');
    expect(stdout).toContain('It takes: UVMF_INVLPG');
  });

  test('says which accident hides it', () => {
    expect(check('--guest', 'seed', '--flush', 'xen-4.17,xpti').stdout).toContain('This Xen hides it: XPTI');
    expect(check('--guest', 'seed', '--flush', 'xen-4.17,xpti', '--trust-accidents').status).toBe(0);
  });

  test('the command it prints stops right before the use', () => {
    const command = /Again, stopping there: paravane (.*)/.exec(check('--guest', 'seed').stdout)?.[1] ?? '';
    const { stdout } = paravane(command.split(' '));
    expect(stdout).toMatch(/stopped after 14,505 instructions/);
    expect(stdout).toMatch(/rip +ffffffff81263f22 clear_page\+0x12/);
  });

  test('the fixed guest: nothing, status 0', () => {
    const { status, stdout } = check('--guest', 'seed-fixed');
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('No finding.') as string });
  });

  test('--json and --sarif carry the same finding', () => {
    const [one] = JSON.parse(check('--guest', 'seed', '--json').stdout);
    expect(one.findings).toMatchObject([{ title: TITLE, grade: 'fatal', kind: 'right-added', mistake: 'no-flush' }]);
    const sarif = JSON.parse(check('--guest', 'seed', '--sarif').stdout);
    expect(sarif.version).toBe('2.1.0');
    expect(sarif.runs[0].results).toMatchObject([{ ruleId: 'right-added', level: 'error' }]);
  });

  test('suppressions hide what they name, and count it', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'paravane-')), 'rules');
    writeFileSync(file, '# known\nkind:right-added change:set_page_*\nuse:memcpy\n');
    const { status, stdout } = check('--guest', 'seed', '--suppressions', file);
    expect(status).toBe(0);
    expect(stdout).toContain('suppression "kind:right-added change:set_page_*" (line 2): hid 1');
    expect(stdout).toContain('suppression "use:memcpy" (line 3): hid nothing');
  });

  test('bad usage is one line and status 2', () => {
    expect(check().status).toBe(2);
    expect(check('--guest', 'seed', '--json', '--sarif').status).toBe(2);
    expect(check('/does/not/exist')).toMatchObject({ status: 2, stdout: '' });
  });
});

const grub = debianFile('grub-xen-host', 'usr/lib/grub-xen/grub-x86_64-xen.bin');
const missing = 'missing' in grub ? grub.missing : undefined;

describe.skipIf(missing !== undefined)(`GRUB${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  test('boots to its prompt without a finding of any grade', () => {
    const { status, stdout } = check('path' in grub ? grub.path : '', '--until', 'grub>', '--all');
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('No finding.') as string });
  });
});
