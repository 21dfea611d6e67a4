// The lines of Xen's dump of a crashed guest that no other dump has: why it crashed, and who. The walk, the registers and the
// stack, which its dumps of itself have too, are in xen-state.ts.
// Sources: Xen arch/x86/traps.c (propagate_page_fault, do_guest_trap, pv_inject_event, asm_domain_crash_synchronous),
// arch/x86/pv/traps.c, common/domain.c (__domain_crash), xen/sched.h (domain_crash), versions 3.1, 4.1, 4.4, 4.5, 4.9, 4.17, 4.20.

import { X86_EXC_PF } from '../../abi/exceptions.js';
import type { Facts } from '../facts.js';
import { type Format, parseNumber, parseWord } from './format.js';
import { exceptionKind, statedErrorCode, vectorByName } from './vectors.js';

const unhandled = (
  wording: NonNullable<Facts['wording']>,
  vector: number,
  domain: string | undefined,
  vcpu: string | undefined,
  errorCode: string | undefined,
  headline: string,
): Facts => ({
  system: 'xen-guest',
  kind: exceptionKind(vector),
  headline,
  wording,
  vector,
  ...(domain === undefined ? {} : { domain: Number(domain) }),
  ...(vcpu === undefined ? {} : { vcpu: Number(vcpu) }),
  ...statedErrorCode(vector, errorCode),
});

export const XEN_GUEST_FORMATS: readonly Format[] = [
  {
    name: 'unhandled page fault, 3.0 and 3.1',
    origin: 'xen',
    hint: 'Unhandled page fault in domain',
    pattern: /Unhandled page fault in domain (\d+) on VCPU (\d+) \(ec=([0-9A-F]{4})\)/,
    stage: 0,
    role: 'begins',
    read: (m) => unhandled('3.x', X86_EXC_PF, m[1], m[2], m[3], m[0]),
    samples: [
      {
        line: 'Unhandled page fault in domain 0 on VCPU 0 (ec=0000)',
        states: { kind: 'page-fault', wording: '3.x', domain: 0, vcpu: 0, vector: 14, errorCode: 0 },
      },
    ],
  },
  {
    name: 'unhandled page fault, 3.1 to 4.8',
    origin: 'xen',
    hint: 'unhandled page fault (ec=',
    pattern: /\bd(\d+)(:?)v(\d+): unhandled page fault \(ec=([0-9A-F]{4})\)/,
    stage: 0,
    role: 'begins',
    read: (m) => unhandled(m[2] === ':' ? '4.1' : '4.5', X86_EXC_PF, m[1], m[3], m[4], m[0]),
    samples: [
      {
        line: 'd244:v0: unhandled page fault (ec=0003)',
        states: { kind: 'page-fault', wording: '4.1', domain: 244, vcpu: 0, vector: 14, errorCode: 3 },
      },
      {
        line: 'd1v3: unhandled page fault (ec=0010)',
        states: { wording: '4.5', domain: 1, vcpu: 3, vector: 14, errorCode: 16 },
      },
    ],
  },
  {
    name: 'unhandled trap, 3.1 to 4.4',
    origin: 'xen',
    hint: 'fault/trap [#',
    pattern: /:d(\d+) Unhandled ([a-z ?]+) fault\/trap \[#(\d+)\] on VCPU (\d+) \[ec=([0-9a-f]{4,8})\]/,
    stage: 0,
    role: 'begins',
    read: (m) => unhandled('4.1', Number(m[3]), m[1], m[4], m[5], m[0].slice(m[0].indexOf('Unhandled'))),
    samples: [
      {
        line: 'traps.c:458:d0 Unhandled invalid opcode fault/trap [#6] on VCPU 0 [ec=0000]',
        states: { kind: 'invalid-opcode', wording: '4.1', domain: 0, vcpu: 0, vector: 6 },
      },
    ],
  },
  {
    name: 'unhandled trap, 4.5 to 4.16',
    origin: 'xen',
    hint: 'fault/trap [#',
    pattern: /\bd(\d+)v(\d+) Unhandled ([a-z ?]+) fault\/trap \[#(\d+), ec=([0-9a-f]{4,8})\]/,
    stage: 0,
    role: 'begins',
    read: (m) => unhandled('4.9', Number(m[4]), m[1], m[2], m[5], m[0]),
    samples: [
      {
        line: 'd0v0 Unhandled page fault fault/trap [#14, ec=0002]',
        states: { kind: 'page-fault', wording: '4.9', domain: 0, vcpu: 0, vector: 14, errorCode: 2 },
      },
      {
        line: 'd0v0 Unhandled invalid opcode fault/trap [#6, ec=ffffffff]',
        states: { kind: 'invalid-opcode', vector: 6 },
      },
    ],
  },
  {
    name: 'unhandled vector, since 4.17',
    origin: 'xen',
    hint: 'Unhandled: vec ',
    pattern: /\bd(\d+)v(\d+) Unhandled: vec (\d+), (\S{2,4})\[([0-9a-f]{4,8})\]/,
    stage: 0,
    role: 'begins',
    read: (m) => unhandled('4.17', Number(m[3]), m[1], m[2], m[5], m[0]),
    samples: [
      {
        line: 'd1v0 Unhandled: vec 14, #PF[0003]',
        states: { kind: 'page-fault', wording: '4.17', domain: 1, vcpu: 0, vector: 14, errorCode: 3 },
      },
      {
        line: 'd0v0 Unhandled: vec 13, #GP[0000]',
        states: { kind: 'general-protection', vector: 13, errorCode: 0 },
      },
    ],
  },
  {
    name: 'reserved bit, to 4.16',
    origin: 'xen',
    hint: 'reserved bit in page table (ec=',
    pattern: /\bd(\d+):?v(\d+): reserved bit in page table \(ec=([0-9A-F]{4})\)/,
    stage: 0,
    role: 'begins',
    read: (m) => ({
      system: 'xen-guest',
      kind: 'page-fault',
      headline: m[0],
      vector: X86_EXC_PF,
      domain: Number(m[1]),
      vcpu: Number(m[2]),
      errorCode: parseNumber(m[3] as string),
    }),
    samples: [
      {
        line: 'd3v0: reserved bit in page table (ec=000D)',
        states: { kind: 'page-fault', domain: 3, vcpu: 0, vector: 14, errorCode: 13 },
      },
    ],
  },
  {
    name: 'SMEP or SMAP violation by a guest',
    origin: 'xen',
    hint: 'fatal SM',
    pattern: /\bd(\d+)v(\d+) fatal SM([EA])P violation/,
    stage: 0,
    role: 'begins',
    read: (m) => ({
      system: 'xen-guest',
      kind: 'page-fault',
      headline: m[0],
      vector: X86_EXC_PF,
      domain: Number(m[1]),
      vcpu: Number(m[2]),
    }),
    samples: [{ line: 'd2v0 fatal SMAP violation', states: { kind: 'page-fault', domain: 2, vcpu: 0, vector: 14 } }],
  },
  {
    name: 'fault at IRET to the guest',
    origin: 'xen',
    hint: 'IRET fault: ',
    pattern: /\bIRET fault: #?(\w{2,3})\[([0-9a-f]{4})\]/,
    stage: 0,
    role: 'begins',
    read: (m) => {
      const vector = vectorByName(m[1] as string);
      return {
        system: 'xen-guest',
        kind: 'domain-crash',
        headline: m[0],
        ...(vector === undefined ? {} : { vector, ...statedErrorCode(vector, m[2]) }),
      };
    },
    samples: [{ line: 'IRET fault: #PF[0000]', states: { kind: 'domain-crash', vector: 14, errorCode: 0 } }],
  },
  {
    name: 'crash noticed in the entry code',
    origin: 'xen',
    hint: 'domain_crash_sync called from entry.S',
    pattern:
      /domain_crash_sync called from entry\.S(?:: fault at ([0-9a-f]{16}) ([\w./$-]+(?:#[\w./$-]+|\+(?:0x)?[0-9a-f]+\/(?:0x)?[0-9a-f]+)+))?/,
    stage: 3,
    role: 'begins',
    read: (m) => ({
      system: 'xen-guest',
      crashCall: 'entry.S',
      ...(m[2] === undefined ? {} : { entryPoint: { address: parseWord(m[1] as string), symbol: m[2] } }),
    }),
    samples: [
      { line: 'domain_crash_sync called from entry.S', states: { crashCall: 'entry.S' } },
      {
        line: 'domain_crash_sync called from entry.S: fault at ffff82d040204b78 x86_64/entry.S#create_bounce_frame+0x14f/0x177',
        states: {
          entryPoint: { address: 0xffff82d040204b78n, symbol: 'x86_64/entry.S#create_bounce_frame+0x14f/0x177' },
        },
      },
    ],
  },
  {
    name: 'domain_crash() call',
    origin: 'xen',
    hint: 'domain_crash',
    pattern: /domain_crash(?:_sync)? called from ([\w./-]+(?::\d+)?)/,
    stage: 3,
    role: 'begins',
    read: (m) => ({ system: 'xen-guest', crashCall: m[1] as string }),
    samples: [
      {
        line: 'domain_crash called from drivers/passthrough/iommu.c:366',
        states: { crashCall: 'drivers/passthrough/iommu.c:366' },
      },
    ],
  },
  {
    name: 'domain crashed',
    origin: 'xen',
    hint: ' crashed on cpu#',
    pattern: /\bDomain (\d+) \(vcpu#(\d+)\) crashed on cpu#(\d+):?/,
    stage: 4,
    role: 'begins',
    read: (m) => ({ system: 'xen-guest', domain: Number(m[1]), vcpu: Number(m[2]), cpu: Number(m[3]) }),
    samples: [{ line: 'Domain 244 (vcpu#0) crashed on cpu#3:', states: { domain: 244, vcpu: 0, cpu: 3 } }],
  },
  {
    name: 'domain reported crashed',
    origin: 'xen',
    hint: ' reported crashed by domain ',
    pattern: /\bDomain (\d+) reported crashed by domain (\d+) on cpu#(\d+):?/,
    stage: 4,
    role: 'begins',
    read: (m) => ({
      system: 'xen-guest',
      kind: 'domain-crash',
      headline: m[0],
      domain: Number(m[1]),
      cpu: Number(m[3]),
    }),
    samples: [
      {
        line: 'Domain 5 reported crashed by domain 0 on cpu#1:',
        states: { kind: 'domain-crash', domain: 5, cpu: 1 },
      },
    ],
  },
  {
    name: 'message about a guest',
    origin: 'xen',
    hint: /\bd\d{1,5}(?::?v\d+)?:? [A-Za-z]{2}/,
    pattern: /^\s*(?:[\w./-]+\.[chS]:\d+:d\d{1,5}(?:v\d+)?|d\d{1,5}:|d\d{1,5}:?v\d+:?) [A-Za-z]{2}.*\S\s*$/,
    stage: 0,
    role: 'precedes',
    read: (m) => ({ remarks: [m[0].trim()] }),
    samples: [
      { line: 'mm.c:1758:d0 Bad L1 flags 800000', states: { remarks: ['mm.c:1758:d0 Bad L1 flags 800000'] } },
      {
        line: 'd2: IOMMU mapping dfn afdf79 to mfn afdf79 failed: -12',
        states: { remarks: ['d2: IOMMU mapping dfn afdf79 to mfn afdf79 failed: -12'] },
      },
    ],
  },
];
