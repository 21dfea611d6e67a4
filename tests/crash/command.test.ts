// `paravane explain` as a command: files, streams, encodings, what cannot be read, and the exit status.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ExplainCommandOptions, explainCommand } from '../../src/app/cli/explain.js';
import { InputError } from '../../src/base/failures.js';

const SEED = join(import.meta.dirname, 'crash-dl380-g4.txt');
const PAGE = join(import.meta.dirname, 'commit-page.txt');
const STALE = 'stale TLB\nentry: rights were raised in memory, and the CPU still held the old translation.';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'paravane-explain-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

async function run(files: readonly string[], options: ExplainCommandOptions = {}, input: Iterable<Uint8Array> = []) {
  const [out, err]: [string[], string[]] = [[], []];
  const status = await explainCommand(files, options, {
    stdin: Readable.from(input),
    stdout: { write: (text: string | Uint8Array) => out.push(String(text)) },
    stderr: { write: (text: string | Uint8Array) => err.push(String(text)) },
  });
  return { status, out: out.join(''), err: err.join('') };
}

test('a file', async () => {
  const { status, out, err } = await run([SEED]);
  expect([status, err]).toEqual([0, '']);
  expect(out).toContain(STALE);
});

test('standard input, in pieces', async () => {
  const bytes = readFileSync(PAGE);
  const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) => bytes.subarray(i * 7, i * 7 + 7));
  const { status, out } = await run([], {}, pieces);
  expect(status).toBe(0);
  expect(out).toContain('mov [rdi], rax');
});

describe('encodings', () => {
  const text = readFileSync(PAGE, 'utf8');
  test.each([
    ['UTF-8 with a mark', Buffer.from(`\ufeff${text}`)],
    ['UTF-16, little-endian', Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16, big-endian', Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
    ['Windows-1252', Buffer.from(text, 'latin1')],
    ['gzip', gzipSync(text)],
  ])('%s', async (name, bytes) => {
    const { status, out } = await run([file(`${name}.log`, bytes)]);
    expect(status).toBe(0);
    expect(out).toContain(STALE);
  });
});

test('--json carries the facts as fields, words as 0x strings', async () => {
  const { out } = await run([PAGE], { json: true });
  const { crashes, lines, noise } = JSON.parse(out);
  expect([lines, noise]).toEqual([63, 39]);
  expect(crashes[0]).toMatchObject({
    verdict: { id: 'stale-tlb-entry', certainty: 'very likely' },
    crash: { domain: 244, vector: 14, rip: '0xffffffff81263f22' },
    access: { kind: 'write', address: '0xffffffff84dc7000', instruction: 'mov [rdi], rax', bytes: 8 },
    walk: { allowsAccess: true, levels: [{}, {}, {}, { index: 0x1c7, frame: '0xdc8da', pfn: '0x4dc7' }] },
  });
});

test('--markdown', async () => {
  const { out } = await run([SEED], { markdown: true });
  expect(out).toMatch(/^## Xen domain 244 crashed/);
  expect(out).toContain('### Causes, most likely first');
});

test.each([40, 60, 120])('--width %i', async (width) => {
  const { out } = await run([SEED], { width });
  const tooLong = out.split('\n').filter((line) => line.length > width);
  // What has no blank to break at, and the columns of the walk.
  expect(tooLong.filter((line) => !/^ *└? ?L\d/.test(line) && line.trim().split(' ').at(-1)!.length < 16)).toEqual([]);
});

test('several crashes are numbered', async () => {
  const text = readFileSync(SEED, 'utf8');
  const { out } = await run([file('two.log', text + text.replaceAll('244', '245'))]);
  expect(out).toContain('Crash 1 of 2');
  expect(out).toContain('Crash 2 of 2');
});

test('symbols from a System.map name rip', async () => {
  const map = file('System.map', 'ffffffff81263f10 T clear_page\nffffffff81263f80 T copy_page\n');
  expect((await run([SEED], { symbols: [map] })).out).toContain('ffffffff81263f22, clear_page+0x12');
});

describe('nothing to explain: status 4, one line', () => {
  test.each([
    ['an empty file', '', 'is empty'],
    ['a log without a crash', '[    0.000000] Linux version 6.1.0\nall is well\n', 'no crash found in 2 lines'],
  ])('%s', async (name, content, says) => {
    const { status, out, err } = await run([file(name, content)]);
    expect([status, out]).toEqual([4, '']);
    expect(err).toMatch(new RegExp(`^paravane: .*${says}\n$`));
  });

  test('with --json the answer is still JSON', async () => {
    const { status, out } = await run([file('none.log', 'nothing\n')], { json: true });
    expect(status).toBe(4);
    expect(JSON.parse(out)).toMatchObject({ crashes: [], lines: 1, noise: 1 });
  });
});

describe('what cannot be read is an InputError, which exits with 2', () => {
  const binary = Uint8Array.from({ length: 5000 }, (_, i) => (i * 37) & 0xff);
  test.each([
    ['a missing file', () => '/nonexistent.log', 'there is no such file'],
    ['a directory', () => folder, 'is a directory'],
    ['binary data', () => file('binary', binary), 'is not text'],
    ['an ELF file', () => file('elf', Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])), 'is an ELF file'],
    ['xz', () => file('log.xz', Uint8Array.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])), 'xzcat'],
    ['a broken gzip file', () => file('broken.gz', gzipSync('x'.repeat(999)).subarray(0, 20)), 'cannot be read'],
  ])('%s', async (_, path, says) => {
    await expect(run([path()])).rejects.toThrow(InputError);
    await expect(run([path()])).rejects.toThrow(says);
  });

  test('a symbol file that is none', async () => {
    await expect(run([SEED], { symbols: [file('prose', 'no symbols here\n')] })).rejects.toThrow('is no System.map');
  });
});

test('a long log is streamed: three crashes far apart are found', async () => {
  const noise = Buffer.from(
    '[  100.000000] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n'.repeat(20_000),
  );
  const crash = readFileSync(SEED);
  const { out, status } = await run([], { json: true }, [noise, crash, noise, noise, crash, noise, crash, noise]);
  expect(status).toBe(0);
  expect(
    JSON.parse(out).crashes.map(({ crash: { firstLine } }: { crash: { firstLine: number } }) => firstLine),
  ).toEqual([20_001, 60_015, 80_029]);
});

test('a text that prints names only gets a line from a file with debug information', async () => {
  const { explain } = await import('../../src/crash/index.js');
  const text = '[1.0] BUG: kernel NULL pointer dereference, address: 0000000000000008\n[1.0] RIP: 0010:run+0x8/0x20\n';
  const names = {
    find: (name: string) => (name === 'run' ? 0xffffffff81000000n : undefined),
    line: (address: bigint) => (address === 0xffffffff81000008n ? 'a.c:9' : undefined),
  };
  expect(explain(text, names).crashes[0]?.crash).toMatchObject({ symbol: 'run+0x8/0x20', source: 'a.c:9' });
});

test("KASLR's offset is taken off before files are asked", async () => {
  const { explain } = await import('../../src/crash/index.js');
  const text =
    '[1.0] BUG: unable to handle page fault for address: ffff888000000008\n' +
    '[1.0] RIP: 0010:[<ffffffffac800010>]  [<ffffffffac800010>]\n' +
    '[1.0] Kernel Offset: 0x2b800000 from 0xffffffff81000000 (relocation range: 0xffffffff80000000-0xffffffffbfffffff)\n';
  const symbol = (address: bigint) => (address === 0xffffffff81000010n ? 'stext+0x10' : undefined);
  expect(explain(text, { symbol }).crashes[0]?.crash.symbol).toBe('stext+0x10');
});
