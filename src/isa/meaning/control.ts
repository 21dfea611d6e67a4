// Where execution goes on: near jumps, calls, returns, loops, and the ways into the hypervisor. SDM 2A–2C under each mnemonic.
// Privilege is fixed: CPL 3 with IOPL 0, under Xen's IDT (arch/x86/traps.c: gates 3, 4 and 0x80 have DPL 3, all others 0).
// A near branch to a non-canonical address is #GP(0) at the branch, as the SDM says and as AMD's Zen 5 does; older AMD
// processors fault at the target.
// DEVIATION: SYSENTER is #UD, as in AMD's long mode, on every processor.

import { X86_EXC_BP, X86_EXC_DB, X86_EXC_GP, X86_EXC_OF, X86_EXC_UD } from '../../abi/exceptions.js';
import { R11, RCX, RSP } from '../../abi/registers.js';
import type { I32 } from './expression.js';
import { I64 } from './expression.js';
import { condition } from './flags.js';
import { conditionHolds } from './moves.js';
import type { Meaning, Semantics } from './semantics.js';
import { dropFromStack, flagsImage, pushValue, stackWord } from './stack.js';

export const jcc: Meaning = (cpu) => cpu.branch(0, conditionHolds(cpu));

export const jmp: Meaning = (cpu) => {
  if (cpu.isRelative(0)) cpu.branch(0);
  else {
    const target = cpu.operand(0).read();
    cpu.checkTarget(target);
    cpu.jump(target);
  }
};

/** A stack that cannot be written faults before a target that is not canonical does; in both cases nothing is written. */
export const call: Meaning = (cpu) => {
  if (cpu.isRelative(0)) {
    pushValue(cpu, cpu.nextRip(), 64);
    cpu.branch(0);
    return;
  }
  const target = cpu.operand(0).read();
  const top = cpu.keep(cpu.register(RSP, 64).read().sub(8n));
  const place = cpu.memory(top, 64, 'stack').modify();
  cpu.checkTarget(target);
  place.write(cpu.nextRip());
  cpu.register(RSP, 64).write(top);
  cpu.jump(target);
};

export const ret: Meaning = (cpu) => {
  const target = stackWord(cpu, 0, 64);
  cpu.checkTarget(target);
  dropFromStack(cpu, cpu.operandCount === 0 ? 8n : cpu.operand(0).read().add(8n));
  cpu.jump(target);
};

const zeroFlag = (cpu: Semantics): I32 => condition(4, cpu.flagResult(), cpu.flagCarries());

/** Counts rCX down without touching flags. */
const looping =
  (also: (cpu: Semantics) => I32 | undefined): Meaning =>
  (cpu) => {
    const counter = cpu.register(RCX, cpu.addressBits);
    const count = cpu.keep(counter.read().sub(1n).zeroExtend(cpu.addressBits));
    counter.write(count);
    const more = count.isNotZero();
    const goOn = also(cpu);
    cpu.branch(0, goOn ? more.and(goOn) : more);
  };

export const loop: Meaning = looping(() => undefined);
export const loope: Meaning = looping(zeroFlag);
export const loopne: Meaning = looping((cpu) => zeroFlag(cpu).not());

/** JECXZ with an address size of 32 bits. */
export const jrcxz: Meaning = (cpu) => cpu.branch(0, cpu.register(RCX, cpu.addressBits).read().isZero());

const OPEN_GATES = [X86_EXC_BP, X86_EXC_OF, 0x80] as const;
/** In the error code of a fault on an IDT gate: the index is of the IDT. */
const ERROR_CODE_IDT = 2n;

export const int: Meaning = (cpu) => {
  const vector = cpu.operand(0).read();
  for (const gate of OPEN_GATES) cpu.when(vector.equals(BigInt(gate)), () => cpu.trap(gate));
  cpu.raise(X86_EXC_GP, vector.shiftLeft(3n).or(ERROR_CODE_IDT));
};

export const int3: Meaning = (cpu) => cpu.trap(X86_EXC_BP);
/** Checks no gate's DPL: SDM 3A "Software Interrupts" (§6.4.4) exempts it as it does INT3. */
export const int1: Meaning = (cpu) => cpu.trap(X86_EXC_DB);
export const ud: Meaning = (cpu) => cpu.raise(X86_EXC_UD);
export const sysenter: Meaning = ud;

export const syscall: Meaning = (cpu) => {
  const flags = cpu.keep(flagsImage(cpu));
  cpu.register(RCX, 64).write(cpu.nextRip());
  cpu.register(R11, 64).write(flags);
  cpu.systemCall();
};

/** What CPL 3 may not do: Xen emulates some of it for a guest's kernel (xen-pv-abi, §6). */
export const privileged: Meaning = (cpu) => cpu.raise(X86_EXC_GP, I64.constant(0n));
/** With a hardware IOPL of 0, and no I/O bitmap in Xen's TSS that lets a guest through. */
export const portIn: Meaning = privileged;
export const portOut: Meaning = privileged;
export const portIns: Meaning = privileged;
export const portOuts: Meaning = privileged;
export const cliSti: Meaning = privileged;
