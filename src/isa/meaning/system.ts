// Instructions that ask the processor about itself, or hold it back. SDM 2A "CPUID", "LFENCE"; SDM 2B "RDTSC", "RDTSCP", "SGDT", "SIDT", "SLDT", "SMSW",
// "STR"; SDM 2D "XGETBV". The answers are the platform's.
// Leaves out: CR4.TSD and CR4.UMIP (Xen has both clear for a guest), CPUID faulting.

import { X86_EXC_GP } from '../../abi/exceptions.js';
import { RAX, RBX, RCX, RDX } from '../../abi/registers.js';
import { I64 } from './expression.js';
import type { Meaning, Semantics, Service } from './semantics.js';

/** Does nothing to the guest, but nothing behind it is executed on a wrong path: SDM 2A "LFENCE". */
export const lfence: Meaning = (cpu) => {
  cpu.ask('barrier');
};

export const cpuid: Meaning = (cpu) => {
  const answers = cpu.ask('cpuid', cpu.register(RAX, 32).read(), cpu.register(RCX, 32).read());
  [RAX, RBX, RCX, RDX].forEach((register, index) => {
    cpu.register(register, 32).write(answers[index] as I64);
  });
};

/** Puts a 64-bit value (kept) into EDX:EAX. */
function writePair(cpu: Semantics, value: I64): void {
  cpu.register(RAX, 32).write(value);
  cpu.register(RDX, 32).write(value.shiftRight(32n));
}

export const rdtsc: Meaning = (cpu) => {
  const [count] = cpu.ask('tsc') as readonly [I64];
  writePair(cpu, count);
};

export const rdtscp: Meaning = (cpu) => {
  const [count] = cpu.ask('tsc') as readonly [I64];
  const [auxiliary] = cpu.ask('tscAux') as readonly [I64];
  writePair(cpu, count);
  cpu.register(RCX, 32).write(auxiliary);
};

export const xgetbv: Meaning = (cpu) => {
  const [known, value] = cpu.ask('xgetbv', cpu.register(RCX, 32).read()) as readonly [I64, I64];
  cpu.raiseIf(known.isZero(), X86_EXC_GP, I64.constant(0n));
  writePair(cpu, value);
};

const storeAnswer =
  (service: Service): Meaning =>
  (cpu) => {
    const [value] = cpu.ask(service) as readonly [I64];
    cpu.operand(0).write(value);
  };

export const sldt: Meaning = storeAnswer('ldtr');
export const str: Meaning = storeAnswer('tr');
export const smsw: Meaning = storeAnswer('msw');

/** Two bytes of limit, then eight of base; both places are made sure of first. */
const storeTable =
  (service: Service): Meaning =>
  (cpu) => {
    const [limit, base] = cpu.ask(service) as readonly [I64, I64];
    const address = cpu.keep(cpu.effectiveAddress(0));
    const limitPlace = cpu.memory(address, 16, { of: 0 }).modify();
    const basePlace = cpu.memory(cpu.keep(address.add(2n)), 64, { of: 0 }).modify();
    limitPlace.write(limit);
    basePlace.write(base);
  };

export const sgdt: Meaning = storeTable('gdt');
export const sidt: Meaning = storeTable('idt');
