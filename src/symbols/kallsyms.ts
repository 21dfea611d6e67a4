// kallsyms: the names that a Linux kernel carries in its own read-only data, for its oops messages.
// Sources: Linux 6.1 scripts/kallsyms.c (write_src), kernel/kallsyms.c; for the order since 6.4 the same files of 6.6.
// There is no header. The tables are found by what they must contain, and believed only when they agree with each other:
//
//   up to 6.1   offsets | relative_base | num_syms | names | markers | token_table | token_index
//   since 6.4   num_syms | names | markers | token_table | token_index | offsets | relative_base | …
//
// Each begins on a multiple of 8. names: per symbol a length and as many token numbers; a token stands for a few characters,
// and the first character of a symbol is its type. markers: where in names every 256th symbol begins.
// Left out: absolute addresses (no CONFIG_KALLSYMS_BASE_RELATIVE), 6.2 and 6.3, compressions of before 2.6.

import { type NamedAddress, SymbolTable } from './table.js';

const TOKENS = 256;
const TOKEN_INDEX_BYTES = 2 * TOKENS;
const SYMBOLS_PER_MARKER = 256;
const ZERO = 0x30;
const ONE = 0x31;
const DIGITS = 10;
/** What a block of 256 names can take at most: each a length of two bytes and 512 tokens. */
const MAX_BLOCK_BYTES = SYMBOLS_PER_MARKER * 514;
/** All of a 64-bit kernel's addresses, but those of per-CPU variables, lie above. */
const KERNEL_START = 0xffff_ffff_8000_0000n;

interface Tokens {
  /** Where token_table begins, and token_index ends. */
  readonly start: number;
  readonly end: number;
  readonly texts: readonly string[];
}

interface Names {
  /** Where the word num_syms stands. */
  readonly start: number;
  /** With the type in front. */
  readonly typed: readonly string[];
}

/**
 * The symbols in a kernel's loaded bytes, or undefined when there are none that make sense. `loaded`: one of its segments,
 * whose alignment to 8 bytes is the one that it has in memory. Per-CPU variables are left out: their addresses are offsets.
 */
export function kallsymsSymbols(loaded: Uint8Array): SymbolTable | undefined {
  const view = new DataView(loaded.buffer, loaded.byteOffset, loaded.byteLength);
  for (const tokens of findTokens(loaded, view)) {
    const names = findNames(loaded, view, tokens);
    const addresses = names && findAddresses(view, names, tokens);
    if (addresses) return new SymbolTable(namedAddresses(names.typed, addresses));
  }
  return undefined;
}

const aligned = (at: number): number => (at + 7) & ~7;

/** Digits occur in names, so the tokens 0x30…0x39 are "0"…"9" themselves, one after the other. */
function* findTokens(bytes: Uint8Array, view: DataView): Generator<Tokens> {
  for (let one = bytes.indexOf(ONE); one >= 0; one = bytes.indexOf(ONE, one + 1)) {
    const zero = one - 2;
    if (zero < 0 || !hasDigits(bytes, zero)) continue;
    const tokens = tokensAround(bytes, view, zero);
    if (tokens) yield tokens;
  }
}

function hasDigits(bytes: Uint8Array, zero: number): boolean {
  for (let digit = 0; digit < DIGITS; digit++)
    if (bytes[zero + 2 * digit] !== ZERO + digit || bytes[zero + 2 * digit + 1] !== 0) return false;
  return true;
}

/** token_table from the place of its "0" on: token_index behind it must give the place of every token. */
function tokensAround(bytes: Uint8Array, view: DataView, zero: number): Tokens | undefined {
  let at = zero;
  for (let token = ZERO; token < TOKENS; token++) {
    at = bytes.indexOf(0, at) + 1;
    if (at === 0) return undefined;
  }
  const index = aligned(at);
  const end = index + TOKEN_INDEX_BYTES;
  if (end > bytes.length) return undefined;
  const start = zero - view.getUint16(index + 2 * ZERO, true);
  if (start < 0) return undefined;
  const texts: string[] = [];
  at = start;
  for (let token = 0; token < TOKENS; token++) {
    if (view.getUint16(index + 2 * token, true) !== at - start) return undefined;
    const stop = bytes.indexOf(0, at);
    texts.push(String.fromCharCode(...bytes.subarray(at, stop)));
    at = stop + 1;
  }
  return { start, end, texts };
}

/** names and num_syms, told from the markers that stand between them and the tokens. */
function findNames(bytes: Uint8Array, view: DataView, tokens: Tokens): Names | undefined {
  const markers = findMarkers(view, tokens.start);
  if (!markers) return undefined;
  const lastMarker = markers.offsets[markers.offsets.length - 1] as number;
  const latest = (markers.start - lastMarker) & ~7;
  for (let start = latest; start >= 8 && start > latest - MAX_BLOCK_BYTES; start -= 8) {
    const count = view.getUint32(start - 8, true);
    if (view.getUint32(start - 4, true) !== 0) continue;
    if (Math.ceil(count / SYMBOLS_PER_MARKER) !== markers.offsets.length) continue;
    const typed = readNames(bytes.subarray(start, markers.start), count, markers.offsets, tokens.texts);
    if (typed) return { start: start - 8, typed };
  }
  return undefined;
}

/** 32-bit numbers that ascend from 0 up to the tokens, or up to 4 bytes of padding before them. */
function findMarkers(
  view: DataView,
  tokensStart: number,
): { readonly start: number; readonly offsets: readonly number[] } | undefined {
  const offsets: number[] = [];
  let at = tokensStart - 4;
  if (at >= 0 && view.getUint32(at, true) === 0) at -= 4;
  for (; at >= 0; at -= 4) {
    const offset = view.getUint32(at, true);
    if (offsets.length > 0 && offset >= (offsets[0] as number)) return undefined;
    offsets.unshift(offset);
    if (offset === 0) return { start: at, offsets };
  }
  return undefined;
}

/** `count` names, each 256th of which begins at its marker; undefined where they do not. */
function readNames(
  bytes: Uint8Array,
  count: number,
  markers: readonly number[],
  tokens: readonly string[],
): string[] | undefined {
  const names: string[] = [];
  let at = 0;
  for (let number = 0; number < count; number++) {
    if (number % SYMBOLS_PER_MARKER === 0 && markers[number / SYMBOLS_PER_MARKER] !== at) return undefined;
    let length = bytes[at++] ?? 0;
    // Since 6.1 a name of more than 127 tokens has a length of two bytes.
    if (length >= 128) length = (length & 127) | ((bytes[at++] ?? 0) << 7);
    if (length === 0 || at + length > bytes.length) return undefined;
    let name = '';
    for (const end = at + length; at < end; at++) name += tokens[bytes[at] as number];
    names.push(name);
  }
  return names;
}

/** The addresses in both of the places where they may be; undefined when neither holds a plausible base. */
function findAddresses(view: DataView, { start, typed }: Names, tokens: Tokens): readonly bigint[] | undefined {
  const offsetsBytes = aligned(4 * typed.length);
  const older = { offsets: start - 8 - offsetsBytes, base: start - 8 };
  const newer = { offsets: aligned(tokens.end), base: aligned(tokens.end) + offsetsBytes };
  for (const { offsets, base: baseAt } of [older, newer]) {
    if (offsets < 0 || baseAt + 8 > view.byteLength) continue;
    const base = view.getBigUint64(baseAt, true);
    if (base < KERNEL_START) continue;
    const raw = typed.map((_, number) => view.getInt32(offsets + 4 * number, true));
    // Where per-CPU variables have offsets for addresses, these are the positive ones; else all are distances, unsigned.
    const hasPerCpu = raw.some((offset) => offset < 0);
    return raw.map((offset) =>
      !hasPerCpu ? base + BigInt(offset >>> 0) : offset < 0 ? base - 1n - BigInt(offset) : BigInt(offset),
    );
  }
  return undefined;
}

function* namedAddresses(typed: readonly string[], addresses: readonly bigint[]): Generator<NamedAddress> {
  for (const [number, name] of typed.entries()) {
    const address = addresses[number] as bigint;
    if (address >= KERNEL_START) yield { name: name.slice(1), address, sizeBytes: 0n };
  }
}
