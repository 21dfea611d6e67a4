// What the machine saw, told in the order of time.

import { hex64 } from '../../base/hex.js';
import type { MachineEvidence } from '../machine-evidence.js';
import { entryFlags, flagNames } from './entry-flags.js';

const place = (rip: bigint, symbol: string | undefined): string =>
  `${hex64(rip)}${symbol === undefined ? '' : ` (${symbol})`}`;
const flags = (entry: bigint): string => flagNames(entryFlags(1, entry, 'xen-guest'));
const at = (time: number): string => `at instruction ${time.toLocaleString('en-US')}`;

/** One sentence for each thing that happened. */
export function story({ change, staleLoad, flushes, faultTime, cure }: MachineEvidence): readonly string[] {
  const told: { readonly time: number; readonly words: string }[] = [];
  if (staleLoad !== undefined) {
    const by =
      staleLoad.why === 'any'
        ? 'by the processor, as the architecture lets it at any moment'
        : `by ${staleLoad.why === 'wrong-path' ? 'an instruction down a mispredicted branch, whose work was thrown away,' : 'an access'}` +
          (staleLoad.rip === undefined ? '' : ` at ${place(staleLoad.rip, staleLoad.symbol)}`);
    told.push({
      time: staleLoad.time,
      words: `The translation was loaded ${at(staleLoad.time)} ${by}: ${hex64(staleLoad.entry)} (${flags(staleLoad.entry)}).`,
    });
  }
  for (const flush of flushes ?? [])
    told.push({
      time: flush.time,
      words: `${flush.what} ${at(flush.time)} ${flush.covered ? 'removed it' : 'did not remove it'}: ${flush.why}.`,
    });
  if (change !== undefined)
    told.push({
      time: change.time,
      words:
        `The entry was changed ${at(change.time)} by ${change.hypercall}${change.flags === undefined ? '' : ` with ${change.flags}`}, called from ${place(change.rip, change.symbol)}: ` +
        `${hex64(change.before)} (${flags(change.before)}) became ${hex64(change.after)} (${flags(change.after)}).`,
    });
  const sentences = told.sort((a, b) => a.time - b.time).map(({ words }) => words);
  if (faultTime !== undefined) sentences.push(`The access faulted ${at(faultTime)}.`);
  if (cure !== undefined) sentences.push(`${cure} would have removed the stale translation.`);
  return sentences;
}
