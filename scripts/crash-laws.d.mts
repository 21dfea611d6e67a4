// Types of crash-laws.mjs, for the tests.

import type { Random } from '../src/base/random.js';
import type * as crash from '../src/crash/index.js';

export class LawBroken extends Error {
  readonly text: string;
}

export function randomReport(chance: Random): crash.CrashReport;
export function seedLikeReport(chance: Random): crash.CrashReport;
/** One round of each law; throws LawBroken. `folder` holds real crash texts. */
export const LAWS: Readonly<Record<string, (api: typeof crash, chance: Random, folder: string) => void>>;
