// The stack is used up, or is none; execution went where no code is.

import { hex64 } from '../../base/hex.js';
import type { Case } from '../derive/case.js';
import { hexAddress, isKind, isSystem, known, type Truth } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

/** The address lies just below rsp, on the other side of a page boundary, and nothing may be written there. */
function pushesBelowStack({ facts, address }: Case): Truth {
  const rsp = facts.registers?.rsp;
  if (rsp === undefined || address === undefined) return undefined;
  const below = rsp - address;
  return below > 0n && below <= 0x100n && rsp >> 12n !== address >> 12n;
}

export const stackExhausted: Diagnosis = {
  id: 'stack-exhausted',
  verdict: 'the kernel stack is used up',
  family: 'fault',
  requires: [
    {
      when: (of) => isKind('stack-overflow')(of) || pushesBelowStack(of),
      weight: 8,
      says: (of) =>
        of.facts.kind === 'stack-overflow'
          ? `"${of.facts.headline}"`
          : `the address ${hexAddress(of.address)} lies just below rsp ${hex64(of.facts.registers?.rsp ?? 0n)}, across a page boundary: what is pushed no longer fits`,
    },
  ],
  clues: [
    { when: isKind('stack-overflow'), weight: 12, says: 'the guard page under the stack was hit' },
    {
      when: ({ facts }) => known(facts.entryPoint, ({ symbol }) => /domain_crash_page_fault/.test(symbol)),
      weight: 2,
      says: 'Xen failed while it pushed an exception frame on this stack',
    },
  ],
  explanation: (of) =>
    of.facts.system === 'xen-guest'
      ? "Xen wanted to push an exception frame on the guest's kernel stack, and the page below the stack pointer may not be written. What the exception was is not in the text; the stack had no room for it."
      : 'Recursion without end, large variables on the stack, or interrupts nested on top used up the stack and ran into the unmapped page below it.',
  next: () => [
    'Look for the same functions again and again in the call trace; find the largest frames (scripts/checkstack.pl).',
  ],
  sources: [
    'Linux arch/x86/kernel/traps.c handle_stack_overflow, CONFIG_VMAP_STACK',
    'Xen arch/x86/x86_64/entry.S create_bounce_frame',
  ],
  examples: [
    'corpus/linux-5.13-stack-overflow-bonding.log',
    'corpus/linux-6.2-nmi-stack-guard.log',
    'corpus/xen-4.19-frame-push-to-read-only-stack.log',
  ],
};

export const badExceptionStack: Diagnosis = {
  id: 'bad-exception-stack',
  verdict: 'a fault could not be delivered: there was no usable stack for it',
  family: 'fault',
  requires: [
    {
      when: isKind('double-fault'),
      weight: 8,
      says: 'a double fault: a second exception came while the first was being delivered',
    },
  ],
  clues: [
    {
      when: ({ facts }) =>
        known(facts.registers?.rsp, (rsp) => rsp < 0x1000n || BigInt.asUintN(64, BigInt.asIntN(48, rsp)) !== rsp),
      weight: 4,
      says: ({ facts }) => `rsp is ${hex64(facts.registers?.rsp ?? 0n)}: no stack`,
    },
    {
      when: ({ facts }) => facts.ripOutsideCode === true,
      weight: -4,
      says: 'rip is outside the code: execution had gone astray before',
    },
  ],
  explanation: () =>
    'The CPU pushes a frame for every exception. When that push itself faults (the stack pointer is wrong, the stack overflowed, the stack or the entry code is not mapped, or a shadow stack does not match), it raises a double fault on a stack of its own.',
  next: () => [
    'Compare rsp with the stack of the CPU or task; look at what loads rsp, CR3 or the shadow-stack pointer just before rip.',
  ],
  sources: ['SDM 3A "Interrupt 8: Double Fault Exception"'],
  examples: ['corpus/linux-6.15-double-fault-lkdtm.log', 'corpus/xen-4.22-double-fault-shadow-stack.log'],
};

export const wildJump: Diagnosis = {
  id: 'wild-jump',
  verdict: 'execution went to an address where no code of the program is',
  family: 'fault',
  requires: [
    {
      when: ({ facts }) =>
        facts.ripOutsideCode ?? (facts.system === 'xen' && facts.registers?.rip !== undefined ? false : undefined),
      weight: 9,
      says: ({ facts }) => `the dump names no symbol for rip ${hex64(facts.registers?.rip ?? 0n)}`,
    },
  ],
  clues: [],
  explanation: () =>
    'rip is in no function: a function pointer or return address was wrong, or the code there (a stub, a patch, a module) has been removed or is not mapped any more.',
  next: () => ['The top of the stack is usually the return address of the call that went astray.'],
  sources: ['Xen common/symbols.c (%pS prints the number where it knows no symbol)'],
  examples: ['corpus/xen-4.14-stub-page-double-fault-truncated.log'],
};

/** Runtime services are called by efi_* and, for the reset, at the end of machine_restart. */
const callsFirmware = ({ facts }: Case): Truth =>
  known(facts.trace, (trace) => trace.some(({ symbol }) => /\befi_|runtime\.c#|machine_restart/.test(symbol ?? '')));

export const firmwareCall: Diagnosis = {
  id: 'firmware-call',
  verdict: "the machine's firmware (UEFI runtime services) crashed while the hypervisor called it",
  family: 'fault',
  requires: [
    { when: isSystem('xen'), weight: 0, says: '' },
    {
      when: ({ facts }) =>
        facts.ripOutsideCode ?? (facts.registers?.rip === undefined ? undefined : facts.registers.rip < 0x1_0000_0000n),
      weight: 5,
      says: ({ facts }) => `rip ${hex64(facts.registers?.rip ?? 0n)} is outside Xen's code`,
    },
    {
      when: callsFirmware,
      weight: 6,
      says: 'the call trace comes from where Xen calls EFI runtime services',
      wanted: 'the call trace: whether an efi_ function is in it',
    },
  ],
  clues: [],
  explanation: () =>
    "UEFI firmware leaves services behind for the running system: clock, variables, reset. Their code is the vendor's, runs with the mappings that the system gives it, and often touches memory that it never asked for.",
  next: () => [
    'Boot Xen with efi=no-rs (no runtime services), or with /mapbs (keep boot-services memory mapped); use reboot=acpi when it is the reset. Update the firmware.',
  ],
  sources: ['Xen docs/misc/efi.pandoc and xen-command-line.pandoc (efi=)', 'UEFI specification "Runtime Services"'],
  examples: ['corpus/xen-4.14-efi-get-time.log', 'corpus/xen-4.18-efi-reset-invalid-opcode.log'],
};
