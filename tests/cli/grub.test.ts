// A PV kernel that nobody here wrote: Debian's GRUB for Xen, from its package, run as a user runs it.

import { describe, expect, test } from 'vitest';
import { debianFile } from '../support/debian.js';
import { paravane } from './paravane.js';

const grub = debianFile('grub-xen-host', 'usr/lib/grub-xen/grub-x86_64-xen.bin');
const missing = 'missing' in grub ? grub.missing : undefined;
const path = 'path' in grub ? grub.path : '';

/** What a terminal would show, roughly: cursor movements and colours left out. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal control sequences begin with ESC.
const plain = (text: string): string => text.replace(/\x1b\[[\d;?]*[A-Za-z]/g, '').replaceAll('\r', '');

describe.skipIf(missing !== undefined)(`GRUB${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  const session = (stdin: string, ...options: string[]) =>
    paravane(['run', path, '--time-limit', '300', ...options], { stdin });

  test('its prompt appears, a typed command answers, halt ends with status 0', () => {
    const { status, stdout, stderr } = session('echo hello from grub\rhalt\r');
    expect(status).toBe(0);
    expect(plain(stdout)).toMatch(/GNU GRUB {2}version 2\.\d+/);
    expect(plain(stdout)).toMatch(/grub> echo hello from grub\nhello from grub\ngrub> halt/);
    expect(stderr).toContain('the guest ended (poweroff)');
  });

  test('a newline is Enter as well', () => {
    expect(plain(session('echo one\nhalt\n').stdout)).toContain('\none\ngrub>');
  });

  test('--until stops at the prompt', () => {
    expect(session('', '--until', 'grub>').status).toBe(0);
  });

  test('--time-limit ends a guest that waits for ever, with status 124', () => {
    const { status, stderr } = session('', '--time-limit', '3');
    expect(status).toBe(124);
    expect(stderr).toContain('--time-limit 3 is over');
  });

  test('the same command twice is the same run, to the instruction', () => {
    const runs = [1, 2].map(() => session('ls\rhalt\r', '--stats', '--json'));
    expect(runs[0]).toEqual(runs[1]);
    expect(JSON.parse(runs[0]?.stdout ?? '').instructions).toBeGreaterThan(10_000_000);
  });

  test.each([
    ['--tlb', 'coherent', '--refill', 'none'],
    ['--tlb', 'hoarding', '--refill', 'any', '--flush', 'abi'],
    ['--tlb', 'random', '--seed', '7', '--flush', 'xen-4.1'],
    ['--cpu', 'amd', '--flush', 'xen-4.17,xpti'],
    ['--xen', '4.1'],
  ])('boots with %s %s', (...options) => {
    const { status, stdout } = session('halt\r', ...options.filter((word) => word !== undefined));
    expect({ status, prompt: plain(stdout).includes('grub> halt') }).toEqual({ status: 0, prompt: true });
  });
});
