// A domain's grant table (version 1): by which it lets other domains use frames of its own.
// Source: Xen 4.17 common/grant_table.c (gnttab_grow_table, _set_status_v1, acquire_grant_for_copy).
// Left out: version 2, transitive grants, transfers, and mappings into another guest's page tables: who uses grants here is
// a backend, or a copy that Xen makes.

import * as G from '../abi/grant-table.js';
import { type Maddr, type Mfn, maddr, mfnToMaddr } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import type { Domain } from './domain.js';
import { PGT_writable_page } from './page-info.js';
import { getPage, getPageType, putPage, putPageAndType } from './page-types.js';

/** How many frames a table may have: the default of each version. */
const MAX_FRAMES = { '4.1': 32, '4.17': 64 } as const;

/** A frame in use by somebody who has no mapping of it; `release` it once. */
export interface FrameUse {
  readonly mfn: Mfn;
  release(): void;
}

/**
 * Refers to a frame of the domain, so that it can neither go away nor, when it is written, become a page table. Undefined when
 * it is not the domain's, or is in use as a table.
 */
export function useFrame(domain: Domain, frame: bigint | number, access: 'read' | 'write'): FrameUse | undefined {
  const { hypervisor } = domain;
  const page = getPage(hypervisor, frame, domain);
  if (!page) return undefined;
  if (access === 'read') return { mfn: page.mfn, release: () => putPage(hypervisor, page) };
  if (getPageType(hypervisor, page, PGT_writable_page) !== 0) {
    putPage(hypervisor, page);
    return undefined;
  }
  return { mfn: page.mfn, release: () => putPageAndType(hypervisor, page) };
}

/** How often an entry is in use now, and how many of these uses write. */
interface Pins {
  all: number;
  writing: number;
}

/** One domain's table: its frames, and which of its entries are in use. */
export class GrantTable {
  readonly #domain: Domain;
  readonly #frames: Mfn[] = [];
  readonly #pins = new Map<number, Pins>();

  constructor(domain: Domain) {
    this.#domain = domain;
  }

  /** The frames of the table so far, which the domain may map. */
  get frames(): readonly Mfn[] {
    return this.#frames;
  }

  get maxFrames(): number {
    return MAX_FRAMES[this.#domain.hypervisor.config.profile];
  }

  /** Makes the table at least `count` frames long. False beyond the maximum, or when there is no memory. */
  grow(count: number): boolean {
    if (count > this.maxFrames) return false;
    while (this.#frames.length < count) {
      const page = this.#domain.hypervisor.allocateSharedPage(this.#domain);
      if (!page) return false;
      this.#frames.push(page.mfn);
    }
    return true;
  }

  /** Fills an entry on the domain's behalf, as the toolstack does for console and xenstore. */
  offer(ref: number, toDomain: number, frame: Mfn): void {
    const grown = this.grow(Math.floor(ref / G.GRANT_ENTRIES_PER_FRAME) + 1);
    const entry = this.#entry(ref);
    invariant(grown && entry !== undefined, `the grant table can be made long enough for entry ${ref}`);
    const { memory } = this.#domain.hypervisor;
    memory.write16(maddr(entry + G.GRANT_domid), toDomain);
    memory.write32(maddr(entry + G.GRANT_frame), frame);
    memory.write16(maddr(entry + G.GRANT_flags), G.GTF_permit_access);
  }

  /**
   * Takes the frame that entry `ref` grants to domain `user`, with references, so that it can neither go away nor become a
   * page table while in use. Otherwise a GNTST_* status.
   */
  acquire(ref: number, user: number, access: 'read' | 'write'): FrameUse | number {
    const { hypervisor } = this.#domain;
    const { memory } = hypervisor;
    const entry = this.#entry(ref);
    if (entry === undefined) return G.GNTST_bad_gntref;
    const flagsAt = maddr(entry + G.GRANT_flags);
    const flags = memory.read16(flagsAt);
    const pins = this.#pins.get(ref) ?? { all: 0, writing: 0 };
    const permits = (flags & G.GTF_type_mask) === G.GTF_permit_access;
    if (pins.all === 0 && (!permits || memory.read16(maddr(entry + G.GRANT_domid)) !== user))
      return G.GNTST_general_error;
    if (access === 'write' && (flags & G.GTF_readonly) !== 0) return G.GNTST_general_error;
    const frame = memory.read32(maddr(entry + G.GRANT_frame));
    const use = hypervisor.onBehalfOf(this.#domain.initialVcpu, undefined, `grant ${ref} for d${user}`, () =>
      useFrame(this.#domain, frame, access),
    );
    if (!use) return G.GNTST_general_error;

    memory.write16(flagsAt, flags | G.GTF_reading | (access === 'write' ? G.GTF_writing : 0));
    pins.all++;
    if (access === 'write') pins.writing++;
    this.#pins.set(ref, pins);
    return {
      mfn: use.mfn,
      release: () => {
        hypervisor.onBehalfOf(this.#domain.initialVcpu, undefined, `grant ${ref} released`, use.release);
        pins.all--;
        if (access === 'write') pins.writing--;
        if (pins.all === 0) this.#pins.delete(ref);
        const done = (pins.all === 0 ? G.GTF_reading : 0) | (pins.writing === 0 ? G.GTF_writing : 0);
        memory.write16(flagsAt, memory.read16(flagsAt) & ~done);
      },
    };
  }

  /** Where the entry lies, or undefined beyond the table's end. */
  #entry(ref: number): Maddr | undefined {
    const frame = this.#frames[Math.floor(ref / G.GRANT_ENTRIES_PER_FRAME)];
    return frame === undefined
      ? undefined
      : maddr(mfnToMaddr(frame) + (ref % G.GRANT_ENTRIES_PER_FRAME) * G.GRANT_ENTRY_BYTES);
  }
}
