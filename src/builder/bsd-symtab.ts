// The symbol table that a kernel with the note BSD_SYMTAB "yes" (NetBSD) finds loaded behind its image: a size, then a small
// ELF file of three sections (none, symbols, strings).
// Source: Xen 4.17 common/libelf/libelf-loader.c (elf_parse_bsdsyms, elf_load_bsdsyms). Left out: the other form that 4.1
// to 4.6 used, with all section headers of the kernel.
//
//   +------+------------+------------------+-----+---------+---------+
//   | size | ELF header | 3 section headers| pad | symbols | strings |   each part starts on 8 bytes, counted from `size`;
//   +------+------------+------------------+-----+---------+---------+   section offsets are counted from the ELF header
//   0      4            68                 260   264

import { roundUp, viewOf } from './bytes.js';
import type { ElfSymbolTable } from './elf.js';
import * as E from './elf-format.js';

const SIZE_BYTES = 4;
const SECTIONS = 3;
const SYMBOLS_AT = roundUp(SIZE_BYTES + E.EHDR_BYTES + SECTIONS * E.SHDR_BYTES, 8);

const stringsAt = (symbols: ElfSymbolTable): number => roundUp(SYMBOLS_AT + symbols.entries.length, 8);

/** How many bytes of memory it takes. */
export const bsdSymtabBytes = (symbols: ElfSymbolTable): bigint =>
  BigInt(roundUp(stringsAt(symbols) + symbols.strings.length, 8));

/** The bytes to load; `kernel` is the whole file, whose ELF header is copied and adjusted. */
export function bsdSymtab(kernel: Uint8Array, symbols: ElfSymbolTable): Uint8Array {
  const image = new Uint8Array(Number(bsdSymtabBytes(symbols)));
  const strings = stringsAt(symbols);
  image.set(kernel.subarray(0, E.EHDR_BYTES), SIZE_BYTES);
  image.set(symbols.entries, SYMBOLS_AT);
  image.set(symbols.strings, strings);

  viewOf(image).setUint32(0, strings + symbols.strings.length - SIZE_BYTES, true);
  const elf = viewOf(image.subarray(SIZE_BYTES));
  elf.setUint32(E.E_VERSION, E.EV_CURRENT, true);
  elf.setBigUint64(E.E_PHOFF, 0n, true);
  elf.setBigUint64(E.E_SHOFF, BigInt(E.EHDR_BYTES), true);
  const fields = [
    [E.E_EHSIZE, E.EHDR_BYTES],
    [E.E_PHENTSIZE, 0],
    [E.E_PHNUM, 0],
    [E.E_SHENTSIZE, E.SHDR_BYTES],
    [E.E_SHNUM, SECTIONS],
    [E.E_SHSTRNDX, 0],
  ] as const;
  for (const [field, value] of fields) elf.setUint16(field, value, true);
  const section = (index: number, type: number, at: number, bytes: number): void => {
    const header = E.EHDR_BYTES + index * E.SHDR_BYTES;
    elf.setUint32(header + E.SH_TYPE, type, true);
    elf.setBigUint64(header + E.SH_OFFSET, BigInt(at - SIZE_BYTES), true);
    elf.setBigUint64(header + E.SH_SIZE, BigInt(bytes), true);
  };
  section(1, E.SHT_SYMTAB, SYMBOLS_AT, symbols.entries.length);
  section(2, E.SHT_STRTAB, strings, symbols.strings.length);
  const symtab = E.EHDR_BYTES + E.SHDR_BYTES;
  elf.setUint32(symtab + E.SH_LINK, 2, true);
  elf.setBigUint64(symtab + E.SH_ENTSIZE, BigInt(E.SYM_BYTES), true);
  return image;
}
