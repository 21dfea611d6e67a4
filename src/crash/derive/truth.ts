// Three-valued truth: what a text says, what it denies, and what it leaves open. undefined is "not known", never "no".

export type Truth = boolean | undefined;

/** False if any is false; true if all are true. */
export function all(...truths: readonly Truth[]): Truth {
  if (truths.includes(false)) return false;
  return truths.includes(undefined) ? undefined : true;
}

/** True if any is true; false if all are false. */
export function any(...truths: readonly Truth[]): Truth {
  if (truths.includes(true)) return true;
  return truths.includes(undefined) ? undefined : false;
}

export const not = (truth: Truth): Truth => (truth === undefined ? undefined : !truth);

/** What `predicate` says of a value that may not be known. */
export const known = <Value>(value: Value | undefined, predicate: (value: Value) => Truth): Truth =>
  value === undefined ? undefined : predicate(value);
