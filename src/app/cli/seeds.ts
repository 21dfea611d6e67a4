// `paravane demo --tlb random --seeds 1..200`: the unfixed guest once for each seed, how often chance lets it die, and the
// command that replays the first that did.

import type { FlushPolicy, Staleness } from '../../machine/index.js';
import { progressLine } from './progress.js';
import { replayCommand, runSeed, runToJson, type SeedRun } from './seed.js';
import { count, type Io, styleFor } from './terminal.js';

export interface SeedsOptions {
  readonly staleness: Staleness;
  readonly flush: FlushPolicy;
  /** First and last seed, both included. */
  readonly range: readonly [number, number];
  readonly json: boolean;
}

export function runSeeds({ staleness, flush, range, json }: SeedsOptions, io: Io): number {
  const [first, last] = range;
  const progress = progressLine(io.stderr, last - first + 1);
  const runs: SeedRun[] = [];
  for (let seed = first; seed <= last; seed++) {
    runs.push(runSeed({ fixed: false, staleness, flush, seed }));
    progress.step();
  }
  progress.done();
  const crashes = runs.filter((run) => run.ended === 'crash');
  const replay = crashes[0] && replayCommand(crashes[0].settings);
  if (json) {
    io.stdout.write(
      `${JSON.stringify({ runs: runs.map(runToJson), crashed: crashes.length, replay: replay ?? null }, null, 2)}\n`,
    );
    return 0;
  }
  const style = styleFor(io.stdout);
  const on = (name: string): number => crashes.filter((run) => run.page?.name === name).length;
  io.stdout.write(
    `${style.bold(`${count(crashes.length)} of ${count(runs.length)} seeds crashed`)}` +
      ` (${(['L4', 'L3', 'L2'] as const).map((name) => `${on(name)} on the ${name} page`).join(', ')});` +
      ` ${count(runs.length - crashes.length)} shut down cleanly.\n`,
  );
  if (replay && crashes[0])
    io.stdout.write(
      `Seed ${crashes[0].settings.seed} died at instruction ${count(crashes[0].instructions)}. Again, to the same instruction:\n` +
        `  ${style.note(replay)}\n`,
    );
  return 0;
}
