// Files that give addresses names: System.map, /proc/kallsyms and nm output as text, and ELF files with a symbol table
// (vmlinux, xen-syms, our own guests).

import { readFileSync } from 'node:fs';
import { InputError } from '../../base/failures.js';
import { readElf, symbolTable } from '../../builder/index.js';
import { elfSymbols, type SymbolTable, systemMapSymbols } from '../../symbols/index.js';

/** Names an address as "symbol+0x12"; undefined where no file knows it. */
export type NameAddress = (address: bigint) => string | undefined;

/** The names that the files give, the first file's first; undefined when there are no files. Throws InputError. */
export function readSymbols(files: readonly string[]): NameAddress | undefined {
  if (files.length === 0) return undefined;
  const tables = files.map(readTable);
  return (address) => {
    for (const table of tables) {
      const name = table.format(address);
      if (name !== undefined) return name;
    }
    return undefined;
  };
}

const ELF_MAGIC = 0x464c457f;

function readTable(file: string): SymbolTable {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new InputError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (bytes.length < 4 || bytes.readUInt32LE(0) !== ELF_MAGIC) {
    const table = systemMapSymbols(bytes.toString('latin1'));
    if (table.size === 0) throw new InputError(`${file} is no System.map, and no ELF file either`);
    return table;
  }
  const symbols = symbolTable(readElf(bytes));
  if (symbols === undefined) throw new InputError(`${file} has no symbol table: it was stripped`);
  return elfSymbols(symbols);
}
