// Symbols from a System.map or the output of nm: lines of "address type name".
// Source: nm(1) of GNU binutils; Linux Documentation/admin-guide/bug-hunting.rst (System.map).

import { type NamedAddress, SymbolTable } from './table.js';

const LINE = /^([0-9a-fA-F]{8,16})\s+([A-Za-z?-])\s+(\S+)/;

/** Every defined code or data symbol; lines of any other form are skipped. */
export function systemMapSymbols(text: string): SymbolTable {
  const symbols: NamedAddress[] = [];
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    if (!match) continue;
    const [, address, type, name] = match as unknown as [string, string, string, string];
    if (type === 'a' || type === 'U') continue;
    symbols.push({ name, address: BigInt(`0x${address}`), sizeBytes: 0n });
  }
  return new SymbolTable(symbols);
}
