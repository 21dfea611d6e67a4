// `paravane demo`, as a stranger runs it: the story, the matrix, the seeds.

import { describe, expect, test } from 'vitest';
import { paravane } from './paravane.js';

describe('paravane demo', () => {
  const { status, stdout, stderr } = paravane(['demo']);

  test('tells the crash, that it is the real one, why, and the cure; and succeeds', () => {
    expect(status).toBe(0);
    expect(stderr).toBe('');
    const beats = [
      '(XEN) d244:v0: unhandled page fault (ec=0003)',
      'in\nall its 14 lines',
      'stale TLB\nentry: rights were raised in memory, and the CPU still held the old translation',
      'clear_page+0x12',
      'UVMF_INVLPG would have removed the stale translation',
      'seed: all is well; shutting down',
      'Clean shutdown after',
    ];
    const places = beats.map((beat) => stdout.indexOf(beat));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });

  test('fits 80 columns, and has no colour on a pipe', () => {
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(stdout).not.toContain('\x1b');
  });

  test('is the same text when it is run again', () => {
    expect(paravane(['demo']).stdout).toBe(stdout);
  });

  test('colours when it is told to', () => {
    expect(paravane(['demo', '--cpu', 'amd'], { env: { FORCE_COLOR: '1' } }).stdout).toContain('\x1b[');
  });

  test('--json has the same facts as fields', () => {
    const result = JSON.parse(paravane(['demo', '--json']).stdout);
    expect(result.unfixed).toMatchObject({ guest: 'unfixed', ended: 'crash', page: { table: 'L3', pfn: '4dc7' } });
    expect(result.fixed).toMatchObject({ guest: 'fixed', ended: 'poweroff', page: null });
    expect(result.crash.equalsReference).toBe(true);
    expect(stdout).toContain(result.crash.dump.trimEnd());
  });

  test('on a CPU that walks again nothing happens, and it says so', () => {
    const { status, stdout } = paravane(['demo', '--cpu', 'amd']);
    expect(status).toBe(0);
    expect(stdout).toContain('2. It does not die');
  });

  test.each([
    [['--tlb', 'leaky'], "'leaky' is invalid. Allowed choices are coherent, demand, hoarding, random"],
    [['--refill', 'wrong-path:x'], '--refill wrong-path:x: expected none, wrong-path, wrong-path:N or any'],
    [['--flush', 'xen-4.1,xpti'], 'only xen-4.17 has XPTI'],
    [['--seeds', '9..1', '--tlb', 'random'], 'expected FIRST..LAST'],
    [['--seeds', '1..3'], '--seeds needs --tlb random'],
    [['--matrix', '--seeds', '1..3', '--tlb', 'random'], '--matrix and --seeds exclude each other'],
    [['--nonsense'], "unknown option '--nonsense'"],
  ])('%j is refused in one clear line, with status 2', (args, words) => {
    const { status, stdout, stderr } = paravane(['demo', ...args]);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(words);
  });
});

interface MatrixRun {
  readonly guest: 'fixed' | 'unfixed';
  readonly tlb: string;
  readonly refill: string;
  readonly cpu: string;
  readonly flush: string;
  readonly ended: string;
  readonly page: { readonly table: string; readonly pfn: string } | null;
}

describe('paravane demo --matrix', () => {
  const runs = JSON.parse(paravane(['demo', '--matrix', '--json']).stdout) as readonly MatrixRun[];

  /** What the rules give, worked out from tlb-staleness.md §1 and §3 and not from the machine. */
  function expected({ guest, tlb, refill, cpu, flush }: MatrixRun): string {
    if (guest === 'fixed') return 'boots';
    // Nothing stale is kept, or a stale right is looked up again, or nothing loads one after the CR3 load.
    if (tlb === 'coherent' || cpu === 'amd' || refill === 'none') return 'boots';
    // CR3 is rewritten after the store, on the way out of the hypercall.
    if (flush.endsWith(',xpti')) return 'boots';
    if (tlb === 'random') return 'by chance';
    // The clearing loop's wrong path reaches the next page; `any` reaches the first, between flush and store.
    return refill === 'any' ? 'L4 4dc6' : 'L3 4dc7';
  }

  test('has every combination once, with and without the fix', () => {
    const names = runs.map(({ guest, tlb, refill, cpu, flush }) => [guest, tlb, refill, cpu, flush].join(' '));
    expect(new Set(names).size).toBe(2 * 4 * 3 * 2 * 4);
    expect(names).toHaveLength(2 * 4 * 3 * 2 * 4);
  });

  test('each ends as the rules say', () => {
    const wrong = runs.filter((run) => {
      const was = run.ended === 'poweroff' ? 'boots' : `${run.page?.table} ${run.page?.pfn}`;
      const rule = expected(run);
      return rule === 'by chance' ? !/^(boots|L4 4dc6|L3 4dc7|L2 4dc8)$/.test(was) : was !== rule;
    });
    expect(wrong).toEqual([]);
  });
});

describe('paravane demo --tlb random --seeds', () => {
  const range = ['demo', '--tlb', 'random', '--seeds', '1..12'];
  const { crashed, runs, replay } = JSON.parse(paravane([...range, '--json']).stdout);

  test('counts the crashes: some must, some must not', () => {
    expect(runs).toHaveLength(12);
    expect(crashed).toBeGreaterThan(0);
    expect(crashed).toBeLessThan(12);
    expect(paravane(range).stdout).toContain(`${crashed} of 12 seeds crashed`);
  });

  test('gives the command that replays the first crash, to the same instruction', () => {
    const [program, ...args] = replay.split(' ');
    expect(program).toBe('paravane');
    const again = JSON.parse(paravane([...args, '--json']).stdout);
    const first = runs.find((run: { ended: string }) => run.ended === 'crash');
    expect(again.unfixed).toMatchObject({ ended: 'crash', instructions: first.instructions, page: first.page });
  });
});
