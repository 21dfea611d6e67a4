// How a row of the instruction table is written down, and what that means: `row('ADD', 'Eb,Gb', '00 /r', m.add)`.
// docs/isa.md explains every letter. Sources: SDM 2 "Interpreting the Instruction Reference Pages" (3.1), which the
// encoding column follows, and SDM 2D "Key to Abbreviations" (A.2), which the operand column follows.
// A row that makes no sense is a mistake in the table and is found when the module loads: each check is an `invariant`.

import { invariant } from '../base/failures.js';
import type {
  CpuidFeature,
  Encoding,
  OpcodeMap,
  OperandSource,
  OperandSpec,
  OperandWidth,
  Row,
} from './instruction.js';
import type { Meaning } from './meaning/semantics.js';

/** What a row may say beside its name, operands, bytes and meaning; each as in `Row`. */
export interface RowOptions {
  /** LOCK is allowed when the destination is memory. */
  readonly lock?: boolean;
  readonly repeats?: 'count' | 'compare';
  readonly sizing?: Row['sizing'];
  readonly privilege?: 'cpl0' | 'iopl';
  readonly cpuid?: CpuidFeature;
  readonly condition?: number;
  readonly silent?: boolean;
  readonly alias?: boolean;
  /** Unless given, that of the operands: MMX where there is one of its registers, else SSE, else integer. */
  readonly unit?: Row['unit'];
}

/** A row before it has its place in the table. */
export type UnplacedRow = Omit<Row, 'index'>;

/** One form of one instruction: the SDM's name, its operands in the SDM's letters, its bytes in the SDM's notation. */
export function row(
  mnemonic: string,
  operandText: string,
  encodingText: string,
  means: Meaning,
  options: RowOptions = {},
): UnplacedRow {
  const operands = operandText === '' ? [] : operandText.split(',').map(parseOperand);
  const encoding = parseEncoding(encodingText, operands);
  return {
    mnemonic,
    operandText,
    encodingText,
    operands,
    encoding,
    means,
    condition: options.condition ?? -1,
    lockable: options.lock ?? false,
    repeats: options.repeats ?? 'none',
    sizing: options.sizing ?? usualSizing(operands, encoding),
    unit: options.unit ?? unitOf(operands),
    privilege: options.privilege ?? 'none',
    cpuid: options.cpuid,
    silent: options.silent ?? false,
    alias: options.alias ?? false,
  };
}

/** The operand size where the row does not say. Vector instructions have none, but where a general register has one. */
function usualSizing(operands: readonly OperandSpec[], encoding: Encoding): Row['sizing'] {
  if (unitOf(operands) === 'integer') return isByteForm(operands) ? 'byte' : 'prefix';
  if (operands.some(({ width }) => width === 'y')) return 'y';
  return encoding.operandSize !== 0 ? 'prefix' : 'f64';
}

function unitOf(operands: readonly OperandSpec[]): Row['unit'] {
  if (operands.some(({ source }) => /^[PQN]$/.test(source))) return 'mmx';
  return operands.some(({ source }) => /^[VWU]$/.test(source)) ? 'sse' : 'integer';
}

/** Works on bytes whatever the prefixes say: an operand of width b, and none whose width follows the prefixes. */
function isByteForm(operands: readonly OperandSpec[]): boolean {
  const data = operands.filter(({ source }) => source !== 'I' && source !== 'Is' && source !== 'J');
  return data.some(({ width }) => width === 'b') && !data.some(({ width }) => /^[vzyp]$/.test(width));
}

/** Operands that a row fixes: where, how wide, and the register's encoding number or the value. */
const FIXED_OPERANDS: Readonly<Record<string, readonly [OperandSource, OperandWidth, number]>> = {
  AL: ['fixed-register', 'b', 0],
  AX: ['fixed-register', 'w', 0],
  CL: ['fixed-register', 'b', 1],
  DX: ['fixed-register', 'w', 2],
  eAX: ['fixed-register', 'z', 0],
  rAX: ['fixed-register', 'v', 0],
  FS: ['fixed-segment', 'w', 4],
  GS: ['fixed-segment', 'w', 5],
  1: ['one', 'b', 1],
  ST: ['ST', 't', 0],
  STi: ['STi', 't', -1],
};

function parseOperand(text: string): OperandSpec {
  const fixed = FIXED_OPERANDS[text];
  if (fixed) return { text, source: fixed[0], width: fixed[1], fixed: fixed[2] };
  const letters = /^([ERMGSCDZIJOXYBTVWUPQN])(dq|ps|pd|ss|sd|f[xes]|[bwdqvzypst])?(s?)$/.exec(text);
  invariant(letters, `${text} is an operand in the SDM's letters`);
  const [, letter, width, signExtended] = letters;
  invariant(!signExtended || letter === 'I', `only an immediate says that it is sign-extended, not ${text}`);
  const isExtended = letter === 'I' && (signExtended || width === 'z');
  return {
    text,
    source: (isExtended ? 'Is' : letter) as OperandSource,
    width: (width ?? 'none') as OperandWidth,
    fixed: -1,
  };
}

const MAP_PREFIXES: readonly (readonly [string, OpcodeMap])[] = [
  ['0F 38 ', 2],
  ['0F 3A ', 3],
  ['0F ', 1],
  ['', 0],
];

/**
 * `[NP|NFx|66|F2|F3] [o16|o32|o64] [a32|a64] [REX.B=0] [0F [38|3A]] opcode[+r] [ModRM]`, where ModRM is `/r`,
 * `/0`…`/7`, a byte, or three fields: `11:101:bbb` (letters match anything; `mm` means that mod is ignored and a
 * register meant).
 * The bytes behind ModRM need no notation: the operand column says what they are.
 */
function parseEncoding(text: string, operands: readonly OperandSpec[]): Encoding {
  const conditions = /^(?:(NP|NFx|66|F2|F3) )?(?:o(16|32|64) )?(?:a(32|64) )?(REX\.B=0 )?/.exec(text);
  invariant(conditions, `${text} begins like an encoding`);
  const [matched, mandatory, operandBits, addressBits, rexB] = conditions;
  const opcodeText = text.slice(matched.length);
  const [mapText, map] = MAP_PREFIXES.find(([prefix]) =>
    opcodeText.startsWith(prefix),
  ) as (typeof MAP_PREFIXES)[number];
  const bytes = /^([0-9A-F]{2})(\+r)?(?: (\S+))?$/.exec(opcodeText.slice(mapText.length));
  invariant(bytes, `${text} has an opcode and at most a ModRM byte`);
  const [, opcode, plusRegister, modrmText] = bytes;
  return {
    map,
    opcode: Number.parseInt(opcode as string, 16),
    opcodeRegister: plusRegister !== undefined,
    mandatory: (mandatory ?? 'any') as Encoding['mandatory'],
    operandSize: (Number(operandBits ?? 0) / 8) as Encoding['operandSize'],
    addressSize: (Number(addressBits ?? 0) / 8) as Encoding['addressSize'],
    rexBClear: rexB !== undefined,
    ...parseModrm(modrmText, operands),
  };
}

type ModrmPart = Pick<Encoding, 'modrm' | 'modrmMask' | 'modrmValue' | 'form'>;

function parseModrm(text: string | undefined, operands: readonly OperandSpec[]): ModrmPart {
  if (text === undefined) return { modrm: false, modrmMask: 0, modrmValue: 0, form: 'either' };
  const fields = modrmFields(text);
  const [mod, reg, rm] = fields;
  const bits = fields.join('');
  const sources = operands.map(({ source }) => source);
  const registerOnly = mod === '11' || sources.some((source) => /^([RUN]|STi)$/.test(source));
  const form = mod === 'mm' ? 'ignored' : registerOnly ? 'register' : sources.includes('M') ? 'memory' : 'either';
  invariant(reg?.length === 3 && rm?.length === 3, `${text} is a ModRM byte`);
  return {
    modrm: true,
    modrmMask: Number.parseInt(bits.replaceAll(/[01]/g, '1').replaceAll(/[a-z]/g, '0'), 2),
    modrmValue: Number.parseInt(bits.replaceAll(/[a-z]/g, '0'), 2),
    form,
  };
}

/** The mod, reg and rm fields as binary digits, or letters where they may be anything. */
function modrmFields(text: string): readonly string[] {
  if (text.includes(':')) return text.split(':');
  if (text === '/r') return ['xx', 'rrr', 'bbb'];
  const digit = /^\/([0-7])$/.exec(text);
  if (digit) return ['xx', Number(digit[1]).toString(2).padStart(3, '0'), 'bbb'];
  const bits = Number.parseInt(text, 16).toString(2).padStart(8, '0');
  return [bits.slice(0, 2), bits.slice(2, 5), bits.slice(5)];
}
