// A WebAssembly module put together from functions: types, imports, a table, exports, code.
// Source: WebAssembly Core Specification 1.0 "Binary Format > Modules" (§5.5).
// Leaves out globals, data, a start function, and memories of its own: every module of ours imports the one memory.

import { invariant } from '../../base/failures.js';
import { Bytes } from './bytes.js';
import { type Code, type FunctionType, TYPE_CODES } from './code.js';

const FUNCTION_TYPE = 0x60;
const FUNCTION_REFERENCES = 0x70;
const [TYPES, IMPORTS, FUNCTIONS, TABLES, EXPORTS, CODE] = [1, 2, 3, 4, 7, 10] as const;
const [FUNCTION_KIND, TABLE_KIND, MEMORY_KIND] = [0, 1, 2] as const;
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

interface Import {
  readonly name: string;
  readonly typeIndex: number;
}

/** All imports come from the import object's `env`; the memory is `env.memory`. */
export class ModuleBuilder {
  readonly #types: FunctionType[] = [];
  readonly #imports: Import[] = [];
  readonly #functions: Code[] = [];
  readonly #exports: { readonly name: string; readonly kind: number; readonly index: number }[] = [];
  #tableSize: number | undefined;

  /** The index of a function type, for `call_indirect`. */
  typeIndex(type: FunctionType): number {
    const same = (other: FunctionType): boolean =>
      other.parameters.join() === type.parameters.join() && other.results.join() === type.results.join();
    const found = this.#types.findIndex(same);
    return found >= 0 ? found : this.#types.push(type) - 1;
  }

  /** Imports a function; its index. All imports come before the first function. */
  importFunction(name: string, type: FunctionType): number {
    invariant(this.#functions.length === 0, 'imports come before functions');
    return this.#imports.push({ name, typeIndex: this.typeIndex(type) }) - 1;
  }

  /** Adds a function; its index. Its code may be written later, until `bytes` is called. */
  addFunction(code: Code, exportName?: string): number {
    const index = this.#imports.length + this.#functions.push(code) - 1;
    if (exportName !== undefined) this.#exports.push({ name: exportName, kind: FUNCTION_KIND, index });
    return index;
  }

  /** Gives the module a table of functions, exported under the name. */
  addTable(size: number, exportName: string): void {
    this.#tableSize = size;
    this.#exports.push({ name: exportName, kind: TABLE_KIND, index: 0 });
  }

  bytes(): Uint8Array {
    const functionTypes = this.#functions.map(({ type }) => this.typeIndex(type));
    const out = new Bytes();
    out.append(HEADER);
    section(out, TYPES, this.#types, (type, bytes) => {
      bytes.byte(FUNCTION_TYPE);
      for (const values of [type.parameters, type.results]) {
        bytes.unsigned(values.length);
        for (const value of values) bytes.byte(TYPE_CODES[value]);
      }
    });
    section(out, IMPORTS, [undefined, ...this.#imports], (entry, bytes) => {
      bytes.name('env');
      bytes.name(entry?.name ?? 'memory');
      bytes.byte(entry ? FUNCTION_KIND : MEMORY_KIND);
      if (entry) bytes.unsigned(entry.typeIndex);
      else bytes.append([0, 1]);
    });
    section(out, FUNCTIONS, functionTypes, (typeIndex, bytes) => bytes.unsigned(typeIndex));
    section(out, TABLES, this.#tableSize === undefined ? [] : [this.#tableSize], (size, bytes) => {
      bytes.append([FUNCTION_REFERENCES, 0]);
      bytes.unsigned(size);
    });
    section(out, EXPORTS, this.#exports, ({ name, kind, index }, bytes) => {
      bytes.name(name);
      bytes.byte(kind);
      bytes.unsigned(index);
    });
    section(out, CODE, this.#functions, (code, bytes) => bytes.sized(code.body()));
    return out.view();
  }
}

function section<Entry>(
  out: Bytes,
  id: number,
  entries: readonly Entry[],
  write: (entry: Entry, bytes: Bytes) => void,
): void {
  if (entries.length === 0) return;
  const content = new Bytes();
  content.unsigned(entries.length);
  for (const entry of entries) write(entry, content);
  out.byte(id);
  out.sized(content);
}
