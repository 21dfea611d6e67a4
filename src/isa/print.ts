// Instructions as text: in Intel's syntax, as text.ts reads it back, and in AT&T's, as GNU objdump prints it.
// Sources: SDM 2 (operand order, names); GNU as manual "i386-Dependent Features > AT&T Syntax versus Intel Syntax";
// AT&T's names for instructions as objdump 2.40 prints them.
// Intel's form leaves out prefixes without effect; AT&T's shows them (`repz ret`, `cs nopw`).

import { DS, FS, GS, SEGMENT_NAMES } from '../abi/registers.js';
import { hex0x } from '../base/hex.js';
import { type Instruction, type MemoryOperand, NO_REGISTER, type Operand, RIP, type Row } from './instruction.js';
import { registerName } from './registers.js';
import { operandSizeOf } from './sizes.js';

export interface PrintOptions {
  /** Where the instruction is: branch targets are printed as addresses from there. 0 unless given. */
  readonly address?: bigint;
  /** What an address is called (`clear_page+0x12`), or undefined. For branch targets and RIP-relative operands. */
  readonly symbol?: (address: bigint) => string | undefined;
}

/** `mov [rdi+0x8], rax` */
export function printIntel(instruction: Instruction, options: PrintOptions = {}): string {
  const { row, operands } = instruction;
  const written = row.silent ? [] : operands.map((operand) => intelOperand(operand, instruction, options));
  const words = [...intelPrefixes(instruction), row.mnemonic.toLowerCase()];
  return line(words, written.join(', ')) + note(instruction, options, '  ; ');
}

/** `mov %rax,0x8(%rdi)` */
export function printAtt(instruction: Instruction, options: PrintOptions = {}): string {
  const { row, operands } = instruction;
  const all = operands.map((operand, index) =>
    row.operands[index]?.source === 'ST' ? '%st' : attOperand(operand, instruction, options),
  );
  // A shift by one shows no count, a reserved no-operation no second operand, a comparison not the top of the stack.
  const isShort = row.mnemonic === 'RESERVEDNOP' || row.operandText.endsWith(',1');
  const isStackPair = row.operandText === 'ST,STi' && /^F(U?COMP?|XCH)$/.test(row.mnemonic);
  const written = isShort ? all.slice(0, 1) : isStackPair ? all.slice(1) : all;
  // ENTER alone keeps Intel's order.
  if (row.mnemonic !== 'ENTER') written.reverse();
  const words = [...attPrefixes(instruction), attName(instruction)];
  return line(words, written.join(',')) + note(instruction, options, '        # ');
}

// ---- both

const line = (words: readonly string[], operands: string): string =>
  operands === '' ? words.join(' ') : `${words.join(' ')} ${operands}`;

/** Does an operand tell the operand size? Of width z it tells 2 from 4, but not 4 from 8. */
function showsSize({ row, operandSize }: Instruction): boolean {
  return row.operands.some(
    ({ width, source }) =>
      source !== 'I' &&
      source !== 'Is' &&
      source !== 'J' &&
      (/^[vpy]$/.test(width) || (width === 'z' && operandSize !== 8)),
  );
}

/** Does a register operand tell how large the memory operand is? */
function registerShowsSize({ row }: Instruction): boolean {
  const width = row.operands.find(({ source }) => 'EMO'.includes(source))?.width;
  return row.operands.some(
    (spec) => spec.width === width && spec.text !== 'CL' && (spec.source === 'G' || spec.source === 'fixed-register'),
  );
}

const defaultSize = (row: Row): number => row.encoding.operandSize || operandSizeOf(row, false, false);

/** Is the address size told by a register in an address, or is it the usual one? */
const showsAddressSize = ({ addressSize, operands, row }: Instruction): boolean =>
  addressSize === 8 ||
  row.encoding.addressSize !== 0 ||
  (!row.silent &&
    operands.some(
      (operand) => operand.kind === 'memory' && (operand.base !== NO_REGISTER || operand.index !== NO_REGISTER),
    ));

const target = (instruction: Instruction, displacement: bigint, { address = 0n }: PrintOptions): bigint =>
  BigInt.asUintN(64, address + BigInt(instruction.length) + displacement);

/** An address and what it is called. */
function named(address: bigint, { symbol }: PrintOptions): string {
  const name = symbol?.(address);
  return name === undefined ? hex0x(address) : `${hex0x(address)} <${name}>`;
}

/** Where a RIP-relative operand points, as a remark, when the address of the instruction is known. */
function note(instruction: Instruction, options: PrintOptions, before: string): string {
  const operand = instruction.operands.find((one) => one.kind === 'memory' && one.base === RIP);
  if (operand?.kind !== 'memory' || options.address === undefined) return '';
  const place = BigInt.asUintN(8 * instruction.addressSize, target(instruction, operand.displacement, options));
  return `${before}${named(place, options)}`;
}

const signed = (value: bigint): string => (value < 0n ? `-${hex0x(-value)}` : hex0x(value));

const overridden = (operand: MemoryOperand): string =>
  operand.segment === FS || operand.segment === GS ? (SEGMENT_NAMES[operand.segment] as string) : '';

/** A register of an address. */
const addressRegister = (register: number, addressSize: 4 | 8): string =>
  register === RIP
    ? addressSize === 4
      ? 'eip'
      : 'rip'
    : registerName({ kind: 'register', register, size: addressSize, high: false });

/** An address without registers, in full. */
const absolute = (operand: MemoryOperand, addressSize: 4 | 8): string =>
  hex0x(BigInt.asUintN(8 * addressSize, operand.displacement));

// ---- Intel

function intelPrefixes(instruction: Instruction): string[] {
  const { row, lock, repeat, operandSize, operands } = instruction;
  const words: string[] = [];
  if (lock) words.push('lock');
  if (repeat === 'repne') words.push('repne');
  if (repeat === 'rep') words.push(row.repeats === 'compare' ? 'repe' : 'rep');
  const asked = operandSize !== defaultSize(row) && !showsSize(instruction);
  if (asked) words.push(`o${8 * operandSize}`);
  if (!showsAddressSize(instruction)) words.push('a32');
  if (row.silent)
    for (const operand of operands)
      if (operand.kind === 'memory' && overridden(operand)) words.push(overridden(operand));
  return words;
}

const INTEL_SIZES: Readonly<Record<number, string>> = {
  1: 'byte ',
  2: 'word ',
  4: 'dword ',
  6: 'fword ',
  8: 'qword ',
  10: 'tbyte ',
  16: 'oword ',
};

function intelOperand(operand: Operand, instruction: Instruction, options: PrintOptions): string {
  switch (operand.kind) {
    case 'memory':
      return intelMemory(operand, instruction);
    case 'immediate':
      return hex0x(operand.value);
    case 'relative':
      return intelTarget(target(instruction, BigInt(operand.displacement), options), options);
    default:
      return registerName(operand);
  }
}

/** The number is what the assembler reads; the name is a remark. */
function intelTarget(address: bigint, options: PrintOptions): string {
  const name = options.symbol?.(address);
  return name === undefined ? hex0x(address) : `${hex0x(address)}  ; ${name}`;
}

function intelMemory(operand: MemoryOperand, instruction: Instruction): string {
  const { addressSize } = instruction;
  const size = registerShowsSize(instruction) ? '' : (INTEL_SIZES[operand.size] ?? '');
  const segment = overridden(operand);
  const parts: string[] = [];
  if (operand.base !== NO_REGISTER) parts.push(addressRegister(operand.base, addressSize));
  if (operand.index !== NO_REGISTER) parts.push(`${addressRegister(operand.index, addressSize)}*${operand.scale}`);
  if (parts.length === 0) parts.push(absolute(operand, addressSize));
  else if (operand.displacement !== 0n || operand.base === RIP) parts.push(signed(operand.displacement));
  return `${size}${segment === '' ? '' : `${segment}:`}[${parts.join('+').replaceAll('+-', '-')}]`;
}

// ---- AT&T

function attPrefixes(instruction: Instruction): string[] {
  const { row, lock, repeatPrefix, segmentPrefix, operands, operandSize } = instruction;
  const words: string[] = [];
  if (lock) words.push('lock');
  if (repeatPrefix === 0xf3) words.push(row.repeats === 'count' ? 'rep' : 'repz');
  if (repeatPrefix === 0xf2) words.push('repnz');
  const used = operands.some((operand) => operand.kind === 'memory' && operand.segment === segmentPrefix);
  if (segmentPrefix !== NO_REGISTER && !used) words.push(unusedOverride(instruction));
  if (!showsAddressSize(instruction) && !row.silent) words.push('addr32');
  const asked =
    operandSize !== defaultSize(row) &&
    !showsSize(instruction) &&
    !hasAttSuffix(instruction) &&
    !(row.unit === 'x87' && operandSize === 2);
  if (asked) words.push(operandSize === 8 ? 'rex.W' : 'data16');
  return words;
}

/** Before an indirect branch 3E says that its target needs no ENDBR64. */
function unusedOverride({ row, segmentPrefix }: Instruction): string {
  const indirect = row.operandText === 'Ev' && (row.mnemonic === 'JMP' || row.mnemonic === 'CALL');
  return indirect && segmentPrefix === DS ? 'notrack' : (SEGMENT_NAMES[segmentPrefix] as string);
}

const ATT_SUFFIXES: Readonly<Record<number, string>> = { 1: 'b', 2: 'w', 4: 'l', 8: 'q' };

/** Names that are other words in AT&T's syntax, not just ones with a suffix. */
const ATT_NAMES: Readonly<Record<string, string>> = {
  CBW: 'cbtw',
  CWDE: 'cwtl',
  CDQE: 'cltq',
  CWD: 'cwtd',
  CDQ: 'cltd',
  CQO: 'cqto',
  CALLF: 'lcall',
  JMPF: 'ljmp',
  RETF: 'lret',
  IRET: 'iretw',
  IRETD: 'iret',
  PUSHF: 'pushfw',
  PUSHFQ: 'pushf',
  POPF: 'popfw',
  POPFQ: 'popf',
  SYSRET: 'sysretl',
  SYSEXIT: 'sysexitl',
  MOVSD: 'movsl',
  CMPSD: 'cmpsl',
  INSD: 'insl',
  OUTSD: 'outsl',
  RESERVEDNOP: 'nop',
  WAIT: 'fwait',
  FNENI: 'fneni(8087 only)',
  FNDISI: 'fndisi(8087 only)',
  FNSETPM: 'fnsetpm(287 only)',
};

function attName(instruction: Instruction): string {
  const { row, operandSize, operands } = instruction;
  if (row.unit === 'x87') return attX87Name(instruction);
  const suffix = hasAttSuffix(instruction) ? (ATT_SUFFIXES[operandSize] as string) : '';
  const source = operands[1];
  const sourceSuffix = source?.kind === 'register' || source?.kind === 'memory' ? ATT_SUFFIXES[source.size] : '';
  switch (row.mnemonic) {
    case 'MOVZX':
      return `movz${sourceSuffix}${ATT_SUFFIXES[operandSize]}`;
    case 'MOVSX':
      return `movs${sourceSuffix}${ATT_SUFFIXES[operandSize]}`;
    case 'MOVSXD':
      return operandSize === 8 ? 'movslq' : 'movsxd';
    case 'MOV':
      // Only these two forms hold a 64-bit number, and only one name says so.
      return row.operandText.includes('O') || (row.operandText === 'Zv,Iv' && operandSize === 8)
        ? 'movabs'
        : `mov${suffix}`;
  }
  // The accumulator operand of these tells their size.
  const bare = /^(STOS|LODS|SCAS)[BWDQ]$/.exec(row.mnemonic);
  const special = isVector(row) ? undefined : ATT_NAMES[row.mnemonic];
  return `${special ?? (bare?.[1] ?? row.mnemonic).toLowerCase()}${suffix}`;
}

/** MOVSD and CMPSD are strings' names, and vectors' too. */
const isVector = ({ unit }: Row): boolean => unit === 'sse' || unit === 'mmx';

const [FLOAT_SUFFIXES, INTEGER_SUFFIXES]: readonly Readonly<Record<number, string>>[] = [
  { 4: 's', 8: 'l', 10: 't' },
  { 2: 's', 4: 'l', 8: 'll' },
] as const;
/** Their memory is neither a float nor an integer; the size of an environment shows when it is the small one. */
const WITHOUT_SUFFIX = /^F(BLD|BSTP|LDCW|NSTCW|NSTSW)$/;

/** x87 instructions have suffixes of their own; and what subtracts from ST(i), or divides it, goes by the reverse's name. */
function attX87Name({ row, operandSize, operands }: Instruction): string {
  const { mnemonic, operandText } = row;
  const name = (ATT_NAMES[mnemonic] ?? mnemonic).toLowerCase();
  if (operandText === 'STi,ST') {
    const [, verb, reverse, pop] = /^(fsub|fdiv)(r?)(p?)$/.exec(name) ?? [];
    return verb ? `${verb}${reverse ? '' : 'r'}${pop}` : name;
  }
  const [operand] = operands;
  if (operand?.kind !== 'memory' || WITHOUT_SUFFIX.test(mnemonic)) return name;
  if (row.sizing === 'prefix') return operandSize === 2 ? `${name}s` : name;
  return `${name}${(mnemonic.startsWith('FI') ? INTEGER_SUFFIXES : FLOAT_SUFFIXES)?.[operand.size]}`;
}

/** Where no register tells the size, a letter behind the name does. */
function hasAttSuffix(instruction: Instruction): boolean {
  const { row, operands, operandSize } = instruction;
  if (row.silent) return false;
  const isDefault = operandSize === defaultSize(row);
  const noneShows = row.operands.every(({ source, width }) => /^(I|Is|fixed-segment)$/.test(source) || width === 'p');
  if (noneShows) return !isDefault && (row.sizing === 'd64' || /^(RET|CALL|JMP)F$/.test(row.mnemonic));
  const memory = operands.findIndex(({ kind }) => kind === 'memory');
  const width = row.operands[memory]?.width;
  if (width !== 'b' && width !== 'v' && width !== 'y') return false;
  if (/^(SET|PREFETCH|CLDEMOTE)/.test(row.mnemonic)) return false;
  return !registerShowsSize(instruction) && !(isDefault && (row.sizing === 'd64' || row.sizing === 'f64'));
}

function attOperand(operand: Operand, instruction: Instruction, options: PrintOptions): string {
  const indirect = /^(JMP|CALL)F?$/.test(instruction.row.mnemonic) ? '*' : '';
  switch (operand.kind) {
    case 'memory':
      return `${indirect}${attMemory(operand, instruction)}`;
    case 'immediate':
      return `$${hex0x(operand.value)}`;
    case 'relative':
      return named(target(instruction, BigInt(operand.displacement), options), options);
    case 'register':
      // DX as a port is written as if it were an address.
      if (instruction.row.privilege === 'iopl' && operand.register === 2) return '(%dx)';
      return `${indirect}%${registerName(operand)}`;
    default:
      return `%${registerName(operand)}`;
  }
}

function attMemory(operand: MemoryOperand, instruction: Instruction): string {
  const { addressSize, displacementBytes, row } = instruction;
  // objdump names the segments of string instructions also where they are the usual ones.
  const segment = row.silent ? (SEGMENT_NAMES[operand.segment] as string) : overridden(operand);
  const before = segment === '' ? '' : `%${segment}:`;
  const base = operand.base === NO_REGISTER ? '' : `%${addressRegister(operand.base, addressSize)}`;
  if (base === '' && operand.index === NO_REGISTER) return `${before}${absolute(operand, addressSize)}`;
  const index =
    operand.index === NO_REGISTER ? '' : `,%${addressRegister(operand.index, addressSize)},${operand.scale}`;
  const displacement = displacementBytes === 0 ? '' : signed(operand.displacement);
  return `${before}${displacement}(${base}${index})`;
}
