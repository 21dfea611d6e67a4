// 64-bit words: cold code holds them as bigint in [0, 2^64), hot code as two unsigned 32-bit halves.

export const U64_MASK = 0xffff_ffff_ffff_ffffn;

/** The value modulo 2^64. */
export const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
/** The 64-bit pattern read as two's complement. */
export const s64 = (value: bigint): bigint => BigInt.asIntN(64, value);
/** The low half, unsigned. */
export const lo32 = (value: bigint): number => Number(value & 0xffff_ffffn);
/** The high half, unsigned. */
export const hi32 = (value: bigint): number => Number((value >> 32n) & 0xffff_ffffn);
/** The word made of two halves; both are taken modulo 2^32. */
export const joinHalves = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
