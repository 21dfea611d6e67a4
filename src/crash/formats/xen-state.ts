// The lines that Xen's dumps of a guest and of itself share: page-table walk, banner, registers, stack, code bytes.
// Sources: Xen arch/x86/x86_64/traps.c (show_page_walk, print_xen_info, _show_registers) and arch/x86/traps.c
// (show_guest_stack, show_stack, show_code), versions 3.4, 4.1, 4.4, 4.10, 4.17 and 4.20.

import type { Facts, SelectorRegister, StatedEntry, WalkLevel, WordRegister } from '../facts.js';
import { codeLine } from './code-line.js';
import { type Format, parseNumber, parseWord } from './format.js';

/** M2P's "no such frame" (INVALID_M2P_ENTRY). */
const NO_FRAME = 0xffff_ffff_ffff_ffffn;

/** Xen's own code and data selectors: a dump with cs e008 is of Xen itself. */
const XEN_CS = 0xe008;

/** In a dump of Xen itself the walk stands at the end; in a guest's, at the beginning. */
const ofXenItself = (facts: Facts): boolean =>
  facts.system === 'xen' || facts.context === 'hypervisor' || facts.selectors?.cs === XEN_CS;

const WORDS =
  /\b(rax|rbx|rcx|rdx|rsi|rdi|rbp|rsp|r8|r9|r1[0-5]|cr[0234]|fsb|gsb|gss): {0,4}([0-9a-f]{16})(?![0-9a-f])/g;
const SELECTORS = /\b([cdefgs]s): {0,4}([0-9a-f]{4})(?![0-9a-f])/g;

const oneWord = (name: WordRegister, digits: string): Pick<Facts, 'registers'> => ({
  registers: { [name]: parseWord(digits) },
});

export const XEN_STATE_FORMATS: readonly Format[] = [
  {
    name: 'walk header',
    origin: 'xen',
    hint: 'Pagetable walk from ',
    pattern: /Pagetable walk from ([0-9a-f]{16})(?![0-9a-f])/,
    stage: (facts) => (ofXenItself(facts) ? 13 : 1),
    role: 'begins',
    read: (m) => ({ walkFrom: parseWord(m[1] as string) }),
    samples: [{ line: 'Pagetable walk from ffffffff84dc7000:', states: { walkFrom: 0xffffffff84dc7000n } }],
  },
  {
    name: 'walk entry',
    origin: 'xen',
    hint: /L[1-4]\[0x/,
    pattern: /\bL([1-4])\[0x([0-9a-f]{3})\] ?= ?([0-9a-f]{16})(?![0-9a-f])(?: +([0-9a-f]{16})(?![0-9a-f]))?/,
    stage: (facts) => (ofXenItself(facts) ? 13 : 2),
    role: 'belongs',
    read: (m) => {
      const level = Number(m[1]) as WalkLevel;
      const pfn = m[4] === undefined ? undefined : parseWord(m[4]);
      const entry: StatedEntry = {
        level,
        index: parseNumber(m[2] as string),
        entry: parseWord(m[3] as string),
        pfn: pfn === NO_FRAME ? 'invalid' : pfn,
      };
      return { walk: { [level]: entry } };
    },
    samples: [
      {
        line: ' L1[0x1c7] = 00100000dc8da067 0000000000004dc7',
        states: { walk: { 1: { level: 1, index: 0x1c7, entry: 0x00100000dc8da067n, pfn: 0x4dc7n } } },
      },
      {
        line: ' L3[0x000] = 0000000000000000 ffffffffffffffff',
        states: { walk: { 3: { level: 3, index: 0, entry: 0n, pfn: 'invalid' } } },
      },
      {
        line: ' L2[0x03f] = 00000000bf8000e3 00000000000bf800 (PSE)',
        states: { walk: { 2: { level: 2, index: 0x3f, entry: 0xbf8000e3n, pfn: 0xbf800n } } },
      },
    ],
  },
  {
    name: 'banner',
    origin: 'xen',
    hint: '----[ Xen-',
    pattern: /----\[ Xen-(\S+) +(x86_64|x86_32p?) +debug=(\S+) {1,2}(?:gcov=\S+ +)?(.*?) ?\]----/,
    stage: 5,
    role: 'begins',
    read: (m) => ({
      version: m[1] as string,
      debug: m[3] as string,
      taint: (m[4] as string).trimStart(),
      ...(m[2] === 'x86_64' ? {} : { is32Bit: true as const, headline: m[0] }),
    }),
    samples: [
      {
        line: '----[ Xen-4.1.3OVM  x86_64  debug=n  Not tainted ]----',
        states: { version: '4.1.3OVM', debug: 'n', taint: 'Not tainted' },
      },
      {
        line: '----[ Xen-4.9.2  x86_64  debug=n   Not tainted ]----',
        states: { version: '4.9.2', taint: 'Not tainted' },
      },
      {
        line: '----[ Xen-3.1.0  x86_32p  debug=n  Not tainted ]----',
        states: { version: '3.1.0', is32Bit: true },
      },
    ],
  },
  {
    name: 'CPU',
    origin: 'xen',
    hint: 'CPU:',
    pattern: /^ *CPU: +(\d{1,4}) *$/,
    stage: 6,
    role: 'inside',
    read: (m) => ({ cpu: Number(m[1]) }),
    samples: [{ line: 'CPU:    3', states: { cpu: 3 }, given: { version: '4.1.3' } }],
  },
  {
    name: 'RIP',
    origin: 'xen',
    hint: 'RIP:',
    pattern:
      /\bRIP: +(e0[0-9a-f]{2}|[0-9a-f]{4}):\[<([0-9a-f]{16})>\](?! *\[<)(?: +([\w./$-]+(?:#[\w./$-]+)*\+(?:0x)?[0-9a-f]+\/(?:0x)?[0-9a-f]+))? *([0-9a-f]{16})? *$/,
    stage: 7,
    role: 'begins',
    read: (m) => ({
      ...oneWord('rip', m[2] as string),
      selectors: { cs: parseNumber(m[1] as string) },
      ...(m[3] === undefined ? {} : { ripSymbol: m[3] }),
      // Where a symbol should be stands the bare number: no code of Xen's.
      ...(m[4] === undefined ? {} : { ripOutsideCode: true as const }),
    }),
    samples: [
      {
        line: 'RIP:    e033:[<ffffffff81263f22>]',
        states: { registers: { rip: 0xffffffff81263f22n }, selectors: { cs: 0xe033 } },
      },
      {
        line: 'RIP:    e008:[<ffff82d04041c1c7>] x86_64/entry.S#restore_all_guest+0x7/0x145',
        states: { selectors: { cs: 0xe008 }, ripSymbol: 'x86_64/entry.S#restore_all_guest+0x7/0x145' },
      },
    ],
  },
  {
    name: 'RFLAGS',
    origin: 'xen',
    hint: 'RFLAGS:',
    pattern:
      /\bRFLAGS: +([0-9a-f]{16})(?![0-9a-f])(?: +EM: +([01]))?(?: +CONTEXT: +(hypervisor|pv guest|hvm guest)(?: \((?:d(\d+)|d\[\w+\]|\w+)v(\d+)\))?)?/,
    stage: 8,
    role: 'belongs',
    read: (m) => ({
      ...oneWord('rflags', m[1] as string),
      ...(m[2] === undefined ? {} : { eventMask: m[2] === '1' }),
      ...(m[3] === undefined ? {} : { context: m[3] as 'hypervisor', contextNamesVcpu: m[5] !== undefined }),
      ...(m[3] === 'hypervisor' || m[4] === undefined ? {} : { domain: Number(m[4]), vcpu: Number(m[5]) }),
    }),
    samples: [
      {
        line: 'RFLAGS: 0000000000000216   EM: 1   CONTEXT: pv guest',
        states: { registers: { rflags: 0x216n }, eventMask: true, context: 'pv guest', contextNamesVcpu: false },
      },
      {
        line: 'RFLAGS: 0000000000000286   EM: 0   CONTEXT: pv guest (d3v1)',
        states: { context: 'pv guest', contextNamesVcpu: true, domain: 3, vcpu: 1, eventMask: false },
      },
      { line: 'RFLAGS: 0000000000010002   CONTEXT: hypervisor (d0v0)', states: { context: 'hypervisor' } },
    ],
  },
  {
    name: 'registers',
    origin: 'xen',
    hint: /\b(?:rax|rbx|rcx|rdx|rsi|rdi|rbp|rsp|r8|r9|r1[0-5]|cr[0234]|fsb|gsb|gss): {0,4}[0-9a-f]{16}/,
    pattern: new RegExp(WORDS.source),
    stage: 9,
    role: 'belongs',
    read: (m) => ({
      registers: Object.fromEntries(
        [...m.input.matchAll(WORDS)].map(([, name, digits]) => [name, parseWord(digits as string)]),
      ),
    }),
    samples: [
      {
        line: 'rbp: ffff83027c887df0   rsp: ffff83027c887ef8   r8:  00000000aaa8946e',
        states: { registers: { rbp: 0xffff83027c887df0n, rsp: 0xffff83027c887ef8n, r8: 0xaaa8946en } },
      },
    ],
  },
  {
    name: 'selectors',
    origin: 'xen',
    hint: /\b[cdefgs]s: {0,4}[0-9a-f]{4}\b/,
    pattern: /\b(?:[cdefgs]s: {0,4}[0-9a-f]{4}(?: +|$)){2,6}/,
    stage: 10,
    role: 'belongs',
    read: (m) => ({
      selectors: Object.fromEntries(
        [...m[0].matchAll(SELECTORS)].map(([, name, digits]) => [
          name as SelectorRegister,
          parseNumber(digits as string),
        ]),
      ),
    }),
    samples: [
      {
        line: 'ds: 0000   es: 0000   fs: 0000   gs: 0000   ss: e02b   cs: e033',
        states: { selectors: { ds: 0, es: 0, fs: 0, gs: 0, ss: 0xe02b, cs: 0xe033 } },
      },
    ],
  },
  {
    name: 'Xen code header',
    origin: 'xen',
    hint: 'Xen code around ',
    pattern: /Xen code around <([0-9a-f]{16})>/,
    stage: 11,
    role: 'belongs',
    read: (m) => ({ system: 'xen', ...oneWord('rip', m[1] as string) }),
    samples: [
      {
        line: 'Xen code around <ffff82d040269984> (iommu_do_domctl+0x4/0x30):',
        states: { registers: { rip: 0xffff82d040269984n }, system: 'xen' },
      },
    ],
  },
  {
    name: 'Xen code bytes',
    origin: 'xen',
    hint: /<(?:[0-9a-f]{2}|--)> [0-9a-f-]{2}/,
    pattern: /^(?: *(?:[0-9a-f]{2}|--|<(?:[0-9a-f]{2}|--)>)(?= |$)){8,64} *$/,
    stage: 11,
    role: 'inside',
    read: (m, facts) => (facts.code === undefined ? codeLine(m[0]) : undefined),
    samples: [
      {
        line: ' 00 0f 1f 00 f3 0f 1e fa <f6> 86 44 01 00 00 20',
        states: {
          code: {
            runs: [{ offset: 0, bytes: [0, 0x0f, 0x1f, 0, 0xf3, 0x0f, 0x1e, 0xfa, 0xf6, 0x86, 0x44, 1, 0, 0, 0x20] }],
            trap: 8,
          },
        },
        given: { system: 'xen' },
      },
    ],
  },
  {
    name: 'stack header',
    origin: 'xen',
    hint: ' stack trace from ',
    pattern: /\b(Guest|Xen) stack trace from (rsp|esp|sp)=([0-9a-f]{8,16})(?![0-9a-f])/,
    stage: 12,
    role: 'belongs',
    read: (m) => ({
      stackFrom: parseWord(m[3] as string),
      ...(m[1] === 'Xen' ? { system: 'xen' as const } : {}),
      ...(m[2] === 'esp' ? { is32Bit: true as const } : {}),
    }),
    samples: [
      { line: 'Guest stack trace from rsp=ffffffff81a01d90:', states: { stackFrom: 0xffffffff81a01d90n } },
      { line: 'Guest stack trace from esp=c1371fa8:', states: { stackFrom: 0xc1371fa8n, is32Bit: true } },
    ],
  },
  {
    name: 'stack words',
    origin: 'xen',
    hint: /(?:^|[^0-9a-z])[0-9a-f]{16}(?:[^0-9a-z]|$)/,
    // A last word that the terminal cut is left out, and comes back when the halves are joined.
    pattern: /^ *([0-9a-f]{16}(?: [0-9a-f]{16}){0,3})(?: [0-9a-f]{1,15})? *$/,
    stage: 12,
    role: 'inside',
    within: (facts) => facts.stackFrom !== undefined && facts.trace === undefined && facts.stackStop === undefined,
    read: (m) => ({ stack: (m[1] as string).split(' ').map(parseWord) }),
    samples: [
      {
        line: '   ffff82d04035cd5f 0000000000000000 ffffffff8109e860 ffff830856277ef8',
        states: { stack: [0xffff82d04035cd5fn, 0n, 0xffffffff8109e860n, 0xffff830856277ef8n] },
        given: { stackFrom: 0xffff830856277c90n },
      },
    ],
  },
  {
    name: 'stack end',
    origin: 'xen',
    hint: /Fault while accessing guest|-inaccessible memory|Stack empty/,
    pattern: /^ *(?:(Fault while accessing guest memory)|(Guest-inaccessible memory)|(Stack empty))\.? *$/,
    stage: 12,
    role: 'inside',
    within: (facts) => facts.stackFrom !== undefined,
    read: (m) => ({ stackStop: m[1] ? 'fault' : m[2] ? 'inaccessible' : 'empty' }),
    samples: [
      {
        line: '    Fault while accessing guest memory.',
        states: { stackStop: 'fault' },
        given: { stackFrom: 0xffffc900400e0dc8n },
      },
    ],
  },
];
