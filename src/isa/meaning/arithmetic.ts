// Addition, subtraction, logic, comparison, and the exchanges built on them. SDM 2A–2C under each mnemonic.

import { X86_EXC_GP } from '../../abi/exceptions.js';
import { RAX, RBX, RCX, RDX } from '../../abi/registers.js';
import { I64 } from './expression.js';
import {
  borrowsOfDifference,
  carriesOfSum,
  carryFlag,
  carryWord,
  condition,
  keepingCarry,
  setCarry,
  setCarryAndOverflow,
  setFlagsOfDifference,
  setFlagsOfLogic,
  setFlagsOfSum,
  setZero,
} from './flags.js';
import type { Location, Meaning, Semantics } from './semantics.js';

export const add: Meaning = (cpu) => {
  const destination = cpu.operand(0).modify();
  const right = cpu.operand(1).readSigned();
  const sum = cpu.keep(destination.value.add(right).signExtend(cpu.bits));
  destination.write(sum);
  setFlagsOfSum(cpu, destination.value, right, sum);
};

export const adc: Meaning = (cpu) => {
  const destination = cpu.operand(0).modify();
  const right = cpu.operand(1).readSigned();
  const sum = cpu.keep(destination.value.add(right).add(carryFlag(cpu.flagCarries())).signExtend(cpu.bits));
  destination.write(sum);
  setFlagsOfSum(cpu, destination.value, right, sum);
};

/** The sum, and its carry: of both operands and of a carry of 0 or 1. */
function addWithCarry(cpu: Semantics, carryIn: I64): I64 {
  const destination = cpu.operand(0);
  const [left, right] = [destination.read(), cpu.operand(1).read()];
  const sum = cpu.keep(left.add(right).add(carryIn));
  destination.write(sum);
  if (cpu.bits === 32) return cpu.keep(sum.shiftRight(32n));
  return cpu.keep(carriesOfSum(left, right, sum).shiftRight(63n));
}

export const adcx: Meaning = (cpu) => setCarry(cpu, addWithCarry(cpu, carryFlag(cpu.flagCarries())));

/** OF is the carry. */
export const adox: Meaning = (cpu) => {
  const before = condition(0, cpu.flagResult(), cpu.flagCarries()).wide();
  setCarryAndOverflow(cpu, cpu.keep(carryFlag(cpu.flagCarries())), addWithCarry(cpu, before));
};

export const sub: Meaning = (cpu) => {
  const destination = cpu.operand(0).modify();
  const right = cpu.operand(1).readSigned();
  const difference = cpu.keep(destination.value.sub(right).signExtend(cpu.bits));
  destination.write(difference);
  setFlagsOfDifference(cpu, destination.value, right, difference);
};

export const sbb: Meaning = (cpu) => {
  const destination = cpu.operand(0).modify();
  const right = cpu.operand(1).readSigned();
  const difference = cpu.keep(destination.value.sub(right).sub(carryFlag(cpu.flagCarries())).signExtend(cpu.bits));
  destination.write(difference);
  setFlagsOfDifference(cpu, destination.value, right, difference);
};

export const cmp: Meaning = (cpu) => {
  compare(cpu, cpu.operand(0).readSigned(), cpu.operand(1).readSigned());
};

/** Sets the flags of `left - right`, both kept; gives the difference. */
export function compare(cpu: Semantics, left: I64, right: I64): I64 {
  const difference = cpu.keep(left.sub(right).signExtend(cpu.bits));
  setFlagsOfDifference(cpu, left, right, difference);
  return difference;
}

const logic =
  (combine: (left: I64, right: I64) => I64): Meaning =>
  (cpu) => {
    const destination = cpu.operand(0).modify();
    const result = cpu.keep(combine(destination.value, cpu.operand(1).readSigned()));
    destination.write(result);
    setFlagsOfLogic(cpu, result);
  };

export const and: Meaning = logic((left, right) => left.and(right));
export const or: Meaning = logic((left, right) => left.or(right));
export const xor: Meaning = logic((left, right) => left.xor(right));

export const test: Meaning = (cpu) => {
  setFlagsOfLogic(cpu, cpu.keep(cpu.operand(0).readSigned().and(cpu.operand(1).readSigned())));
};

export const not: Meaning = (cpu) => {
  const destination = cpu.operand(0).modify();
  destination.write(destination.value.not());
};

export const neg: Meaning = (cpu) => {
  const destination = cpu.operand(0).modify();
  const difference = cpu.keep(destination.value.negate().signExtend(cpu.bits));
  destination.write(difference);
  setFlagsOfDifference(cpu, I64.constant(0n), destination.value, difference);
};

export const inc: Meaning = (cpu) => {
  const destination = cpu.operand(0).modify();
  const one = I64.constant(1n);
  const sum = cpu.keep(destination.value.add(one).signExtend(cpu.bits));
  destination.write(sum);
  const carries = cpu.keep(carryWord(cpu.keep(carriesOfSum(destination.value, one, sum)), cpu.bits));
  cpu.writeFlags(sum, keepingCarry(carries, cpu.flagCarries()));
};

export const dec: Meaning = (cpu) => {
  const destination = cpu.operand(0).modify();
  const one = I64.constant(1n);
  const difference = cpu.keep(destination.value.sub(one).signExtend(cpu.bits));
  destination.write(difference);
  const borrows = cpu.keep(borrowsOfDifference(destination.value, one, difference));
  cpu.writeFlags(difference, keepingCarry(cpu.keep(carryWord(borrows, cpu.bits)), cpu.flagCarries()));
};

/** The sum goes to the destination last, so that `xadd eax, eax` leaves the sum. */
export const xadd: Meaning = (cpu) => {
  const destination = cpu.operand(0).modify();
  const source = cpu.operand(1).modify();
  const sum = cpu.keep(destination.value.add(source.value).signExtend(cpu.bits));
  source.write(destination.value);
  destination.write(sum);
  setFlagsOfSum(cpu, destination.value, source.value, sum);
};

/** The destination must be writable even when the values differ. */
export const cmpxchg: Meaning = (cpu) => {
  const destination = cpu.operand(0).modify();
  const source = cpu.operand(1).readSigned();
  const accumulator = cpu.register(RAX, cpu.bits);
  const difference = compare(cpu, accumulator.readSigned(), destination.value);
  cpu.when(
    difference.isZero(),
    () => destination.write(source),
    () => accumulator.write(destination.value),
  );
};

/** CMPXCHG8B compares EDX:EAX, CMPXCHG16B RDX:RAX; only ZF changes. */
export const cmpxchg8b: Meaning = (cpu) => {
  if (cpu.bits === 64) cmpxchg16(cpu);
  else cmpxchg8(cpu);
};

function cmpxchg8(cpu: Semantics): void {
  const [low, high] = [cpu.register(RAX, 32), cpu.register(RDX, 32)];
  const destination = cpu.memory(cpu.effectiveAddress(0), 64, { of: 0 }).modify();
  const pair = (upper: Location, lower: Location): I64 => upper.read().shiftLeft(32n).or(lower.read());
  const equal = cpu.keepBit(destination.value.equals(pair(high, low)));
  destination.write(equal.select(pair(cpu.register(RCX, 32), cpu.register(RBX, 32)), destination.value));
  cpu.when(equal.not(), () => {
    low.write(destination.value);
    high.write(destination.value.shiftRight(32n));
  });
  setZero(cpu, equal);
}

/** Memory must be aligned to 16 bytes, and so lies in one page. */
function cmpxchg16(cpu: Semantics): void {
  const [low, high] = [cpu.register(RAX, 64), cpu.register(RDX, 64)];
  const address = cpu.keep(cpu.effectiveAddress(0));
  cpu.raiseIf(cpu.linearAddress(address, { of: 0 }).and(15n).isNotZero(), X86_EXC_GP, I64.constant(0n));
  const lower = cpu.memory(address, 64, { of: 0 }).modify();
  const upper = cpu.memory(cpu.keep(address.add(8n)), 64, { of: 0 }).modify();
  const difference = lower.value.xor(low.read()).or(upper.value.xor(high.read()));
  const equal = cpu.keepBit(difference.isZero());
  lower.write(equal.select(cpu.register(RBX, 64).read(), lower.value));
  upper.write(equal.select(cpu.register(RCX, 64).read(), upper.value));
  cpu.when(equal.not(), () => {
    low.write(lower.value);
    high.write(upper.value);
  });
  setZero(cpu, equal);
}
