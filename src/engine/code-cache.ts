// Decoded code. A unit is one page of code at one virtual address: its records (record.ts) and, for indirect jumps, a table
// of 4096 record addresses by offset in the page (0: not decoded).
//
//   fetch TLB ──> offset table ──> record ──> record ──> …
//                                    │ branch to the same page: straight to the record
//                                    └ branch to another page:  GOTO record ──> fetch TLB
//
// Records are decoded in runs, from where execution arrives up to where it must leave; a branch to what is not decoded yet
// goes to a RESOLVE record, which is replaced once it is. They are allocated in chunks that belong to one unit, so that a
// record's address says whose it is. A unit is keyed by machine frame and virtual page: a record's rip, branch targets and
// RIP-relative addresses are then constants.
// When bytes of a unit that were decoded change, its records are turned into RESOLVE where they stand, so that even the next
// instruction of the run that wrote them is decoded again; the unit is left and a new one begun.
// An instruction that goes on in the next page is kept as RESOLVE: each time, the second page is translated and both pages'
// bytes are compared with what was decoded.
// Nothing is freed singly: a full cache is emptied, when no record is being executed.

import { type Mfn, PAGE_BYTES, type Vpn, vpnToVaddr } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import { decode } from '../isa/decode.js';
import { type DecodeFailure, type Instruction, MAX_INSTRUCTION_BYTES } from '../isa/instruction.js';
import * as m from '../isa/meaning/index.js';
import type { Meaning } from '../isa/meaning/semantics.js';
import { type Form, formOf } from './form.js';
import * as record from './record.js';

const CHUNK_RECORDS = 64;
const CHUNK_BYTES = CHUNK_RECORDS * record.RECORD_BYTES;
const TABLE_BYTES = PAGE_BYTES * 4;
/** Instructions decoded at a time. */
const RUN_INSTRUCTIONS = 64;
/** What decoding one run may need at most: a new unit, its instructions, and a stub for each that branches. */
const RUN_BYTES = TABLE_BYTES + 4 * CHUNK_BYTES;
/** Bytes of a page are watched for writes in lines of this many. */
const LINE_SHIFT = 6;

/** Meanings behind which execution never goes on by itself. */
const ENDS_RUN: ReadonlySet<Meaning> = new Set([
  m.jmp,
  m.jmpFar,
  m.ret,
  m.retFar,
  m.iret,
  m.syscall,
  m.privileged,
  m.int,
  m.int1,
  m.int3,
  m.ud,
]);

const withoutOperands = (meaning: Meaning): Form => ({
  meaning,
  bits: 64,
  addressBits: 64,
  condition: -1,
  repeat: undefined,
  unit: 'integer',
  operands: [],
});

/** What executing bytes does that are no instruction: #UD; more than 15 bytes are #GP(0). */
const formOfFailure = (failure: DecodeFailure): Form => withoutOperands(failure === 'too-long' ? m.privileged : m.ud);

/** An instruction across a page's end, as it was decoded last. */
interface Crossing {
  readonly bytes: Uint8Array;
  /** Its record, and the GOTO behind it. */
  readonly record: number;
}

interface Branch {
  readonly record: number;
  readonly target: bigint;
}

/** One page of code at one virtual address. */
export class Unit {
  readonly page: Vpn;
  readonly frame: Mfn;
  /** The address of its first byte. */
  readonly address: bigint;
  /** Where its bytes are in the WebAssembly memory. */
  readonly host: number;
  /** Where its offset table is. */
  readonly table: number;
  /** False once its bytes have changed. */
  valid = true;
  readonly chunks: number[] = [];
  /** The next free record, and the end of its chunk. */
  cursor = 0;
  chunkEnd = 0;
  /** 1 for each line of the page that holds decoded bytes. */
  readonly lines = new Uint8Array(PAGE_BYTES >> LINE_SHIFT);
  /** By offset: the RESOLVE record for what is not decoded yet, and the branches that link to it. */
  readonly stubs = new Map<number, { readonly record: number; readonly branches: number[] }>();
  /** By address: the GOTO record that goes there. */
  readonly gotos = new Map<bigint, number>();
  readonly crossings = new Map<number, Crossing>();

  constructor(page: Vpn, frame: Mfn, host: number, table: number) {
    this.page = page;
    this.frame = frame;
    this.address = vpnToVaddr(page);
    this.host = host;
    this.table = table;
  }
}

export interface CodeCacheOptions {
  /** The WebAssembly memory. */
  readonly buffer: ArrayBuffer;
  /** The part of it that is the cache's: [begin, end). */
  readonly begin: number;
  readonly end: number;
  readonly handlerOf: (form: Form) => number;
  /** Code of the frame is about to be decoded: from now on its writes must be reported. */
  readonly watch: (frame: Mfn, host: number) => void;
  /** A unit is no longer valid: the fetch TLB must not lead to it. */
  readonly forget: (unit: Unit) => void;
}

export class CodeCache {
  readonly #options: CodeCacheOptions;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #begin: number;
  readonly #end: number;
  /** The first free byte. */
  #next: number;
  /** By chunk number: whose records these are. */
  #owners: Unit[] = [];
  #unitsOfPage = new Map<Vpn, Unit[]>();
  #unitsOfFrame = new Map<Mfn, Unit[]>();

  constructor(options: CodeCacheOptions) {
    this.#options = options;
    this.#view = new DataView(options.buffer);
    this.#bytes = new Uint8Array(options.buffer);
    this.#begin = Math.ceil(options.begin / CHUNK_BYTES) * CHUNK_BYTES;
    this.#end = options.end;
    this.#next = this.#begin;
  }

  /** Whether any run can be decoded without emptying the cache first. */
  get hasRoom(): boolean {
    return this.#next + RUN_BYTES <= this.#end;
  }

  /** Empties the cache. No record may be in use any more. */
  clear(): void {
    for (const units of this.#unitsOfFrame.values())
      for (const unit of units) {
        unit.valid = false;
        this.#options.forget(unit);
      }
    this.#next = this.#begin;
    this.#owners = [];
    this.#unitsOfPage = new Map();
    this.#unitsOfFrame = new Map();
  }

  /** Whether code of the frame is decoded. */
  holds(frame: Mfn): boolean {
    return this.#unitsOfFrame.has(frame);
  }

  /** The unit for a frame at a virtual page; `host` is where the frame's bytes are. Needs room. */
  unit(page: Vpn, frame: Mfn, host: number): Unit {
    const found = this.#unitsOfPage.get(page)?.find((unit) => unit.frame === frame);
    if (found) return found;
    const table = this.#allocate(TABLE_BYTES);
    this.#bytes.fill(0, table, table + TABLE_BYTES);
    const unit = new Unit(page, frame, host, table);
    if (!this.holds(frame)) this.#options.watch(frame, host);
    append(this.#unitsOfPage, page, unit);
    append(this.#unitsOfFrame, frame, unit);
    return unit;
  }

  /** The unit that a record belongs to. */
  ownerOf(address: number): Unit {
    const unit = this.#owners[Math.floor((address - this.#begin) / CHUNK_BYTES)];
    invariant(unit, 'a record belongs to a unit');
    return unit;
  }

  /** The record for the instruction at this offset, 0..4095. Needs room. */
  recordAt(unit: Unit, offset: number): number {
    return this.#entry(unit, offset) || this.#decodeRun(unit, offset);
  }

  /** Whether the unit's RESOLVE record at this address is an instruction that goes on in the next page. */
  isCrossing(unit: Unit, address: number): boolean {
    return this.#entry(unit, this.startOf(address)) === address;
  }

  /** The offset that a record is for. */
  startOf(address: number): number {
    return this.#view.getUint16(address + record.START, true);
  }

  /** Where to go on from a valid unit's RESOLVE record that is no crossing; from now on it leads there. Needs room. */
  resolve(unit: Unit, address: number): number {
    const offset = this.startOf(address);
    const target = this.recordAt(unit, offset);
    this.#writeLink(address, target, offset);
    return target;
  }

  /**
   * The record for an instruction that begins at `offset` and goes on in the next page, of which `following` is the
   * beginning (15 bytes, or fewer at its end). Needs room.
   */
  crossingRecord(unit: Unit, offset: number, following: Uint8Array): number {
    const bytes = new Uint8Array(MAX_INSTRUCTION_BYTES);
    const first = PAGE_BYTES - offset;
    bytes.set(this.#bytes.subarray(unit.host + offset, unit.host + PAGE_BYTES));
    bytes.set(following.subarray(0, MAX_INSTRUCTION_BYTES - first), first);
    const known = unit.crossings.get(offset);
    if (known?.bytes.every((byte, index) => byte === bytes[index])) return known.record;

    const instruction = decode(bytes, 0, bytes.length);
    const address = known?.record ?? this.#takeTwo(unit);
    if (typeof instruction === 'string') this.#writeFailure(address, instruction, offset);
    else {
      const branch = this.#write(unit, address, instruction, offset);
      if (branch) this.#link(address, this.#goto(unit, branch.target));
      this.#writeGoto(address + record.RECORD_BYTES, unit.address + BigInt(offset + instruction.length));
    }
    unit.crossings.set(offset, { bytes, record: address });
    return address;
  }

  /** The guest changed bytes of a frame: units that have decoded any of them are no longer valid. */
  written(frame: Mfn, offset: number, sizeBytes: number): void {
    const [first, last] = [offset >> LINE_SHIFT, (offset + sizeBytes - 1) >> LINE_SHIFT];
    for (const unit of [...(this.#unitsOfFrame.get(frame) ?? [])])
      if (unit.lines.subarray(first, last + 1).includes(1)) this.#invalidate(unit);
  }

  /** Any bytes of a frame may have changed. */
  frameChanged(frame: Mfn): void {
    for (const unit of [...(this.#unitsOfFrame.get(frame) ?? [])]) this.#invalidate(unit);
  }

  #invalidate(unit: Unit): void {
    unit.valid = false;
    for (const chunk of unit.chunks)
      for (let address = chunk; address < chunk + CHUNK_BYTES; address += record.RECORD_BYTES)
        if (this.#view.getUint16(address, true) >= record.FIRST_FORM) this.#setHandler(address, record.RESOLVE);
    remove(this.#unitsOfPage, unit.page, unit);
    remove(this.#unitsOfFrame, unit.frame, unit);
    this.#options.forget(unit);
  }

  // ---- decoding

  /** Decodes from an offset up to where execution must leave; the first record. */
  #decodeRun(unit: Unit, from: number): number {
    const branches: Branch[] = [];
    let first = 0;
    let offset = from;
    for (let count = 0; ; count++) {
      const known = offset < PAGE_BYTES ? this.#entry(unit, offset) : 0;
      const address = this.#takeInRun(unit, offset);
      first ||= address;
      if (known !== 0) {
        this.#writeLink(address, known, offset);
        break;
      }
      if (offset === PAGE_BYTES) {
        this.#writeGoto(address, unit.address + BigInt(PAGE_BYTES));
        break;
      }
      if (count === RUN_INSTRUCTIONS) {
        this.#writeResolve(address, offset);
        break;
      }
      const instruction = decode(this.#bytes, unit.host + offset, unit.host + PAGE_BYTES);
      this.#define(unit, offset, address);
      if (typeof instruction === 'string') {
        this.#watchLines(unit, offset, PAGE_BYTES);
        if (instruction === 'truncated') this.#writeResolve(address, offset);
        else this.#writeFailure(address, instruction, offset);
        break;
      }
      this.#watchLines(unit, offset, offset + instruction.length);
      const branch = this.#write(unit, address, instruction, offset);
      if (branch) branches.push(branch);
      if (endsRun(instruction)) break;
      offset += instruction.length;
    }
    for (const branch of branches) this.#linkBranch(unit, branch);
    return first;
  }

  #watchLines(unit: Unit, from: number, to: number): void {
    const last = Math.min(to, from + MAX_INSTRUCTION_BYTES) - 1;
    unit.lines.fill(1, from >> LINE_SHIFT, (last >> LINE_SHIFT) + 1);
  }

  /** The instruction at this offset is decoded: whoever waited for it goes straight to it. */
  #define(unit: Unit, offset: number, address: number): void {
    this.#view.setUint32(unit.table + offset * 4, address, true);
    const stub = unit.stubs.get(offset);
    if (!stub) return;
    unit.stubs.delete(offset);
    for (const branch of stub.branches) this.#link(branch, address);
    this.#writeLink(stub.record, address, offset);
  }

  #linkBranch(unit: Unit, { record: branch, target }: Branch): void {
    const offset = target - unit.address;
    if (offset < 0n || offset >= PAGE_BYTES) {
      this.#link(branch, this.#goto(unit, target));
      return;
    }
    const known = this.#entry(unit, Number(offset));
    if (known !== 0) {
      this.#link(branch, known);
      return;
    }
    let stub = unit.stubs.get(Number(offset));
    if (!stub) {
      stub = { record: this.#take(unit), branches: [] };
      this.#writeResolve(stub.record, Number(offset));
      unit.stubs.set(Number(offset), stub);
    }
    stub.branches.push(branch);
    this.#link(branch, stub.record);
  }

  #goto(unit: Unit, target: bigint): number {
    let address = unit.gotos.get(target);
    if (address === undefined) {
      address = this.#take(unit);
      this.#writeGoto(address, target);
      unit.gotos.set(target, address);
    }
    return address;
  }

  // ---- records

  /** Writes an instruction's record; the branch that is to be linked, if it is one. */
  #write(unit: Unit, address: number, instruction: Instruction, offset: number): Branch | undefined {
    const handler = this.#options.handlerOf(formOf(instruction));
    record.writeRecord(this.#view, address, handler, instruction, unit.address, offset);
    const relative = instruction.operands.find((operand) => operand.kind === 'relative');
    if (!relative) return undefined;
    const nextRip = unit.address + BigInt(offset + instruction.length);
    return { record: address, target: record.branchTarget(relative, nextRip) };
  }

  #writeFailure(address: number, failure: DecodeFailure, offset: number): void {
    this.#writePlain(address, this.#options.handlerOf(formOfFailure(failure)), offset);
  }
  #writeResolve(address: number, offset: number): void {
    this.#writePlain(address, record.RESOLVE, offset);
  }
  #writeLink(address: number, to: number, offset: number): void {
    this.#writePlain(address, record.LINK, offset);
    this.#link(address, to);
  }
  #writeGoto(address: number, target: bigint): void {
    this.#writePlain(address, record.GOTO, 0);
    this.#view.setBigUint64(address + record.DISPLACEMENT, BigInt.asUintN(64, target), true);
  }

  #writePlain(address: number, handler: number, offset: number): void {
    this.#setHandler(address, handler);
    this.#view.setUint16(address + record.START, offset, true);
    this.#view.setUint16(address + record.END, offset, true);
  }

  #setHandler(address: number, handler: number): void {
    this.#view.setUint16(address + record.HANDLER, handler, true);
  }

  #link(address: number, to: number): void {
    this.#view.setUint32(address + record.IMMEDIATE, to, true);
  }

  #entry(unit: Unit, offset: number): number {
    return this.#view.getUint32(unit.table + offset * 4, true);
  }

  // ---- room

  /** The next record of a run. The last of a chunk is kept for the LINK to the next chunk, so that runs never stop short. */
  #takeInRun(unit: Unit, offset: number): number {
    if (unit.cursor + record.RECORD_BYTES === unit.chunkEnd) {
      const last = this.#take(unit);
      const address = this.#take(unit);
      this.#writeLink(last, address, offset);
      return address;
    }
    return this.#take(unit);
  }

  /** Two records in a row. */
  #takeTwo(unit: Unit): number {
    if (unit.cursor + record.RECORD_BYTES === unit.chunkEnd) this.#take(unit);
    const first = this.#take(unit);
    this.#take(unit);
    return first;
  }

  #take(unit: Unit): number {
    if (unit.cursor === unit.chunkEnd) {
      unit.cursor = this.#allocate(CHUNK_BYTES);
      unit.chunkEnd = unit.cursor + CHUNK_BYTES;
      unit.chunks.push(unit.cursor);
      this.#bytes.fill(0, unit.cursor, unit.chunkEnd);
      this.#owners[(unit.cursor - this.#begin) / CHUNK_BYTES] = unit;
    }
    const address = unit.cursor;
    unit.cursor += record.RECORD_BYTES;
    return address;
  }

  #allocate(sizeBytes: number): number {
    const address = this.#next;
    this.#next += sizeBytes;
    invariant(this.#next <= this.#end, 'the code cache has the room that was asked for');
    return address;
  }
}

/** Whether execution never goes on behind an instruction by itself. */
const endsRun = ({ row }: Instruction): boolean => ENDS_RUN.has(row.means);

function append<Key>(map: Map<Key, Unit[]>, key: Key, unit: Unit): void {
  const units = map.get(key);
  if (units) units.push(unit);
  else map.set(key, [unit]);
}

function remove<Key>(map: Map<Key, Unit[]>, key: Key, unit: Unit): void {
  const rest = (map.get(key) ?? []).filter((other) => other !== unit);
  if (rest.length > 0) map.set(key, rest);
  else map.delete(key);
}
