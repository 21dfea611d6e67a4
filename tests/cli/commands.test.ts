// The command line itself: help, bad usage, bad input, and what explain and run do with files that are none of theirs.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { seedImage } from '../../src/guests/index.js';
import { guestElf } from '../../src/machine/index.js';
import { paravane } from './paravane.js';

const folder = mkdtempSync(join(tmpdir(), 'paravane-cli-'));
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const kernel = guestElf(seedImage(true));
const patched = (at: number, ...bytes: number[]): Uint8Array => {
  const copy = kernel.slice();
  copy.set(bytes, at);
  return copy;
};

describe('paravane', () => {
  test.each([
    [['--help'], 'demo'],
    [['demo', '--help'], '--matrix'],
    [['run', '--help'], '124 a limit was reached'],
    [['explain', '--help'], '4 no crash found'],
    [['--version'], '0.1.0'],
  ])('%j is answered on stdout, with status 0', (args, words) => {
    const { status, stdout, stderr } = paravane(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(words);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test.each([
    [[], 'Usage: paravane'],
    [['fly'], "unknown command 'fly'"],
    [['run'], "missing required argument 'kernel'"],
    [['run', 'x', '--memory', '12q'], '--memory 12q: expected a size from 1M to 2G'],
    [['run', 'x', '--time-limit', '-1'], 'expected a whole number, at least 1'],
    [['explain', '--json', '--markdown'], '--json and --markdown exclude each other'],
  ])('%j is bad usage: status 2, and a word on what was expected', (args, words) => {
    const { status, stdout, stderr } = paravane(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(words);
  });
});

describe('paravane run refuses what it cannot boot: one line, status 2', () => {
  const EI_CLASS = 4;
  const E_MACHINE = 18;
  test.each([
    ['a truncated ELF', file('truncated', kernel.subarray(0, 40)), 'truncated'],
    ['an ELF cut in the middle', file('cut', kernel.subarray(0, 5000)), 'ends'],
    ['a 32-bit ELF', file('elf32', patched(EI_CLASS, 1)), '32-bit'],
    ['an ELF for another machine', file('arm', patched(E_MACHINE, 183, 0)), 'x86-64'],
    ['a text file', file('text', 'root=/dev/xvda1\n'), 'text'],
    ['an empty file', file('empty', ''), 'empty'],
    ['a directory', folder, 'directory'],
    ['a missing file', join(folder, 'nowhere'), 'no such file'],
    ['a program that is no PV kernel', process.execPath, 'note'],
  ])('%s', (_what, path, words) => {
    const { status, stdout, stderr } = paravane(['run', path]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/^paravane: /);
    expect(stderr.toLowerCase()).toContain(words);
  });

  test('too little memory, with what is needed', () => {
    const { status, stderr } = paravane(['run', file('seed', kernel), '--memory', '8M']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^paravane: .*\d+ (MiB|pages|KiB)/);
  });
});

describe('paravane run', () => {
  const seed = (fixed: boolean, pages = 0): string => file(`seed-${fixed}-${pages}`, guestElf(seedImage(fixed)));
  const policies = ['--tlb', 'hoarding', '--refill', 'any', '--flush', 'xen-4.1'];

  test('a clean shutdown is status 0, with the console on stdout', () => {
    const { status, stdout, stderr } = paravane(['run', seed(true), ...policies, '--stats']);
    expect(status).toBe(0);
    expect(stdout).toContain('seed: all is well; shutting down');
    expect(stderr).toMatch(/the guest ended \(poweroff\) after [\d,]+ instructions/);
    expect(stderr).toMatch(/update_va_mapping +11/);
  });

  test('a crash is status 1, with the dump and its explanation on stderr', () => {
    const { status, stderr } = paravane(['run', seed(false), ...policies]);
    expect(status).toBe(1);
    expect(stderr).toContain('unhandled page fault (ec=0003)');
    expect(stderr).toContain('UVMF_INVLPG would have removed the stale translation');
    expect(stderr).toContain('the guest crashed');
  });

  test('--until ends with success as soon as the text is seen, also across two writes', () => {
    const { status, stdout, stderr } = paravane(['run', seed(false), ...policies, '--until', 'of our own\r\n']);
    expect(status).toBe(0);
    expect(stdout).toContain('moving to page tables of our own');
    expect(stderr).toContain('the console has shown');
  });

  test('--stop-at stops before that instruction and shows the registers', () => {
    const { status, stderr } = paravane(['run', seed(true), ...policies, '--stop-at', '2']);
    expect(status).toBe(0);
    expect(stderr).toContain('after 2 instructions');
    expect(stderr).toMatch(/rip +[\da-f]{16} startup_xen\+0x/);
  });

  test('--json: one object on stdout, the console on stderr', () => {
    const { status, stdout, stderr } = paravane(['run', seed(true), ...policies, '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ending: 'ended', reason: 'poweroff', tlb: 'hoarding', refill: 'any' });
    expect(stderr).toContain('seed: hello');
  });
});

describe('paravane explain', () => {
  const log = new URL('../crash/crash-dl380-g4.txt', import.meta.url).pathname;

  test('reads a file or standard input', () => {
    const fromFile = paravane(['explain', log]);
    expect(fromFile.status).toBe(0);
    expect(fromFile.stdout).toContain('stale TLB');
    const { readFileSync } = process.getBuiltinModule('node:fs');
    expect(paravane(['explain'], { stdin: readFileSync(log, 'utf8') }).stdout).toBe(fromFile.stdout);
  });

  test.each([
    ['a log without a crash', 'all quiet\n', 4],
    ['an empty one', '', 4],
  ])('%s: one line, the right status', (_what, text, expected) => {
    const { status, stdout, stderr } = paravane(['explain'], { stdin: text });
    expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('a missing file is status 2', () => {
    expect(paravane(['explain', join(folder, 'nowhere')])).toMatchObject({ status: 2, stdout: '' });
  });
});
