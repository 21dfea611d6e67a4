// All diagnoses, and the ranking of what they make of a case. A new diagnosis is a file beside this one and a line here.

import type { Case } from '../derive/case.js';
import { badExceptionStack } from './bad-exception-stack.js';
import { badPageTableEntry } from './bad-page-table-entry.js';
import { changedAfterFault } from './changed-after-fault.js';
import { cpuErratum } from './cpu-erratum.js';
import { dataRace } from './data-race.js';
import { hungTask } from './deadlock-or-blocked-io.js';
import { declined32Bit } from './declined-32-bit.js';
import { type Diagnosis, type Judgement, judge } from './diagnosis.js';
import { divisionByZero } from './division-by-zero.js';
import { executeNx } from './execute-nx.js';
import { smep } from './execute-user-page.js';
import { failedAssertion } from './failed-assertion.js';
import { firmwareCall } from './firmware-call.js';
import { forbiddenAccess } from './forbidden-access.js';
import { jumpThroughNull } from './jump-through-null-pointer.js';
import { smap } from './kernel-access-to-user-memory.js';
import { kernelAreaNotMapped } from './kernel-area-not-mapped.js';
import { lockup } from './lockup.js';
import { mappedSince } from './mapped-since.js';
import { msrAccess } from './msr-access.js';
import { noInit } from './no-init.js';
import { noRootDevice } from './no-root-device.js';
import { nonCanonical } from './non-canonical-pointer.js';
import { nullPointer } from './null-pointer-dereference.js';
import { outOfBounds } from './out-of-bounds.js';
import { outOfMemory } from './out-of-memory.js';
import { pageNotMapped } from './page-not-mapped.js';
import { otherPanic } from './panic.js';
import { reservedBitSet } from './reserved-bit-set.js';
import { segmentLoad } from './segment-load-fault.js';
import { stackCorruption } from './stack-corruption.js';
import { stackExhausted } from './stack-exhausted.js';
import { stalePagingStructure } from './stale-paging-structure.js';
import { staleTlbEntry } from './stale-tlb-entry.js';
import { userBitMissing } from './supervisor-page-from-user.js';
import { undefinedBehaviour } from './undefined-behaviour.js';
import { unexplained } from './unexplained.js';
import { uninitialised } from './uninitialised-memory.js';
import { useAfterFree } from './use-after-free.js';
import { warningOnly } from './warning.js';
import { wildJump } from './wild-jump.js';
import { wildPointer } from './wild-pointer.js';
import { writeToPageTable } from './write-to-page-table.js';
import { writeToReadOnlyPage } from './write-to-read-only-page.js';
import { xenPrivateAccess } from './xen-private-access.js';

export const DIAGNOSES: readonly Diagnosis[] = [
  staleTlbEntry,
  changedAfterFault,
  stalePagingStructure,
  writeToPageTable,
  writeToReadOnlyPage,
  nullPointer,
  jumpThroughNull,
  kernelAreaNotMapped,
  wildPointer,
  mappedSince,
  pageNotMapped,
  executeNx,
  reservedBitSet,
  xenPrivateAccess,
  userBitMissing,
  nonCanonical,
  forbiddenAccess,
  stackExhausted,
  badExceptionStack,
  wildJump,
  firmwareCall,
  smap,
  smep,
  cpuErratum,
  divisionByZero,
  msrAccess,
  segmentLoad,
  declined32Bit,
  badPageTableEntry,
  failedAssertion,
  useAfterFree,
  outOfBounds,
  undefinedBehaviour,
  dataRace,
  uninitialised,
  stackCorruption,
  outOfMemory,
  noRootDevice,
  noInit,
  lockup,
  hungTask,
  warningOnly,
  otherPanic,
  unexplained,
];

/** Causes worth telling: a guess far behind the first is none. */
const MOST_CAUSES = 5;

/** A diagnosis that the text leaves open must have at least this to speak for it. */
const LEAST_OPEN = 3;

/** What the diagnoses make of the case, most likely first; never empty. Equal scores keep the table's order. */
export function rank(of: Case): readonly Judgement[] {
  const judgements = DIAGNOSES.flatMap((diagnosis) => judge(diagnosis, of) ?? []);
  const ranked = judgements.sort((a, b) => b.score - a.score);
  const best = ranked[0]?.score ?? 0;
  const isWorthTelling = ({ diagnosis, score, open }: Judgement): boolean =>
    !diagnosis.fallback && score > 0 && (!open || (of.whole && score >= LEAST_OPEN && score * 2 >= best));
  const told = ranked.filter(isWorthTelling).slice(0, MOST_CAUSES);
  return told.length > 0 ? told : ranked.filter(({ diagnosis, open }) => diagnosis.fallback && !open).slice(0, 1);
}
