// What a kernel tells Xen about itself: the ELF notes of owner "Xen", and the older __xen_guest string.
// Sources: Xen 4.17 public/elfnote.h (numbers and meaning), common/libelf/libelf-dominfo.c (where they are looked for, what
// is accepted, the defaults). Left out: what only a PVH guest or dom0 needs (PHYS32_RELOC).

import { InputError } from '../base/failures.js';
import { hex0x } from '../base/hex.js';
import { cString, latin1, viewOf, within } from './bytes.js';
import { type ElfFile, sectionContents } from './elf.js';
import { NHDR_BYTES, SHT_NOTE } from './elf-format.js';

export const XEN_ELFNOTE_ENTRY = 1;
export const XEN_ELFNOTE_HYPERCALL_PAGE = 2;
export const XEN_ELFNOTE_VIRT_BASE = 3;
export const XEN_ELFNOTE_PADDR_OFFSET = 4;
export const XEN_ELFNOTE_XEN_VERSION = 5;
export const XEN_ELFNOTE_GUEST_OS = 6;
export const XEN_ELFNOTE_GUEST_VERSION = 7;
export const XEN_ELFNOTE_LOADER = 8;
export const XEN_ELFNOTE_PAE_MODE = 9;
export const XEN_ELFNOTE_FEATURES = 10;
export const XEN_ELFNOTE_BSD_SYMTAB = 11;
export const XEN_ELFNOTE_HV_START_LOW = 12;
export const XEN_ELFNOTE_L1_MFN_VALID = 13;
export const XEN_ELFNOTE_SUSPEND_CANCEL = 14;
export const XEN_ELFNOTE_INIT_P2M = 15;
export const XEN_ELFNOTE_MOD_START_PFN = 16;
export const XEN_ELFNOTE_SUPPORTED_FEATURES = 17;
export const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/** How a note's descriptor is read: a 4- or 8-byte number, text, or raw bytes. */
type NoteForm = 'number' | 'text' | 'bytes';

/** By note type: the name after XEN_ELFNOTE_ and the form. */
const NOTES: Record<number, { readonly name: string; readonly form: NoteForm }> = {
  [XEN_ELFNOTE_ENTRY]: { name: 'ENTRY', form: 'number' },
  [XEN_ELFNOTE_HYPERCALL_PAGE]: { name: 'HYPERCALL_PAGE', form: 'number' },
  [XEN_ELFNOTE_VIRT_BASE]: { name: 'VIRT_BASE', form: 'number' },
  [XEN_ELFNOTE_PADDR_OFFSET]: { name: 'PADDR_OFFSET', form: 'number' },
  [XEN_ELFNOTE_XEN_VERSION]: { name: 'XEN_VERSION', form: 'text' },
  [XEN_ELFNOTE_GUEST_OS]: { name: 'GUEST_OS', form: 'text' },
  [XEN_ELFNOTE_GUEST_VERSION]: { name: 'GUEST_VERSION', form: 'text' },
  [XEN_ELFNOTE_LOADER]: { name: 'LOADER', form: 'text' },
  [XEN_ELFNOTE_PAE_MODE]: { name: 'PAE_MODE', form: 'text' },
  [XEN_ELFNOTE_FEATURES]: { name: 'FEATURES', form: 'text' },
  [XEN_ELFNOTE_BSD_SYMTAB]: { name: 'BSD_SYMTAB', form: 'text' },
  [XEN_ELFNOTE_HV_START_LOW]: { name: 'HV_START_LOW', form: 'number' },
  [XEN_ELFNOTE_L1_MFN_VALID]: { name: 'L1_MFN_VALID', form: 'bytes' },
  [XEN_ELFNOTE_SUSPEND_CANCEL]: { name: 'SUSPEND_CANCEL', form: 'number' },
  [XEN_ELFNOTE_INIT_P2M]: { name: 'INIT_P2M', form: 'number' },
  [XEN_ELFNOTE_MOD_START_PFN]: { name: 'MOD_START_PFN', form: 'number' },
  [XEN_ELFNOTE_SUPPORTED_FEATURES]: { name: 'SUPPORTED_FEATURES', form: 'number' },
  [XEN_ELFNOTE_PHYS32_ENTRY]: { name: 'PHYS32_ENTRY', form: 'number' },
};

// Xen 4.17 common/libelf/libelf-dominfo.c: the feature names a FEATURES note may use (numbers: public/features.h).
const FEATURES = [
  'writable_page_tables',
  'writable_descriptor_tables',
  'auto_translated_physmap',
  'supervisor_mode_kernel',
  'pae_pgdir_above_4gb',
  'hvm_callback_vector',
  'dom0',
];

/** Features that no PV domU gets; a kernel that requires one cannot run as one. */
const REFUSED_FEATURES = ['auto_translated_physmap', 'supervisor_mode_kernel', 'hvm_callback_vector', 'dom0'];

/** One note as found, for people to look at. */
export interface FoundNote {
  readonly type: number;
  /** "ENTRY", or undefined for a type that is not known. */
  readonly name: string | undefined;
  readonly value: bigint | string | Uint8Array;
}

/** What the notes say, each by its meaning; undefined where a note is absent. */
export interface XenNotes {
  readonly source: 'PT_NOTE' | 'SHT_NOTE' | '__xen_guest';
  readonly found: readonly FoundNote[];
  readonly entry: bigint | undefined;
  readonly hypercallPage: bigint | undefined;
  readonly virtBase: bigint | undefined;
  readonly paddrOffset: bigint | undefined;
  readonly initP2m: bigint | undefined;
  /** MOD_START_PFN: the kernel takes an initrd that is not mapped, by its pfn. */
  readonly unmappedInitrd: boolean;
  readonly bsdSymtab: boolean;
  readonly guestOs: string;
  readonly loader: string;
  readonly xenVersion: string;
  /** Names of the features that the kernel cannot do without ("!name" in FEATURES). */
  readonly requiredFeatures: readonly string[];
}

/** The libelf limit on notes of any owner, which bounds the work a hostile file can ask for. */
const MAX_NOTES = 65536;

/** Finds and checks the kernel's notes. Throws InputError when the file is no PV kernel, and says what is missing. */
export function readXenNotes(elf: ElfFile): XenNotes {
  const budget = { left: MAX_NOTES };
  // A PT_NOTE at offset 0 comes from binutils that left p_offset unset.
  const segments = elf.noteSegments
    .filter((segment) => segment.fileOffset !== 0)
    .flatMap(({ index, fileOffset, fileBytes }) =>
      parseNotes(elf.bytes.subarray(fileOffset, fileOffset + fileBytes), fileOffset, `note segment ${index}`, budget),
    );
  if (segments.length > 0) return accept(interpret(segments, 'PT_NOTE'));

  const sections = elf.sections
    .filter((section) => section.type === SHT_NOTE)
    .flatMap((section) =>
      parseNotes(sectionContents(elf, section), Number(section.fileOffset), `note section ${section.index}`, budget),
    );
  if (sections.length > 0) return accept(interpret(sections, 'SHT_NOTE'));

  const legacy = elf.sections.find((section) => section.name === '__xen_guest');
  if (legacy) return accept(interpretGuestString(latin1(sectionContents(elf, legacy))));

  throw new InputError(
    'not a Xen PV kernel: it has no ELF note of owner "Xen" (looked in PT_NOTE segments and SHT_NOTE sections) and no ' +
      '__xen_guest section; needed are at least the notes XEN_VERSION "xen-3.0" and LOADER "generic" or GUEST_OS "linux"',
  );
}

/** The notes of owner "Xen" in one note segment or section that starts at byte `base` of the file. */
function parseNotes(bytes: Uint8Array, base: number, where: string, budget: { left: number }): FoundNote[] {
  const view = viewOf(bytes);
  const found: FoundNote[] = [];
  let at = 0;
  while (at < bytes.length) {
    const header = at;
    const damaged = (what: string): InputError =>
      new InputError(
        `damaged ELF file: ${what} of the note at byte ${hex0x(base + header)} runs past the end of ${where} ` +
          `at ${hex0x(base + bytes.length)}`,
      );
    if (!within(at, NHDR_BYTES, bytes.length)) {
      if (bytes.subarray(at).every((byte) => byte === 0)) break;
      throw damaged('the header');
    }
    if (budget.left-- === 0) throw new InputError(`this ELF file has more than ${MAX_NOTES} notes`);
    const nameBytes = view.getUint32(at, true);
    const valueBytes = view.getUint32(at + 4, true);
    const type = view.getUint32(at + 8, true);
    const name = at + NHDR_BYTES;
    if (!within(name, nameBytes, bytes.length)) throw damaged('the name');
    const value = name + nameBytes + (-nameBytes & 3);
    if (valueBytes > 0 && !within(value, valueBytes, bytes.length)) throw damaged('the value');
    if (latin1(bytes.subarray(name, name + nameBytes)) === 'Xen\0')
      found.push(readNote(type, bytes.subarray(value, value + valueBytes)));
    at = value + valueBytes + (-valueBytes & 3);
  }
  return found;
}

function readNote(type: number, value: Uint8Array): FoundNote {
  const known = NOTES[type];
  const form = known?.form ?? 'bytes';
  if (form === 'text') return { type, name: known?.name, value: cString(value, 0) };
  if (form === 'bytes') return { type, name: known?.name, value: value.slice() };
  return { type, name: known?.name, value: noteNumber(value) };
}

/** libelf reads a number of any size from the descriptor; only 4 and 8 bytes mean something, others read as 0. */
function noteNumber(value: Uint8Array): bigint {
  const view = viewOf(value);
  if (value.length === 4) return BigInt(view.getUint32(0, true));
  return value.length === 8 ? view.getBigUint64(0, true) : 0n;
}

/** A later note of a type overrides an earlier one, as in libelf. */
function interpret(found: readonly FoundNote[], source: XenNotes['source']): XenNotes {
  const last = (type: number): FoundNote['value'] | undefined => found.findLast((note) => note.type === type)?.value;
  const number = (type: number): bigint | undefined => {
    const value = last(type);
    return typeof value === 'bigint' ? value : undefined;
  };
  const text = (type: number): string => {
    const value = last(type);
    return typeof value === 'string' ? value : '';
  };
  return {
    source,
    found,
    entry: number(XEN_ELFNOTE_ENTRY),
    hypercallPage: number(XEN_ELFNOTE_HYPERCALL_PAGE),
    virtBase: number(XEN_ELFNOTE_VIRT_BASE),
    paddrOffset: number(XEN_ELFNOTE_PADDR_OFFSET),
    initP2m: number(XEN_ELFNOTE_INIT_P2M),
    unmappedInitrd: (number(XEN_ELFNOTE_MOD_START_PFN) ?? 0n) !== 0n,
    bsdSymtab: text(XEN_ELFNOTE_BSD_SYMTAB) === 'yes',
    guestOs: text(XEN_ELFNOTE_GUEST_OS),
    loader: text(XEN_ELFNOTE_LOADER),
    xenVersion: text(XEN_ELFNOTE_XEN_VERSION),
    requiredFeatures: requiredFeatures(text(XEN_ELFNOTE_FEATURES)),
  };
}

/** Keys of the __xen_guest string whose names differ from the notes'. HYPERCALL_PAGE there is a page number. */
const LEGACY_KEYS: Record<string, number> = {
  LOADER: XEN_ELFNOTE_LOADER,
  GUEST_OS: XEN_ELFNOTE_GUEST_OS,
  GUEST_VER: XEN_ELFNOTE_GUEST_VERSION,
  XEN_VER: XEN_ELFNOTE_XEN_VERSION,
  PAE: XEN_ELFNOTE_PAE_MODE,
  FEATURES: XEN_ELFNOTE_FEATURES,
  VIRT_BASE: XEN_ELFNOTE_VIRT_BASE,
  VIRT_ENTRY: XEN_ELFNOTE_ENTRY,
  ELF_PADDR_OFFSET: XEN_ELFNOTE_PADDR_OFFSET,
  HYPERCALL_PAGE: XEN_ELFNOTE_HYPERCALL_PAGE,
  BSD_SYMTAB: XEN_ELFNOTE_BSD_SYMTAB,
};

/** "KEY=value,KEY=value\0". Numbers are in C's notation; PADDR_OFFSET defaults to VIRT_BASE here. */
function interpretGuestString(text: string): XenNotes {
  const found: FoundNote[] = [];
  for (const item of (text.split('\0', 1)[0] as string).split(',')) {
    const [key = '', value = ''] = item.split(/=(.*)/s, 2);
    const type = LEGACY_KEYS[key];
    if (type === undefined) continue;
    const name = NOTES[type]?.name;
    if (type === XEN_ELFNOTE_BSD_SYMTAB) found.push({ type, name, value: 'yes' });
    else if (NOTES[type]?.form === 'text') found.push({ type, name, value });
    else found.push({ type, name, value: cNumber(value) });
  }
  const notes = interpret(found, '__xen_guest');
  const { hypercallPage, virtBase } = notes;
  return {
    ...notes,
    hypercallPage: hypercallPage === undefined ? undefined : (hypercallPage << 12n) + (virtBase ?? 0n),
    paddrOffset: notes.paddrOffset ?? virtBase,
  };
}

/** As strtoull(text, NULL, 0): hexadecimal with 0x, octal with 0, else decimal; stops at the first other character. */
function cNumber(text: string): bigint {
  const match = /^\s*(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)/.exec(text)?.[1] ?? '0';
  const octal = /^0[0-7]+$/.test(match);
  return BigInt.asUintN(64, BigInt(octal ? `0o${match.slice(1)}` : match));
}

const requiredFeatures = (features: string): string[] =>
  features
    .split('|')
    .filter((feature) => feature.startsWith('!'))
    .map((feature) => feature.slice(1));

function accept(notes: XenNotes): XenNotes {
  const generic = notes.loader.startsWith('generic') || notes.guestOs.startsWith('linux');
  if (!generic && notes.found.some((note) => note.type === XEN_ELFNOTE_PHYS32_ENTRY))
    throw new InputError(
      'a PVH-only kernel: it has the note PHYS32_ENTRY but neither LOADER "generic" nor GUEST_OS "linux"; ' +
        'Paravane runs PV kernels (for Linux: built with CONFIG_XEN_PV)',
    );
  if (!generic)
    throw new InputError(
      `not a Xen PV kernel: LOADER is "${notes.loader}" and GUEST_OS is "${notes.guestOs}", ` +
        'expected LOADER "generic" or GUEST_OS "linux"',
    );
  if (!notes.xenVersion.startsWith('xen-3.0'))
    throw new InputError(
      `not a Xen PV kernel: the note XEN_VERSION is ${notes.xenVersion ? `"${notes.xenVersion}"` : 'missing'}, ` +
        'expected "xen-3.0"',
    );
  if (notes.paddrOffset !== undefined && notes.virtBase === undefined)
    throw new InputError('damaged Xen notes: PADDR_OFFSET is given without VIRT_BASE');
  const unknown = notes.requiredFeatures.find((feature) => !FEATURES.includes(feature));
  if (unknown !== undefined) throw new InputError(`this kernel requires the unknown Xen feature "${unknown}"`);
  const refused = notes.requiredFeatures.find((feature) => REFUSED_FEATURES.includes(feature));
  if (refused !== undefined)
    throw new InputError(`this kernel requires the Xen feature "${refused}", which a PV domU does not have`);
  return notes;
}
