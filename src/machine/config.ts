// What a machine is made of: the guest's files, the domain's size, the host's habits, and how stale translations may be.

import type { FrameOrder } from '../memory/index.js';
import { ascending } from '../memory/index.js';
import { DEFAULT_STALENESS, type Staleness } from '../mmu/index.js';
import type { SanitizerOptions } from '../sanitizer/index.js';
import { type FlushPolicy, parseFlushPolicy, type VersionProfile } from '../xen/index.js';

export interface MachineConfig {
  /** A PV kernel: an ELF file's bytes. */
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array | undefined;
  readonly commandLine: string;
  /** The domain's memory, in pages of 4 KiB. */
  readonly pages: number;
  /** 1 to 32. The guest's kernel starts all but the first. */
  readonly vcpus: number;
  readonly staleness: Staleness;
  readonly flush: FlushPolicy;
  /** Of everything that happens by chance. */
  readonly seed: number;
  readonly host: HostConfig;
  /** The domain's name in xenstore. */
  readonly name: string;
  /** Has the sanitizer watch: see `Machine.findings`. It changes nothing of the run. */
  readonly sanitize?: boolean | SanitizerOptions | undefined;
}

/** What differs from host to host, and shows in a crash dump. */
export interface HostConfig {
  readonly profile: VersionProfile;
  /** The banner's version: "4.1.3OVM". */
  readonly version: string;
  readonly domain: number;
  /** The physical CPU that the domain's first vCPU runs on. */
  readonly cpu: number;
  /** The machine frames that the domain gets, by pfn; by default ascending from DEFAULT_FIRST_MFN. */
  readonly frames?: FrameOrder | undefined;
}

/** Xen's own frames lie below, a domain's from here on, unless the configuration says otherwise: 1 GiB. */
export const DEFAULT_FIRST_MFN = 0x4_0000;

export const framesOf = (config: MachineConfig): FrameOrder =>
  config.host.frames ?? [ascending(config.pages, DEFAULT_FIRST_MFN)];

/** The version that the banner shows for a profile, unless the user says otherwise. */
export const DEFAULT_VERSIONS: Readonly<Record<VersionProfile, string>> = { '4.1': '4.1.3', '4.17': '4.17.7' };

/** A machine for a guest of which nothing is known: today's Xen on today's worst legal CPU. */
export const defaultHost = (profile: VersionProfile = '4.17'): HostConfig => ({
  profile,
  version: DEFAULT_VERSIONS[profile],
  domain: 1,
  cpu: 0,
});

export const DEFAULT_FLUSH = parseFlushPolicy('xen-4.17');
export { DEFAULT_STALENESS };
