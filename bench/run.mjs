#!/usr/bin/env node
// How fast the engine runs guests: `npm run bench [-- --json] [--runs N]`. Figures hold for the machine they are taken on, which
// is named beside them; other work on it makes them smaller, so the best run says most.

import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { guests } from './guests.mjs';
import { machine } from './machine.mjs';

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, runs: { type: 'string', default: '7' } },
});
const runs = Math.max(1, Number(options.runs));

/** Seconds that `work` takes. */
function timed(work) {
  const begin = process.hrtime.bigint();
  const result = work();
  return { result, seconds: Number(process.hrtime.bigint() - begin) / 1e9 };
}

function measure({ name, what, aimMips, machine: description, instructionsPerRun }) {
  const { result, seconds } = timed(() => machine(description));
  const { engine, vcpu } = result;
  const rates = Array.from({ length: runs + 1 }, () => {
    const run = timed(() => engine.run(vcpu, instructionsPerRun));
    if (run.result.reason !== 'budget') throw new Error(`${name}: the guest ended with ${run.result.reason}`);
    return instructionsPerRun / run.seconds / 1e6;
  });
  // The first run warms up: V8 optimises while it goes on.
  const sorted = rates.slice(1).sort((a, b) => a - b);
  return {
    name,
    what,
    aimMips,
    bestMips: Math.round(sorted.at(-1)),
    medianMips: Math.round(sorted[sorted.length >> 1]),
    firstRunMips: Math.round(rates[0]),
    setUpMs: Math.round(seconds * 1000),
  };
}

const facts = {
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  node: process.versions.node,
  v8: process.versions.v8,
  runs,
};
const results = guests.map(measure);

if (options.json) process.stdout.write(`${JSON.stringify({ machine: facts, interpreter: results }, undefined, 2)}\n`);
else {
  process.stdout.write(
    `${facts.cpu}, ${facts.cores} cores, Node ${facts.node} (V8 ${facts.v8}); ${runs} runs each\n\n`,
  );
  process.stdout.write('interpreter, MIPS      best  median   aim  first run\n');
  for (const { name, what, aimMips, bestMips, medianMips, firstRunMips } of results) {
    const columns = [bestMips, medianMips, aimMips, firstRunMips].map((value, i) =>
      String(value).padStart([6, 8, 6, 11][i]),
    );
    process.stdout.write(`  ${name.padEnd(19)}${columns.join('')}   ${what}\n`);
  }
}
