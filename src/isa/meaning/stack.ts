// The stack. SDM 2A "ENTER"; SDM 2B "LEAVE", "POP", "POPF", "PUSH", "PUSHF". The stack's address size is always 64 bits here.
// rSP changes only when memory was read or written: a fault leaves it alone.

import {
  RBP,
  RFLAGS_AC,
  RFLAGS_DF,
  RFLAGS_ID,
  RFLAGS_NT,
  RFLAGS_RF,
  RFLAGS_TF,
  RFLAGS_VM,
  RSP,
} from '../../abi/registers.js';
import type { I64 } from './expression.js';
import { setStatus, statusWord } from './flags.js';
import type { Bits, Meaning, Semantics } from './semantics.js';

/** Stores below rSP and moves rSP there; `value` is worked out before. */
export function pushValue(cpu: Semantics, value: I64, bits: Bits): void {
  const top = cpu.keep(
    cpu
      .register(RSP, 64)
      .read()
      .sub(BigInt(bits / 8)),
  );
  cpu.memory(top, bits, 'stack').write(value);
  cpu.register(RSP, 64).write(top);
}

/** What lies `depth` bytes above rSP; rSP stays. */
export const stackWord = (cpu: Semantics, depth: number, bits: Bits): I64 =>
  cpu.memory(cpu.keep(cpu.register(RSP, 64).read().add(BigInt(depth))), bits, 'stack').read();

/** Moves rSP up. */
export function dropFromStack(cpu: Semantics, bytes: I64 | bigint): void {
  const stackPointer = cpu.register(RSP, 64);
  stackPointer.write(stackPointer.read().add(bytes));
}

export const push: Meaning = (cpu) => pushValue(cpu, cpu.operand(0).readSigned(), cpu.bits);

/** rSP moves before the operand is written: POP rSP ends with what was popped, and [rSP] counts from the new top. */
export const pop: Meaning = (cpu) => {
  const bytes = cpu.bits / 8;
  const value = stackWord(cpu, 0, cpu.bits);
  if (cpu.isMemory(0)) {
    cpu.memory(cpu.keep(cpu.effectiveAddress(0, BigInt(bytes))), cpu.bits, { of: 0 }).write(value);
    dropFromStack(cpu, BigInt(bytes));
  } else {
    dropFromStack(cpu, BigInt(bytes));
    cpu.operand(0).write(value);
  }
};

/** RFLAGS as PUSHF and SYSCALL see it: all flags, without RF and VM. */
export const flagsImage = (cpu: Semantics): I64 =>
  statusWord(cpu.flagResult(), cpu.flagCarries()).or(cpu.systemFlags().and(~BigInt(RFLAGS_RF | RFLAGS_VM)));

export const pushf: Meaning = (cpu) => pushValue(cpu, cpu.keep(flagsImage(cpu)), cpu.bits);

/** What CPL 3 may change beside the arithmetic flags, with an IOPL below 3: IF and IOPL stay. */
const CHANGEABLE = BigInt(RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID);

/** Takes over from `word` (kept) the flags that CPL 3 may change, of the low `bits`; single-stepping begins or ends in time. */
export function loadFlags(cpu: Semantics, word: I64, bits: Bits): void {
  const changeable = bits === 16 ? CHANGEABLE & 0xffffn : CHANGEABLE;
  setStatus(cpu, word);
  const before = cpu.systemFlags();
  const after = cpu.keep(before.and(~changeable).or(word.and(changeable)));
  cpu.writeSystemFlags(after);
  cpu.pauseIf(after.xor(before).and(BigInt(RFLAGS_TF)).isNotZero());
}

export const popf: Meaning = (cpu) => {
  const word = stackWord(cpu, 0, cpu.bits);
  dropFromStack(cpu, BigInt(cpu.bits / 8));
  loadFlags(cpu, word, cpu.bits);
};

/**
 * The frame is written from the top down, as by the processor: a fault half-way leaves registers alone but may have written
 * below rSP. The place where rSP ends must be writable.
 */
export const enter: Meaning = (cpu) => {
  const bytes = BigInt(cpu.bits / 8);
  const size = cpu.operand(0).read();
  const level = cpu.keep(cpu.operand(1).read().and(31n));
  const [stackPointer, basePointer] = [cpu.register(RSP, 64), cpu.register(RBP, 64)];
  const oldBase = basePointer.read();
  const frame = cpu.keep(stackPointer.read().sub(bytes));
  cpu.memory(frame, cpu.bits, 'stack').write(oldBase);

  const top = cpu.variable(frame);
  const pushBelow = (value: I64): void => {
    const below = cpu.keep(top.get().sub(bytes));
    cpu.memory(below, cpu.bits, 'stack').write(value);
    top.set(below);
  };
  cpu.when(level.isNotZero(), () => {
    const outer = cpu.variable(oldBase);
    const remaining = cpu.variable(level.sub(1n));
    cpu.when(remaining.get().isNotZero(), () => {
      cpu.repeatWhile(() => {
        outer.set(outer.get().sub(bytes));
        pushBelow(cpu.memory(cpu.keep(outer.get()), cpu.bits, 'stack').read());
        remaining.set(remaining.get().sub(1n));
        return remaining.get().isNotZero();
      });
    });
    pushBelow(frame);
  });
  const end = cpu.keep(top.get().sub(size));
  cpu.memory(end, cpu.bits, 'stack').modify();
  cpu.register(RBP, cpu.bits).write(frame);
  stackPointer.write(end);
};

export const leave: Meaning = (cpu) => {
  const bytes = BigInt(cpu.bits / 8);
  const frame = cpu.register(RBP, 64).read();
  const outer = cpu.memory(frame, cpu.bits, 'stack').read();
  cpu.register(RSP, 64).write(frame.add(bytes));
  cpu.register(RBP, cpu.bits).write(outer);
};
