// Moves, extensions, exchange, addresses, conditional moves, and single flags. SDM 2A–2C under each mnemonic.

import { RAX, RDX, RFLAGS_DF } from '../../abi/registers.js';
import type { I32 } from './expression.js';
import { I64 } from './expression.js';
import { carryFlag, condition, setCarry, setStatus, statusWord } from './flags.js';
import type { Meaning, Semantics } from './semantics.js';

export const nop: Meaning = () => {};

/** CLFLUSH and its like: faults as a read does. */
export const clflush: Meaning = (cpu) => {
  cpu.operand(0).read();
};

export const mov: Meaning = (cpu) => {
  cpu.operand(0).write(cpu.operand(1).read());
};

export const movzx: Meaning = mov;

export const movsx: Meaning = (cpu) => {
  cpu.operand(0).write(cpu.operand(1).readSigned());
};

/** Memory comes first: it may be either operand, and it may fault. */
export const xchg: Meaning = (cpu) => {
  const [first, second] = cpu.isMemory(1) ? [1, 0] : [0, 1];
  const [left, right] = [cpu.operand(first).modify(), cpu.operand(second).modify()];
  left.write(right.value);
  right.write(left.value);
};

export const lea: Meaning = (cpu) => {
  cpu.operand(0).write(cpu.effectiveAddress(1));
};

/** CBW, CWDE, CDQE: the lower half of rAX, sign-extended. */
export const cbw: Meaning = (cpu) => {
  const half = (cpu.bits / 2) as 8 | 16 | 32;
  cpu.register(RAX, cpu.bits).write(cpu.register(RAX, half).readSigned());
};

/** CWD, CDQ, CQO: rDX filled with rAX's sign. */
export const cwd: Meaning = (cpu) => {
  cpu.register(RDX, cpu.bits).write(cpu.register(RAX, cpu.bits).readSigned().shiftRightSigned(63n));
};

/** The instruction's own condition, for the flags as they stand. */
export const conditionHolds = (cpu: Semantics): I32 => condition(cpu.condition, cpu.flagResult(), cpu.flagCarries());

export const setcc: Meaning = (cpu) => {
  cpu.operand(0).write(conditionHolds(cpu).wide());
};

/** The source is read, and may fault, whatever the condition; a 32-bit destination is zero-extended whatever the condition. */
export const cmovcc: Meaning = (cpu) => {
  const source = cpu.operand(1).read();
  const destination = cpu.operand(0);
  destination.write(conditionHolds(cpu).select(source, destination.read()));
};

/** AL indexes the table at [rBX]. */
export const xlat: Meaning = (cpu) => {
  const address = cpu.effectiveAddress(0).add(cpu.register(RAX, 8).read()).zeroExtend(cpu.addressBits);
  cpu.register(RAX, 8).write(cpu.memory(cpu.keep(address), 8, { of: 0 }).read());
};

export const lahf: Meaning = (cpu) => {
  cpu.ah().write(statusWord(cpu.flagResult(), cpu.flagCarries()));
};

/** All but OF come from AH. */
export const sahf: Meaning = (cpu) => {
  const overflow = condition(0, cpu.flagResult(), cpu.flagCarries()).wide().shiftLeft(11n);
  const word = cpu.keep(cpu.ah().read().or(overflow));
  setStatus(cpu, word);
};

export const clc: Meaning = (cpu) => setCarry(cpu, I64.constant(0n));
export const stc: Meaning = (cpu) => setCarry(cpu, I64.constant(1n));
export const cmc: Meaning = (cpu) => setCarry(cpu, carryFlag(cpu.flagCarries()).xor(1n));

export const cld: Meaning = (cpu) => cpu.writeSystemFlags(cpu.systemFlags().and(~BigInt(RFLAGS_DF)));
export const std: Meaning = (cpu) => cpu.writeSystemFlags(cpu.systemFlags().or(BigInt(RFLAGS_DF)));
