// `paravane museum`: the exhibits as a table; one of them with its story and its two runs; or all of them, on every bench, with
// what came of it held against what the rules say.

import { InputError } from '../../base/failures.js';
import { explainReport, print, renderText, toJsonValue } from '../../crash/index.js';
import { BENCHES, type BenchName, BUILDS, type Build, type Exhibit, MUSEUM } from '../../guests/index.js';
import { type Finding, parseFlushPolicy, parseStaleness } from '../../machine/index.js';
import { benchAsOptions, benchPolicies, type ExhibitRun, runExhibit } from './museum-run.js';
import { type Policies, policiesAsOptions, policiesToJson } from './policies.js';
import { progressLine } from './progress.js';
import { count, heading, type Io, paragraph, type Style, styleFor, table, widthOf } from './terminal.js';

export interface MuseumOptions {
  readonly tlb?: string;
  readonly refill?: string;
  readonly cpu?: string;
  readonly flush?: string;
  readonly seed?: number;
  readonly check?: boolean;
  readonly json?: boolean;
}

const BENCH_NAMES = Object.keys(BENCHES) as BenchName[];

const CLASSES: Readonly<Record<Exhibit['bugClass'], string>> = {
  L: 'rights raised',
  X: 'another CPU',
  T: 'rights lowered, or remapped',
  F: 'frame used again',
  S: 'page tables',
  B: 'put off, or out of order',
  G: 'global entries',
  Y: 'lazy scheme',
  Z: 'size mistaken',
  D: 'accessed and dirty bits',
};

export function museumCommand(name: string | undefined, options: MuseumOptions, io: Io): number {
  const wanted = name === undefined ? undefined : MUSEUM.find((exhibit) => exhibit.name === name);
  if (name !== undefined && !wanted)
    throw new InputError(`${name}: no such exhibit; paravane museum lists all ${MUSEUM.length}`);
  const json = options.json === true;
  if (options.check) return check(wanted ? [wanted] : MUSEUM, json, io);
  if (wanted) return tell(wanted, policiesOf(options), json, io);
  return list(json, io);
}

// ---- the list

function list(json: boolean, io: Io): number {
  if (json) {
    io.stdout.write(`${JSON.stringify(MUSEUM.map(exhibitToJson), null, 2)}\n`);
    return 0;
  }
  const style = styleFor(io.stdout);
  const rows = MUSEUM.map(({ name, bugClass, year, system, title }) => [name, bugClass, year, system, title]);
  io.stdout.write(table([['name', 'class', 'year', 'system', 'title'], ...rows]));
  const used = Object.entries(CLASSES).filter(([letter]) => MUSEUM.some(({ bugClass }) => bugClass === letter));
  io.stdout.write(`\n${used.map(([letter, words]) => `${style.bold(letter)} ${words}`).join(' · ')}\n`);
  io.stdout.write(`${style.dim('Next: paravane museum NAME · paravane museum --check')}\n`);
  return 0;
}

const exhibitToJson = (exhibit: Exhibit): object => ({
  name: exhibit.name,
  title: exhibit.title,
  class: exhibit.bugClass,
  year: exhibit.year,
  system: exhibit.system,
  source: exhibit.source,
  catalogue: exhibit.catalogue,
  story: exhibit.story,
  see: exhibit.see,
  finding: exhibit.finding,
  goesWrongOn: exhibit.goesWrongOn,
});

// ---- one exhibit

/** The machine that shows all that the rules allow, unless the user says otherwise. */
function policiesOf(options: MuseumOptions): Policies {
  const { worst } = BENCHES;
  return {
    staleness: parseStaleness({
      tlb: options.tlb ?? worst.tlb,
      refill: options.refill ?? worst.refill,
      cpu: options.cpu ?? worst.cpu,
    }),
    flush: parseFlushPolicy(options.flush ?? worst.flush),
    seed: options.seed ?? 1,
  };
}

function tell(exhibit: Exhibit, policies: Policies, json: boolean, io: Io): number {
  const runs = BUILDS.map((build) => runExhibit(exhibit, build, policies));
  if (json) {
    io.stdout.write(`${JSON.stringify({ ...exhibitToJson(exhibit), runs: runs.map(runToJson) }, null, 2)}\n`);
    return 0;
  }
  const style = styleFor(io.stdout);
  const width = widthOf(io.stdout);
  const say = (text: string): void => {
    io.stdout.write(text);
  };
  say(heading(exhibit.title, width, style));
  say(`${exhibit.system}, ${exhibit.year} · class ${exhibit.bugClass}: ${CLASSES[exhibit.bugClass]}\n`);
  say(`${style.dim(`Source: ${exhibit.source}`)}\n\n`);
  say(paragraph(exhibit.story, width));
  say(`\n${paragraph(`What to see: ${exhibit.see}`, width)}`);
  say(`\n${style.dim(`Machine: ${policiesAsOptions(policies)}`)}\n`);
  for (const run of runs) {
    say(`\n${heading(run.build === 'before' ? 'Before: with the bug' : 'After: mended', width, style)}`);
    say(runToText(run, width, style));
  }
  say(`\n${style.dim('Goes wrong on:')} ${exhibit.goesWrongOn.join(', ')}\n`);
  return 0;
}

function runToText(run: ExhibitRun, width: number, style: Style): string {
  const { console, report, evidence, instructions } = run;
  const lines = console.split(/\r?\n/).filter((line) => line !== '');
  let text = lines.map((line) => `${style.dim('hvc0 |')} ${line}\n`).join('');
  if (report) {
    text += `${style.bad(print(report).trimEnd())}\n\n`;
    text += renderText(explainReport(report, evidence), { width, style });
  }
  if (run.findings.length === 0) text += `${style.dim('The sanitizer is silent.')}\n`;
  for (const finding of run.findings) {
    text += paragraph(`The sanitizer: ${finding.title} (${finding.grade}, ${finding.mistake}).`, width);
    text += `  What would have removed it: ${finding.cure}\n`;
  }
  text += run.verdict === 'fine' ? style.good('Fine') : `${style.bad('Wrong')}: ${run.words}`;
  return `${text}, after ${count(instructions)} instructions.\n`;
}

const runToJson = (run: ExhibitRun): object => ({
  build: run.build,
  ...policiesToJson(run.policies),
  verdict: run.verdict,
  words: run.words,
  findings: run.findings.map(findingToJson),
  instructions: run.instructions,
  console: run.console,
  crash: run.report ? print(run.report) : null,
  explanation: run.report ? toJsonValue(explainReport(run.report, run.evidence)) : null,
});

// ---- the check

interface Trial {
  readonly exhibit: Exhibit;
  readonly bench: BenchName;
  readonly run: ExhibitRun;
  /** What is not as the exhibit says; empty when all is. */
  readonly complaints: readonly string[];
}

function check(exhibits: readonly Exhibit[], json: boolean, io: Io): number {
  const progress = progressLine(io.stderr, exhibits.length * BENCH_NAMES.length * BUILDS.length);
  const trials: Trial[] = [];
  for (const exhibit of exhibits)
    for (const build of BUILDS)
      for (const bench of BENCH_NAMES) {
        trials.push(tryOut(exhibit, build, bench));
        progress.step();
      }
  progress.done();
  const failed = trials.filter(({ complaints }) => complaints.length > 0);
  if (json) io.stdout.write(`${JSON.stringify(trials.map(trialToJson), null, 2)}\n`);
  else printCheck(exhibits, trials, failed, io);
  return failed.length === 0 ? 0 : 1;
}

/** One build on one bench, held against what the exhibit says of itself. */
export function tryOut(exhibit: Exhibit, build: Build, bench: BenchName): Trial {
  const run = runExhibit(exhibit, build, benchPolicies(bench));
  const complaints: string[] = [];
  const verdict = build === 'before' && exhibit.goesWrongOn.includes(bench) ? 'wrong' : 'fine';
  if (run.verdict !== verdict) complaints.push(run.verdict === 'wrong' ? `went wrong: ${run.words}` : 'was fine');
  if (build === 'after')
    for (const finding of run.findings) {
      if (!exhibit.copes || finding.grade !== 'tolerated') complaints.push(`false alarm: ${brief(finding)}`);
    }
  else if (!run.findings.some((finding) => isExpected(finding, exhibit)))
    complaints.push(`the sanitizer found ${run.findings.map(brief).join(', ') || 'nothing'}`);
  return { exhibit, bench, run, complaints };
}

const isExpected = (found: Finding, { finding }: Exhibit): boolean =>
  found.kind === finding.kind && found.mistake === finding.mistake && found.grade === finding.grade;

/** "stale-use: frame-replaced, no-flush". */
const brief = ({ grade, kind, mistake }: Exhibit['finding']): string => `${grade}: ${kind}, ${mistake}`;

function printCheck(exhibits: readonly Exhibit[], trials: readonly Trial[], failed: readonly Trial[], io: Io): void {
  const style = styleFor(io.stdout);
  const cell = (exhibit: Exhibit, build: Build, bench: BenchName): string => {
    const trial = trials.find((t) => t.exhibit === exhibit && t.run.build === build && t.bench === bench);
    return trial ? `${trial.run.verdict}${trial.complaints.length === 0 ? '' : ' (!)'}` : '';
  };
  const found = (exhibit: Exhibit, build: Build): string => {
    const trial = trials.find((t) => t.exhibit === exhibit && t.run.build === build);
    return trial?.run.findings.map(brief).join('; ') || 'silent';
  };
  const rows = exhibits.flatMap((exhibit) =>
    BUILDS.map((build) => [
      build === 'before' ? exhibit.name : '',
      build === 'before' ? exhibit.bugClass : '',
      build,
      ...BENCH_NAMES.map((bench) => cell(exhibit, build, bench)),
      found(exhibit, build),
    ]),
  );
  const text = table([['name', 'class', 'build', ...BENCH_NAMES, 'the sanitizer'], ...rows]);
  io.stdout.write(
    text.replace(/wrong( \(!\))?|fine( \(!\))?/g, (word) =>
      word.startsWith('wrong') ? style.bad(word) : style.good(word),
    ),
  );
  io.stdout.write('\n');
  io.stdout.write(table(BENCH_NAMES.map((bench) => [`  ${bench}`, benchAsOptions(bench), BENCHES[bench].shows])));
  io.stdout.write('\n');
  for (const { exhibit, bench, run, complaints } of failed)
    io.stdout.write(`${style.bad(`${exhibit.name} ${run.build} on ${bench}`)}: ${complaints.join('; ')}\n`);
  io.stdout.write(
    failed.length === 0
      ? `${style.good(`All ${exhibits.length} exhibits are as they should be`)}: ${count(trials.length)} runs.\n`
      : `${style.bad(`${failed.length} of ${count(trials.length)} runs did not go as they should`)}.\n`,
  );
}

const trialToJson = ({ exhibit, bench, run, complaints }: Trial): object => ({
  exhibit: exhibit.name,
  class: exhibit.bugClass,
  build: run.build,
  bench,
  verdict: run.verdict,
  words: run.words,
  findings: run.findings.map(findingToJson),
  asExpected: complaints.length === 0,
  complaints,
});

const findingToJson = ({ title, grade, kind, mistake, cure }: Finding): object => ({
  title,
  grade,
  kind,
  mistake,
  cure,
});
