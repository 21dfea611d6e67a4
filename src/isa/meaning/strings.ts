// String instructions and REP. SDM 2A "CMPS", "LODS"; SDM 2B "MOVS", "REP"; SDM 2C "SCAS", "STOS".
// An iteration of REP is an instruction of its own: it counts as one, and an exit between two of them leaves rSI, rDI and rCX
// where the next one goes on.

import { RCX, RDI, RSI } from '../../abi/registers.js';
import { compare } from './arithmetic.js';
import type { I32 } from './expression.js';
import { I64 } from './expression.js';
import type { Location, Meaning, Semantics } from './semantics.js';

const DF_BIT = 10n;

/** One step up or, with DF, down; in bytes. */
const step = (cpu: Semantics): I64 => {
  const bytes = BigInt(cpu.bits / 8);
  const isDown = cpu.systemFlags().shiftRight(DF_BIT).and(1n);
  return cpu.keep(I64.constant(bytes).sub(isDown.mul(I64.constant(2n * bytes))));
};

const advance = (cpu: Semantics, register: number, by: I64): void => {
  const pointer = cpu.register(register, cpu.addressBits);
  pointer.write(pointer.read().add(by));
};

/** Once without REP; with it, while rCX is not 0 and what `body` returns, if anything, holds. */
function iterate(cpu: Semantics, body: () => I32 | undefined): void {
  if (cpu.repeat === undefined) {
    body();
    return;
  }
  const counter = cpu.register(RCX, cpu.addressBits);
  const count = counter.read();
  cpu.when(count.isNotZero(), () => {
    const goOn = body();
    const isLast = count.equals(1n);
    counter.write(count.sub(1n));
    cpu.again(goOn ? isLast.not().and(goOn) : isLast.not());
  });
}

/** For CMPS and SCAS: whether `difference` lets REPE or REPNE go on. */
const goesOn = (cpu: Semantics, difference: I64): I32 =>
  cpu.repeat === 'repne' ? difference.isNotZero() : difference.isZero();

/**
 * [rDI] of the instructions that have two places in memory. A decoded record has room for one memory operand: theirs is
 * [rSI], whose segment can be overridden; [rDI] is always in ES, which has no base.
 */
const atRdi = (cpu: Semantics): Location => cpu.memory(cpu.register(RDI, cpu.addressBits).read(), cpu.bits, 'data');

export const movs: Meaning = (cpu) => {
  iterate(cpu, () => {
    const by = step(cpu);
    atRdi(cpu).write(cpu.operand(1).read());
    advance(cpu, RSI, by);
    advance(cpu, RDI, by);
    return undefined;
  });
};

export const stos: Meaning = (cpu) => {
  iterate(cpu, () => {
    const by = step(cpu);
    cpu.operand(0).write(cpu.operand(1).read());
    advance(cpu, RDI, by);
    return undefined;
  });
};

export const lods: Meaning = (cpu) => {
  iterate(cpu, () => {
    const by = step(cpu);
    cpu.operand(0).write(cpu.operand(1).read());
    advance(cpu, RSI, by);
    return undefined;
  });
};

export const cmps: Meaning = (cpu) => {
  iterate(cpu, () => {
    const by = step(cpu);
    const difference = compare(cpu, cpu.operand(0).readSigned(), atRdi(cpu).readSigned());
    advance(cpu, RSI, by);
    advance(cpu, RDI, by);
    return goesOn(cpu, difference);
  });
};

export const scas: Meaning = (cpu) => {
  iterate(cpu, () => {
    const by = step(cpu);
    const difference = compare(cpu, cpu.operand(0).readSigned(), cpu.operand(1).readSigned());
    advance(cpu, RDI, by);
    return goesOn(cpu, difference);
  });
};
