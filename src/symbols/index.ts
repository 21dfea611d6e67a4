export { dwarfLines, type LineOf, type LineSections, type SourceLine } from './dwarf-lines.js';
export { elfSymbols, type RawElfSymbols } from './elf.js';
export { kallsymsSymbols } from './kallsyms.js';
export { systemMapSymbols } from './system-map.js';
export { type NamedAddress, type SymbolHit, SymbolTable } from './table.js';
