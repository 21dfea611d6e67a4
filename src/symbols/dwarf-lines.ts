// Source files and lines of code addresses, from an ELF file's .debug_line section: decodes the line programs that cover the
// addresses asked for, and no others.
// Source: DWARF Debugging Information Format, versions 2 to 5, "Line Number Information" (§6.2). Left out: VLIW operation
// indexes, 64-bit DWARF, directories (a file is named by its last directory at most), other sections' compilation units.

/** The sections it reads; the last two are DWARF 5's string tables and may be empty. */
export interface LineSections {
  readonly line: Uint8Array;
  readonly lineStrings: Uint8Array;
  readonly strings: Uint8Array;
}

export interface SourceLine {
  readonly file: string;
  readonly line: number;
}

/** The source line of an address; undefined where nothing covers it or the information is damaged. */
export type LineOf = (address: bigint) => SourceLine | undefined;

/** Reads the headers of all line programs; each is run when an address of its is first asked for. */
export function dwarfLines(sections: LineSections): LineOf {
  const units = readUnits(sections);
  const sequences: Sequence[] = [];
  for (const unit of units) sequences.push(...unit.sequences());
  sequences.sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0));
  return (address) => {
    // Sequences of discarded sections begin at 0 and overlap: any that covers the address may answer.
    for (
      let index = lastAtOrBelow(sequences, address), tried = 0;
      index >= 0 && tried < MOST_OVERLAPPING;
      index--, tried++
    ) {
      const sequence = sequences[index] as Sequence;
      if (address < sequence.high) return sequence.unit.find(sequence, address);
    }
    return undefined;
  };
}

const MOST_OVERLAPPING = 64;

function lastAtOrBelow(sequences: readonly Sequence[], address: bigint): number {
  let [low, high] = [0, sequences.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sequences[middle] as Sequence).low <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** A run of ascending addresses: from where its first row is to its end_sequence. */
interface Sequence {
  readonly unit: Unit;
  /** Where in the section its program begins. */
  readonly offset: number;
  readonly low: bigint;
  readonly high: bigint;
}

function readUnits(sections: LineSections): readonly Unit[] {
  const units: Unit[] = [];
  const cursor = new Cursor(sections.line, 0, sections.line.length);
  while (cursor.left > 4) {
    const length = cursor.u32();
    if (length >= 0xffff_fff0 || length > cursor.left) break;
    const end = cursor.at + length;
    const unit = readUnit(new Cursor(sections.line, cursor.at, end), sections);
    if (unit !== undefined) units.push(unit);
    cursor.at = end;
  }
  return units;
}

interface UnitHeader {
  readonly minimumLength: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  readonly operandCounts: readonly number[];
  readonly files: readonly string[];
  /** Files count from 1 before version 5, from 0 since. */
  readonly firstFile: 0 | 1;
}

function readUnit(cursor: Cursor, sections: LineSections): Unit | undefined {
  const version = cursor.u16();
  if (version < 2 || version > 5) return undefined;
  if (version >= 5) cursor.skip(2);
  const program = cursor.u32() + cursor.at;
  const minimumLength = cursor.u8();
  if (version >= 4) cursor.skip(1);
  cursor.skip(1);
  const lineBase = (cursor.u8() << 24) >> 24;
  const lineRange = cursor.u8();
  const opcodeBase = cursor.u8();
  const operandCounts = Array.from({ length: Math.max(opcodeBase - 1, 0) }, () => cursor.u8());
  const files = version >= 5 ? readFiles5(cursor, sections) : readFiles(cursor);
  if (lineRange === 0 || files === undefined || program > cursor.end) return undefined;
  const header = {
    minimumLength,
    lineBase,
    lineRange,
    opcodeBase,
    operandCounts,
    files,
    firstFile: version >= 5 ? 0 : 1,
  } as const;
  return new Unit(header, new Cursor(cursor.bytes, program, cursor.end));
}

/** include_directories, then file_names with three numbers each. */
function readFiles(cursor: Cursor): readonly string[] {
  while (cursor.left > 0 && cursor.string() !== '');
  const files: string[] = [];
  for (let name = cursor.string(); name !== '' && cursor.left > 0; name = cursor.string()) {
    files.push(name);
    for (let number = 0; number < 3; number++) cursor.uleb();
  }
  return files;
}

const DW_LNCT_path = 1;
const FORMS = {
  data1: 0x0b,
  data2: 0x05,
  data4: 0x06,
  data8: 0x07,
  data16: 0x1e,
  udata: 0x0f,
  string: 0x08,
  lineStrp: 0x1f,
  strp: 0x0e,
  block: 0x09,
};

function readFiles5(cursor: Cursor, sections: LineSections): readonly string[] | undefined {
  readEntries(cursor, sections);
  return readEntries(cursor, sections);
}

/** One of version 5's self-describing tables; the paths in it. undefined for a form that is not known. */
function readEntries(cursor: Cursor, sections: LineSections): readonly string[] | undefined {
  const format = Array.from({ length: cursor.u8() }, () => ({ type: cursor.uleb(), form: cursor.uleb() }));
  const count = format.length === 0 ? 0 : cursor.uleb();
  const paths: string[] = [];
  for (let entry = 0; entry < count && cursor.left > 0; entry++)
    for (const { type, form } of format) {
      const text = readForm(cursor, form, sections);
      if (text === undefined) return undefined;
      if (type === DW_LNCT_path) paths.push(text);
    }
  return paths;
}

/** A value's text, '' for numbers. */
function readForm(cursor: Cursor, form: number, { lineStrings, strings }: LineSections): string | undefined {
  const skipped = { [FORMS.data1]: 1, [FORMS.data2]: 2, [FORMS.data4]: 4, [FORMS.data8]: 8, [FORMS.data16]: 16 }[form];
  if (skipped !== undefined) cursor.skip(skipped);
  else if (form === FORMS.udata) cursor.uleb();
  else if (form === FORMS.block) cursor.skip(cursor.uleb());
  else if (form === FORMS.string) return cursor.string();
  else if (form === FORMS.lineStrp || form === FORMS.strp) {
    const table = form === FORMS.lineStrp ? lineStrings : strings;
    return new Cursor(table, cursor.u32(), table.length).string();
  } else return undefined;
  return '';
}

// Standard opcodes 1 to 12 and extended ones. DWARF 5 §6.2.5.2, §6.2.5.3.
const DW_LNS_copy = 1;
const DW_LNS_advance_pc = 2;
const DW_LNS_advance_line = 3;
const DW_LNS_set_file = 4;
const DW_LNS_const_add_pc = 8;
const DW_LNS_fixed_advance_pc = 9;
const DW_LNE_end_sequence = 1;
const DW_LNE_set_address = 2;

interface Row {
  address: bigint;
  file: number;
  line: number;
}

/** One line program: the state machine of §6.2.2. */
class Unit {
  private readonly header: UnitHeader;
  private readonly program: Cursor;

  constructor(header: UnitHeader, program: Cursor) {
    this.header = header;
    this.program = program;
  }

  /** Where each sequence begins and which addresses it covers. */
  sequences(): readonly Sequence[] {
    const found: Sequence[] = [];
    let offset = this.program.at;
    let low: bigint | undefined;
    this.run(offset, (row, isEnd, next) => {
      low = low === undefined || row.address < low ? row.address : low;
      if (!isEnd) return true;
      if (row.address > low) found.push({ unit: this, offset, low, high: row.address });
      offset = next;
      low = undefined;
      return true;
    });
    return found;
  }

  /** The last row at or below the address. */
  find({ offset }: Sequence, address: bigint): SourceLine | undefined {
    let best: { file: number; line: number } | undefined;
    this.run(offset, (row, isEnd) => {
      if (row.address > address) return false;
      if (!isEnd) best = { file: row.file, line: row.line };
      return !isEnd;
    });
    if (best === undefined) return undefined;
    const file = this.header.files[best.file - this.header.firstFile];
    return file === undefined || best.line === 0 ? undefined : { file, line: best.line };
  }

  /** Runs the program from `offset` and shows every row, until told to stop. `next` is where the next instruction is. */
  private run(offset: number, show: (row: Row, isEnd: boolean, next: number) => boolean): void {
    const { minimumLength, lineBase, lineRange, opcodeBase, operandCounts } = this.header;
    const cursor = new Cursor(this.program.bytes, offset, this.program.end);
    const row: Row = { address: 0n, file: 1, line: 1 };
    const advance = (operations: number): void => {
      row.address = BigInt.asUintN(64, row.address + BigInt(operations * minimumLength));
    };
    while (cursor.left > 0) {
      const opcode = cursor.u8();
      if (opcode >= opcodeBase) {
        advance(Math.floor((opcode - opcodeBase) / lineRange));
        row.line += lineBase + ((opcode - opcodeBase) % lineRange);
        if (!show(row, false, cursor.at)) return;
      } else if (opcode === 0) {
        const end = cursor.uleb() + cursor.at;
        const extended = cursor.u8();
        if (extended === DW_LNE_set_address) row.address = cursor.u64();
        if (extended === DW_LNE_end_sequence) {
          if (!show(row, true, end)) return;
          [row.address, row.file, row.line] = [0n, 1, 1];
        }
        cursor.at = end;
      } else if (opcode === DW_LNS_copy) {
        if (!show(row, false, cursor.at)) return;
      } else if (opcode === DW_LNS_advance_pc) advance(cursor.uleb());
      else if (opcode === DW_LNS_advance_line) row.line += cursor.sleb();
      else if (opcode === DW_LNS_set_file) row.file = cursor.uleb();
      else if (opcode === DW_LNS_const_add_pc) advance(Math.floor((255 - opcodeBase) / lineRange));
      else if (opcode === DW_LNS_fixed_advance_pc) row.address += BigInt(cursor.u16());
      else for (let operand = 0; operand < (operandCounts[opcode - 1] ?? 0); operand++) cursor.uleb();
    }
  }
}

/** Reads forwards; what lies beyond the end reads as zeros, so that a damaged section cannot make it throw. */
class Cursor {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = Math.min(end, bytes.length);
  }

  get left(): number {
    return this.end - this.at;
  }
  skip(bytes: number): void {
    this.at += bytes;
  }
  u8(): number {
    const byte = this.at < this.end ? (this.bytes[this.at] as number) : 0;
    this.at++;
    return byte;
  }
  u16(): number {
    return this.u8() | (this.u8() << 8);
  }
  u32(): number {
    return (this.u16() | (this.u16() << 16)) >>> 0;
  }
  u64(): bigint {
    const low = this.u32();
    return (BigInt(this.u32()) << 32n) | BigInt(low);
  }
  /** Unsigned LEB128; more than 53 bits are cut off. */
  uleb(): number {
    let value = 0;
    for (let scale = 1; this.at < this.end; scale *= 128) {
      const byte = this.u8();
      if (scale < 2 ** 49) value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  }
  /** Signed LEB128, of up to 32 bits. */
  sleb(): number {
    let value = 0;
    let shift = 0;
    let byte = 0x80;
    while (byte >= 0x80 && this.at < this.end) {
      byte = this.u8();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      shift += 7;
    }
    return shift < 32 && (byte & 0x40) !== 0 ? value | (-1 << shift) : value;
  }
  /** Up to the next NUL, which is taken too. */
  string(): string {
    const start = this.at;
    while (this.at < this.end && this.bytes[this.at] !== 0) this.at++;
    const text = this.bytes.subarray(Math.min(start, this.end), this.at);
    this.at++;
    return String.fromCharCode(...text.subarray(0, 4096));
  }
}
