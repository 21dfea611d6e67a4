// --cpu: what a CPU does when what it holds lacks a right that the access needs.
//   intel  faults. The #PF drops the entry, so the retried access walks again: at most one spurious fault for each
//   page.
//          SDM 3A "Paging > … > Optional Invalidation" (§4.10.4.3) allows it; a P4-era Xeon is known to do it.
//   amd    walks again from CR3 and goes by the rights found there, so that it never faults on a right that memory has
//          meanwhile been given. What was held is forgotten. Source: FreeBSD commit 625402758bbb, which cites AMD's
//          manual; the manual itself (APM 2 "Page Translation > Translation-Lookaside Buffer") was not read.
//          UNVERIFIED: whether the second walk bypasses AMD's page-walk cache, as it does here.
// Entries that allow too much are used by both.

import type { CpuName } from './staleness.js';

export const WALKS_AGAIN_FOR_RIGHTS: Readonly<Record<CpuName, boolean>> = { intel: false, amd: true };
