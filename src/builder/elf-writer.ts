// Writes a kernel of our own as a PV ELF file, so that it takes the same way into a machine as anybody's kernel.
// Source: System V ABI "Object Files" and "Program Loading"; Xen 4.17 public/elfnote.h for the notes' form.
// Left out: relocations, section headers for code (the loadable segments carry it), debug information.
//
//  | ELF header | program headers | segments, each congruent to its address modulo 4 KiB | notes | symbols | strings | sections |

import { PAGE_BYTES } from '../base/addresses.js';
import { InputError } from '../base/failures.js';
import { hex0x } from '../base/hex.js';
import { roundUp, viewOf } from './bytes.js';
import * as E from './elf-format.js';
import * as N from './notes.js';

/** A PT_LOAD. Its place in the file follows from its address. */
export interface SegmentToWrite {
  readonly vaddr: bigint;
  /** Its p_paddr; by default the one that puts it at its vaddr, given VIRT_BASE and PADDR_OFFSET. */
  readonly paddr?: bigint;
  readonly bytes: Uint8Array;
  /** Default: the length of `bytes`; what is more reads as zero. */
  readonly memoryBytes?: number;
  /** Default: read, write and execute. */
  readonly flags?: number;
}

/** A global symbol with an absolute address. */
export interface SymbolToWrite {
  readonly name: string;
  readonly address: bigint;
  readonly sizeBytes: number;
  readonly kind: 'function' | 'object' | 'label';
}

/** The Xen notes to write; each is left out when undefined. */
export interface NotesToWrite {
  readonly guestOs?: string;
  readonly guestVersion?: string;
  readonly loader?: string;
  readonly xenVersion?: string;
  readonly features?: string;
  readonly bsdSymtab?: string;
  readonly entry?: bigint;
  readonly hypercallPage?: bigint;
  readonly virtBase?: bigint;
  readonly paddrOffset?: bigint;
  readonly initP2m?: bigint;
  readonly modStartPfn?: bigint;
  readonly phys32Entry?: bigint;
}

/** A kernel of our own, as the writer takes it. */
export interface ElfToWrite {
  readonly entry: bigint;
  readonly segments: readonly SegmentToWrite[];
  readonly notes: NotesToWrite;
  /** Where the notes go: a PT_NOTE segment, a SHT_NOTE section with no segment (as mini-os), or the __xen_guest string. */
  readonly notesIn?: 'segment' | 'section' | 'guest-string';
  readonly symbols?: readonly SymbolToWrite[];
}

const SYMBOL_TYPES = { label: 0, object: 1, function: 2 } as const;
const STB_GLOBAL = 1;
const SHN_ABS = 0xfff1;

interface SectionToWrite {
  readonly name: string;
  readonly type: number;
  readonly bytes: Uint8Array;
  readonly link?: number;
  readonly info?: number;
  readonly entryBytes?: number;
}

/** The file's bytes. Throws InputError when a segment's numbers do not fit together. */
export function writeElf(file: ElfToWrite): Uint8Array {
  const notesIn = file.notesIn ?? 'segment';
  const virtBase = file.notes.virtBase ?? 0n;
  const virtOffset = virtBase - (file.notes.paddrOffset ?? (notesIn === 'guest-string' ? virtBase : 0n));
  const contents = sectionsOf(file, notesIn);
  const names = stringTable([...contents.map((section) => section.name), '.shstrtab']);
  const sections = [...contents, { name: '.shstrtab', type: E.SHT_STRTAB, bytes: names.bytes }];
  const headers = file.segments.length + (notesIn === 'segment' ? 1 : 0);

  let at = E.EHDR_BYTES + headers * E.PHDR_BYTES;
  const segments = file.segments.map((segment) => {
    const memoryBytes = segment.memoryBytes ?? segment.bytes.length;
    if (memoryBytes < segment.bytes.length)
      throw new InputError(
        `segment at ${hex0x(segment.vaddr)}: ${segment.bytes.length} bytes do not fit ${memoryBytes}`,
      );
    const offset = roundUp(at, PAGE_BYTES) + Number(segment.vaddr % BigInt(PAGE_BYTES));
    at = offset + segment.bytes.length;
    return { ...segment, memoryBytes, offset, paddr: segment.paddr ?? segment.vaddr - virtOffset };
  });
  const placed = sections.map((section) => {
    const offset = roundUp(at, 8);
    at = offset + section.bytes.length;
    return { ...section, offset };
  });
  const sectionTable = roundUp(at, 8);

  const bytes = new Uint8Array(sectionTable + sections.length * E.SHDR_BYTES);
  writeHeader(bytes, file.entry, headers, sectionTable, sections.length);
  const programHeader = (index: number, type: number, flags: number, fields: readonly (bigint | number)[]): void => {
    const view = viewOf(bytes.subarray(E.EHDR_BYTES + index * E.PHDR_BYTES));
    view.setUint32(E.P_TYPE, type, true);
    view.setUint32(E.P_FLAGS, flags, true);
    for (const [place, value] of fields.entries()) view.setBigUint64(E.P_OFFSET + 8 * place, BigInt(value), true);
  };
  for (const [index, segment] of segments.entries()) {
    const { vaddr, paddr, offset, memoryBytes, flags = E.PF_R | E.PF_W | E.PF_X } = segment;
    bytes.set(segment.bytes, offset);
    programHeader(index, E.PT_LOAD, flags, [offset, vaddr, paddr, segment.bytes.length, memoryBytes, PAGE_BYTES]);
  }
  for (const [index, section] of placed.entries()) {
    bytes.set(section.bytes, section.offset);
    writeSectionHeader(
      viewOf(bytes.subarray(sectionTable + index * E.SHDR_BYTES)),
      section,
      names.offsets[index] as number,
    );
    if (section.type === E.SHT_NOTE && notesIn === 'segment')
      programHeader(segments.length, E.PT_NOTE, E.PF_R, [
        section.offset,
        0,
        0,
        section.bytes.length,
        section.bytes.length,
        4,
      ]);
  }
  return bytes;
}

/** The sections in order, all but the last, which holds their names: the null section, notes, symbols, strings. */
function sectionsOf(file: ElfToWrite, notesIn: NonNullable<ElfToWrite['notesIn']>): SectionToWrite[] {
  const sections: SectionToWrite[] = [{ name: '', type: E.SHT_NULL, bytes: new Uint8Array(0) }];
  if (notesIn === 'guest-string')
    sections.push({ name: '__xen_guest', type: E.SHT_PROGBITS, bytes: ascii(`${guestString(file.notes)}\0`) });
  else sections.push({ name: '.note.Xen', type: E.SHT_NOTE, bytes: noteBytes(file.notes) });
  if (file.symbols) {
    const { entries, strings } = symbolBytes(file.symbols);
    const link = sections.length + 1;
    sections.push({ name: '.symtab', type: E.SHT_SYMTAB, bytes: entries, link, info: 1, entryBytes: E.SYM_BYTES });
    sections.push({ name: '.strtab', type: E.SHT_STRTAB, bytes: strings });
  }
  return sections;
}

function writeHeader(bytes: Uint8Array, entry: bigint, headers: number, sectionTable: number, sections: number): void {
  bytes.set(E.ELF_MAGIC);
  bytes[E.EI_CLASS] = E.ELFCLASS64;
  bytes[E.EI_DATA] = E.ELFDATA2LSB;
  bytes[E.EI_VERSION] = E.EV_CURRENT;
  const view = viewOf(bytes);
  view.setUint16(E.E_TYPE, E.ET_EXEC, true);
  view.setUint16(E.E_MACHINE, E.EM_X86_64, true);
  view.setUint32(E.E_VERSION, E.EV_CURRENT, true);
  view.setBigUint64(E.E_ENTRY, entry, true);
  view.setBigUint64(E.E_PHOFF, BigInt(E.EHDR_BYTES), true);
  view.setBigUint64(E.E_SHOFF, BigInt(sectionTable), true);
  view.setUint16(E.E_EHSIZE, E.EHDR_BYTES, true);
  view.setUint16(E.E_PHENTSIZE, E.PHDR_BYTES, true);
  view.setUint16(E.E_PHNUM, headers, true);
  view.setUint16(E.E_SHENTSIZE, E.SHDR_BYTES, true);
  view.setUint16(E.E_SHNUM, sections, true);
  view.setUint16(E.E_SHSTRNDX, sections - 1, true);
}

function writeSectionHeader(view: DataView, section: SectionToWrite & { offset: number }, name: number): void {
  if (section.type === E.SHT_NULL) return;
  view.setUint32(E.SH_NAME, name, true);
  view.setUint32(E.SH_TYPE, section.type, true);
  view.setBigUint64(E.SH_OFFSET, BigInt(section.offset), true);
  view.setBigUint64(E.SH_SIZE, BigInt(section.bytes.length), true);
  view.setUint32(E.SH_LINK, section.link ?? 0, true);
  view.setUint32(E.SH_INFO, section.info ?? 0, true);
  view.setBigUint64(E.SH_ADDRALIGN, 8n, true);
  view.setBigUint64(E.SH_ENTSIZE, BigInt(section.entryBytes ?? 0), true);
}

/** Every note that is asked for, in the order of its number. */
function noteBytes(notes: NotesToWrite): Uint8Array {
  const values: readonly (readonly [number, string | bigint | undefined])[] = [
    [N.XEN_ELFNOTE_ENTRY, notes.entry],
    [N.XEN_ELFNOTE_HYPERCALL_PAGE, notes.hypercallPage],
    [N.XEN_ELFNOTE_VIRT_BASE, notes.virtBase],
    [N.XEN_ELFNOTE_PADDR_OFFSET, notes.paddrOffset],
    [N.XEN_ELFNOTE_XEN_VERSION, notes.xenVersion],
    [N.XEN_ELFNOTE_GUEST_OS, notes.guestOs],
    [N.XEN_ELFNOTE_GUEST_VERSION, notes.guestVersion],
    [N.XEN_ELFNOTE_LOADER, notes.loader],
    [N.XEN_ELFNOTE_FEATURES, notes.features],
    [N.XEN_ELFNOTE_BSD_SYMTAB, notes.bsdSymtab],
    [N.XEN_ELFNOTE_INIT_P2M, notes.initP2m],
    [N.XEN_ELFNOTE_MOD_START_PFN, notes.modStartPfn],
    [N.XEN_ELFNOTE_PHYS32_ENTRY, notes.phys32Entry],
  ];
  return concat(values.flatMap(([type, value]) => (value === undefined ? [] : [oneNote(type, value)])));
}

function oneNote(type: number, value: string | bigint): Uint8Array {
  const content = typeof value === 'string' ? ascii(`${value}\0`) : new Uint8Array(8);
  if (typeof value === 'bigint') viewOf(content).setBigUint64(0, value, true);
  const owner = ascii('Xen\0');
  const note = new Uint8Array(E.NHDR_BYTES + owner.length + roundUp(content.length, 4));
  const view = viewOf(note);
  view.setUint32(0, owner.length, true);
  view.setUint32(4, content.length, true);
  view.setUint32(8, type, true);
  note.set(owner, E.NHDR_BYTES);
  note.set(content, E.NHDR_BYTES + owner.length);
  return note;
}

/** The keys that the old string has a form for; the hypercall page is a page number relative to VIRT_BASE there. */
function guestString(notes: NotesToWrite): string {
  const page = notes.hypercallPage;
  const values: readonly (readonly [string, string | bigint | undefined])[] = [
    ['GUEST_OS', notes.guestOs],
    ['GUEST_VER', notes.guestVersion],
    ['LOADER', notes.loader],
    ['XEN_VER', notes.xenVersion],
    ['VIRT_BASE', notes.virtBase],
    ['ELF_PADDR_OFFSET', notes.paddrOffset],
    ['VIRT_ENTRY', notes.entry],
    ['HYPERCALL_PAGE', page === undefined ? undefined : (page - (notes.virtBase ?? 0n)) >> 12n],
    ['FEATURES', notes.features],
    ['BSD_SYMTAB', notes.bsdSymtab],
  ];
  const text = (value: string | bigint): string => (typeof value === 'bigint' ? hex0x(value) : value);
  return values.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${text(value)}`])).join(',');
}

function symbolBytes(symbols: readonly SymbolToWrite[]): { entries: Uint8Array; strings: Uint8Array } {
  const { bytes: strings, offsets } = stringTable(symbols.map((symbol) => symbol.name));
  const entries = new Uint8Array((symbols.length + 1) * E.SYM_BYTES);
  for (const [index, symbol] of symbols.entries()) {
    const view = viewOf(entries.subarray((index + 1) * E.SYM_BYTES));
    view.setUint32(E.ST_NAME, offsets[index] as number, true);
    view.setUint8(E.ST_INFO, (STB_GLOBAL << 4) | SYMBOL_TYPES[symbol.kind]);
    view.setUint16(E.ST_SHNDX, SHN_ABS, true);
    view.setBigUint64(E.ST_VALUE, symbol.address, true);
    view.setBigUint64(E.ST_SIZE, BigInt(symbol.sizeBytes), true);
  }
  return { entries, strings };
}

/** NUL-terminated strings behind an empty one, and where each begins. */
function stringTable(names: readonly string[]): { bytes: Uint8Array; offsets: number[] } {
  let at = 1;
  const offsets = names.map((name) => {
    const offset = at;
    at += name.length + 1;
    return offset;
  });
  return { bytes: ascii(`\0${names.map((name) => `${name}\0`).join('')}`), offsets };
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0) & 0x7f);

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
