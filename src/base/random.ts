// The one source of chance below `app`: seeded, so that a run with the same seed is the same run.
// sfc32 by Chris Doty-Humphrey (PractRand), seeded through a 32-bit counter mix and twelve warm-up rounds.
// Not for cryptography.

export interface Random {
  /** The next 32 random bits, as an unsigned number. */
  next32(): number;
  /** A whole number in [0, limit); limit is at most 2^32. */
  below(limit: number): number;
  /** True once in `n` draws on average. */
  oneIn(n: number): boolean;
  /** An independent generator whose draws do not disturb this one's: `name` tells its siblings apart. */
  fork(name: string): Random;
}

/** A generator whose whole sequence follows from `seed` (any safe integer). */
export function random(seed: number): Random {
  return sfc32(seed | 0, Math.floor(seed / 0x1_0000_0000) | 0, 0x9e3779b9 | 0);
}

function sfc32(a: number, b: number, c: number): Random {
  const seeds = [a, b, c] as const;
  let counter = 1;
  const next32 = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round++) next32();
  const below = (limit: number): number => Math.floor((next32() / 0x1_0000_0000) * limit);
  return {
    next32,
    below,
    oneIn: (n) => below(n) === 0,
    fork: (name) => {
      let hash = 0x811c9dc5;
      for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
      return sfc32(seeds[0] ^ hash, seeds[1] ^ Math.imul(hash, 0x85ebca6b), seeds[2]);
    },
  };
}
