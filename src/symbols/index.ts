export { elfSymbols, type RawElfSymbols } from './elf.js';
export { systemMapSymbols } from './system-map.js';
export { type NamedAddress, type SymbolHit, SymbolTable } from './table.js';
