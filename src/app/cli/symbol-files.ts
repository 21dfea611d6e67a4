// Files that give addresses names: System.map, /proc/kallsyms and nm output as text; ELF files with a symbol table (vmlinux,
// xen-syms, our own guests), and kernels as they are shipped (vmlinuz) by the kallsyms inside them; lines from .debug_line, where it is there.

import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { InputError } from '../../base/failures.js';
import { type ElfFile, sectionContents } from '../../builder/elf.js';
import { isBzImage, readElf, symbolTable, unpackedKernel } from '../../builder/index.js';
import {
  dwarfLines,
  elfSymbols,
  kallsymsSymbols,
  type LineOf,
  type SymbolTable,
  systemMapSymbols,
} from '../../symbols/index.js';

/** What crash wants to know of addresses; each answers from the first file that knows. */
export interface Names {
  readonly symbol: (address: bigint) => string | undefined;
  readonly line: (address: bigint) => string | undefined;
  readonly find: (name: string) => bigint | undefined;
}

interface SymbolFile {
  readonly symbols: SymbolTable;
  readonly lineOf: LineOf | undefined;
}

/** The names that the files give; undefined when there are no files. Throws InputError. */
export function readSymbols(files: readonly string[]): Names | undefined {
  if (files.length === 0) return undefined;
  const read = files.map(readSymbolFile);
  const first = <Answer>(ask: (file: SymbolFile) => Answer | undefined): Answer | undefined => {
    for (const file of read) {
      const answer = ask(file);
      if (answer !== undefined) return answer;
    }
    return undefined;
  };
  return {
    symbol: (address) => first(({ symbols }) => symbols.format(address)),
    line: (address) => {
      const found = first(({ lineOf }) => lineOf?.(address));
      return found && `${found.file}:${found.line}`;
    },
    find: (name) => first(({ symbols }) => symbols.find(name)),
  };
}

const ELF_MAGIC = 0x464c457f;
function readSymbolFile(file: string): SymbolFile {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new InputError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (bytes.length >= 4 && bytes.readUInt32LE(0) === ELF_MAGIC) return readElfFile(file, readElf(bytes));
  if (isBzImage(bytes)) return readElfFile(file, readElf(unpackedKernel(bytes)));
  const symbols = systemMapSymbols(bytes.toString('latin1'));
  if (symbols.size === 0) throw new InputError(`${file} is no System.map, and no ELF file either`);
  return { symbols, lineOf: undefined };
}

function readElfFile(file: string, elf: ElfFile): SymbolFile {
  const table = symbolTable(elf);
  const symbols = table === undefined ? kallsymsSymbols(elf.bytes) : elfSymbols(table);
  if (symbols === undefined) throw new InputError(`${file} has no symbol table and no kallsyms: it was stripped`);
  const line = debugSection(elf, '.debug_line');
  const sections = {
    line,
    lineStrings: debugSection(elf, '.debug_line_str'),
    strings: debugSection(elf, '.debug_str'),
  };
  return { symbols, lineOf: line.length === 0 ? undefined : dwarfLines(sections) };
}

const SHF_COMPRESSED = 0x800n;
const COMPRESSION_HEADER_BYTES = 24;
const ELFCOMPRESS_ZLIB = 1;

/** A section's bytes, inflated; none when it is missing or compressed in a way that Node cannot undo. */
function debugSection(elf: ElfFile, name: string): Uint8Array {
  const section = elf.sections.find((candidate) => candidate.name === name);
  if (section === undefined) return new Uint8Array();
  const bytes = sectionContents(elf, section);
  if ((section.flags & SHF_COMPRESSED) === 0n) return bytes;
  const isZlib = bytes[0] === ELFCOMPRESS_ZLIB && bytes.length > COMPRESSION_HEADER_BYTES;
  return isZlib ? inflateSync(bytes.subarray(COMPRESSION_HEADER_BYTES)) : new Uint8Array();
}
