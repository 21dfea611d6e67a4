// The domain builder. Reading order: elf-format, elf, compression, bz-image, notes, kernel, layout, image, build; elf-writer for our own guests.

export { type BuildOptions, type BuiltDomain, buildDomain, minimumDomainPages, type NamedArea } from './build.js';
export { isBzImage, unpackedKernel } from './bz-image.js';
export { type ElfFile, type ElfSection, type ElfSegment, type ElfSymbolTable, readElf, symbolTable } from './elf.js';
export { type ElfToWrite, type NotesToWrite, type SegmentToWrite, type SymbolToWrite, writeElf } from './elf-writer.js';
export { type PvKernel, readKernel } from './kernel.js';
export { type Area, type Layout, type LayoutRequest, layOut, minimumPages } from './layout.js';
export { type FoundNote, readXenNotes, type XenNotes } from './notes.js';
