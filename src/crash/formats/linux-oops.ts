// How a Linux kernel on x86-64 says that something went wrong: the first lines of an oops, of a BUG, a warning, a panic.
// Sources: Linux arch/x86/mm/fault.c (show_fault_oops, pgtable_bad, dump_pagetable), arch/x86/kernel/traps.c (die_addr,
// handle_stack_overflow), arch/x86/kernel/dumpstack.c (__die_header), arch/x86/mm/extable.c (early_fixup_exception),
// kernel/panic.c, lib/bug.c; 2.6.24 to 6.15, where the wording changed in 2.6.26 (BUG: unable), 4.12 (P4D), 5.0 (#PF) and
// 6.11 ("Oops: " before every name).

import {
  X86_EXC_AC,
  X86_EXC_BP,
  X86_EXC_DE,
  X86_EXC_DF,
  X86_EXC_GP,
  X86_EXC_MC,
  X86_EXC_NP,
  X86_EXC_OF,
  X86_EXC_PF,
  X86_EXC_SS,
  X86_EXC_TS,
  X86_EXC_UD,
} from '../../abi/exceptions.js';
import type { CrashKind, Facts, StatedEntry, WalkLevel } from '../facts.js';
import { type Format, parseNumber, parseWord } from './format.js';
import { exceptionKind, hasErrorCode } from './vectors.js';

const ofLinux = (facts: Facts): Facts => ({ system: 'linux', ...facts });

/** An address as %016lx, %px or %p prints it; "(null)" is 0, and 8 digits are a 32-bit kernel's. Fewer are cut off. */
const ADDRESS = String.raw`(?:0x)?([0-9a-f]{16}(?![0-9a-f])|[0-9a-f]{8}(?![0-9a-f])|\(null\))`;
/** As %lx prints it: without leading zeros. */
const SHORT_ADDRESS = '(?:0x)?([0-9a-f]{1,16}(?![0-9a-f]))';
const addressOf = (text: string): Facts =>
  text === '(null)'
    ? { address: 0n }
    : text.length === 8
      ? { address: parseWord(text), is32Bit: true }
      : { address: parseWord(text) };

/** Names before "[#1]" that are exceptions. SDM 3A table 6-1 by Linux's words. */
const EXCEPTION_NAMES: Readonly<Record<string, number>> = {
  'divide error': X86_EXC_DE,
  int3: X86_EXC_BP,
  overflow: X86_EXC_OF,
  'invalid opcode': X86_EXC_UD,
  'double fault': X86_EXC_DF,
  'kernel stack overflow (double-fault)': X86_EXC_DF,
  'invalid TSS': X86_EXC_TS,
  'segment not present': X86_EXC_NP,
  'stack segment': X86_EXC_SS,
  'general protection fault': X86_EXC_GP,
  'general protection': X86_EXC_GP,
  'Bad pagetable': X86_EXC_PF,
  'kernel stack overflow (page fault)': X86_EXC_PF,
  'alignment check': X86_EXC_AC,
  'machine check': X86_EXC_MC,
  'control protection fault': 21,
};
const STACK_OVERFLOWS = [
  'kernel stack overflow (double-fault)',
  'kernel stack overflow (page fault)',
  'stack guard page',
];
const DIE_NAMES = [...Object.keys(EXCEPTION_NAMES), 'stack guard page', 'Oops'];
const escaped = (text: string): string => text.replace(/[()]/g, '\\$&');
const DIE_LINE = new RegExp(
  String.raw`(?:\bOops: )?(?:\b(${DIE_NAMES.map(escaped).join('|')}))(?:,? (?:probably|maybe) for (?:non-canonical )?address ${SHORT_ADDRESS})?: (?:Oops: )?([0-9a-f]{4,8}) \[#(\d+)\]`,
);

function readDie(match: RegExpExecArray): Facts {
  const [, name, address, digits, number] = match as unknown as [string, string, string | undefined, string, string];
  const vector = name === 'Oops' ? X86_EXC_PF : EXCEPTION_NAMES[name];
  const kind: CrashKind | undefined = STACK_OVERFLOWS.includes(name)
    ? 'stack-overflow'
    : vector === undefined
      ? undefined
      : exceptionKind(vector);
  return ofLinux({
    oopsNumber: Number(number),
    headline: match[0],
    ...(kind === undefined ? {} : { kind }),
    ...(vector === undefined ? {} : { vector }),
    ...(vector !== undefined && hasErrorCode(vector) ? { errorCode: parseNumber(digits) } : {}),
    ...(address === undefined ? {} : { address: parseWord(address) }),
  });
}

/** "PGD 1067 P4D 1067 PUD 0": entries from the top. Without a P4D, or with one that is the PGD's, the top level is 4. */
export function linuxWalk(text: string): Pick<Facts, 'walk'> {
  const stated = [...text.matchAll(/\b(PGD|P4D|PUD|PMD|PTE) ([0-9a-f]{1,16})(?![0-9a-f])/g)];
  const value = (name: string): bigint | undefined => {
    const found = stated.find((match) => match[1] === name);
    return found && parseWord(found[2] as string);
  };
  const [pgd, p4d] = [value('PGD'), value('P4D')];
  const folded = p4d === undefined || p4d === pgd;
  const levels: readonly (readonly [WalkLevel, bigint | undefined])[] = [
    [5, folded ? undefined : pgd],
    [4, folded ? pgd : p4d],
    [3, value('PUD')],
    [2, value('PMD')],
    [1, value('PTE')],
  ];
  const walk: Partial<Record<WalkLevel, StatedEntry>> = {};
  for (const [level, entry] of levels)
    if (entry !== undefined) walk[level] = { level, index: undefined, entry, pfn: undefined };
  return { walk };
}

const pageFault = (match: RegExpExecArray, address: string, hint?: string): Facts => ({
  ...ofLinux({ kind: 'page-fault', headline: match[0], vector: X86_EXC_PF, ...addressOf(address) }),
  ...(hint === undefined ? {} : { accessWords: { hint } }),
  ...(match.input.includes('PGD ') ? linuxWalk(match.input) : {}),
});

/** Panics that only end what an oops began. */
const CONSEQUENCE = 'Fatal exception|Aiee, killing|Attempted to kill|panic_on_|.*: panic_on_(?:oops|warn)';
const END_SEEN = 8;

export const LINUX_OOPS_FORMATS: readonly Format[] = [
  {
    name: 'cut here',
    origin: 'linux',
    hint: '[ cut here ]',
    pattern: /----\[ cut here \]----/,
    stage: undefined,
    role: 'cut',
    read: () => ({}),
    samples: [{ line: '------------[ cut here ]------------', states: {} }],
  },
  {
    name: 'NX or SMEP hint',
    origin: 'linux',
    hint: /kernel tried to execute NX-protected|unable to execute userspace code/,
    pattern: /kernel tried to execute (NX)-protected page|unable to execute userspace code \((SMEP)\?\)/,
    stage: undefined,
    role: 'precedes',
    read: (m) => ({ accessWords: { access: 'fetch', hint: m[1] ?? m[2] ?? '' } }),
    samples: [
      {
        line: 'kernel tried to execute NX-protected page - exploit attempt? (uid: 0)',
        states: { accessWords: { access: 'fetch', hint: 'NX' } },
      },
      {
        line: 'unable to execute userspace code (SMEP?) (uid: 1000)',
        states: { accessWords: { access: 'fetch', hint: 'SMEP' } },
      },
    ],
  },
  {
    name: 'page fault, to 4.20',
    origin: 'linux',
    hint: 'BUG: unable to handle kernel ',
    pattern: new RegExp(
      String.raw`BUG: unable to handle kernel (NULL pointer dereference|paging request)(?: at)?(?: virtual address)?\s+${ADDRESS}`,
    ),
    stage: 0,
    role: 'begins',
    read: (m) => pageFault(m, m[2] as string, m[1] === 'paging request' ? undefined : 'NULL pointer dereference'),
    samples: [
      {
        line: 'BUG: unable to handle kernel NULL pointer dereference at 0000000000000010',
        states: { kind: 'page-fault', vector: 14, address: 0x10n, accessWords: { hint: 'NULL pointer dereference' } },
      },
      {
        line: 'BUG: unable to handle kernel NULL pointer dereference at           (null)',
        states: { address: 0n },
      },
      {
        line: 'BUG: unable to handle kernel paging request at 000000000000106c PGD 0 P4D 0',
        states: { address: 0x106cn, walk: { 4: { level: 4, index: undefined, entry: 0n, pfn: undefined } } },
      },
    ],
  },
  {
    name: 'page fault, since 5.0',
    origin: 'linux',
    hint: /BUG: (?:kernel NULL pointer|unable to handle page fault)/,
    pattern: new RegExp(
      `BUG: (?:kernel (NULL pointer dereference), address: |unable to handle page fault for address: )${ADDRESS}`,
    ),
    stage: 0,
    role: 'begins',
    read: (m) => pageFault(m, m[2] as string, m[1]),
    samples: [
      {
        line: 'BUG: kernel NULL pointer dereference, address: 000000000000002c',
        states: { kind: 'page-fault', address: 0x2cn, accessWords: { hint: 'NULL pointer dereference' } },
      },
      {
        line: 'BUG: unable to handle page fault for address: ffffc9004069100c',
        states: { kind: 'page-fault', address: 0xffffc9004069100cn },
      },
    ],
  },
  {
    name: 'page fault, to 2.6.25',
    origin: 'linux',
    hint: 'Unable to handle kernel ',
    pattern: new RegExp(
      `Unable to handle kernel (NULL pointer dereference|paging request) at(?: virtual address)? ${ADDRESS}`,
    ),
    stage: 0,
    role: 'begins',
    read: (m) => pageFault(m, m[2] as string, m[1] === 'paging request' ? undefined : 'NULL pointer dereference'),
    samples: [
      {
        line: 'Unable to handle kernel paging request at ffffc20000a5f000 RIP: ',
        states: { kind: 'page-fault', address: 0xffffc20000a5f000n },
      },
    ],
  },
  {
    name: 'corrupted page table',
    origin: 'linux',
    hint: ': Corrupted page table at address ',
    pattern: new RegExp(String.raw`(\S{1,16}): Corrupted page table at address ${SHORT_ADDRESS}`),
    stage: 0,
    role: 'begins',
    read: (m) => ({
      ...ofLinux({ kind: 'page-fault', headline: m[0], vector: X86_EXC_PF, address: parseWord(m[2] as string) }),
      task: m[1] as string,
      accessWords: { hint: 'corrupted page table' },
    }),
    samples: [
      {
        line: 'httpd: Corrupted page table at address 7f62d5b48e68',
        states: { kind: 'page-fault', address: 0x7f62d5b48e68n, task: 'httpd' },
      },
    ],
  },
  {
    name: 'access in words',
    origin: 'linux',
    hint: '#PF: ',
    pattern: /#PF: (supervisor|user) (read|write|instruction fetch)(?: access)? in (kernel|user) mode/,
    stage: 1,
    role: 'belongs',
    read: (m) =>
      ofLinux({
        vector: X86_EXC_PF,
        accessWords: {
          privilege: m[1] as 'user',
          access: m[2] === 'instruction fetch' ? 'fetch' : (m[2] as 'read'),
        },
      }),
    samples: [
      {
        line: '#PF: supervisor instruction fetch in kernel mode',
        states: { accessWords: { privilege: 'supervisor', access: 'fetch' } },
      },
    ],
  },
  {
    name: 'error code in words',
    origin: 'linux',
    hint: '#PF: error_code(',
    pattern: /#PF: error_code\(0x([0-9a-f]{4,8})\)/,
    stage: 1,
    role: 'belongs',
    read: (m) => ofLinux({ vector: X86_EXC_PF, errorCode: parseNumber(m[1] as string) }),
    samples: [{ line: '#PF: error_code(0x0003) - permissions violation', states: { vector: 14, errorCode: 3 } }],
  },
  {
    name: 'IP',
    origin: 'linux',
    hint: 'IP: ',
    pattern: /(?:^|[^A-Z])IP: (?:\[<([0-9a-f]{8,16})>\] ?)?([\w.$]+\+0x[0-9a-f]+\/0x[0-9a-f]+|[\w.$]+ \([^)]*\))?/,
    stage: 1,
    role: 'inside',
    read: (m) =>
      m[1] === undefined && m[2] === undefined
        ? undefined
        : {
            ...(m[1] === undefined ? {} : { registers: { rip: parseWord(m[1]) } }),
            ...(m[1]?.length === 8 ? { is32Bit: true } : {}),
            ...(m[2] === undefined ? {} : { ripSymbol: m[2] }),
          },
    samples: [
      {
        line: 'IP: [<ffffffffa0037750>] xennet_poll+0x980/0xec0 [xen_netfront]',
        states: { registers: { rip: 0xffffffffa0037750n }, ripSymbol: 'xennet_poll+0x980/0xec0' },
        given: { system: 'linux' },
      },
      {
        line: 'IP: chacha20_block+0x24d/0x280',
        states: { ripSymbol: 'chacha20_block+0x24d/0x280' },
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: 'walk',
    origin: 'linux',
    hint: 'PGD ',
    pattern: /\bPGD [0-9a-f]{1,16}(?= |$)/,
    stage: 1,
    role: 'belongs',
    within: ({ walk }) => walk === undefined,
    read: (m) => ofLinux(linuxWalk(m.input)),
    samples: [
      {
        line: 'PGD ea1df067 PUD e8ada067 PMD 0',
        states: {
          walk: {
            4: { level: 4, index: undefined, entry: 0xea1df067n, pfn: undefined },
            3: { level: 3, index: undefined, entry: 0xe8ada067n, pfn: undefined },
            2: { level: 2, index: undefined, entry: 0n, pfn: undefined },
          },
        },
      },
    ],
  },
  {
    name: 'Oops, or a fault by name',
    origin: 'linux',
    hint: /: [0-9a-f]{4,8} \[#\d/,
    pattern: DIE_LINE,
    stage: 1,
    role: 'begins',
    read: readDie,
    samples: [
      { line: 'Oops: 0003 [#1] SMP NOPTI', states: { kind: 'page-fault', vector: 14, errorCode: 3, oopsNumber: 1 } },
      { line: 'Oops: Oops: 0010 [#1] SMP KASAN PTI', states: { vector: 14, errorCode: 16 } },
      { line: 'invalid opcode: 0000 [#1] PREEMPT SMP', states: { kind: 'invalid-opcode', vector: 6 } },
      {
        line: 'general protection fault, probably for non-canonical address 0xaa1436fe70dae6df: 0000 [#1] SMP NOPTI',
        states: { kind: 'general-protection', vector: 13, errorCode: 0, address: 0xaa1436fe70dae6dfn },
      },
      {
        line: 'kernel stack overflow (double-fault): 0000 [#1] PREEMPT SMP KASAN',
        states: { kind: 'stack-overflow', vector: 8 },
      },
      { line: 'Oops: stack guard page: 0000 [#1] PREEMPT SMP', states: { kind: 'stack-overflow' } },
      { line: 'Oops: Bad pagetable: 000d [#1] PREEMPT SMP NOPTI', states: { kind: 'page-fault', errorCode: 13 } },
    ],
  },
  {
    name: 'general protection fault, broken off',
    origin: 'linux',
    hint: 'general protection fault',
    pattern: /^ *(?:Oops: )?general protection fault,? *$/,
    stage: 0,
    role: 'begins',
    read: (m) => ofLinux({ kind: 'general-protection', vector: X86_EXC_GP, headline: m[0].trim() }),
    samples: [{ line: ' general protection fault,', states: { kind: 'general-protection', vector: 13 } }],
  },
  {
    name: 'address of a general protection fault',
    origin: 'linux',
    hint: 'for non-canonical address ',
    pattern: /\b(?:probably|maybe) for non-canonical address 0x([0-9a-f]{1,16})(?![0-9a-f])/,
    stage: 1,
    role: 'inside',
    read: (m) => ({ address: parseWord(m[1] as string) }),
    samples: [
      {
        line: ' probably for non-canonical address 0xdffffc000000008c',
        states: { address: 0xdffffc000000008cn },
        given: { vector: 13 },
      },
    ],
  },
  {
    name: "KASAN's reading of a general protection fault",
    origin: 'linux',
    hint: 'KASAN: ',
    pattern: /KASAN: (?:probably |maybe )?([a-z-]+) in range \[(0x[0-9a-f]+)-0x[0-9a-f]+\]/,
    stage: 1,
    role: 'inside',
    read: (m) => ({ accessWords: { hint: m[1] as string }, remarks: [m[0]] }),
    samples: [
      {
        line: 'KASAN: null-ptr-deref in range [0x0000000000000460-0x0000000000000467]',
        states: { accessWords: { hint: 'null-ptr-deref' } },
        given: { vector: 13 },
      },
    ],
  },
  {
    name: 'double fault',
    origin: 'linux',
    hint: 'PANIC: double fault',
    pattern: /PANIC: double fault, (?:gsbase: 0x[0-9a-f]+, )?error_code: 0x([0-9a-f]+)/,
    stage: 0,
    role: 'begins',
    read: (m) =>
      ofLinux({ kind: 'double-fault', headline: m[0], vector: X86_EXC_DF, errorCode: parseNumber(m[1] as string) }),
    samples: [
      {
        line: 'traps: PANIC: double fault, error_code: 0x0',
        states: { kind: 'double-fault', vector: 8, errorCode: 0 },
      },
    ],
  },
  {
    name: 'early exception',
    origin: 'linux',
    hint: 'PANIC: early exception',
    pattern:
      /PANIC: early exception (?:0x)?([0-9a-f]{1,2}) (?:IP|rip) ([0-9a-f]{1,12}):([0-9a-f]{8,16}) error ([0-9a-f]+) cr2 (?:0x)?([0-9a-f]+)/,
    stage: 1,
    role: 'begins',
    read: (m) => {
      const vector = parseNumber(m[1] as string);
      return ofLinux({
        kind: exceptionKind(vector),
        headline: m[0],
        vector,
        registers: { rip: parseWord(m[3] as string), cr2: parseWord(m[5] as string) },
        // Under Xen PV the word behind cs holds the saved event mask as well: 10000e030.
        selectors: { cs: Number(parseWord(m[2] as string) & 0xffffn) },
        ...(hasErrorCode(vector) ? { errorCode: parseNumber(m[4] as string) } : {}),
        ...(vector === X86_EXC_PF ? { address: parseWord(m[5] as string) } : {}),
      });
    },
    samples: [
      {
        line: 'PANIC: early exception 0x06 IP 10000e030:ffffffff83a234ce error 0 cr2 0xffffc90000400000',
        states: {
          vector: 6,
          registers: { rip: 0xffffffff83a234cen, cr2: 0xffffc90000400000n },
          selectors: { cs: 0xe030 },
        },
      },
    ],
  },
  {
    name: 'stack guard page',
    origin: 'linux',
    hint: 'stack guard page was hit at ',
    pattern:
      /BUG: (?:[\w#-]+ )?stack guard page was hit at (?:0x)?([0-9a-f]{16}) \(stack is (?:0x)?([0-9a-f]{16})\.\.(?:0x)?([0-9a-f]{16})\)/,
    stage: 0,
    role: 'begins',
    read: (m) => {
      const address = parseWord(m[1] as string);
      // Hashed pointers (%p) are of no use: a kernel address begins with ffff.
      return ofLinux({
        kind: 'stack-overflow',
        headline: m[0],
        ...(address >> 48n === 0xffffn ? { address } : {}),
      });
    },
    samples: [
      {
        line: 'BUG: TASK stack guard page was hit at ffffc90001717fd8 (stack is ffffc90001718000..ffffc90001720000)',
        states: { kind: 'stack-overflow', address: 0xffffc90001717fd8n },
      },
    ],
  },
  {
    name: 'kernel BUG',
    origin: 'linux',
    hint: 'kernel BUG at ',
    pattern: /kernel BUG at (\S+:\d+)!/i,
    stage: 0,
    role: 'begins',
    read: (m) => ofLinux({ kind: 'bug', headline: m[0], vector: X86_EXC_UD }),
    samples: [{ line: 'kernel BUG at arch/x86/mm/tlb.c:47!', states: { kind: 'bug', vector: 6 } }],
  },
  {
    name: 'warning',
    origin: 'linux',
    hint: 'WARNING: ',
    pattern: /WARNING: (?:CPU: (\d+) PID: (\d+) )?at (\S+:\d+)(?: ([\w.$]+\+0x[0-9a-f]+\/0x[0-9a-f]+))?/,
    stage: 0,
    role: 'begins',
    read: (m) =>
      ofLinux({
        kind: 'warning',
        headline: m[0],
        ...(m[1] === undefined ? {} : { cpu: Number(m[1]) }),
        ...(m[4] === undefined ? {} : { ripSymbol: m[4] }),
      }),
    samples: [
      {
        line: 'WARNING: CPU: 2 PID: 177 at arch/x86/mm/tlb.c:257 switch_mm_irqs_off+0x40/0x560',
        states: { kind: 'warning', cpu: 2, ripSymbol: 'switch_mm_irqs_off+0x40/0x560' },
      },
    ],
  },
  {
    name: 'kernel panic that ends an oops',
    origin: 'linux',
    hint: 'Kernel panic - not syncing',
    pattern: new RegExp(`Kernel panic - not syncing: *((?:${CONSEQUENCE}).*)`),
    stage: 9,
    role: 'begins',
    read: (m) => ofLinux({ kind: 'panic', headline: m[0].trim(), panicMessage: (m[1] as string).trim() }),
    samples: [
      {
        line: 'Kernel panic - not syncing: Fatal exception in interrupt',
        states: { kind: 'panic', panicMessage: 'Fatal exception in interrupt' },
      },
    ],
  },
  {
    name: 'kernel panic',
    origin: 'linux',
    hint: 'Kernel panic - not syncing',
    pattern: /Kernel panic - not syncing: *(.*\S)/,
    // Behind an oops that was printed to its end this is another event.
    stage: (facts) => (facts.ended ? 0 : 9),
    role: 'begins',
    read: (m) => ofLinux({ kind: 'panic', headline: m[0], panicMessage: m[1] as string }),
    samples: [
      {
        line: 'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(2,0)',
        states: { kind: 'panic', panicMessage: 'VFS: Unable to mount root fs on unknown-block(2,0)' },
      },
    ],
  },
  {
    name: 'kernel offset',
    origin: 'linux',
    hint: 'Kernel Offset: ',
    pattern: /\bKernel Offset: 0x([0-9a-f]{1,16}) from /,
    stage: undefined,
    role: 'inside',
    read: (m) => ({ kernelOffset: parseWord(m[1] as string) }),
    samples: [
      {
        line: 'Kernel Offset: 0x2b800000 from 0xffffffff81000000 (relocation range: 0xffffffff80000000-0xffffffffbfffffff)',
        states: { kernelOffset: 0x2b800000n },
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: 'end of trace',
    origin: 'linux',
    hint: '---[ end ',
    pattern: /---\[ end (?:trace|Kernel panic)/,
    stage: END_SEEN,
    role: 'inside',
    read: () => ({ ended: true }),
    samples: [{ line: '---[ end trace 3b5d5a6fb6e394f8 ]---', states: { ended: true }, given: { system: 'linux' } }],
  },
];
