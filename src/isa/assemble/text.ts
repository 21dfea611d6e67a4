// Instructions as people write them, in Intel's order: `mov [rdi+8], rax`, `rep movsq`, `lock add dword gs:[table], 1`,
// `jnz .loop`. One line is one statement; a label stands before a colon; `;` and `#` begin a comment.
// Sizes: byte word dword fword qword tbyte oword, with or without `ptr`. Numbers: decimal or 0x. Symbols: `table + 8`.
// `[rip+name]` is the place called name; `[name]` is the same place by its absolute address.
// Sizes and segments that no operand shows are words in front: `o64 retf`, `a32 loop .next`, `gs lodsb`.
// Leaves out directives: data, alignment and sections are methods of the Assembler.

import { FS, GS } from '../../abi/registers.js';
import { InputError } from '../../base/failures.js';
import type { RegisterOperand } from '../instruction.js';
import { registersByName } from '../registers.js';
import { CONDITION_SYNONYMS } from '../rows/conditions.js';
import type { MemoryReference, Statement, StatementOperand, SymbolReference, Value } from './statement.js';

export interface Line {
  readonly label: string | undefined;
  readonly statement: Statement | undefined;
}

/** One line of assembly. Throws InputError with the line in it. */
export function parseLine(text: string): Line {
  const code = text.replace(/[;#].*$/, '').trim();
  const labelled = /^([A-Za-z_.$][\w.$]*):\s*(.*)$/.exec(code);
  try {
    const rest = labelled ? (labelled[2] as string) : code;
    return { label: labelled?.[1], statement: rest === '' ? undefined : parseStatement(rest) };
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${error.message}: ${text.trim()}`);
    throw error;
  }
}

const PREFIX_WORDS: Readonly<Record<string, Partial<Statement>>> = {
  lock: { lock: true },
  rep: { repeat: 'rep' },
  repe: { repeat: 'rep' },
  repz: { repeat: 'rep' },
  repne: { repeat: 'repne' },
  repnz: { repeat: 'repne' },
  o16: { operandSize: 2 },
  o32: { operandSize: 4 },
  o64: { operandSize: 8 },
  a32: { addressSize: 4 },
  fs: { segment: FS },
  gs: { segment: GS },
};

function parseStatement(text: string): Statement {
  const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(text) ?? [];
  const prefix = PREFIX_WORDS[word.toLowerCase()];
  if (prefix) return { ...parseStatement(rest), ...prefix };
  const operands = rest === '' ? [] : rest.split(',').map((operand) => parseOperand(operand.trim()));
  return { mnemonic: canonicalName(word.toUpperCase()), operands };
}

const SYNONYMS: Readonly<Record<string, string>> = {
  SAL: 'SHL',
  LOOPZ: 'LOOPE',
  LOOPNZ: 'LOOPNE',
  XLATB: 'XLAT',
  RETN: 'RET',
  MOVABS: 'MOV',
  UD2A: 'UD2',
  FWAIT: 'WAIT',
};

/** JZ is JE, SETC is SETB, and so on. */
function canonicalName(name: string): string {
  const [, family, condition] = /^(J|SET|CMOV)(\w+)$/.exec(name) ?? [];
  const canonical = condition && CONDITION_SYNONYMS[condition];
  return canonical ? `${family}${canonical}` : (SYNONYMS[name] ?? name);
}

const SIZES: Readonly<Record<string, number>> = {
  byte: 1,
  word: 2,
  dword: 4,
  fword: 6,
  qword: 8,
  tbyte: 10,
  oword: 16,
};

function parseOperand(text: string): StatementOperand {
  const register = registersByName.get(text.toLowerCase());
  if (register) return register;
  const memory = /^(?:(byte|word|dword|fword|qword|tbyte|oword)\s*(?:ptr\s*)?)?(?:(fs|gs|[cdes]s):)?\[(.*)\]$/i.exec(
    text,
  );
  if (!memory) return parseValue(text);
  const [, size, segment, inside] = memory;
  return {
    ...parseAddress(inside as string),
    segment: segmentNumber(segment?.toLowerCase()),
    size: size === undefined ? undefined : SIZES[size.toLowerCase()],
  };
}

const segmentNumber = (name: string | undefined): number | undefined =>
  name === 'fs' ? FS : name === 'gs' ? GS : undefined;

/** What stands between the brackets: terms with + and - between them. */
function parseAddress(text: string): MemoryReference {
  let base: MemoryReference['base'];
  let index: RegisterOperand | undefined;
  let scale: 1 | 2 | 4 | 8 | undefined;
  const rest: string[] = [];
  for (const term of text.replaceAll(/\s/g, '').replaceAll('-', '+-').split('+')) {
    const [, name, factor] = /^([a-z]\w*)(?:\*([1248]))?$/i.exec(term) ?? [];
    const register = registersByName.get(name?.toLowerCase() ?? '');
    if (term === '') continue;
    if (/^[re]ip$/i.test(term) && base === undefined) base = term.toLowerCase() as 'rip' | 'eip';
    else if (register?.kind !== 'register') rest.push(term);
    else if (factor === undefined && base === undefined) base = register;
    else if (index === undefined) {
      index = register;
      scale = Number(factor ?? 1) as 1 | 2 | 4 | 8;
    } else throw new InputError(`three registers make no address`);
  }
  const displacement = rest.length === 0 ? undefined : sum(rest.map(parseValue));
  return { kind: 'reference', base, index, scale, displacement };
}

/** A number, a symbol, or a symbol and numbers: `table + 8 - 1`. */
function parseValue(text: string): Value {
  const terms = text
    .replaceAll(/\s/g, '')
    .replaceAll('-', '+-')
    .split('+')
    .filter((term) => term !== '');
  return sum(terms.map(parseTerm));
}

function sum(values: readonly Value[]): Value {
  const symbols = values.filter((value): value is SymbolReference => typeof value === 'object');
  const numbers = values.map((value) => (typeof value === 'object' ? value.addend : value));
  const total = numbers.reduce((a, b) => a + b, 0n);
  if (symbols.length > 1) throw new InputError('two symbols do not add up to an address');
  return symbols[0] ? { ...symbols[0], addend: total } : total;
}

function parseTerm(term: string): Value {
  const number = /^(-?)(0x[\da-f_]+|\d[\d_]*)$/i.exec(term);
  if (number) {
    const magnitude = BigInt((number[2] as string).replaceAll('_', ''));
    return number[1] ? -magnitude : magnitude;
  }
  if (/^[A-Za-z_.$][\w.$]*$/.test(term)) return { kind: 'symbol', name: term, addend: 0n };
  throw new InputError(`${term} is no number, register or name`);
}
