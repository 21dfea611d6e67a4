// What a translation is asked for, what it allows, and what a refusal says.
// Source: SDM 3A "Paging > Access Rights" (§4.6) and "Page-Fault Exceptions" (§4.7), with CR0.WP = 1, EFER.NXE = 1 and
// CR4.SMEP = CR4.SMAP = 0. Protection keys are not modelled.

import type { Level } from '../abi/paging.js';
import { PFEC_insn_fetch, PFEC_user_mode, PFEC_write_access } from '../abi/paging.js';
import { type Mfn, mfn } from '../base/addresses.js';

// An access is READ, WRITE, FETCH, or READ | WRITE (a read-modify-write), with USER and SPECULATIVE as they apply.
export const READ = 1;
export const WRITE = 2;
export const FETCH = 4;
/** The access is made at CPL 3. All of a PV guest's are, its kernel's too; Xen's own are not. */
export const USER = 8;
/** The access is on a wrong path: it may load translations and set A, and does nothing else. */
export const SPECULATIVE = 16;

// Effective rights: what every level of a walk allows. Reading needs no right beside USER.
export const RIGHT_WRITE = 1;
export const RIGHT_USER = 2;
export const RIGHT_EXECUTE = 4;
export const ALL_RIGHTS = RIGHT_WRITE | RIGHT_USER | RIGHT_EXECUTE;

/** Whether a present translation with these rights serves the access. */
export const allows = (rights: number, access: number): boolean =>
  ((access & USER) === 0 || (rights & RIGHT_USER) !== 0) &&
  ((access & WRITE) === 0 || (rights & RIGHT_WRITE) !== 0) &&
  ((access & FETCH) === 0 || (rights & RIGHT_EXECUTE) !== 0);

/** The bits of a #PF error code that say what the access was: W, U, I. */
export const accessErrorCode = (access: number): number =>
  ((access & WRITE) !== 0 ? PFEC_write_access : 0) |
  ((access & USER) !== 0 ? PFEC_user_mode : 0) |
  ((access & FETCH) !== 0 ? PFEC_insn_fetch : 0);

/** The READ, WRITE and FETCH accesses that these rights serve for whoever made `access`; WRITE only when D is set. */
export function repeatable(rights: number, dirty: boolean, access: number): number {
  if ((access & USER) !== 0 && (rights & RIGHT_USER) === 0) return 0;
  return READ | (dirty && (rights & RIGHT_WRITE) !== 0 ? WRITE : 0) | ((rights & RIGHT_EXECUTE) !== 0 ? FETCH : 0);
}

/** The caller's own object that `Mmu.translate` writes its answer into. */
export interface Translation {
  /** True answer: the machine frame of the 4 KiB page asked for (also inside a large page). It need not be RAM. */
  frame: Mfn;
  /** True answer: 1, 2 or 3 for a 4 KiB, 2 MiB or 1 GiB page. */
  level: Level;
  /**
   * True answer: the READ, WRITE and FETCH accesses to this page by the same kind of requester (USER or not) that may
   * be answered with the same frame, without asking again, until `DerivedCache` says otherwise.
   */
  mayRepeat: number;
  /** False answer: the error code of the #PF. */
  errorCode: number;
}

/** An empty answer, to be used again and again. */
export const translation = (): Translation => ({ frame: mfn(0), level: 1, mayRepeat: 0, errorCode: 0 });
