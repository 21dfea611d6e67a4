// Loops that kernels spend their faults in, known by their bytes: what the loop does, and how far it had come.
// Sources: Linux arch/x86/lib/clear_page_64.S (2.6 to 6.x), SDM 2A "DEC" and SDM 2B "REP STOS" for flags and counts.

import type { Facts } from '../facts.js';

export interface Idiom {
  readonly name: string;
  /** A sentence: what the code is, and where in it the trap happened. */
  readonly words: string;
  /** 'first': the trap came in the first turn, before anything was done. */
  readonly turn: 'first' | 'later' | undefined;
  /** RFLAGS agrees with the counter, where that can be checked. */
  readonly flagsAgree: boolean | undefined;
}

/** Spelled bytes; ".." is any byte. */
const bytesAre = (bytes: readonly number[], spelled: string): boolean =>
  spelled.split(' ').every((digits, index) => digits === '..' || bytes[index] === Number.parseInt(digits, 16));

const TURNS = 0x40n;
const STATUS = { parity: 0x4n, adjust: 0x10n, zero: 0x40n, sign: 0x80n, overflow: 0x800n } as const;
const DEC_FLAGS = STATUS.parity | STATUS.adjust | STATUS.zero | STATUS.sign | STATUS.overflow;

/** The flags that DEC of a 32-bit register leaves, given its result (CF is not touched). */
function flagsOfDec(result: bigint): bigint {
  const low = result & 0xffn;
  const ones = low.toString(2).replaceAll('0', '').length;
  return (
    (ones % 2 === 0 ? STATUS.parity : 0n) |
    ((result & 0xfn) === 0xfn ? STATUS.adjust : 0n) |
    (result === 0n ? STATUS.zero : 0n) |
    ((result & 0x8000_0000n) !== 0n ? STATUS.sign : 0n) |
    (result === 0x7fff_ffffn ? STATUS.overflow : 0n)
  );
}

/** The loop that traps, if it is one of those known here. `fromTrap`: its bytes from the trapping instruction on. */
export function idiomOf(fromTrap: readonly number[], { registers }: Facts): Idiom | undefined {
  const { rcx, rflags } = registers ?? {};
  // clear_page_orig: dec ecx; mov [rdi],rax; mov [rdi+8],rax; … lea rdi,[rdi+64]; jnz
  if (bytesAre(fromTrap, '48 89 07 48 89 47 08 48 89 47 10')) {
    const turn = rcx === undefined ? undefined : TURNS - (rcx & 0xffff_ffffn);
    const place =
      turn === undefined || turn < 1n || turn > TURNS
        ? 'the first store of a turn'
        : `the first store of turn ${turn} of ${TURNS} (rcx = 0x${rcx?.toString(16)} are left)`;
    return {
      name: 'clear_page',
      words: `the loop of Linux's clear_page, which zeroes a page in ${TURNS} turns of 64 bytes; the trap came at ${place}`,
      turn: turn === 1n ? 'first' : turn === undefined ? undefined : 'later',
      flagsAgree:
        rcx === undefined || rflags === undefined ? undefined : (rflags & DEC_FLAGS) === flagsOfDec(rcx & 0xffff_ffffn),
    };
  }
  const string = STRING_LOOPS.find(({ bytes }) => bytesAre(fromTrap, bytes));
  if (string === undefined) return undefined;
  const left = rcx === undefined ? '' : `; rcx = 0x${rcx.toString(16)} are left`;
  return { name: string.name, words: `${string.words}${left}`, turn: undefined, flagsAgree: undefined };
}

const STRING_LOOPS: readonly { readonly bytes: string; readonly name: string; readonly words: string }[] = [
  { bytes: 'f3 48 ab', name: 'rep stosq', words: 'a fill in eights of bytes (clear_page, memset)' },
  { bytes: 'f3 aa', name: 'rep stosb', words: 'a fill byte by byte (memset, clear_page with ERMS)' },
  { bytes: 'f3 48 a5', name: 'rep movsq', words: 'a copy in eights of bytes (copy_page, memcpy)' },
  { bytes: 'f3 a4', name: 'rep movsb', words: 'a copy byte by byte (memcpy, copy_user)' },
];
