// The kernel stack has no room left: its guard page, or the page below it, was hit.

import { hex64 } from '../../base/hex.js';
import type { Case } from '../derive/case.js';
import { any, hexAddress, isKind, known, type Truth } from './conditions.js';
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
      when: (of) => any(isKind('stack-overflow')(of), pushesBelowStack(of)),
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
