// An explanation as JSON: the same fields, 64-bit words as "0x…" strings, what is not known left out.

/** The value as JSON can hold it. */
export function toJsonValue(value: unknown): unknown {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (Array.isArray(value)) return value.map(toJsonValue);
  if (typeof value !== 'object' || value === null) return value;
  const known = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(known.map(([key, inner]) => [key, toJsonValue(inner)]));
}

/** JSON text, indented by two. */
export const renderJson = (value: unknown): string => `${JSON.stringify(toJsonValue(value), null, 2)}\n`;
