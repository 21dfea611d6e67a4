// Symbols from an ELF file's symbol table, in the raw form in which the builder hands it on.
// Source: System V ABI "Object Files > Symbol Table". Left out: versions, thread-local symbols, other word sizes.
//
//   0       4      5       6           8         16       24
//   +-------+------+-------+-----------+---------+--------+
//   | name  | info | other | section # | value   | size   |   one entry; info = binding << 4 | type
//   +-------+------+-------+-----------+---------+--------+

import { type NamedAddress, SymbolTable } from './table.js';

/** A symbol table as it stands in the file. */
export interface RawElfSymbols {
  /** Entries of 24 bytes each; what is left over at the end is ignored. */
  readonly entries: Uint8Array;
  readonly strings: Uint8Array;
  /** By section number: where it lies in memory. */
  readonly sections: readonly { readonly address: bigint; readonly sizeBytes: bigint }[];
}

const ENTRY_BYTES = 24;
const SHN_UNDEF = 0;
const STB_LOCAL = 0;
const STB_WEAK = 2;
const STT_NOTYPE = 0;
const STT_OBJECT = 1;
const STT_FUNC = 2;

/** Every named, defined address. A damaged entry is left out: symbols help to read a report, no more. */
export function elfSymbols({ entries, strings, sections }: RawElfSymbols): SymbolTable {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  const found: { symbol: NamedAddress; rank: number }[] = [];
  for (let at = 0; at + ENTRY_BYTES <= entries.length; at += ENTRY_BYTES) {
    const info = view.getUint8(at + 4);
    const type = info & 15;
    const section = view.getUint16(at + 6, true);
    if (section === SHN_UNDEF || (type !== STT_NOTYPE && type !== STT_OBJECT && type !== STT_FUNC)) continue;
    const name = nameAt(strings, view.getUint32(at, true));
    if (name === '') continue;
    const place = sections[section];
    const symbol = {
      name,
      address: view.getBigUint64(at + 8, true),
      sizeBytes: view.getBigUint64(at + 16, true),
      ...(place && { limit: place.address + place.sizeBytes }),
    };
    found.push({ symbol, rank: rankOf(info >> 4, type) });
  }
  found.sort((a, b) => a.rank - b.rank);
  return new SymbolTable(found.map(({ symbol }) => symbol));
}

/** Which of several names for one address to prefer: lower is better. */
function rankOf(binding: number, type: number): number {
  const kind = type === STT_FUNC ? 0 : type === STT_OBJECT ? 1 : 2;
  const reach = binding === STB_LOCAL ? 2 : binding === STB_WEAK ? 1 : 0;
  return kind * 3 + reach;
}

function nameAt(strings: Uint8Array, start: number): string {
  if (start >= strings.length) return '';
  const end = strings.indexOf(0, start);
  const bytes = strings.subarray(start, end < 0 ? strings.length : end);
  return new TextDecoder('utf-8').decode(bytes);
}
