// All diagnoses, and the ranking of what they make of a case. A new diagnosis is a file beside this one and a line here.

import type { Case } from '../derive/case.js';
import { changedAfterFault } from './changed-after-fault.js';
import { type Diagnosis, type Judgement, judge } from './diagnosis.js';
import {
  jumpThroughNull,
  kernelAreaNotMapped,
  mappedSince,
  nullPointer,
  pageNotMapped,
  wildPointer,
} from './not-mapped.js';
import { cpuErratum, divisionByZero, msrAccess, segmentLoad, smap, smep } from './protections.js';
import {
  executeNx,
  forbiddenAccess,
  nonCanonical,
  reservedBitSet,
  userBitMissing,
  xenPrivateAccess,
} from './rights.js';
import {
  badPageTableEntry,
  dataRace,
  declined32Bit,
  failedAssertion,
  noInit,
  noRootDevice,
  otherPanic,
  outOfBounds,
  outOfMemory,
  stackCorruption,
  undefinedBehaviour,
  uninitialised,
  useAfterFree,
  warningOnly,
} from './software-checks.js';
import { badExceptionStack, firmwareCall, stackExhausted, wildJump } from './stacks-and-jumps.js';
import { stalePagingStructure } from './stale-paging-structure.js';
import { staleTlbEntry } from './stale-tlb-entry.js';
import { hungTask, lockup } from './stuck.js';
import { unexplained } from './unexplained.js';
import { writeToPageTable } from './write-to-page-table.js';
import { writeToReadOnlyPage } from './write-to-read-only-page.js';

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
    diagnosis !== unexplained && score > 0 && (!open || (of.whole && score >= LEAST_OPEN && score * 2 >= best));
  const told = ranked.filter(isWorthTelling).slice(0, MOST_CAUSES);
  return told.length > 0 ? told : ranked.filter(({ diagnosis }) => diagnosis === unexplained);
}
