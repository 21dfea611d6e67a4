// The lines of Xen's dump of itself that a guest's dump does not have: what failed, the call trace, and the panic box.
// Sources: Xen arch/x86/traps.c (fatal_trap, do_page_fault, do_invalid_op, show_trace), arch/x86/x86_64/traps.c
// (do_double_fault), arch/x86/nmi.c (nmi_watchdog_tick), common/bug.c, drivers/char/console.c (panic), 3.4 to 4.22.

import { X86_EXC_DF, X86_EXC_GP, X86_EXC_NMI, X86_EXC_PF, X86_EXC_UD } from '../../abi/exceptions.js';
import type { Facts } from '../facts.js';
import { type Format, parseNumber, parseWord } from './format.js';
import { exceptionKind, statedErrorCode, vectorByName } from './vectors.js';

/** Xen prints a failure once before its state and once more in the panic box at the end. */
const failureStage = (facts: Facts): number =>
  facts.panicCpu !== undefined || facts.registers?.rip !== undefined || facts.trace !== undefined ? 15 : 0;

const ofXen = (facts: Facts): Facts => ({ system: 'xen', ...facts });

export const XEN_PANIC_FORMATS: readonly Format[] = [
  {
    name: 'Xen BUG',
    origin: 'xen',
    hint: 'Xen BUG at ',
    pattern: /Xen BUG at (\S+:\d+)/,
    stage: failureStage,
    role: 'begins',
    read: (m) => ofXen({ kind: 'bug', headline: m[0], vector: X86_EXC_UD, panicMessage: m[0] }),
    samples: [{ line: 'Xen BUG at domain.c:1480', states: { kind: 'bug', headline: 'Xen BUG at domain.c:1480' } }],
  },
  {
    name: 'UBSAN of Xen',
    origin: 'xen',
    hint: 'UBSAN: ',
    needsPrefix: true,
    pattern: /UBSAN: ([\w -]+?) in (\S+:\d+(?::\d+)?)/,
    stage: 0,
    role: 'begins',
    read: (m) => ofXen({ kind: 'sanitizer', headline: m[0], accessWords: { hint: m[1] as string } }),
    samples: [
      {
        line: '(XEN) UBSAN: Undefined behaviour in quirks.c:449:63',
        states: { kind: 'sanitizer', accessWords: { hint: 'Undefined behaviour' } },
      },
    ],
  },
  {
    name: 'Xen WARN',
    origin: 'xen',
    hint: 'Xen WARN at ',
    pattern: /Xen WARN at (\S+:\d+)/,
    stage: 0,
    role: 'begins',
    read: (m) => ofXen({ kind: 'warning', headline: m[0] }),
    samples: [{ line: 'Xen WARN at msi.c:490', states: { kind: 'warning' } }],
  },
  {
    name: 'assertion',
    origin: 'xen',
    hint: "Assertion '",
    pattern: /Assertion '(.+)' failed at (\S+:\d+)/,
    stage: failureStage,
    role: 'begins',
    read: (m) => ofXen({ kind: 'assertion', headline: m[0], vector: X86_EXC_UD, panicMessage: m[0] }),
    samples: [
      {
        line: "Assertion 'pcidevs_locked()' failed at drivers/passthrough/pci.c:1",
        states: { kind: 'assertion', headline: "Assertion 'pcidevs_locked()' failed at drivers/passthrough/pci.c:1" },
      },
    ],
  },
  {
    name: 'double fault',
    origin: 'xen',
    hint: 'DOUBLE FAULT',
    pattern: /\*\*\* DOUBLE FAULT \*\*\*|DOUBLE FAULT -- system shutdown/,
    stage: failureStage,
    role: 'begins',
    read: (m) => ofXen({ kind: 'double-fault', headline: m[0], vector: X86_EXC_DF }),
    samples: [{ line: '*** DOUBLE FAULT ***', states: { kind: 'double-fault', vector: 8 } }],
  },
  {
    name: 'watchdog',
    origin: 'xen',
    hint: 'Watchdog timer detects that CPU',
    pattern: /Watchdog timer detects that CPU(\d+) is stuck!/,
    stage: 0,
    role: 'begins',
    read: (m) => ofXen({ kind: 'watchdog', headline: m[0], vector: X86_EXC_NMI }),
    samples: [{ line: 'Watchdog timer detects that CPU3 is stuck!', states: { kind: 'watchdog', vector: 2 } }],
  },
  {
    name: 'SMEP or SMAP violation by Xen',
    origin: 'xen',
    hint: 'Xen SM',
    pattern: /Xen SM([EA])P violation/,
    stage: 0,
    role: 'begins',
    read: (m) => ofXen({ kind: 'page-fault', headline: m[0], vector: X86_EXC_PF, accessWords: { hint: `SM${m[1]}P` } }),
    samples: [
      { line: 'Xen SMAP violation', states: { kind: 'page-fault', vector: 14, accessWords: { hint: 'SMAP' } } },
    ],
  },
  {
    name: 'early page fault',
    origin: 'xen',
    hint: 'Early fatal page fault at ',
    pattern: /Early fatal page fault at ([0-9a-f]{4}):([0-9a-f]{16}) ?\(cr2=([0-9a-f]{16}), ec=([0-9a-f]{4})\)/,
    stage: 0,
    role: 'begins',
    read: (m) =>
      ofXen({
        kind: 'page-fault',
        headline: m[0],
        vector: X86_EXC_PF,
        errorCode: parseNumber(m[4] as string),
        address: parseWord(m[3] as string),
        registers: { rip: parseWord(m[2] as string) },
        selectors: { cs: parseNumber(m[1] as string) },
      }),
    samples: [
      {
        line: 'Early fatal page fault at e008:ffff82d080409f50 (cr2=ffff82c000201000, ec=0009)',
        states: { errorCode: 9, address: 0xffff82c000201000n, selectors: { cs: 0xe008 } },
      },
    ],
  },
  {
    name: 'panic box',
    origin: 'xen',
    hint: 'Panic on CPU',
    pattern: /Panic on CPU (\d+):/,
    stage: 14,
    role: 'begins',
    overrules: true,
    read: (m) => ofXen({ panicCpu: Number(m[1]) }),
    samples: [{ line: 'Panic on CPU 6:', states: { system: 'xen', panicCpu: 6 } }],
  },
  {
    name: 'fatal page fault',
    origin: 'xen',
    hint: 'FATAL PAGE FAULT',
    pattern: /FATAL PAGE FAULT/,
    stage: 15,
    role: 'begins',
    overrules: true,
    read: (m) => ofXen({ kind: 'page-fault', headline: m[0], vector: X86_EXC_PF, panicMessage: m[0] }),
    samples: [{ line: 'FATAL PAGE FAULT', states: { kind: 'page-fault', vector: 14 } }],
  },
  {
    name: 'general protection fault, to 4.15',
    origin: 'xen',
    hint: 'GENERAL PROTECTION FAULT',
    pattern: /GENERAL PROTECTION FAULT/,
    stage: 15,
    role: 'begins',
    overrules: true,
    read: (m) => ofXen({ kind: 'general-protection', headline: m[0], vector: X86_EXC_GP, panicMessage: m[0] }),
    samples: [{ line: 'GENERAL PROTECTION FAULT', states: { kind: 'general-protection', vector: 13 } }],
  },
  {
    name: 'fatal trap by number',
    origin: 'xen',
    hint: 'FATAL TRAP: vector',
    pattern: /FATAL TRAP: vector = (\d+) \(([^)]*)\)/,
    stage: 15,
    role: 'begins',
    overrules: true,
    read: (m) => ofXen({ kind: exceptionKind(Number(m[1])), headline: m[0], vector: Number(m[1]), panicMessage: m[0] }),
    samples: [
      {
        line: 'FATAL TRAP: vector = 6 (invalid opcode)',
        states: { kind: 'invalid-opcode', vector: 6 },
      },
    ],
  },
  {
    name: 'fatal trap, since 4.14',
    origin: 'xen',
    hint: /FATAL TRAP: (?:type \d+, \S+, )?vec /,
    pattern: /FATAL TRAP: (?:type \d+, \S+, )?vec (\d+), (\S+?)(?:\[([0-9a-f]{4,8})\])?(?= |$)/,
    stage: 15,
    role: 'begins',
    overrules: true,
    read: (m) =>
      ofXen({
        kind: exceptionKind(Number(m[1])),
        headline: m[0],
        vector: Number(m[1]),
        panicMessage: m[0],
        ...statedErrorCode(Number(m[1]), m[3]),
      }),
    samples: [
      {
        line: 'FATAL TRAP: vec 13, #GP[0000]',
        states: { kind: 'general-protection', vector: 13, errorCode: 0 },
      },
      { line: 'FATAL TRAP: vec 2, NMI[0000] IN INTERRUPT CONTEXT', states: { kind: 'exception', vector: 2 } },
    ],
  },
  {
    name: 'error code of a panic',
    origin: 'xen',
    hint: '[error_code=',
    pattern: /\[error_code=([0-9a-f]{4,8})\]/,
    stage: 15,
    role: 'belongs',
    overrules: true,
    read: (m, facts) => (facts.vector === undefined ? undefined : statedErrorCode(facts.vector, m[1])),
    samples: [{ line: '[error_code=0000]', states: { errorCode: 0 }, given: { vector: 14 } }],
  },
  {
    name: 'faulting linear address',
    origin: 'xen',
    hint: 'Faulting linear address: ',
    pattern: /Faulting linear address: ([0-9a-f]{16})(?![0-9a-f])/,
    stage: undefined,
    role: 'belongs',
    read: (m) => ({ address: parseWord(m[1] as string) }),
    samples: [{ line: 'Faulting linear address: 0000000000000144', states: { address: 0x144n } }],
  },
  {
    name: 'panic message',
    origin: 'xen',
    hint: undefined,
    follows: 'panic box',
    pattern: /^ *([A-Za-z#'"(].{2,200}\S) *$/,
    stage: 15,
    role: 'inside',
    read: (m, facts) => ({ panicMessage: m[1] as string, ...panicKind(m[1] as string, facts) }),
    samples: [
      {
        line: 'Could not set up DMAR',
        states: { panicMessage: 'Could not set up DMAR', kind: 'panic' },
        given: { system: 'xen', panicCpu: 0 },
      },
    ],
  },
  {
    name: 'call trace header',
    origin: 'xen',
    hint: 'Xen call trace',
    pattern: /Xen call trace/,
    stage: 12,
    role: 'belongs',
    read: () => ofXen({ trace: [] }),
    samples: [{ line: 'Xen call trace:', states: { trace: [] } }],
  },
  {
    name: 'call trace line',
    origin: 'xen',
    hint: /\[(?:<[0-9a-f]{16}>| {8,})\]/,
    pattern:
      /^ *\[(?:<([0-9a-f]{16})>| +)\] +(?:([RSF])(?: +|$))?([\w./$-]+(?:#[\w./$-]+)*(?:\+(?:0x)?[0-9a-f]+\/(?:0x)?[0-9a-f]+)?)? *$/,
    stage: 12,
    role: 'inside',
    within: (facts) => facts.trace !== undefined && facts.system === 'xen',
    read: (m, facts) => {
      const address = m[1] === undefined ? undefined : parseWord(m[1]);
      // The R line is the interrupted instruction itself.
      const isRip = m[2] === 'R' && facts.registers?.rip === undefined && address !== undefined;
      return {
        trace: [{ address, symbol: m[3], certain: m[2] !== 'S' }],
        ...(isRip ? { registers: { rip: address } } : {}),
        ...(isRip && m[3]?.includes('+') ? { ripSymbol: m[3] } : {}),
      };
    },
    samples: [
      {
        line: '   [<ffff82d04035cd5f>] S arch_do_domctl+0x7f/0x2330',
        states: { trace: [{ address: 0xffff82d04035cd5fn, symbol: 'arch_do_domctl+0x7f/0x2330', certain: false }] },
        given: { system: 'xen', trace: [] },
      },
    ],
  },
  {
    name: 'reboot',
    origin: 'xen',
    hint: /Reboot in |Manual reset required|Dom0 crashed: |[Rr]ebooting machine/,
    pattern: /Reboot in (?:five|\d+) seconds|Manual reset required|Dom0 crashed: |rebooting machine/i,
    stage: 16,
    role: 'inside',
    read: () => ({}),
    samples: [{ line: 'Hardware Dom0 crashed: rebooting machine in 5 seconds.', states: {}, given: { domain: 0 } }],
  },
  {
    name: 'requested dump',
    origin: 'xen',
    hint: '*** Dumping ',
    pattern: /\*\*\* Dumping (?:Dom(\d+) vcpu#(\d+)|CPU(\d+) (?:host|guest) )[^*]*\*\*\*/,
    stage: 0,
    role: 'begins',
    read: (m) => ({
      kind: 'state-dump',
      headline: m[0],
      ...(m[1] === undefined ? {} : { system: 'xen-guest' as const, domain: Number(m[1]), vcpu: Number(m[2]) }),
    }),
    samples: [{ line: '*** Dumping Dom0 vcpu#1 state: ***', states: { kind: 'state-dump', domain: 0, vcpu: 1 } }],
  },
];

/** What a panic message that no other row knows says about the kind: nothing, if the dump before it has said it. */
function panicKind(message: string, facts: Facts): Facts {
  if (facts.kind !== undefined) return {};
  const vector = vectorByName(message.trim());
  return vector === undefined
    ? { kind: 'panic', headline: message }
    : { kind: exceptionKind(vector), headline: message, vector };
}
