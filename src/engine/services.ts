// What generated code asks of the platform: the numbers under which it asks, and the answers.
// Sources: SDM 2A "CPUID", "DIV", "IDIV"; SDM 2D "XGETBV". Which services there are: isa/meaning/semantics.ts.

import { invariant } from '../base/failures.js';
import { s64, U64_MASK, u64 } from '../base/words.js';
import type { Service } from '../isa/meaning/semantics.js';
import { computeVector } from '../isa/softfloat/vector-operations.js';
import { compareStrings } from '../isa/string-compare.js';
import { runX87 } from '../isa/x87/operations.js';
import type { X87State } from '../isa/x87/state.js';

/** What only the platform knows about a vCPU that runs under it. */
export interface EngineHost {
  cpuid(
    leaf: number,
    subleaf: number,
  ): { readonly eax: number; readonly ebx: number; readonly ecx: number; readonly edx: number };
  /** The time-stamp counter, as the guest reads it. */
  tsc(): bigint;
  /** IA32_TSC_AUX, which RDTSCP gives. */
  tscAux(): number;
  /** The 8 bytes of the descriptor that a selector names in the GDT or LDT; undefined beyond its limit. Never faults. */
  readDescriptor(selector: number): bigint | undefined;
  /** The extended control register, or undefined when there is none of that number (#GP). */
  xgetbv(index: number): bigint | undefined;
  /** What SGDT, SIDT, SLDT, STR and SMSW show, as without UMIP. */
  readonly systemRegisters: SystemRegisters;
}

export interface SystemRegisters {
  readonly gdt: { readonly limit: number; readonly base: bigint };
  readonly idt: { readonly limit: number; readonly base: bigint };
  readonly ldtr: number;
  readonly tr: number;
  /** The low bits of CR0. */
  readonly msw: number;
}

/** What a question may say; words that it does not use are whatever they are. */
export type Words = readonly [bigint, bigint, bigint, bigint, bigint, bigint, bigint];

type Answer = (asked: Asked, values: Words) => readonly bigint[];

/** Whom a question goes to: the platform, and the vCPU's own x87. */
export interface Asked {
  readonly host: EngineHost;
  readonly x87: X87State;
}

const SERVICES: readonly { readonly name: Service; readonly answers: number; readonly answer: Answer }[] = [
  {
    name: 'cpuid',
    answers: 4,
    answer: ({ host }, [leaf, subleaf]) => {
      const { eax, ebx, ecx, edx } = host.cpuid(Number(leaf), Number(subleaf));
      return [BigInt(eax), BigInt(ebx), BigInt(ecx), BigInt(edx)];
    },
  },
  { name: 'tsc', answers: 1, answer: ({ host }) => [host.tsc()] },
  { name: 'tscAux', answers: 1, answer: ({ host }) => [BigInt(host.tscAux())] },
  { name: 'xgetbv', answers: 2, answer: ({ host }, [index]) => found(host.xgetbv(Number(index))) },
  { name: 'descriptor', answers: 2, answer: ({ host }, [selector]) => found(host.readDescriptor(Number(selector))) },
  { name: 'barrier', answers: 0, answer: () => [] },
  {
    name: 'gdt',
    answers: 2,
    answer: ({
      host: {
        systemRegisters: { gdt },
      },
    }) => [BigInt(gdt.limit), gdt.base],
  },
  {
    name: 'idt',
    answers: 2,
    answer: ({
      host: {
        systemRegisters: { idt },
      },
    }) => [BigInt(idt.limit), idt.base],
  },
  {
    name: 'ldtr',
    answers: 1,
    answer: ({
      host: {
        systemRegisters: { ldtr },
      },
    }) => [BigInt(ldtr)],
  },
  {
    name: 'tr',
    answers: 1,
    answer: ({
      host: {
        systemRegisters: { tr },
      },
    }) => [BigInt(tr)],
  },
  {
    name: 'msw',
    answers: 1,
    answer: ({
      host: {
        systemRegisters: { msw },
      },
    }) => [BigInt(msw)],
  },
  { name: 'x87', answers: 4, answer: ({ x87 }, [request, low, high]) => runX87(x87, Number(request), low, high) },
  {
    name: 'divideUnsigned',
    answers: 3,
    answer: (_asked, [high, low, divisor]) => {
      const dividend = (high << 64n) | low;
      const quotient = dividend / divisor;
      return quotient > U64_MASK ? NO_QUOTIENT : [1n, quotient, dividend % divisor];
    },
  },
  {
    name: 'divideSigned',
    answers: 3,
    answer: (_asked, [high, low, divisor]) => {
      const dividend = (s64(high) << 64n) | low;
      const quotient = dividend / s64(divisor);
      return s64(quotient) === quotient ? [1n, quotient, dividend % s64(divisor)] : NO_QUOTIENT;
    },
  },
  {
    name: 'compareStrings',
    answers: 2,
    answer: (_asked, [aLow, aHigh, bLow, bHigh, aLength, bLength, immediate]) => {
      const [a, b] = [(aHigh << HALF) | aLow, (bHigh << HALF) | bLow];
      const { result, flags } = compareStrings(a, b, Number(s64(aLength)), Number(s64(bLength)), Number(immediate));
      return [BigInt(result), BigInt(flags)];
    },
  },
  {
    name: 'float',
    answers: 4,
    answer: (_asked, [operation, control, aLow, aHigh, bLow, bHigh, immediate]) => {
      const [a, b] = [(aHigh << HALF) | aLow, (bHigh << HALF) | bLow];
      const result = computeVector(Number(operation), Number(control), a, b, Number(immediate));
      return [result.value, result.value >> HALF, BigInt(result.mxcsr), result.isUnmasked ? 1n : 0n];
    },
  },
];

const HALF = 64n;

const NO_QUOTIENT = [0n, 0n, 0n] as const;

const found = (value: bigint | undefined): readonly bigint[] => (value === undefined ? [0n, 0n] : [1n, value]);

/** The number under which generated code asks for a service. */
export function serviceNumber(service: Service): number {
  const number = SERVICES.findIndex(({ name }) => name === service);
  invariant(number >= 0, `there is a service ${service}`);
  return number;
}

/** How many words a service answers with. */
export const answerCount = (service: Service): number => SERVICES[serviceNumber(service)]!.answers;

/** Services that are just arithmetic, on what they are given or on the vCPU's registers. */
const ARITHMETIC: readonly Service[] = ['divideUnsigned', 'divideSigned', 'compareStrings', 'float', 'x87'];

/** Whether the answer is the platform's. */
export const asksPlatform = (number: number): boolean => !ARITHMETIC.includes(SERVICES[number]!.name);

/** Answers, as unsigned 64-bit words. A divisor is never 0: the meaning has raised #DE before. */
export function answerService(asked: Asked, number: number, values: Words): readonly bigint[] {
  const service = SERVICES[number];
  invariant(service, `there is a service of number ${number}`);
  return service.answer(asked, values).map(u64);
}
