// The policies of a run in the options' own words: for JSON, for headings, and for the command that replays it.

import {
  type FlushPolicy,
  printFlushPolicy,
  printRefill,
  printStaleness,
  type Staleness,
} from '../../machine/index.js';

export interface Policies {
  readonly staleness: Staleness;
  readonly flush: FlushPolicy;
  readonly seed: number;
}

/** As options: "--tlb demand --refill wrong-path --cpu intel --flush xen-4.1"; the seed only where chance has a part. */
export const policiesAsOptions = ({ staleness, flush, seed }: Policies): string =>
  `${printStaleness(staleness)} --flush ${printFlushPolicy(flush)}${staleness.tlb === 'random' ? ` --seed ${seed}` : ''}`;

export const policiesToJson = ({ staleness, flush, seed }: Policies): object => ({
  tlb: staleness.tlb,
  refill: printRefill(staleness.refill),
  cpu: staleness.cpu,
  flush: printFlushPolicy(flush),
  seed,
});
