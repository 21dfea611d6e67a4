// The bytes around the instruction pointer as instructions. This file is crash's only door to isa's decoder and printer.
// Backwards, where no boundary is marked: every possible start is decoded forwards, and the start is taken whose boundaries
// most of the others agree with and that arrives exactly at the trapping instruction.

import { decode } from '../../isa/decode.js';
import type { Instruction } from '../../isa/instruction.js';
import { printAtt, printIntel } from '../../isa/print.js';
import type { CodeRun, StatedCode } from '../facts.js';

export interface CodeLine {
  /** As in the text's own numbering. */
  readonly offset: number;
  readonly address: bigint | undefined;
  readonly bytes: readonly number[];
  /** Intel's syntax; "(bad)" for bytes that are no instruction known here. */
  readonly intel: string;
  /** AT&T's syntax, as objdump prints it. */
  readonly att: string;
  readonly trapping: boolean;
}

export interface Disassembly {
  readonly lines: readonly CodeLine[];
  /** The instruction at the mark; undefined when nothing is marked, or its bytes are missing or unknown. */
  readonly trapping: Instruction | undefined;
  /** Bytes from the mark on, for those who look for a pattern that the decoder does not know. */
  readonly fromTrap: readonly number[];
}

export interface DisassembleOptions {
  /** The trapping instruction's address. */
  readonly rip: bigint | undefined;
  readonly symbol: ((address: bigint) => string | undefined) | undefined;
}

/** How far before the mark a chain of instructions may begin: more never changes where it arrives. */
const FARTHEST_START = 48;
const LONGEST = 15;

export function disassemble(code: StatedCode, options: DisassembleOptions): Disassembly {
  const trap = code.trap ?? trapByAddress(code, options.rip);
  const lines: CodeLine[] = [];
  let trapping: Instruction | undefined;
  let fromTrap: readonly number[] = [];
  for (const run of code.runs) {
    const bytes = Uint8Array.from(run.bytes);
    const end = run.offset + bytes.length;
    const holdsTrap = trap !== undefined && trap >= run.offset && trap < end;
    const trapAt = holdsTrap ? trap - run.offset : undefined;
    let at = trapAt === undefined ? 0 : plausibleStart(bytes, trapAt);
    while (at < bytes.length) {
      const limit = trapAt !== undefined && at < trapAt ? trapAt : bytes.length;
      const decoded = decode(bytes, at, limit);
      const instruction = typeof decoded === 'string' ? undefined : decoded;
      const isTrap = at === trapAt;
      if (isTrap) {
        trapping = instruction;
        fromTrap = run.bytes.slice(at);
      }
      if (instruction === undefined && decoded === 'truncated' && limit === bytes.length && !isTrap) break;
      const length = instruction?.length ?? 1;
      const offset = run.offset + at;
      lines.push(codeLine(offset, run.bytes.slice(at, at + length), instruction, isTrap, trap, options));
      at += length;
    }
  }
  return { lines, trapping, fromTrap };
}

function codeLine(
  offset: number,
  bytes: readonly number[],
  instruction: Instruction | undefined,
  trapping: boolean,
  trap: number | undefined,
  { rip, symbol }: DisassembleOptions,
): CodeLine {
  const address = rip === undefined || trap === undefined ? undefined : BigInt.asUintN(64, rip + BigInt(offset - trap));
  const print = { ...(address === undefined ? {} : { address }), ...(symbol === undefined ? {} : { symbol }) };
  return {
    offset,
    address,
    bytes,
    intel: instruction ? printIntel(instruction, print) : '(bad)',
    att: instruction ? printAtt(instruction, print) : '(bad)',
    trapping,
  };
}

/** Listings with full addresses need no mark: the line whose address is rip is it. Offsets keep an address's low 32 bits. */
function trapByAddress({ runs }: StatedCode, rip: bigint | undefined): number | undefined {
  if (rip === undefined) return undefined;
  const low = Number(rip & 0xffff_ffffn);
  const holds = ({ offset, bytes }: CodeRun): boolean =>
    offset >= 0x1_0000 && low >= offset && low < offset + bytes.length;
  return runs.some(holds) ? low : undefined;
}

/** The offset at which to begin decoding so that an instruction begins at `trap`; `trap` itself when none does. */
function plausibleStart(bytes: Uint8Array, trap: number): number {
  const from = Math.max(0, trap - FARTHEST_START);
  const chains: (readonly number[])[] = [];
  const votes = new Map<number, number>();
  for (let start = from; start < Math.min(trap, from + LONGEST); start++) {
    const chain = boundaries(bytes, start, trap);
    if (chain === undefined) continue;
    chains.push(chain);
    for (const boundary of chain) votes.set(boundary, (votes.get(boundary) ?? 0) + 1);
  }
  // Chains from different starts soon run together. Where most of them meet is a boundary; the longest chain through it shows most.
  const meeting = [...votes].reduce<readonly [number, number]>(
    (most, vote) => (vote[1] > most[1] ? vote : most),
    [trap, 0],
  );
  const best = chains.find((chain) => chain.includes(meeting[0]));
  return best?.[0] ?? trap;
}

/** Where the instructions from `start` begin, if they arrive at `trap`. */
function boundaries(bytes: Uint8Array, start: number, trap: number): readonly number[] | undefined {
  const chain: number[] = [];
  let at = start;
  while (at < trap) {
    const decoded = decode(bytes, at, trap);
    if (typeof decoded === 'string') return undefined;
    chain.push(at);
    at += decoded.length;
  }
  return at === trap ? chain : undefined;
}
