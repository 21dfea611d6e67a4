// A compiler tier in miniature: straight-line code to one WebAssembly function, from the same meanings as the interpreter.
// Operands are constants, registers and flags live in locals, and flags that the next instruction overwrites are never
// worked out. General registers only. It shows that the language of meanings serves both; it is no part of the product.

import { GPR_COUNT, RSP } from '../../src/abi/registers.js';
import { CORE_FUNCTIONS } from '../../src/engine/core-module.js';
import { formOf, type OperandForm } from '../../src/engine/form.js';
import { Generator, type RegisterReference, type SlowFunctions, type Target } from '../../src/engine/generator.js';
import {
  FLAG_CARRIES,
  FLAG_RESULT,
  gprAddress,
  LIVE_CONTEXT,
  SEGMENT_BASES,
  SYSTEM_FLAGS,
} from '../../src/engine/layout.js';
import { Code } from '../../src/engine/wasm/code.js';
import { ModuleBuilder } from '../../src/engine/wasm/module.js';
import { decode, type Instruction, type MemoryOperand, NO_REGISTER, RIP } from '../../src/isa/index.js';
import { I64 } from '../../src/isa/meaning/expression.js';
import type { Bits } from '../../src/isa/meaning/semantics.js';

const FLAG_WORDS = [FLAG_RESULT, FLAG_CARRIES] as const;

class StraightLineTarget implements Target {
  readonly slow: SlowFunctions;
  readonly #code: Code;
  readonly #registers: readonly number[];
  readonly #flags: ReadonlyMap<number, number>;
  /** Flag words that were given but not worked out: by their place. */
  readonly #pending = new Map<number, I64>();
  #instruction: Instruction | undefined;
  #nextRip = 0n;
  /** Flag words that were worked out. */
  flagWordsEmitted = 0;

  constructor(code: Code, slow: SlowFunctions) {
    this.slow = slow;
    this.#code = code;
    this.#registers = Array.from({ length: GPR_COUNT }, () => code.local('i64'));
    this.#flags = new Map(FLAG_WORDS.map((place) => [place, code.local('i64')]));
  }

  begin(instruction: Instruction, nextRip: bigint): void {
    this.#instruction = instruction;
    this.#nextRip = nextRip;
  }

  /** Takes registers and flags from the running state into locals. */
  enter(): void {
    this.#eachWord((address, local) => {
      this.#code.constant32(0);
      this.#code.load('i64.load', address);
      this.#code.localSet(local);
    });
  }

  /** Puts them back. */
  leaveLine(): void {
    this.#workOutFlags();
    this.#eachWord((address, local) => {
      this.#code.constant32(0);
      this.#code.localGet(local);
      this.#code.store('i64.store', address);
    });
  }

  /** Something may fault now, so the flags must be what they are: worked out, if they are still to be. */
  pushContext(): void {
    this.#workOutFlags();
    this.#code.constant32(LIVE_CONTEXT);
  }
  pushPosition(): void {
    this.#code.constant32(0);
    this.#code.constant32(0);
  }

  readRegister(reference: RegisterReference, bits: Bits, signed: boolean): I64 {
    const { register, high } = this.#resolve(reference);
    const value = this.#local(this.#registers[register]!).shiftRight(high ? 8n : 0n);
    return signed ? value.signExtend(bits) : value.zeroExtend(bits);
  }

  writeRegister(reference: RegisterReference, bits: Bits, value: I64): void {
    const { register, high } = this.#resolve(reference);
    const local = this.#registers[register]!;
    const shift = high ? 8n : 0n;
    const mask = (1n << BigInt(bits)) - 1n;
    const merged =
      bits >= 32
        ? value.zeroExtend(bits)
        : this.#local(local)
            .and(~(mask << shift))
            .or(value.and(mask).shiftLeft(shift));
    merged.emit(this.#code);
    this.#code.localSet(local);
  }

  immediate(index: number): I64 {
    const operand = this.#of('immediate')[index];
    if (operand?.kind !== 'immediate') throw new Error('no such immediate');
    return I64.constant(BigInt.asIntN(operand.size * 8, operand.value));
  }

  address(_operand: OperandForm, rspAhead: bigint): I64 {
    const { base, index, scale, displacement } = this.#of('memory')[0] as MemoryOperand;
    const known = base === RIP ? displacement + this.#nextRip : displacement + (base === RSP ? rspAhead : 0n);
    const from = base === RIP || base === NO_REGISTER ? I64.constant(0n) : this.#local(this.#registers[base]!);
    const indexed =
      index === NO_REGISTER ? from : from.add(this.#local(this.#registers[index]!).shiftLeft(BigInt(Math.log2(scale))));
    return indexed.add(known);
  }

  segmentBase(): I64 {
    const { segment } = this.#of('memory')[0] as MemoryOperand;
    return this.#loaded(SEGMENT_BASES + 8 * segment);
  }

  readState(address: number): I64 {
    const local = this.#flags.get(address);
    if (local === undefined) return this.#loaded(address);
    this.#workOutFlags();
    return this.#local(local);
  }

  writeState(address: number, value: I64): void {
    if (address === SYSTEM_FLAGS) throw new Error('not in a straight line');
    this.#pending.set(address, value);
  }

  nextRip(): I64 {
    return I64.constant(this.#nextRip);
  }
  branch(): never {
    throw new Error('not in a straight line');
  }
  jump = this.branch;
  again = this.branch;
  leave = this.branch;
  pushVectorAddress = this.branch;
  rip = this.branch;
  x87Opcode = this.branch;
  operandSelector = this.branch;
  pauseIf = this.branch;

  #workOutFlags(): void {
    for (const [place, value] of this.#pending) {
      value.emit(this.#code);
      this.#code.localSet(this.#flags.get(place)!);
      this.flagWordsEmitted++;
    }
    this.#pending.clear();
  }

  #resolve(reference: RegisterReference): { readonly register: number; readonly high: boolean } {
    if ('register' in reference) return reference;
    const operand = this.#of('register')[reference.operand];
    if (operand?.kind !== 'register') throw new Error('no such register operand');
    return operand;
  }

  #of(kind: string) {
    return this.#instruction!.operands.filter((operand) => operand.kind === kind);
  }

  #local(local: number): I64 {
    return I64.of(() => this.#code.localGet(local), { reusable: true });
  }

  #loaded(address: number): I64 {
    const push = (): void => {
      this.#code.constant32(0);
      this.#code.load('i64.load', address);
    };
    return I64.of(push, { reusable: false });
  }

  #eachWord(use: (address: number, local: number) => void): void {
    this.#registers.forEach((local, register) => {
      use(gprAddress(register), local);
    });
    for (const [address, local] of this.#flags) use(address, local);
  }
}

export interface CompiledLine {
  /** Does what the instructions do to the running state. Every page that they access must be in the fast TLB. */
  readonly execute: () => void;
  readonly instructions: number;
  readonly flagWordsEmitted: number;
}

/** Compiles the instructions that stand one behind the other in `bytes`, whose address is `address`. */
export function compileLine(memory: WebAssembly.Memory, bytes: Uint8Array, address: bigint): CompiledLine {
  const builder = new ModuleBuilder();
  const slow = Object.fromEntries(
    Object.entries(CORE_FUNCTIONS).map(([name, type]) => [name, builder.importFunction(name, type)]),
  ) as Record<keyof typeof CORE_FUNCTIONS, number>;
  const code = new Code({ parameters: [], results: [] });
  builder.addFunction(code, 'execute');
  const target = new StraightLineTarget(code, slow);
  target.enter();
  let instructions = 0;
  for (let offset = 0; offset < bytes.length; instructions++) {
    const instruction = decode(bytes, offset, bytes.length);
    if (typeof instruction === 'string') throw new Error(`bytes at ${offset} are ${instruction}`);
    offset += instruction.length;
    const form = formOf(instruction);
    target.begin(instruction, address + BigInt(offset));
    new Generator(form, code, target).emit();
  }
  target.leaveLine();
  const refuse = (): never => {
    throw new Error('a slow path was taken');
  };
  const slowFunctions = Object.fromEntries(Object.keys(CORE_FUNCTIONS).map((name) => [name, refuse]));
  const module = new WebAssembly.Module(builder.bytes());
  const { exports } = new WebAssembly.Instance(module, { env: { memory, ...slowFunctions } });
  return { execute: exports['execute'] as () => void, instructions, flagWordsEmitted: target.flagWordsEmitted };
}
