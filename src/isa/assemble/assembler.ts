// A small assembler for guests and tests: code as text or statements, data, labels, sections at any address, symbols.
//
//   const asm = new Assembler();
//   asm.section('.text', { address: 0xffffffff81000000n });
//   asm.define('clear_page', () => asm.code(`
//       xor eax, eax
//       mov ecx, 64
//       align 16
//   .next:
//       dec ecx
//       mov [rdi], rax
//       lea rdi, [rdi+8]
//       jnz .next
//       ret
//   `));
//   const { sections, symbols } = asm.assemble();
//
// A name that begins with a dot belongs to the `define` around it. Branches and immediates are as short as they can be.
// Mistakes in what is assembled are InputErrors. Source of the padding: SDM 2B "NOP" (multi-byte sequences).
// Leaves out macros (TypeScript has functions), relocations (everything has its final address) and object files.

import { InputError, invariant } from '../../base/failures.js';
import { hex0x } from '../../base/hex.js';
import { select } from './select.js';
import type { Statement, StatementOperand, Value } from './statement.js';
import { parseLine } from './text.js';

export interface AssembledSection {
  readonly name: string;
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

export interface AssembledSymbol {
  readonly address: bigint;
  /** Bytes from beginning to end of its `define`; 0 for a label. */
  readonly size: number;
}

export interface Program {
  readonly sections: readonly AssembledSection[];
  /** Without the names that begin with a dot. In the order in which they were defined. */
  readonly symbols: ReadonlyMap<string, AssembledSymbol>;
}

export interface SectionOptions {
  /** Where it begins; without it, where the section before it ends, aligned. */
  readonly address?: bigint;
  /** A power of two, 16 unless given; for a section without an address. */
  readonly align?: number;
}

export class Assembler {
  private readonly sections: Section[] = [];
  private readonly constants = new Map<string, bigint>();
  /** The `define` that names with a dot belong to. */
  private scope = '';

  /** What follows goes into a new section. */
  section(name: string, options: SectionOptions = {}): void {
    this.sections.push({ name, ...options, items: [] });
  }

  /** `name` is where we are. */
  label(name: string): void {
    this.add({ kind: 'label', name: this.scoped(name) });
  }

  /** `name` is what `body` adds: its address and its size. */
  define(name: string, body: () => void): void {
    const outer = this.scope;
    this.label(name);
    this.scope = name;
    body();
    this.scope = outer;
    this.add({ kind: 'end', name });
  }

  /** `name` is a number that is known already: an address outside, a hypercall's number. */
  constant(name: string, value: bigint | number): void {
    this.constants.set(name, BigInt(value));
  }

  /** Lines of assembly (text.ts), labels and `align N` among them. */
  code(text: string): void {
    for (const line of text.split('\n')) {
      const alignment = /^\s*align\s+(\d+)\s*$/.exec(line);
      if (alignment) this.align(Number(alignment[1]));
      else {
        const { label, statement } = parseLine(line);
        if (label !== undefined) this.label(label);
        if (statement) this.statement(statement, line.trim());
      }
    }
  }

  /** One instruction: `emit('MOV', reg('rax'), mem({ base: reg('rdi') }))`. */
  emit(mnemonic: string, ...operands: readonly (StatementOperand | number)[]): void {
    const statement = {
      mnemonic: mnemonic.toUpperCase(),
      operands: operands.map((operand) => (typeof operand === 'number' ? BigInt(operand) : operand)),
    };
    this.statement(statement, mnemonic);
  }

  bytes(bytes: Iterable<number>): void {
    this.add({ kind: 'bytes', bytes: Uint8Array.from(bytes) });
  }

  /** Characters of one byte each. */
  ascii(text: string): void {
    this.bytes(Array.from(text, (character) => character.charCodeAt(0)));
  }

  zero(count: number): void {
    this.bytes(new Uint8Array(count));
  }

  /** Numbers of `size` bytes, little-endian. */
  data(size: 1 | 2 | 4 | 8, ...values: readonly (Value | number)[]): void {
    for (const value of values)
      this.add({ kind: 'value', size, value: this.scopedValue(typeof value === 'number' ? BigInt(value) : value) });
  }

  /** Pads with no-operations until the address is a multiple of `to`, a power of two. */
  align(to: number): void {
    if (to < 1 || (to & (to - 1)) !== 0) throw new InputError(`align ${to}: not a power of two`);
    this.add({ kind: 'align', to: BigInt(to) });
  }

  /** Pads with zeros until the address is this one. */
  origin(address: bigint): void {
    this.add({ kind: 'origin', address });
  }

  /** Everything at its address. Throws InputError for names not defined or defined twice, and operands that do not fit. */
  assemble(): Program {
    return new Layout(this.sections, this.constants).settle();
  }

  private statement(statement: Statement, source: string): void {
    const operands = statement.operands.map((operand) => this.scopedOperand(operand));
    this.add({
      kind: 'code',
      statement: { ...statement, operands },
      source,
      bytes: new Uint8Array(),
      movable: isMovable(operands),
    });
  }

  private add(item: Item): void {
    const section = this.sections.at(-1);
    if (!section) throw new InputError('code or data before the first section');
    section.items.push(item);
  }

  private scoped(name: string): string {
    return name.startsWith('.') ? `${this.scope}${name}` : name;
  }

  private scopedValue(value: Value): Value {
    return typeof value === 'bigint' ? value : { ...value, name: this.scoped(value.name) };
  }

  private scopedOperand(operand: StatementOperand): StatementOperand {
    if (typeof operand === 'bigint') return operand;
    if (operand.kind === 'symbol') return this.scopedValue(operand);
    if (operand.kind !== 'reference' || operand.displacement === undefined) return operand;
    return { ...operand, displacement: this.scopedValue(operand.displacement) };
  }
}

/** Do the bytes depend on where things are? A lone number may be the target of a branch, which is relative. */
function isMovable(operands: readonly StatementOperand[]): boolean {
  if (operands.length === 1 && typeof operands[0] === 'bigint') return true;
  return operands.some(
    (operand) =>
      typeof operand === 'object' &&
      (operand.kind === 'symbol' || (operand.kind === 'reference' && typeof operand.displacement === 'object')),
  );
}

/** The bytes of one or more lines of assembly at an address (0 unless given). */
export function assembleText(text: string, address = 0n): Uint8Array {
  const asm = new Assembler();
  asm.section('text', { address });
  asm.code(text);
  return asm.assemble().sections[0]?.bytes ?? new Uint8Array();
}

interface Section extends SectionOptions {
  readonly name: string;
  readonly items: Item[];
}

type Item =
  | { readonly kind: 'label' | 'end'; readonly name: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'value'; readonly size: number; readonly value: Value }
  | { readonly kind: 'align'; readonly to: bigint }
  | { readonly kind: 'origin'; readonly address: bigint }
  | CodeItem;

interface CodeItem {
  readonly kind: 'code';
  readonly statement: Statement;
  readonly source: string;
  /** As of the last round; empty before the first. */
  bytes: Uint8Array;
  /** The bytes depend on where things are. */
  readonly movable: boolean;
}

/**
 * Lays out sections in rounds: addresses from the lengths so far, then bytes from the addresses, until no length
 * changes. An instruction may grow from round to round and never shrinks, so the rounds end.
 */
class Layout {
  private readonly sections: readonly Section[];
  private readonly constants: ReadonlyMap<string, bigint>;
  private addresses = new Map<string, bigint>();
  private ends = new Map<string, bigint>();

  constructor(sections: readonly Section[], constants: ReadonlyMap<string, bigint>) {
    this.sections = sections;
    this.constants = constants;
  }

  settle(): Program {
    this.placeAll();
    while (this.encodeAll()) this.placeAll();
    const sections = this.walk((item, address) => this.bytesOf(item, address));
    const symbols = new Map<string, AssembledSymbol>();
    for (const [name, address] of this.addresses)
      if (!name.includes('.', 1) && !name.startsWith('.'))
        symbols.set(name, { address, size: Number((this.ends.get(name) ?? address) - address) });
    return { sections, symbols };
  }

  /** Visits every item at its address; gives each section with the bytes that the visitor gave for its items. */
  private walk(visit: (item: Item, address: bigint) => Uint8Array): AssembledSection[] {
    let address = 0n;
    return this.sections.map((section) => {
      const align = BigInt(section.align ?? 16);
      const start = section.address ?? (address + align - 1n) & -align;
      address = start;
      const pieces = section.items.map((item) => {
        const bytes = visit(item, address);
        address += BigInt(bytes.length);
        return bytes;
      });
      return { name: section.name, address: start, bytes: join(pieces, Number(address - start)) };
    });
  }

  private placeAll(): void {
    const addresses = new Map<string, bigint>();
    const ends = new Map<string, bigint>();
    this.walk((item, address) => {
      if (item.kind === 'label') {
        if (addresses.has(item.name)) throw new InputError(`${item.name} is defined twice`);
        addresses.set(item.name, address);
      }
      if (item.kind === 'end') ends.set(item.name, address);
      return item.kind === 'value' ? new Uint8Array(item.size) : this.bytesOf(item, address);
    });
    this.addresses = addresses;
    this.ends = ends;
  }

  /** True when a length changed. */
  private encodeAll(): boolean {
    let changed = false;
    this.walk((item, address) => {
      if (item.kind !== 'code') return item.kind === 'value' ? new Uint8Array(item.size) : this.bytesOf(item, address);
      const before = item.bytes;
      if (item.movable || before.length === 0) item.bytes = this.encode(item, address);
      changed ||= item.bytes.length !== before.length;
      // Addresses within a round are those of its beginning.
      return before;
    });
    return changed;
  }

  private encode(item: CodeItem, address: bigint): Uint8Array {
    try {
      return select(item.statement, { address, resolve: (name) => this.resolve(name), atLeast: item.bytes.length });
    } catch (error) {
      if (error instanceof InputError) throw new InputError(`${error.message}: ${item.source}`);
      throw error;
    }
  }

  private resolve(name: string): bigint {
    const value = this.addresses.get(name) ?? this.constants.get(name);
    if (value === undefined) throw new InputError(`nothing defines ${name}`);
    return value;
  }

  private bytesOf(item: Item, address: bigint): Uint8Array {
    switch (item.kind) {
      case 'label':
      case 'end':
        return new Uint8Array();
      case 'bytes':
      case 'code':
        return item.bytes;
      case 'value':
        return littleEndian(this.numberOf(item.value), item.size);
      case 'align':
        return noOperations(Number(-address & (item.to - 1n)));
      case 'origin':
        if (item.address < address) throw new InputError(`origin ${hex0x(item.address)} lies behind ${hex0x(address)}`);
        return new Uint8Array(Number(item.address - address));
    }
  }

  private numberOf(value: Value): bigint {
    return typeof value === 'bigint' ? value : this.resolve(value.name) + value.addend;
  }
}

function join(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  invariant(at === length, 'a section is as long as its pieces');
  return whole;
}

const littleEndian = (value: bigint, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));

/** By length, 1 to 9. */
const NO_OPERATIONS: readonly (readonly number[])[] = [
  [],
  [0x90],
  [0x66, 0x90],
  [0x0f, 0x1f, 0x00],
  [0x0f, 0x1f, 0x40, 0x00],
  [0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
  [0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

/** As few no-operations as fill `length` bytes, the longest first. */
function noOperations(length: number): Uint8Array {
  const longest = NO_OPERATIONS.length - 1;
  const bytes: number[] = [];
  for (let left = length; left > 0; left -= longest) bytes.push(...(NO_OPERATIONS[Math.min(left, longest)] ?? []));
  return Uint8Array.from(bytes);
}
