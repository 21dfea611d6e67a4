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
  userAddressNotMapped,
} from './not-mapped.js';
import {
  executeNx,
  forbiddenAccess,
  nonCanonical,
  reservedBitSet,
  userBitMissing,
  xenPrivateAccess,
} from './rights.js';
import { staleRightsRaised } from './stale-rights-raised.js';
import { staleUpperLevel } from './stale-upper-level.js';
import { unexplained } from './unexplained.js';
import { writeToPageTable } from './write-to-page-table.js';
import { writeToReadOnlyPage } from './write-to-read-only-page.js';

export const DIAGNOSES: readonly Diagnosis[] = [
  staleRightsRaised,
  changedAfterFault,
  staleUpperLevel,
  writeToPageTable,
  writeToReadOnlyPage,
  nullPointer,
  jumpThroughNull,
  kernelAreaNotMapped,
  userAddressNotMapped,
  mappedSince,
  pageNotMapped,
  executeNx,
  reservedBitSet,
  xenPrivateAccess,
  userBitMissing,
  nonCanonical,
  forbiddenAccess,
  unexplained,
];

/** Causes worth telling: a guess far behind the first is none. */
const MOST_CAUSES = 5;

/** What the diagnoses make of the case, most likely first; never empty. Equal scores keep the table's order. */
export function rank(of: Case): readonly Judgement[] {
  const judgements = DIAGNOSES.flatMap((diagnosis) => judge(diagnosis, of) ?? []);
  const ranked = judgements.sort((a, b) => b.score - a.score);
  const best = ranked[0]?.score ?? 0;
  const told = ranked
    .filter(
      ({ diagnosis, score, open }) =>
        diagnosis !== unexplained && score > 0 && (!open || (of.whole && score * 2 >= best)),
    )
    .slice(0, MOST_CAUSES);
  return told.length > 0 ? told : ranked.filter(({ diagnosis }) => diagnosis === unexplained);
}
