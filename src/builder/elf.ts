// Reads a 64-bit x86 ELF file: its header, loadable and note segments, sections, and the place of its symbol table.
// Every offset and size in the file is untrusted: each is checked before use, and what is wrong is said with its place,
// its numbers and what was expected. Source: System V ABI "Object Files" and "Program Loading".
// Left out: other byte orders and word sizes, relocation, more than 65,534 program headers.

import { InputError } from '../base/failures.js';
import { hex0x } from '../base/hex.js';
import { cString, viewOf, within } from './bytes.js';
import * as E from './elf-format.js';
import { describeImage } from './image-kinds.js';

/** A PT_LOAD or PT_NOTE program header; its file range lies inside the file. */
export interface ElfSegment {
  /** Its place in the program header table. */
  readonly index: number;
  readonly type: number;
  readonly flags: number;
  readonly fileOffset: number;
  readonly fileBytes: number;
  readonly vaddr: bigint;
  readonly paddr: bigint;
  readonly memoryBytes: bigint;
}

/** A section header; unlike a segment's, its file range is unchecked until `contents` is asked for. */
export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: bigint;
  readonly address: bigint;
  readonly fileOffset: bigint;
  readonly sizeBytes: bigint;
  /** sh_link: for a symbol table, the index of its string table. */
  readonly link: number;
}

/** The raw symbol table of a file, for the room `symbols` to read. */
export interface ElfSymbolTable {
  /** Entries of 24 bytes each. */
  readonly entries: Uint8Array;
  readonly strings: Uint8Array;
  /** Where each section lies in memory, by section index, so that a symbol without a size has an end. */
  readonly sections: readonly { readonly address: bigint; readonly sizeBytes: bigint }[];
}

/** A 64-bit x86 ELF file whose headers are known to make sense. */
export interface ElfFile {
  readonly bytes: Uint8Array;
  readonly entry: bigint;
  /** The PT_LOADs that occupy memory, by ascending physical address; no two overlap. */
  readonly loads: readonly ElfSegment[];
  /** From the first loaded physical address to one past the last. */
  readonly physicalRange: { readonly start: bigint; readonly end: bigint };
  readonly noteSegments: readonly ElfSegment[];
  readonly sections: readonly ElfSection[];
}

const MACHINES: Record<number, string> = {
  2: 'SPARC',
  3: 'Intel 80386',
  8: 'MIPS',
  20: 'PowerPC',
  21: 'PowerPC64',
  22: 'IBM S/390',
  40: 'Arm',
  43: 'SPARC V9',
  50: 'Itanium',
  183: 'AArch64',
  243: 'RISC-V',
  258: 'LoongArch',
};

const TYPES: Record<number, string> = {
  [E.ET_REL]: 'a relocatable object (.o or .ko), which is not linked to an address',
  [E.ET_CORE]: 'a core dump',
};

/** "0x40..0x120" of a file range, as an InputError says it. */
const range = (offset: bigint | number, bytes: bigint | number): string =>
  `${hex0x(offset)}..${hex0x(BigInt(offset) + BigInt(bytes))}`;

function truncated(what: string, offset: bigint | number, bytes: bigint | number, total: number): InputError {
  return new InputError(
    `truncated or damaged ELF file: ${what} should be at bytes ${range(offset, bytes)}, ` +
      `but the file ends at ${hex0x(total)} (${total} bytes)`,
  );
}

/** Reads and checks the headers. Throws InputError for anything but a well-formed 64-bit x86 executable. */
export function readElf(bytes: Uint8Array): ElfFile {
  const view = checkHeader(bytes);
  const segments = readSegments(bytes, view);
  const loads = sortedLoads(segments.filter((segment) => segment.type === E.PT_LOAD && segment.memoryBytes > 0n));
  const last = loads[loads.length - 1] as ElfSegment;
  return {
    bytes,
    entry: view.getBigUint64(E.E_ENTRY, true),
    loads,
    physicalRange: { start: (loads[0] as ElfSegment).paddr, end: last.paddr + last.memoryBytes },
    noteSegments: segments.filter((segment) => segment.type === E.PT_NOTE),
    sections: readSections(bytes, view),
  };
}

/** The section's bytes in the file (none for SHT_NOBITS). Throws InputError when they lie outside it. */
export function sectionContents(elf: ElfFile, section: ElfSection): Uint8Array {
  if (section.type === E.SHT_NOBITS) return new Uint8Array(0);
  if (!within(section.fileOffset, section.sizeBytes, elf.bytes.length))
    throw truncated(
      `section ${section.index} (${section.name})`,
      section.fileOffset,
      section.sizeBytes,
      elf.bytes.length,
    );
  const start = Number(section.fileOffset);
  return elf.bytes.subarray(start, start + Number(section.sizeBytes));
}

/** The first SHT_SYMTAB with its strings, or undefined when the file is stripped. Throws InputError when it is damaged. */
export function symbolTable(elf: ElfFile): ElfSymbolTable | undefined {
  const table = elf.sections.find((section) => section.type === E.SHT_SYMTAB);
  if (!table) return undefined;
  const strings = elf.sections[table.link];
  if (strings?.type !== E.SHT_STRTAB)
    throw new InputError(
      `damaged ELF file: the symbol table (section ${table.index}) names section ${table.link} as its string table, ` +
        `and that is ${strings ? `of type ${strings.type}, not SHT_STRTAB (3)` : 'none of its sections'}`,
    );
  return { entries: sectionContents(elf, table), strings: sectionContents(elf, strings), sections: elf.sections };
}

function checkHeader(bytes: Uint8Array): DataView {
  if (!E.ELF_MAGIC.every((byte, at) => bytes[at] === byte))
    throw new InputError(`not an ELF file: this is ${describeImage(bytes)}`);
  if (bytes.length < E.EHDR_BYTES) throw truncated('the ELF header', 0, E.EHDR_BYTES, bytes.length);
  const view = viewOf(bytes);
  const elfClass = view.getUint8(E.EI_CLASS);
  const machine = view.getUint16(E.E_MACHINE, view.getUint8(E.EI_DATA) !== E.ELFDATA2MSB);
  const machineName = MACHINES[machine] ?? `machine ${machine}`;
  if (elfClass === E.ELFCLASS32)
    throw new InputError(`a 32-bit ELF file (${machineName}): only 64-bit x86 PV kernels are supported`);
  if (elfClass !== E.ELFCLASS64)
    throw new InputError(`damaged ELF file: its class (byte ${E.EI_CLASS}) is ${elfClass}, expected ${E.ELFCLASS64}`);
  if (view.getUint8(E.EI_DATA) !== E.ELFDATA2LSB || machine !== E.EM_X86_64)
    throw new InputError(`an ELF file for ${machineName}, expected x86-64 (machine ${E.EM_X86_64}, little-endian)`);
  const type = view.getUint16(E.E_TYPE, true);
  if (type !== E.ET_EXEC && type !== E.ET_DYN)
    throw new InputError(
      `this ELF file is ${TYPES[type] ?? `of type ${type}`}, expected an executable (type ${E.ET_EXEC} or ${E.ET_DYN})`,
    );
  return view;
}

/** The table of `count` headers of `entryBytes` bytes each at `offset`: checked as a whole, before any is read. */
function checkTable(
  what: string,
  offset: bigint,
  count: number,
  entryBytes: number,
  expected: number,
  total: number,
): void {
  if (count === 0) return;
  if (entryBytes !== expected)
    throw new InputError(`damaged ELF file: an entry of its ${what} has ${entryBytes} bytes, expected ${expected}`);
  if (!within(offset, count * entryBytes, total)) throw truncated(`its ${what}`, offset, count * entryBytes, total);
}

function readSegments(bytes: Uint8Array, view: DataView): ElfSegment[] {
  const count = view.getUint16(E.E_PHNUM, true);
  const tableOffset = view.getBigUint64(E.E_PHOFF, true);
  if (count === E.PN_XNUM) throw new InputError('an ELF file with 65535 or more program headers is not supported');
  checkTable(
    'program header table',
    tableOffset,
    count,
    view.getUint16(E.E_PHENTSIZE, true),
    E.PHDR_BYTES,
    bytes.length,
  );
  const segments: ElfSegment[] = [];
  for (let index = 0; index < count; index++) {
    const at = Number(tableOffset) + index * E.PHDR_BYTES;
    const type = view.getUint32(at + E.P_TYPE, true);
    if (type !== E.PT_LOAD && type !== E.PT_NOTE) continue;
    const fileOffset = view.getBigUint64(at + E.P_OFFSET, true);
    const fileBytes = view.getBigUint64(at + E.P_FILESZ, true);
    if (!within(fileOffset, fileBytes, bytes.length))
      throw truncated(
        `segment ${index} (${type === E.PT_LOAD ? 'PT_LOAD' : 'PT_NOTE'})`,
        fileOffset,
        fileBytes,
        bytes.length,
      );
    segments.push({
      index,
      type,
      flags: view.getUint32(at + E.P_FLAGS, true),
      fileOffset: Number(fileOffset),
      fileBytes: Number(fileBytes),
      vaddr: view.getBigUint64(at + E.P_VADDR, true),
      paddr: view.getBigUint64(at + E.P_PADDR, true),
      memoryBytes: view.getBigUint64(at + E.P_MEMSZ, true),
    });
  }
  return segments;
}

/** The loads by physical address; there is at least one. */
function sortedLoads(loads: readonly ElfSegment[]): readonly ElfSegment[] {
  if (loads.length === 0) throw new InputError('this ELF file has no loadable segment (PT_LOAD): nothing to run');
  for (const { index, fileBytes, memoryBytes, paddr } of loads) {
    if (BigInt(fileBytes) > memoryBytes)
      throw new InputError(
        `damaged ELF file: segment ${index} has ${hex0x(fileBytes)} bytes in the file for ${hex0x(memoryBytes)} in memory`,
      );
    if (paddr + memoryBytes > 1n << 64n)
      throw new InputError(
        `damaged ELF file: segment ${index} runs past the end of the address space (${range(paddr, memoryBytes)})`,
      );
  }
  const sorted = [...loads].sort((a, b) => (a.paddr < b.paddr ? -1 : a.paddr > b.paddr ? 1 : 0));
  for (const [at, next] of sorted.entries()) {
    const previous = sorted[at - 1];
    if (previous && previous.paddr + previous.memoryBytes > next.paddr)
      throw new InputError(
        `damaged ELF file: segments ${previous.index} (physical ${range(previous.paddr, previous.memoryBytes)}) and ` +
          `${next.index} (${range(next.paddr, next.memoryBytes)}) overlap`,
      );
  }
  return sorted;
}

function readSections(bytes: Uint8Array, view: DataView): ElfSection[] {
  const count = view.getUint16(E.E_SHNUM, true);
  const tableOffset = view.getBigUint64(E.E_SHOFF, true);
  checkTable(
    'section header table',
    tableOffset,
    count,
    view.getUint16(E.E_SHENTSIZE, true),
    E.SHDR_BYTES,
    bytes.length,
  );
  const at = (index: number, field: number): number => Number(tableOffset) + index * E.SHDR_BYTES + field;
  const names = sectionNames(bytes, view, count, at);
  return Array.from({ length: count }, (_, index) => {
    const name = view.getUint32(at(index, E.SH_NAME), true);
    return {
      index,
      name: name < names.length ? cString(names, name) : '',
      type: view.getUint32(at(index, E.SH_TYPE), true),
      flags: view.getBigUint64(at(index, E.SH_FLAGS), true),
      address: view.getBigUint64(at(index, E.SH_ADDR), true),
      fileOffset: view.getBigUint64(at(index, E.SH_OFFSET), true),
      sizeBytes: view.getBigUint64(at(index, E.SH_SIZE), true),
      link: view.getUint32(at(index, E.SH_LINK), true),
    };
  });
}

/** The strings that section names point into; none when the file does not say where they are. */
function sectionNames(
  bytes: Uint8Array,
  view: DataView,
  count: number,
  at: (index: number, field: number) => number,
): Uint8Array {
  const index = view.getUint16(E.E_SHSTRNDX, true);
  if (index === 0 || index >= count) return new Uint8Array(0);
  const offset = view.getBigUint64(at(index, E.SH_OFFSET), true);
  const size = view.getBigUint64(at(index, E.SH_SIZE), true);
  if (!within(offset, size, bytes.length))
    throw truncated(`section ${index} (the section names)`, offset, size, bytes.length);
  return bytes.subarray(Number(offset), Number(offset + size));
}
