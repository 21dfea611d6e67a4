// Two of the five kinds of failure (docs/architecture.md, "Failures"); the other three (Fault, errno, domainCrash) are
// values of the rooms that make them and are never thrown at a user.

/** A bad file or argument: one clear line that says what, where and what was expected. The command exits with 2. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/** An invariant of Paravane's own is broken. Nothing a guest or a user does may cause one. */
export class EmulatorBug extends Error {
  override readonly name = 'EmulatorBug';
}

/**
 * Checks an invariant, always (also in release). `claim` completes the sentence "it must hold that …"; where it takes work to
 * say (numbers in hex) on a path that is run often, it is a function.
 */
export function invariant(condition: unknown, claim: string | (() => string)): asserts condition {
  if (!condition) throw new EmulatorBug(`broken invariant: ${typeof claim === 'string' ? claim : claim()}`);
}

/** Marks a branch that the types rule out. */
export function unreachable(value: never): never {
  throw new EmulatorBug(`broken invariant: unexpected case ${String(value)}`);
}
