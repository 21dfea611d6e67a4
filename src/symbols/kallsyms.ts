// The names that a Linux kernel carries of itself (CONFIG_KALLSYMS), found in the bytes of an uncompressed image: kernels of
// distributions have no symbol table, but they have these. Works on an ELF vmlinux, stripped or not, and on a raw image.
// Source: Linux scripts/kallsyms.c and kernel/kallsyms.c, 4.20 to 6.15, little-endian.
// Leaves out 32-bit kernels and those before 4.20 (markers of another width).
//
//   to 6.4:  offsets, relative_base, num_syms, names, markers, [seqs,] token_table, token_index
//   later:   num_syms, names, markers, token_table, token_index, offsets, relative_base, …      each aligned to 8 bytes
//
//   offsets      i32[num]   negative: address = relative_base - 1 - offset; else a per-CPU offset
//                           (none negative in the whole table: address = relative_base + offset)
//   names        per symbol a length (one byte, or two if bit 7 is set) and that many tokens; the first letter is the type
//   markers      u32[]      where in names each 256th symbol begins
//   token_table  256 strings; the digits are tokens of their own, at their own codes: that is how the table is found
import { type NamedAddress, SymbolTable } from './table.js';

const TOKENS = 256;
const NAMES_PER_MARKER = 256;
const ALIGNMENT = 8;
const ZERO = 0x30;
/** A name is 512 letters at most, and a token stands for at least one. */
const LONGEST_NAMES_BLOCK = NAMES_PER_MARKER * 514;
/** More symbols than any kernel has. */
const MOST_SYMBOLS = 4_000_000;
const align = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;

/** The kernel's own symbols; undefined when the bytes hold none. */
export function kallsymsSymbols(image: Uint8Array): SymbolTable | undefined {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  for (let digits = findDigits(image, 0); digits >= 0; digits = findDigits(image, digits + 1)) {
    const tokens = readTokens(image, view, digits);
    const found = tokens && readSymbols(image, view, tokens);
    if (found) return found;
  }
  return undefined;
}

/** "0\0 1\0 … 9\0" from `start` on: ten tokens of one digit each. */
function findDigits(image: Uint8Array, start: number): number {
  for (let at = image.indexOf(ZERO, start); at >= 0; at = image.indexOf(ZERO, at + 1)) {
    let length = 0;
    while (length < 20 && image[at + length] === (length % 2 === 0 ? ZERO + length / 2 : 0)) length++;
    if (length === 20) return at;
  }
  return -1;
}
interface Tokens {
  readonly start: number;
  readonly texts: readonly string[];
  readonly end: number;
}

interface Names {
  readonly start: number;
  readonly count: number;
}

/** The longest text that a token has stood for is about thirty letters. */
const LONGEST_TOKEN = 64;

function readTokens(image: Uint8Array, view: DataView, digits: number): Tokens | undefined {
  let second = digits;
  for (let token = ZERO; token > 1; token--) {
    second = image.lastIndexOf(0, second - 2) + 1;
    if (second <= 1 || digits - second > 0x1_0000) return undefined;
  }
  // What lies before the table need not end with a NUL: its first token begins where the alignment says.
  for (
    let start = second - 1 - ((second - 1) % ALIGNMENT);
    start >= 0 && second - start <= LONGEST_TOKEN;
    start -= ALIGNMENT
  ) {
    const tokens = tokensAt(image, view, start);
    if (tokens !== undefined) return tokens;
  }
  return undefined;
}

function tokensAt(image: Uint8Array, view: DataView, start: number): Tokens | undefined {
  const texts: string[] = [];
  const starts: number[] = [];
  let at = start;
  for (let token = 0; token < TOKENS; token++) {
    const end = image.indexOf(0, at);
    if (end < 0 || end - at > LONGEST_TOKEN) return undefined;
    starts.push(at - start);
    texts.push(String.fromCharCode(...image.subarray(at, end)));
    at = end + 1;
  }
  // token_index repeats where each token starts: the proof.
  const index = align(at);
  if (index + 2 * TOKENS > image.length) return undefined;
  if (starts.some((offset, token) => view.getUint16(index + 2 * token, true) !== offset)) return undefined;
  return { start, texts, end: index + 2 * TOKENS };
}

function readSymbols(image: Uint8Array, view: DataView, tokens: Tokens): SymbolTable | undefined {
  const names = findNames(image, view, tokens.start);
  if (names === undefined) return undefined;
  const addresses = addressesBefore(view, names) ?? addressesBehind(view, names, tokens.end);
  if (addresses === undefined) return undefined;
  const symbols: NamedAddress[] = [];
  let at = names.start;
  for (let symbol = 0; symbol < names.count; symbol++) {
    const { length, begin } = nameLength(image, at);
    let text = '';
    for (let token = 0; token < length; token++) text += tokens.texts[image[begin + token] as number] ?? '';
    at = begin + length;
    const address = addresses(symbol);
    if (address !== undefined && text.length > 1) symbols.push({ name: text.slice(1), address, sizeBytes: 0n });
  }
  return new SymbolTable(symbols);
}

/** A run of fewer ascending words is chance. (2048 symbols are a very small kernel.) */
const FEWEST_MARKERS = 8;

/**
 * markers lie before the token table, maybe with seqs_of_names (3 bytes a symbol) in between; names lie before the markers.
 * Both are found together: ascending words down to 0, and names of which the first 256 end where the second word says.
 */
function findNames(image: Uint8Array, view: DataView, end: number): Names | undefined {
  const lowest = Math.max(0, end - 3 * MOST_SYMBOLS);
  for (let last = end - (end % 4) - 4; last > lowest; last -= 4) {
    let first = last;
    while (first > 0 && view.getUint32(first - 4, true) < view.getUint32(first, true)) first -= 4;
    const count = (last - first) / 4 + 1;
    if (count < FEWEST_MARKERS || view.getUint32(first, true) !== 0) continue;
    const names = namesBefore(image, view, first, count);
    if (names !== undefined) return names;
  }
  return undefined;
}

function namesBefore(image: Uint8Array, view: DataView, markers: number, count: number): Names | undefined {
  const marker = (index: number): number => view.getUint32(markers + 4 * index, true);
  const highest = markers - marker(count - 1);
  const lowest = Math.max(highest - LONGEST_NAMES_BLOCK, 2 * ALIGNMENT);
  for (let start = highest - (highest % ALIGNMENT); start >= lowest; start -= ALIGNMENT) {
    const symbols = view.getUint32(start - ALIGNMENT, true);
    if (Math.ceil(symbols / NAMES_PER_MARKER) !== count) continue;
    const agrees = [1, 2].every((index) => skipNames(image, start + marker(index - 1)) === start + marker(index));
    if (agrees) return { start, count: symbols };
  }
  return undefined;
}

function skipNames(image: Uint8Array, from: number): number {
  let at = from;
  for (let name = 0; name < NAMES_PER_MARKER && at < image.length; name++) {
    const { length, begin } = nameLength(image, at);
    at = begin + length;
  }
  return at;
}

function nameLength(image: Uint8Array, at: number): { readonly length: number; readonly begin: number } {
  const first = image[at] ?? 0;
  return first < 0x80
    ? { length: first, begin: at + 1 }
    : { length: (first & 0x7f) | ((image[at + 1] ?? 0) << 7), begin: at + 2 };
}

type AddressOf = (symbol: number) => bigint | undefined;

const addressesBefore = (view: DataView, { start, count }: Names): AddressOf | undefined => {
  const base = start - 2 * ALIGNMENT;
  return addressTable(view, base - align(4 * count), base, count);
};

const addressesBehind = (view: DataView, { count }: Names, end: number): AddressOf | undefined => {
  const offsets = align(end);
  return addressTable(view, offsets, offsets + align(4 * count), count);
};

const KERNEL_IMAGE = 0xffffffff80000000n;

function addressTable(view: DataView, offsets: number, base: number, count: number): AddressOf | undefined {
  if (offsets < 0 || base + 8 > view.byteLength) return undefined;
  const relativeBase = view.getBigUint64(base, true);
  if (relativeBase < KERNEL_IMAGE) return undefined;
  const offsetOf = (symbol: number): number => view.getInt32(offsets + 4 * symbol, true);
  let isSigned = false;
  for (let symbol = 0; symbol < count && !isSigned; symbol++) isSigned = offsetOf(symbol) < 0;
  return (symbol) => {
    const offset = offsetOf(symbol);
    if (!isSigned) return relativeBase + BigInt(offset >>> 0);
    return offset < 0 ? relativeBase - 1n - BigInt(offset) : undefined;
  };
}
