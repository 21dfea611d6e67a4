// `paravane demo --matrix`: every combination of policies, with and without the fix, and what the pattern means.

import {
  CPUS,
  FLUSH_POLICIES,
  parseFlushPolicy,
  parseRefill,
  printRefill,
  type Refill,
  TLB_POLICIES,
} from '../../machine/index.js';
import { progressLine } from './progress.js';
import { runSeed, runToJson, type SeedRun } from './seed.js';
import { heading, type Io, paragraph, type Style, styleFor, table, widthOf } from './terminal.js';

const REFILLS: readonly Refill[] = ['none', 'wrong-path', 'any'].map(parseRefill);

interface Row {
  readonly tlb: string;
  readonly refill: string;
  readonly cpu: string;
  /** By flush policy, in FLUSH_POLICIES' order. */
  readonly unfixed: readonly SeedRun[];
  readonly fixed: readonly SeedRun[];
}

export function runMatrix(options: { readonly seed: number; readonly json: boolean }, io: Io): number {
  const progress = progressLine(
    io.stderr,
    TLB_POLICIES.length * REFILLS.length * CPUS.length * FLUSH_POLICIES.length * 2,
  );
  const rows: Row[] = [];
  for (const tlb of TLB_POLICIES)
    for (const refill of REFILLS)
      for (const cpu of CPUS) {
        const runs = (fixed: boolean): SeedRun[] =>
          FLUSH_POLICIES.map((flush) => {
            progress.step();
            const settings = { staleness: { tlb, refill, cpu }, flush: parseFlushPolicy(flush), seed: options.seed };
            return runSeed({ fixed, ...settings });
          });
        rows.push({ tlb, refill: printRefill(refill), cpu, unfixed: runs(false), fixed: runs(true) });
      }
  progress.done();
  const runs = rows.flatMap((row) => [...row.unfixed, ...row.fixed]);
  if (options.json) io.stdout.write(`${JSON.stringify(runs.map(runToJson), null, 2)}\n`);
  else printMatrix(rows, options.seed, io);
  return rows.every((row) => row.fixed.every((run) => run.ended === 'poweroff')) ? 0 : 1;
}

const cell = (run: SeedRun): string => {
  if (run.ended === 'poweroff') return 'boots';
  return run.page ? `dies ${run.page.name}` : `ended: ${run.ended}`;
};

function printMatrix(rows: readonly Row[], seed: number, io: Io): void {
  const style = styleFor(io.stdout);
  const width = widthOf(io.stdout);
  const all = rows.flatMap((row) => row.fixed);
  const booted = all.filter((run) => run.ended === 'poweroff').length;
  io.stdout.write(heading('The unfixed guest, by what may be stale and which flushes happen', width, style));
  const text = table([
    ['--tlb', '--refill', '--cpu', ...FLUSH_POLICIES.map((flush) => `${flush}`)],
    ...rows.map((row) => [row.tlb, row.refill, row.cpu, ...row.unfixed.map(cell)]),
  ]);
  io.stdout.write(colourCells(text, style));
  io.stdout.write(
    `\n${paragraph(`The fixed guest (UVMF_INVLPG) boots in ${booted} of ${all.length} combinations. "dies L3": crashed on pfn 4dc7, the second of the recycled pages; "dies L4": on pfn 4dc6, the first. The rows of --tlb random are one throw of the dice each: --seed ${seed}.`, width)}`,
  );
  for (const [title, words] of MEANING) io.stdout.write(`\n${heading(title, width, style)}${paragraph(words, width)}`);
}

/** Colour comes last, so that it does not count as width. */
const colourCells = (text: string, style: Style): string =>
  text.replace(/dies L\d/g, style.bad).replace(/boots/g, style.good);

/** What the pattern of the table says. Each paragraph rests on the cells above it, and on docs/staleness.md. */
const MEANING: readonly (readonly [string, string])[] = [
  [
    'Where it dies, and why there',
    'Three things must come together: a CPU that faults on stale rights (--cpu intel), a TLB that keeps what it has ' +
      '(every policy but coherent), and a load of the read-only translation after the last flush and before the entry ' +
      'is made writable. The CR3 load of step 4 flushes what the guest itself had read, so with --refill none nothing ' +
      'stale is left, whichever Xen: the guest boots.',
  ],
  [
    'wrong-path: the second page (L3)',
    'The loop that clears the first page ends after 64 turns, and the CPU predicts a 65th. Its stores go to the next ' +
      "page, which is Xen's L3 and still read-only: the translation is loaded, and stays. Then the guest makes that " +
      'page writable with no flush, and the first real store meets the old translation. Xen 4.1 and 4.17 do flush by ' +
      'accident when the first page changes its type, before the loop; for the second their time stamps say that the ' +
      'CPU was flushed since, which is true, but was before the load.',
  ],
  [
    'any: the first page (L4)',
    'If a translation may be loaded at any moment, then also inside the hypercall, between the flush for the type ' +
      'change and the store of the new entry. A flush before the store is no protection: that is why the first page ' +
      'is lost even under xen-4.1 and xen-4.17.',
  ],
  [
    'xen-4.17,xpti: never',
    'Page-table isolation rewrites CR3 on each exit from Xen, after the store: every hypercall flushes by accident. ' +
      'A mitigation for Meltdown has hidden the bug since 2018 on the CPUs that need it.',
  ],
  [
    'Why a real host showed it only "occasionally"',
    'A wrong path lasts a few dozen cycles. Whether its page walk ends before the misprediction is noticed depends on ' +
      'caches, on the other hyper-thread, on luck. The rows of --tlb random let chance decide: paravane demo --tlb ' +
      'random --seeds 1..200.',
  ],
  [
    'Why QEMU never shows it',
    'QEMU loads a translation only for an access that is executed, which is --refill none, and before it reports a ' +
      'fault it walks the tables again, which is --cpu amd. Both rows boot, always.',
  ],
];
