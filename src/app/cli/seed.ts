// One run of the seed's guest: the machine of the 2013 host, its two kernels, and what came of it as a plain value.

import { pfn } from '../../base/addresses.js';
import { SEED, seedImage } from '../../guests/index.js';
import {
  type CrashReport,
  type Explanation,
  type FlushPolicy,
  guestElf,
  type HostConfig,
  Machine,
  type MachineConfig,
  type Staleness,
} from '../../machine/index.js';
import { policiesAsOptions, policiesToJson } from './policies.js';

/** As the 2013 console shows it: domain id, CPU and version string are configuration; everything else is computed. */
export const SEED_HOST: HostConfig = {
  profile: '4.1',
  version: '4.1.3OVM',
  domain: 244,
  cpu: 3,
  frames: SEED.hostFrames,
};

/** No run of either kernel comes near: it is a net for a guest that loops. */
const INSTRUCTION_LIMIT = 50_000_000;

export interface SeedSettings {
  readonly fixed: boolean;
  readonly staleness: Staleness;
  readonly flush: FlushPolicy;
  readonly seed: number;
}

export interface SeedRun {
  readonly settings: SeedSettings;
  readonly ended: 'poweroff' | 'crash' | 'other';
  /** Retired instructions at the end. */
  readonly instructions: number;
  readonly console: string;
  /** Of Xen's boot tables, the one on whose page the guest died. */
  readonly page: BootTable | undefined;
  readonly report: CrashReport | undefined;
  readonly explanation: Explanation | undefined;
}

export interface BootTable {
  readonly name: 'L4' | 'L3' | 'L2';
  readonly pfn: number;
}

/** The command that runs this again, to the same instruction. */
export const replayCommand = (settings: SeedSettings): string => `paravane demo ${policiesAsOptions(settings)}`;

const kernels = new Map<boolean, Uint8Array>();

/** The seed's kernel as an ELF file's bytes; assembled once. */
export function seedKernel(fixed: boolean): Uint8Array {
  let bytes = kernels.get(fixed);
  if (!bytes) {
    bytes = guestElf(seedImage(fixed));
    kernels.set(fixed, bytes);
  }
  return bytes;
}

const initrd = new Uint8Array(SEED.initrdBytes);

/** The machine that the seed's guest runs on. */
export const seedConfig = (settings: SeedSettings): MachineConfig => ({
  kernel: seedKernel(settings.fixed),
  initrd,
  commandLine: '',
  pages: SEED.pages,
  vcpus: 1,
  staleness: settings.staleness,
  flush: settings.flush,
  seed: settings.seed,
  host: SEED_HOST,
  name: 'seed',
});

export function runSeed(settings: SeedSettings): SeedRun {
  const machine = new Machine(seedConfig(settings));
  let console = '';
  machine.onOutput((bytes) => {
    console += String.fromCharCode(...bytes);
  });
  machine.run(INSTRUCTION_LIMIT);
  const end = machine.ended;
  return {
    settings,
    ended: end?.reason === 'poweroff' || end?.reason === 'crash' ? end.reason : 'other',
    instructions: machine.retired,
    console,
    page: bootTableOf(end?.report),
    report: end?.report,
    explanation: machine.explain(replayCommand(settings)),
  };
}

/** What a script wants of a run. */
export function runToJson(run: SeedRun): object {
  return {
    guest: run.settings.fixed ? 'fixed' : 'unfixed',
    ...policiesToJson(run.settings),
    ended: run.ended,
    page: run.page ? { table: run.page.name, pfn: run.page.pfn.toString(16) } : null,
    instructions: run.instructions,
  };
}

/** Which of Xen's three boot tables the crash's address lies in. */
function bootTableOf(report: CrashReport | undefined): BootTable | undefined {
  const address = report?.walk?.vaddr;
  if (address === undefined) return undefined;
  const frame = pfn(Number((address - SEED.virtBase) >> 12n));
  const name = (['L4', 'L3', 'L2'] as const)[frame - SEED.firstTablePfn];
  return name && { name, pfn: frame };
}
