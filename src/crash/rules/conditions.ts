// Conditions that several diagnoses share, under the names that their rules are read by.

import { PTE_US } from '../../abi/paging.js';
import { hex, hex0x, hex64 } from '../../base/hex.js';
import type { Case } from '../derive/case.js';
import type { PlaceName } from '../derive/places.js';
import { all, any, known, not, type Truth } from '../derive/truth.js';
import type { CrashKind, CrashSystem } from '../facts.js';
import type { Clue } from './diagnosis.js';

export const isPageFault = (of: Case): Truth => of.isPageFault;
export const isSystem =
  (...systems: readonly CrashSystem[]) =>
  ({ facts }: Case): Truth =>
    known(facts.system, (system) => systems.includes(system));
export const isKind =
  (...kinds: readonly CrashKind[]) =>
  ({ facts }: Case): Truth =>
    known(facts.kind, (kind) => (kind === 'fragment' ? undefined : kinds.includes(kind)));
export const isAt =
  (...places: readonly PlaceName[]) =>
  ({ place }: Case): Truth =>
    known(place, ({ name }) => places.includes(name));

/** The error code says that a translation was there and forbade the access. */
export const wasForbidden = ({ errorCode }: Case): Truth =>
  known(errorCode, ({ present, reserved }) => present && !reserved);
export const wasNotPresent = ({ errorCode }: Case): Truth => known(errorCode, ({ present }) => !present);
export const isWrite = ({ access }: Case): Truth => known(access, (kind) => kind === 'write');
export const isFetch = ({ access, facts, address }: Case): Truth =>
  facts.registers?.rip !== undefined && address !== undefined && facts.registers.rip === address
    ? true
    : known(access, (kind) => kind === 'fetch');
export const isAllowedByTables = ({ allowed }: Case): Truth => allowed;
export const tablesMapIt = ({ walk }: Case): Truth =>
  known(walk, ({ outcome }) => (outcome === 'open' ? undefined : outcome === 'maps'));
/** A right that a walk to its end denies; open where lines that could end it sooner are lost. */
const denies =
  (right: 'writable' | 'user' | 'executable') =>
  ({ walk }: Case): Truth =>
    known(walk, (shown) =>
      shown.outcome === 'maps' ? not(shown[right]) : shown.outcome === 'not-present' ? false : undefined,
    );
export const entryIsReadOnly = denies('writable');
export const entryForbidsExecution = denies('executable');
export const entryIsForKernel = denies('user');

/** A large page of a running kernel's own image: mapped at boot, and never since. (A PV guest maps its image by 4 KiB pages.) */
export const isStandingImage = (of: Case): Truth =>
  all(
    isSystem('linux')(of),
    isAt('kernel-image')(of),
    known(of.walk?.last, ({ large }) => large),
  );

/** A PV guest has not registered a handler: any fault is the end, tolerable or not. */
export const nobodyHandles = ({ facts }: Case): Truth =>
  facts.system !== 'xen-guest' ? false : facts.crashCall === undefined ? undefined : facts.crashCall === 'entry.S';

export const hexAddress = (address: bigint | undefined): string =>
  address === undefined ? 'an address that the text does not give' : hex64(address);
export const hexWord = (value: bigint): string => hex0x(value);
export const errorCodeText = ({ facts }: Case): string => hex(facts.errorCode ?? 0, 4);

/** The level's entry in words: "L1[0x1c7] 00100000dc8da067". */
export function leafText({ walk }: Case): string {
  const last = walk?.last;
  if (last === undefined) return 'the entry';
  const index = last.statedIndex ?? last.computedIndex;
  return `L${last.level}${index === undefined ? '' : `[0x${hex(index, 3)}]`} = ${hex64(last.entry)}`;
}

/** A condition that only has to hold: it is no evidence. */
export const only = (when: (of: Case) => Truth): Clue => ({ when, weight: 0, says: '' });

export const pageFaultClue = (weight: number): Clue => ({
  when: isPageFault,
  weight,
  says: 'the exception is a page fault',
  wanted: 'the line that names the exception',
});

/** The entry that ends the walk lacks US: with US clear a PV guest, which runs at CPL 3, may not touch the page. */
export const lacksUser = ({ walk }: Case): Truth =>
  known(walk, ({ last }) => known(last, ({ entry, present }) => present && (entry & PTE_US) === 0n));

/** What the text says happened, in quotes. */
export const headlineText = ({ facts }: Case): string =>
  facts.headline === undefined ? 'the text says so' : `"${facts.headline}"`;
/** Linux's own words for the access, or a checker's for what it found. */
export const hintSays =
  (pattern: RegExp) =>
  ({ facts }: Case): Truth =>
    known(facts.accessWords?.hint, (hint) => pattern.test(hint));
/** What was said just before the crash. That nothing was remembered means that nothing was said. */
export const remarksSay =
  (pattern: RegExp) =>
  ({ facts }: Case): boolean =>
    facts.remarks?.some((remark) => pattern.test(remark)) ?? false;
export const panicSays =
  (pattern: RegExp) =>
  ({ facts }: Case): Truth =>
    known(facts.panicMessage, (message) => pattern.test(message));

export const isKernelMode = ({ mode }: Case): Truth =>
  known(mode.who, (who) => who === 'kernel' || who === 'hypervisor');
export const mnemonicOf = ({ instruction }: Case): string | undefined => instruction?.row.mnemonic;

export const notPresentClue: Clue = {
  when: wasNotPresent,
  weight: 2,
  says: (of) => `error code ${errorCodeText(of)}: no translation was present`,
  wanted: 'the error code',
};
export const notMappedClue: Clue = {
  when: (of) => not(tablesMapIt(of)),
  weight: 2,
  says: ({ walk }) =>
    `the tables agree: the walk ends at level ${walk?.last?.level}, with an entry that is not present`,
  wanted: 'the walk, down to the entry that is not present',
};

export { all, any, known, not, type Truth };
