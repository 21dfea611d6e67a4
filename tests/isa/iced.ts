// What iced-x86, an independent disassembler, says about the same bytes, compared with what we say. Development only.

import iced from 'iced-x86';
import { DS, ES, FS, GS, SEGMENT_NAMES, SS } from '../../src/abi/registers.js';
import { hexBytes } from '../../src/base/hex.js';
import { decode } from '../../src/isa/decode.js';
import { type Instruction, NO_REGISTER, type Operand, RIP, type Row } from '../../src/isa/instruction.js';

const { Code, CodeExt, CpuidFeature, Decoder, EncodingKind, MemorySizeExt, Mnemonic, OpKind, Register } = iced;

/** The features whose instructions have rows. All others are 'not yet': we must refuse them. */
const OUR_FEATURES: ReadonlySet<string> = new Set([
  'INTEL8086',
  'INTEL186',
  'INTEL286',
  'INTEL386',
  'INTEL486',
  'X64',
  'CMOV',
  'CPUID',
  'TSC',
  'MSR',
  'RDPMC',
  'SMM',
  'SEP',
  'SYSCALL',
  'CX8',
  'CMPXCHG16B',
  'RDTSCP',
  'PAUSE',
  'MULTIBYTENOP',
  'PREFETCHW',
  'CET_IBT',
  'BMI1',
  'LZCNT',
  'POPCNT',
  'MOVBE',
  'MONITOR',
  'SMAP',
  'INVPCID',
  'WBNOINVD',
  'FPU',
  'FPU287',
  'FPU387',
  'MMX',
  'SSE',
  'SSE2',
  'SSE3',
  'SSSE3',
  'SSE4_1',
  'SSE4_2',
  'FXSR',
  'ADX',
  'CLFSH',
  'CLFLUSHOPT',
  'CLWB',
]);

/** Instructions of other features that have rows, and of ours that have none yet. By iced's names. */
const ALSO_OURS = /^(?:Prefetch\w+|Cldemote_m8|Rdssp[dq]_r\d+|X[gs]etbv)$/;
const NOT_OURS_YET = /^$/;

/** `kind` says what differs and for which instruction, `example` adds the bytes and both readings. */
export type Verdict =
  | 'same'
  | 'both refuse'
  | 'not yet'
  | 'iced errs'
  | { readonly kind: string; readonly example: string };

interface TheirCode {
  readonly name: string;
  readonly isOurs: boolean;
  readonly mnemonic: string;
  /** Rows already found to be this code. */
  readonly sameRows: Set<Row>;
}

const codes = new Map<number, TheirCode>();

function theirCode(instruction: iced.Instruction): TheirCode {
  const known = codes.get(instruction.code);
  if (known) return known;
  const name = Code[instruction.code] as string;
  const features = [...instruction.cpuidFeatures()].map((feature) => CpuidFeature[feature] as string);
  const info = CodeExt.opCode(instruction.code);
  const isVex = info.encoding !== EncodingKind.Legacy;
  info.free();
  const isOurs =
    !isVex &&
    !NOT_OURS_YET.test(name) &&
    (ALSO_OURS.test(name) || features.every((feature) => OUR_FEATURES.has(feature)));
  const made = {
    name,
    isOurs,
    mnemonic: (Mnemonic[instruction.mnemonic] as string).toUpperCase(),
    sameRows: new Set<Row>(),
  };
  codes.set(instruction.code, made);
  return made;
}

const theirs = new iced.Instruction();

/** Decodes the bytes both ways. iced reads at most 15 of them, as a processor does. */
export function compare(bytes: Uint8Array): Verdict {
  const decoder = new Decoder(64, bytes, 0);
  decoder.decodeOut(theirs);
  const ours = decode(bytes, 0, bytes.length);
  const verdict = judge(ours);
  decoder.free();
  if (verdict === 'same' || verdict === 'both refuse' || verdict === 'not yet') return verdict;
  if (icedErrs(ours)) return 'iced errs';
  const text =
    typeof ours === 'string' ? ours : `${ours.row.mnemonic} ${ours.row.operandText} (${ours.row.encodingText})`;
  const kind = `${Code[theirs.code]}: ${verdict}`;
  return { kind, example: `${kind}: ${hexBytes(bytes)}, iced: ${theirs.toString()}, we: ${text}` };
}

/** F3 41 90 is PAUSE to iced. AMD EPYC, tried: it exchanges r8d and eax; QEMU (i386 translate.c) agrees. */
const icedErrs = (ours: ReturnType<typeof decode>): boolean =>
  Code[theirs.code] === 'Pause' && typeof ours !== 'string' && ours.row.mnemonic === 'XCHG';

/** One of the three agreements, or what differs. */
function judge(ours: ReturnType<typeof decode>): string {
  if (theirs.isInvalid) return ours === 'invalid' || ours === 'too-long' ? 'both refuse' : 'iced refuses this';
  const code = theirCode(theirs);
  if (!code.isOurs) return ours === 'invalid' ? 'not yet' : 'this is of a feature that has no rows yet';
  if (typeof ours === 'string') return 'we refuse this';
  return differenceBetween(ours, code) ?? 'same';
}

function differenceBetween(ours: Instruction, code: TheirCode): string | undefined {
  if (ours.length !== theirs.length) return `length ${ours.length}, not ${theirs.length}`;
  if (!code.sameRows.has(ours.row)) {
    const difference = rowDifference(ours.row, code);
    if (difference) return difference;
    code.sameRows.add(ours.row);
  }
  if (ours.lock !== theirs.hasLockPrefix) return 'LOCK';
  if (ours.row.repeats !== 'none') {
    if ((ours.repeatPrefix === 0xf3) !== theirs.hasRepPrefix) return 'REP';
    if ((ours.repeatPrefix === 0xf2) !== theirs.hasRepnePrefix) return 'REPNE';
  }
  if (ours.operands.length !== theirs.opCount) return `${ours.operands.length} operands, not ${theirs.opCount}`;
  for (let i = 0; i < ours.operands.length; i++) {
    const difference = operandDifference(ours, ours.operands[i] as Operand, i);
    if (difference) return `operand ${i}: ${difference}`;
  }
  return undefined;
}

/** Our names where iced has one name for several things or another one. */
const OUR_NAMES: Readonly<Record<string, string>> = {
  XLATB: 'XLAT',
  SAL: 'SHL',
  PCMPESTRM64: 'PCMPESTRM',
  PCMPESTRI64: 'PCMPESTRI',
  'CALL m': 'CALLF',
  'JMP m': 'JMPF',
};

/** Is the row the thing that iced's opcode table describes: mnemonic, map, opcode, ModRM digit? */
function rowDifference(row: Row, code: TheirCode): string | undefined {
  const info = CodeExt.opCode(theirs.code);
  try {
    const far = /^(?:Call|Jmp)_m16/.test(code.name) ? ' m' : '';
    const name = OUR_NAMES[`${code.mnemonic}${far}`] ?? code.mnemonic;
    if (row.mnemonic !== name) return `name ${row.mnemonic}, not ${name}`;
    const { map, opcode, opcodeRegister, modrmMask, modrmValue } = row.encoding;
    if (map !== info.table) return `opcode map ${map}, not ${info.table}`;
    const theirOpcode = info.opCodeLength === 2 ? info.opCode >> 8 : info.opCode;
    if (opcode !== (opcodeRegister ? theirOpcode & 0xf8 : theirOpcode)) return 'opcode';
    if (info.isGroup && (modrmValue & modrmMask) >> 3 !== info.groupIndex) return 'ModRM digit';
    return undefined;
  } finally {
    info.free();
  }
}

const REGISTERS: readonly (Operand | undefined)[] = Array.from({ length: 256 }, (_, number) => registerOperand(number));

function registerOperand(number: number): Operand | undefined {
  if (number >= Register.AL && number <= Register.R15L) {
    const index = number - Register.AL;
    const high = index >= 4 && index < 8;
    // iced lists AL…BL, AH…BH, SPL…DIL, R8L…R15L.
    return { kind: 'register', register: index < 4 ? index : index - 4, size: 1, high };
  }
  const runs = [
    [Register.AX, 2],
    [Register.EAX, 4],
    [Register.RAX, 8],
  ] as const;
  for (const [first, size] of runs)
    if (number >= first && number < first + 16)
      return { kind: 'register', register: number - first, size, high: false };
  if (number >= Register.XMM0 && number <= Register.XMM15) return { kind: 'xmm', register: number - Register.XMM0 };
  if (number >= Register.MM0 && number <= Register.MM7) return { kind: 'mm', register: number - Register.MM0 };
  if (number >= Register.ST0 && number <= Register.ST7) return { kind: 'st', register: number - Register.ST0 };
  if (number >= Register.ES && number <= Register.GS) return { kind: 'segment', register: number - Register.ES };
  if (number >= Register.CR0 && number <= Register.CR15) return { kind: 'control', register: number - Register.CR0 };
  if (number >= Register.DR0 && number <= Register.DR15) return { kind: 'debug', register: number - Register.DR0 };
  return undefined;
}

const numberOf = (register: iced.Register): number => {
  if (register === Register.None) return NO_REGISTER;
  if (register === Register.RIP || register === Register.EIP) return RIP;
  const operand = REGISTERS[register];
  return operand?.kind === 'register' ? operand.register : Number.NaN;
};

const sizeOf = (register: iced.Register): number => {
  if (register === Register.None) return 0;
  if (register === Register.RIP) return 8;
  if (register === Register.EIP) return 4;
  const operand = REGISTERS[register];
  return operand?.kind === 'register' ? operand.size : Number.NaN;
};

function operandDifference(instruction: Instruction, ours: Operand, i: number): string | undefined {
  const kind = theirs.opKind(i);
  switch (ours.kind) {
    case 'register':
    case 'xmm':
    case 'mm':
    case 'st':
    case 'segment':
    case 'control':
    case 'debug': {
      if (kind !== OpKind.Register) return 'not a register';
      const their = REGISTERS[theirs.opRegister(i)];
      if (their?.kind !== ours.kind || their.register !== ours.register) return 'register';
      if (ours.kind !== 'register' || their.kind !== 'register') return undefined;
      if (ours.high !== their.high) return 'high byte';
      // iced names a register that holds a selector by the operand size; only 16 bits are read (SDM: r/m16).
      const selector = instruction.row.operandText.includes('Ew') && !/^MOV[SZ]X/.test(instruction.row.mnemonic);
      return ours.size === their.size || (selector && ours.size === 2)
        ? undefined
        : `size ${ours.size}, not ${their.size}`;
    }
    case 'immediate':
      return immediateDifference(ours.value, ours.size, i);
    case 'relative': {
      if (kind !== OpKind.NearBranch64) return 'not a near branch';
      const target = BigInt.asUintN(64, BigInt(instruction.length + ours.displacement));
      return target === theirs.nearBranch64 ? undefined : 'target';
    }
    case 'memory':
      return memoryDifference(instruction, ours, kind);
  }
}

const IMMEDIATE_SIZES = new Map<number, number>([
  [OpKind.Immediate8, 1],
  [OpKind.Immediate8_2nd, 1],
  [OpKind.Immediate16, 2],
  [OpKind.Immediate32, 4],
  [OpKind.Immediate64, 8],
  [OpKind.Immediate8to16, 2],
  [OpKind.Immediate8to32, 4],
  [OpKind.Immediate8to64, 8],
  [OpKind.Immediate32to64, 8],
]);

function immediateDifference(value: bigint, size: number, i: number): string | undefined {
  const theirSize = IMMEDIATE_SIZES.get(theirs.opKind(i));
  if (theirSize !== size) return `immediate of ${size} bytes, not ${theirSize}`;
  return BigInt.asUintN(8 * size, theirs.immediate(i)) === value
    ? undefined
    : `value ${value}, not ${theirs.immediate(i)}`;
}

function memoryDifference(
  instruction: Instruction,
  ours: Extract<Operand, { kind: 'memory' }>,
  kind: iced.OpKind,
): string | undefined {
  const size = MemorySizeExt.size(theirs.memorySize);
  if (ours.size !== size) return `${ours.size} bytes of memory, not ${size}`;
  const addressSize = instruction.addressSize;
  switch (kind) {
    case OpKind.Memory:
      break;
    case OpKind.MemorySegRSI:
    case OpKind.MemorySegESI:
      if (ours.base !== 6 || (kind === OpKind.MemorySegESI) !== (addressSize === 4)) return '[rSI]';
      return segmentDifference(ours.segment, DS);
    // MASKMOVQ and MASKMOVDQU: DS, unless overridden.
    case OpKind.MemorySegRDI:
    case OpKind.MemorySegEDI:
      if (ours.base !== 7 || (kind === OpKind.MemorySegEDI) !== (addressSize === 4)) return '[rDI]';
      return segmentDifference(ours.segment, DS);
    case OpKind.MemoryESRDI:
    case OpKind.MemoryESEDI:
      if (ours.base !== 7 || (kind === OpKind.MemoryESEDI) !== (addressSize === 4)) return '[rDI]';
      return ours.segment === ES ? undefined : 'segment';
    default:
      return 'not memory';
  }
  const isXlat = instruction.row.mnemonic === 'XLAT';
  if (ours.base !== numberOf(theirs.memoryBase)) return 'base';
  if (!isXlat && ours.index !== numberOf(theirs.memoryIndex)) return 'index';
  if (ours.index !== NO_REGISTER && ours.scale !== theirs.memoryIndexScale) return 'scale';
  for (const register of [theirs.memoryBase, isXlat ? Register.None : theirs.memoryIndex])
    if (register !== Register.None && sizeOf(register) !== addressSize) return 'address size';
  if (
    theirs.memoryBase === Register.None &&
    theirs.memoryIndex === Register.None &&
    theirs.memoryDisplSize !== addressSize
  )
    // iced gives an absolute address the size of the address; the bytes are four.
    return 'address size of an absolute address';
  if (
    BigInt.asUintN(8 * addressSize, displacement(ours, instruction)) !==
    BigInt.asUintN(8 * addressSize, theirs.memoryDisplacement)
  )
    return 'displacement';
  return segmentDifference(ours.segment, ours.base === 4 || ours.base === 5 ? SS : DS);
}

/** iced gives a RIP-relative operand as the address that it comes to, with the instruction at address 0. */
const displacement = (ours: Extract<Operand, { kind: 'memory' }>, instruction: Instruction): bigint =>
  ours.displacement + (ours.base === RIP ? BigInt(instruction.length) : 0n);

/** iced reports an override of CS, DS, ES or SS, which in 64-bit mode does nothing. */
function segmentDifference(segment: number, normal: number): string | undefined {
  const name = (Register[theirs.memorySegment] as string).toLowerCase() as (typeof SEGMENT_NAMES)[number];
  const their = SEGMENT_NAMES.indexOf(name);
  const effective = their === FS || their === GS ? their : normal;
  return segment === effective ? undefined : `segment ${SEGMENT_NAMES[segment]}, not ${SEGMENT_NAMES[effective]}`;
}
