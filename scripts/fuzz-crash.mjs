// `npm run fuzz:crash -- --minutes 5 --seed 1`: the laws of crash (crash-laws.mjs) on seeded random input, for as long as told.
// Exit status 1 on the first law that breaks; the text that broke it is left in a file, and the command that repeats it printed.

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { LAWS } from './crash-laws.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    /** Only this one case. */
    case: { type: 'string' },
    /** Where paravane is built. */
    dist: { type: 'string', default: join(root, 'dist') },
  },
});
const [minutes, seed, only] = [Number(values.minutes), Number(values.seed), values.case && Number(values.case)];
if (!(minutes > 0) || !Number.isSafeInteger(seed) || (only !== undefined && !Number.isSafeInteger(only))) {
  console.error('usage: npm run fuzz:crash -- [--minutes N] [--seed S] [--case C]');
  process.exit(2);
}
const load = (path) => import(pathToFileURL(join(values.dist, path)).href);
const [api, { random }] = [await load('crash/index.js'), await load('base/random.js')];

const laws = Object.entries(LAWS);
const rounds = new Map(laws.map(([name]) => [name, 0]));

/** Case n runs law n mod the number of laws with chance of its own: it repeats without the ones before. */
function runCase(number) {
  const [name, law] = laws[number % laws.length];
  const chance = random(seed).fork(`case ${number}`);
  try {
    law(api, chance, join(root, 'tests/crash'));
  } catch (error) {
    const file = `fuzz-crash-${seed}-${number}.txt`;
    if (error.text !== undefined) writeFileSync(file, error.text);
    console.error(`\nbroken: ${name}\n  ${error.stack}`);
    if (error.text !== undefined) console.error(`  the text is in ${file}`);
    console.error(`  again: npm run fuzz:crash -- --seed ${seed} --case ${number}`);
    process.exit(1);
  }
  rounds.set(name, rounds.get(name) + 1);
}

if (only !== undefined) {
  runCase(only);
  console.log(`case ${only} holds`);
  process.exit(0);
}
const end = Date.now() + minutes * 60_000;
let number = 0;
for (let shown = Date.now(); Date.now() < end; number++) {
  runCase(number);
  if (process.stderr.isTTY && Date.now() - shown > 500) {
    shown = Date.now();
    process.stderr.write(`\r${number} cases, ${Math.ceil((end - shown) / 1000)} s to go   `);
  }
}
if (process.stderr.isTTY) process.stderr.write('\r');
console.log(`${number} cases with seed ${seed}: every law held`);
for (const [name, count] of rounds) console.log(`  ${String(count).padStart(8)}  ${name}`);
