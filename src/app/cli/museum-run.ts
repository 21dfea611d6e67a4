// One run of one of the museum's guests, and what came of it as a plain value.

import {
  BENCHES,
  type BenchName,
  type Build,
  type Exhibit,
  FINE,
  MUSEUM_PAGES,
  museumImage,
  WRONG,
} from '../../guests/index.js';
import {
  type CrashReport,
  defaultHost,
  type Finding,
  guestElf,
  Machine,
  type MachineConfig,
  type MachineEvidence,
  parseFlushPolicy,
  parseStaleness,
} from '../../machine/index.js';
import { type Policies, policiesAsOptions } from './policies.js';

/** No exhibit comes near: it is a net for a guest that loops. */
const INSTRUCTION_LIMIT = 2_000_000;
const SEED = 1;

export interface ExhibitRun {
  readonly exhibit: string;
  readonly build: Build;
  readonly policies: Policies;
  readonly verdict: 'fine' | 'wrong';
  /** What went wrong, in the guest's words or Xen's; "" when nothing did. */
  readonly words: string;
  readonly instructions: number;
  readonly console: string;
  /** What the sanitizer found. */
  readonly findings: readonly Finding[];
  readonly report: CrashReport | undefined;
  readonly evidence: MachineEvidence | undefined;
}

/** A bench as the policies of a run. */
export function benchPolicies(name: BenchName): Policies {
  const bench = BENCHES[name];
  return { staleness: parseStaleness(bench), flush: parseFlushPolicy(bench.flush), seed: SEED };
}

export const benchAsOptions = (name: BenchName): string => policiesAsOptions(benchPolicies(name));

const kernels = new Map<string, Uint8Array>();

/** An exhibit's kernel as an ELF file's bytes; assembled once. */
function kernelOf(exhibit: Exhibit, build: Build): Uint8Array {
  const name = `${exhibit.name} ${build}`;
  const bytes = kernels.get(name) ?? guestElf(museumImage(exhibit, build));
  kernels.set(name, bytes);
  return bytes;
}

/** The machine that an exhibit runs on; the sanitizer watches it. */
export function exhibitConfig(exhibit: Exhibit, build: Build, policies: Policies): MachineConfig {
  return {
    kernel: kernelOf(exhibit, build),
    commandLine: '',
    pages: MUSEUM_PAGES,
    vcpus: 1,
    staleness: policies.staleness,
    flush: policies.flush,
    seed: policies.seed,
    host: defaultHost(policies.flush.accidental === 'xen-4.1' ? '4.1' : '4.17'),
    name: `museum-${exhibit.name}`,
    sanitize: true,
  };
}

export function runExhibit(exhibit: Exhibit, build: Build, policies: Policies): ExhibitRun {
  const machine = new Machine(exhibitConfig(exhibit, build, policies));
  let console = '';
  machine.onOutput((bytes) => {
    console += String.fromCharCode(...bytes);
  });
  machine.run(INSTRUCTION_LIMIT);
  const words = whatWentWrong(machine, console);
  return {
    exhibit: exhibit.name,
    build,
    policies,
    verdict: words === '' ? 'fine' : 'wrong',
    words,
    instructions: machine.retired,
    console,
    findings: machine.findings,
    report: machine.ended?.report,
    evidence: machine.evidence,
  };
}

function whatWentWrong({ ended, xenLog }: Machine, console: string): string {
  if (ended?.reason === 'poweroff' && console.includes(FINE)) return '';
  const said = console.split(/\r?\n/).find((line) => line.startsWith(WRONG));
  if (said !== undefined) return said.slice(WRONG.length);
  if (ended === undefined) return 'did not come to an end';
  return ended.report ? `Xen: ${xenLog[0] ?? ended.reason}` : (console.trim().split(/\r?\n/).at(-1) ?? ended.reason);
}
