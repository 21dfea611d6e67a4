// The seed's crash comes out of the machine because the machine computes it: the 2013 host's numbers give the 2013 text to the
// digit, and other numbers give another text, the right one.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { print } from '../../src/crash/index.js';
import { type KernelLayout, LAYOUT_2013, SEED, seedImage } from '../../src/guests/index.js';
import {
  guestElf,
  type HostConfig,
  Machine,
  type MachineConfig,
  parseFlushPolicy,
  parseStaleness,
} from '../../src/machine/index.js';

const LIMIT = 10_000_000;
const HOST: HostConfig = { profile: '4.1', version: '4.1.3OVM', domain: 244, cpu: 3, frames: SEED.hostFrames };
/** The demo's machine. */
const ORIGINAL = { tlb: 'demand', refill: 'wrong-path', cpu: 'intel', flush: 'xen-4.1' };

interface Wish {
  readonly fixed?: boolean;
  readonly layout?: KernelLayout;
  readonly initrdBytes?: number;
  readonly host?: Partial<HostConfig>;
  readonly policies?: Partial<typeof ORIGINAL>;
  readonly seed?: number;
}

function seedMachine(wish: Wish = {}): Machine {
  const policies = { ...ORIGINAL, ...wish.policies };
  const config: MachineConfig = {
    kernel: guestElf(seedImage(wish.fixed ?? false, wish.layout)),
    initrd: new Uint8Array(wish.initrdBytes ?? SEED.initrdBytes),
    commandLine: '',
    pages: SEED.pages,
    vcpus: 1,
    staleness: parseStaleness(policies),
    flush: parseFlushPolicy(policies.flush),
    seed: wish.seed ?? 1,
    host: { ...HOST, ...wish.host },
    name: 'seed',
  };
  return new Machine(config);
}

interface Outcome {
  readonly reason: string | undefined;
  readonly instructions: number;
  readonly console: string;
  /** The dump's lines; blanks at their ends are gone, as from the web page. */
  readonly lines: readonly string[];
}

function outcome(machine: Machine, slice = LIMIT): Outcome {
  let console = '';
  machine.onOutput((bytes) => {
    console += String.fromCharCode(...bytes);
  });
  while (!machine.ended && machine.retired < LIMIT) machine.run(machine.retired + slice);
  const report = machine.ended?.report;
  const lines = report ? print(report).split('\n') : [];
  return {
    reason: machine.ended?.reason,
    instructions: machine.retired,
    console,
    lines: lines.map((l) => l.trimEnd()),
  };
}

const runSeed = (wish?: Wish): Outcome => outcome(seedMachine(wish));

const reference = readFileSync(new URL('../crash/crash-dl380-g4.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');
const lineOf = (lines: readonly string[], beginning: string): string | undefined =>
  lines.find((line) => line.startsWith(`(XEN) ${beginning}`));

describe('the crash of 2013', () => {
  test('is the dump of the real host, line for line', () => {
    const { reason, lines } = runSeed();
    expect(reason).toBe('crash');
    expect(reference).toHaveLength(14);
    expect(lines.slice(0, 14)).toEqual(reference);
  });

  test('is cured by UVMF_INVLPG', () => {
    const { reason, console } = runSeed({ fixed: true });
    expect(reason).toBe('poweroff');
    expect(console).toContain('all is well');
    // The three recycled pages are no longer among the boot tables: 4dc6 + 3.
    expect(console).toContain('begin at pfn 4dc9');
  });

  test('another frame order gives other machine frames, and the same pfns', () => {
    // mfn = 90000 + pfn throughout.
    const { lines } = runSeed({ host: { frames: [{ pfns: SEED.pages, firstMfn: 0x90000, step: 1 }] } });
    expect(lineOf(lines, ' L4')).toBe('(XEN)  L4[0x1ff] = 0000000091789067 0000000000001789');
    expect(lineOf(lines, ' L3')).toBe('(XEN)  L3[0x1fe] = 000000009178d067 000000000000178d');
    expect(lineOf(lines, ' L2')).toBe('(XEN)  L2[0x026] = 0000000094def067 0000000000004def');
    expect(lineOf(lines, ' L1')).toBe('(XEN)  L1[0x1c7] = 0010000094dc7067 0000000000004dc7');
    expect(lineOf(lines, 'rdx')).toBe('(XEN) rdx: 0000000000000000   rsi: 0000000094dc7063   rdi: ffffffff84dc7000');
  });

  test('a kernel linked elsewhere dies elsewhere', () => {
    // clear_page, the stack and the tables each move by another distance; the end, and what is behind it, stays.
    const layout = {
      ...LAYOUT_2013,
      clearPage: LAYOUT_2013.clearPage + 0x12340n,
      initStack: LAYOUT_2013.initStack + 0x10000n,
      ownTables: LAYOUT_2013.ownTables + 0x20000n,
    };
    const { lines } = runSeed({ layout });
    expect(lineOf(lines, 'RIP')).toBe('(XEN) RIP:    e033:[<ffffffff81276262>]');
    expect(lineOf(lines, 'rax')).toContain('rbx: ffffffff81795f88');
    expect(lineOf(lines, ' L4')).toBe('(XEN)  L4[0x1ff] = 00000000c3ef8067 00000000000017a9');
    expect(lineOf(lines, ' L1')).toBe('(XEN)  L1[0x1c7] = 00100000dc8da067 0000000000004dc7');
  });

  test('a larger initrd moves the boot tables, and with them the page', () => {
    const { lines } = runSeed({ initrdBytes: SEED.initrdBytes + 0x300 * 4096 });
    expect(lineOf(lines, 'Pagetable')).toBe('(XEN) Pagetable walk from ffffffff850c7000:');
    // 50c7 lies in region 0x28, whose L1 table is the first (50c9) plus 28; e16a1 - 50f1, e16a1 - 50c7.
    expect(lineOf(lines, ' L2')).toBe('(XEN)  L2[0x028] = 00000000dc5b0067 00000000000050f1');
    expect(lineOf(lines, ' L1')).toBe('(XEN)  L1[0x0c7] = 00100000dc5da067 00000000000050c7');
  });

  test('where anything may be loaded at any moment, it is the first page: the L4', () => {
    const { lines } = runSeed({ policies: { refill: 'any', flush: 'abi' } });
    expect(lineOf(lines, 'Pagetable')).toBe('(XEN) Pagetable walk from ffffffff84dc6000:');
    expect(lineOf(lines, ' L1')).toBe('(XEN)  L1[0x1c6] = 00100000dc8db067 0000000000004dc6');
  });

  test('domain, CPU and version are configuration', () => {
    const { lines } = runSeed({ host: { domain: 7, cpu: 1, version: '4.1.6.1' } });
    expect(lines[0]).toBe('(XEN) d7:v0: unhandled page fault (ec=0003)');
    expect(lines[7]).toBe('(XEN) Domain 7 (vcpu#0) crashed on cpu#1:');
    expect(lines[8]).toBe('(XEN) ----[ Xen-4.1.6.1  x86_64  debug=n  Not tainted ]----');
  });
});

describe('what only the machine knows', () => {
  test('who changed the entry, who loaded it before, and what would have cured it', () => {
    const machine = seedMachine();
    machine.run(LIMIT);
    const { evidence } = machine;
    expect(evidence?.change).toMatchObject({
      hypercall: 'update_va_mapping',
      flags: 'UVMF_NONE',
      before: 0x0010_0000_dc8d_a025n,
      after: 0x0010_0000_dc8d_a067n,
    });
    expect(evidence?.change?.symbol).toMatch(/^set_page_prot_flags\+0x/);
    expect(evidence?.staleLoad).toMatchObject({ why: 'wrong-path', symbol: 'clear_page+0x12' });
    expect(evidence?.cure).toBe('UVMF_INVLPG');
    const [load, change, fault] = [evidence?.staleLoad?.time, evidence?.change?.time, evidence?.faultTime] as number[];
    expect([load, change, fault]).toEqual([load, change, fault].sort((a, b) => (a as number) - (b as number)));
  });

  test('nothing, of a guest that did not crash', () => {
    const machine = seedMachine({ fixed: true });
    machine.run(LIMIT);
    expect(machine.evidence).toBeUndefined();
  });
});

describe('a run repeats', () => {
  test.each([
    ['the crash', {}],
    ['the cure', { fixed: true }],
    ['chance, seed 3', { policies: { tlb: 'random' }, seed: 3 }],
    ['chance, seed 4', { policies: { tlb: 'random' }, seed: 4 }],
    ['anything at any moment', { policies: { refill: 'any' } }],
  ] as const)('%s: twice the same, to the last instruction', (_name, wish) => {
    expect(runSeed(wish)).toEqual(runSeed(wish));
  });

  test.each([1, 7, 997])('in slices of %d instructions it is the same run', (slice) => {
    expect(outcome(seedMachine(), slice)).toEqual(outcome(seedMachine()));
  });

  test('of many seeds some crash and some do not', () => {
    const reasons = Array.from({ length: 24 }, (_, i) => runSeed({ policies: { tlb: 'random' }, seed: i + 1 }).reason);
    expect(new Set(reasons)).toEqual(new Set(['crash', 'poweroff']));
  });
});
