// The state that a Linux kernel on x86-64 prints with an oops, a warning or a lock-up: who ran, registers, code, call trace.
// Sources: Linux arch/x86/kernel/process_64.c (__show_regs), arch/x86/kernel/dumpstack.c (show_opcodes, show_trace_log_lvl),
// kernel/printk (dump_stack_print_info), 2.6.24 to 6.15. Traces that decode_stacktrace.sh or syzbot has rewritten are read too.
// Behind the call trace more registers may follow: those of an interrupted program. They are not the crash's, and are left out.

import { X86_EXC_PF } from '../../abi/exceptions.js';
import { type Facts, type SelectorRegister, type TraceLine, WORD_REGISTERS, type WordRegister } from '../facts.js';
import { codeLine } from './code-line.js';
import { type Format, parseNumber, parseWord } from './format.js';

const beforeTrace = (facts: Facts): boolean => facts.trace === undefined;

const REGISTER = /\b(R[A-D]X|R[SD]I|R[BS]P|R[0-9]{2}|CR[0234]): {0,2}([0-9a-f]{16})(?![0-9a-f])/g;

/** RAX -> rax, R08 -> r8; undefined for what is no register kept here (CR8, DR0). */
function registerName(printed: string): WordRegister | undefined {
  const name = printed.toLowerCase().replace(/^r0(\d)$/, 'r$1');
  return (WORD_REGISTERS as readonly string[]).includes(name) ? (name as WordRegister) : undefined;
}

function registersIn(text: string): Partial<Record<WordRegister, bigint>> {
  const registers: Partial<Record<WordRegister, bigint>> = {};
  for (const [, printed, digits] of text.matchAll(REGISTER)) {
    const name = registerName(printed as string);
    if (name !== undefined) registers[name] = parseWord(digits as string);
  }
  return registers;
}

const SYMBOL = String.raw`[\w.$]+\+0x[0-9a-f]+\/0x[0-9a-f]+`;

export const LINUX_STATE_FORMATS: readonly Format[] = [
  {
    name: 'task, since 3.12',
    origin: 'linux',
    hint: / Comm: /,
    pattern:
      /(?:\bCPU: (\d+) )?(?:UID: \d+ )?\bPID: (\d+) Comm: (.{1,15}?) (?:Kdump: \w+ )?(Not tainted|Tainted: [A-Z][A-Z ]*?)(?: +(\d+\.\d+[\w.+~-]*))?(?: +#\S+.*)? *$/,
    stage: undefined,
    role: 'inside',
    within: ({ version }) => version === undefined,
    read: (m) => ({
      ...(m[1] === undefined ? {} : { cpu: Number(m[1]) }),
      pid: Number(m[2]),
      task: m[3] as string,
      taint: m[4] as string,
      ...(m[5] === undefined ? {} : { version: m[5] }),
    }),
    samples: [
      {
        line: 'CPU: 0 PID: 5302 Comm: kworker/u9:1 Not tainted 4.12.0-rc5+ #142',
        states: { cpu: 0, pid: 5302, task: 'kworker/u9:1', taint: 'Not tainted', version: '4.12.0-rc5+' },
        given: { system: 'linux' },
      },
      {
        line: 'CPU: 0 UID: 0 PID: 200 Comm: insmod Tainted: G        W          6.15.0-rc6 #1 PREEMPT(voluntary)',
        states: { pid: 200, task: 'insmod', taint: 'Tainted: G        W', version: '6.15.0-rc6' },
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: 'task, to 3.11',
    origin: 'linux',
    hint: /Pid: \d+, comm: /,
    pattern:
      /\bPid: (\d+), comm: (.{1,15}?) (Not tainted|Tainted: [A-Z ]+?)(?: +\(?(\d+\.\d+[\w.+~-]*)\)?)?(?: +#\S+.*)? *$/,
    stage: undefined,
    role: 'inside',
    within: ({ version }) => version === undefined,
    read: (m) => ({
      pid: Number(m[1]),
      task: m[2] as string,
      taint: m[3] as string,
      ...(m[4] === undefined ? {} : { version: m[4] }),
    }),
    samples: [
      {
        line: 'Pid: 3242, comm: flush-8:16 Not tainted 2.6.32.10 #2',
        states: { pid: 3242, task: 'flush-8:16', version: '2.6.32.10' },
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: 'CPU number, to 3.11',
    origin: 'linux',
    hint: 'CPU ',
    pattern: /^ *CPU (\d+) *$/,
    stage: undefined,
    role: 'inside',
    within: ({ cpu, trace }) => cpu === undefined && trace === undefined,
    read: (m) => ({ cpu: Number(m[1]) }),
    samples: [{ line: 'CPU 0 ', states: { cpu: 0 }, given: { system: 'linux' } }],
  },
  {
    name: 'hardware',
    origin: 'linux',
    hint: 'Hardware name: ',
    pattern: /\bHardware name: (.*\S)/,
    stage: undefined,
    role: 'inside',
    read: (m) => ({ hardware: m[1] as string }),
    samples: [
      {
        line: 'Hardware name: Red Hat KVM, BIOS 0.5.1 01/01/2011',
        states: { hardware: 'Red Hat KVM, BIOS 0.5.1 01/01/2011' },
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: 'inlined RIP',
    origin: 'linux',
    hint: '[inline]',
    pattern: /\bRIP: [0-9a-f]{4}:\S+ .*\[inline\]/,
    stage: undefined,
    role: 'inside',
    read: () => ({}),
    samples: [
      {
        line: 'RIP: 0010:get_lock_parent_ip include/linux/ftrace.h:841 [inline]',
        states: {},
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: 'RIP',
    origin: 'linux',
    hint: 'RIP: ',
    pattern: new RegExp(
      String.raw`\bRIP: ([0-9a-f]{4}):(?:\[<([0-9a-f]{16})>\] *(?:\[<[0-9a-f]{16}>\])? *(${SYMBOL})?|(${SYMBOL})|0x([0-9a-f]{1,16})(?![0-9a-f]))`,
    ),
    stage: undefined,
    role: 'belongs',
    within: beforeTrace,
    read: (m) => {
      const [, cs, bracketed, oldSymbol, newSymbol, bare] = m;
      const rip = bracketed ?? bare;
      const symbol = oldSymbol ?? newSymbol;
      return {
        system: 'linux',
        selectors: { cs: parseNumber(cs as string) },
        ...(rip === undefined ? {} : { registers: { rip: parseWord(rip) } }),
        ...(symbol === undefined ? {} : { ripSymbol: symbol }),
      };
    },
    samples: [
      {
        line: 'RIP: e030:[<ffffffff8135854a>]  [<ffffffff8135854a>] vmalloc_fault+0x15a/0x2a0',
        states: {
          selectors: { cs: 0xe030 },
          registers: { rip: 0xffffffff8135854an },
          ripSymbol: 'vmalloc_fault+0x15a/0x2a0',
        },
      },
      {
        line: 'RIP: 0010:leave_mm+0x33/0x40 arch/x86/mm/tlb.c:50',
        states: { selectors: { cs: 0x10 }, ripSymbol: 'leave_mm+0x33/0x40' },
      },
      { line: 'RIP: 0010:0x0', states: { selectors: { cs: 0x10 }, registers: { rip: 0n } } },
      { line: 'RIP: 0033:0x7f365b0f22fa', states: { selectors: { cs: 0x33 }, registers: { rip: 0x7f365b0f22fan } } },
    ],
  },
  {
    name: 'RIP behind the trace',
    origin: 'linux',
    hint: /RIP {1,2}\[|RIP: \S+\+0x/,
    pattern: new RegExp(String.raw`\bRIP:? {1,2}(?:\[<?([0-9a-f]*)>?\] )?(${SYMBOL})`),
    stage: undefined,
    role: 'inside',
    within: ({ ripSymbol }) => ripSymbol === undefined,
    read: (m, { registers }) => ({
      ripSymbol: m[2] as string,
      ...(m[1] && registers?.rip === undefined ? { registers: { rip: parseWord(m[1]) } } : {}),
    }),
    samples: [
      {
        line: 'RIP  [<ffffffff810fe2e2>] kmem_cache_alloc+0x68/0x1e0',
        states: { ripSymbol: 'kmem_cache_alloc+0x68/0x1e0', registers: { rip: 0xffffffff810fe2e2n } },
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: 'RSP',
    origin: 'linux',
    hint: 'EFLAGS: ',
    pattern: /\bRSP: ([0-9a-f]{4}):([0-9a-f]{16}) +EFLAGS: ([0-9a-f]{8,16})(?![0-9a-f])/,
    stage: undefined,
    role: 'belongs',
    within: beforeTrace,
    read: (m) => ({
      system: 'linux',
      selectors: { ss: parseNumber(m[1] as string) },
      registers: { rsp: parseWord(m[2] as string), rflags: parseWord(m[3] as string) },
    }),
    samples: [
      {
        line: 'RSP: 0018:ffffffff82e03d48 EFLAGS: 00010086 ORIG_RAX: 0000000000000000',
        states: { selectors: { ss: 0x18 }, registers: { rsp: 0xffffffff82e03d48n, rflags: 0x10086n } },
      },
    ],
  },
  {
    name: 'registers',
    origin: 'linux',
    hint: /\b(?:R[A-D]X|R[SD]I|RBP|R[01][0-9]): {0,2}[0-9a-f]{16}/,
    pattern: /\b(?:R[A-D]X|R[SD]I|RBP|R[01][0-9]): {0,2}[0-9a-f]{16}(?![0-9a-f])/,
    stage: undefined,
    role: 'belongs',
    within: beforeTrace,
    read: (m) => ({ system: 'linux', registers: registersIn(m.input) }),
    samples: [
      {
        line: 'RBP: ffff88003c167e88 R08: 00003ffffffff000 R09: ffffffff81505880',
        states: { registers: { rbp: 0xffff88003c167e88n, r8: 0x3ffffffff000n, r9: 0xffffffff81505880n } },
      },
    ],
  },
  {
    name: 'segment bases',
    origin: 'linux',
    hint: 'knlGS:',
    pattern: /\bFS: +([0-9a-f]{16})\(([0-9a-f]{4})\) +GS: ?([0-9a-f]{16})\(([0-9a-f]{4})\) +knlGS: ?([0-9a-f]{16})/,
    stage: undefined,
    role: 'inside',
    within: beforeTrace,
    read: (m) => ({
      registers: { fsb: parseWord(m[1] as string), gsb: parseWord(m[3] as string), gss: parseWord(m[5] as string) },
      selectors: { fs: parseNumber(m[2] as string), gs: parseNumber(m[4] as string) },
    }),
    samples: [
      {
        line: 'FS:  00007f1c06730700(0000) GS:ffff9126bfd80000(0000) knlGS:0000000000000000',
        states: { registers: { fsb: 0x7f1c06730700n, gsb: 0xffff9126bfd80000n, gss: 0n } },
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: 'selectors and CR0',
    origin: 'linux',
    hint: /\bCS: {0,2}[0-9a-f]{4} DS:/,
    pattern: /\bCS: {0,2}([0-9a-f]{4}) DS: ([0-9a-f]{4}) ES: ([0-9a-f]{4}) CR0: ([0-9a-f]{16})/,
    stage: undefined,
    role: 'inside',
    within: beforeTrace,
    // This CS is the one while printing: under Xen PV e033, where the trapped code had e030. RIP's line is the authority.
    read: (m, facts) => {
      const selectors: Partial<Record<SelectorRegister, number>> = {
        ds: parseNumber(m[2] as string),
        es: parseNumber(m[3] as string),
      };
      if (facts.selectors?.cs === undefined) selectors.cs = parseNumber(m[1] as string);
      return { selectors, registers: { cr0: parseWord(m[4] as string) } };
    },
    samples: [
      {
        line: 'CS:  e033 DS: 0000 ES: 0000 CR0: 000000008005003b',
        states: { selectors: { ds: 0, es: 0 }, registers: { cr0: 0x8005003bn } },
        given: { system: 'linux', selectors: { cs: 0xe030 } },
      },
    ],
  },
  {
    name: 'control registers',
    origin: 'linux',
    hint: /\bCR2: [0-9a-f]{16}/,
    pattern: /\bCR2: ([0-9a-f]{16})(?: CR3: ([0-9a-f]{16}))?(?: CR4: ([0-9a-f]{16}))?/,
    stage: undefined,
    role: 'belongs',
    within: ({ registers }) => registers?.cr2 === undefined,
    read: (m) => ({ system: 'linux', registers: registersIn(m[0]) }),
    samples: [
      {
        line: 'CR2: ffffe8fffff994e0 CR3: 000000003c167000 CR4: 0000000000000660',
        states: { registers: { cr2: 0xffffe8fffff994e0n, cr3: 0x3c167000n, cr4: 0x660n } },
      },
    ],
  },
  {
    name: 'CR2 at the end',
    origin: 'linux',
    hint: 'CR2: ',
    // The page-fault handler alone prints it once more, behind everything else: this is the address that faulted.
    pattern: /^ *CR2: ([0-9a-f]{16}) *$/,
    stage: undefined,
    role: 'inside',
    within: ({ trace, address, vector }) => trace !== undefined && address === undefined && vector === undefined,
    read: (m) => ({ kind: 'page-fault', vector: X86_EXC_PF, address: parseWord(m[1] as string) }),
    samples: [
      {
        line: 'CR2: 00000000fffffffe',
        states: { kind: 'page-fault', vector: 14, address: 0xfffffffen },
        given: { system: 'linux', trace: [] },
      },
    ],
  },
  {
    name: 'process, to 3.11',
    origin: 'linux',
    hint: 'Process ',
    pattern: /\bProcess (.{1,15}?) \(pid: (\d+), /,
    stage: undefined,
    role: 'inside',
    within: ({ pid }) => pid === undefined,
    read: (m) => ({ task: m[1] as string, pid: Number(m[2]) }),
    samples: [
      {
        line: 'Process php-cgi (pid: 22433, threadinfo ffff8800a53b2000, task ffff8800bf556aa0)',
        states: { task: 'php-cgi', pid: 22433 },
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: 'code',
    origin: 'linux',
    hint: 'Code: ',
    pattern: /\bCode: ((?:[0-9a-f]{2}|<[0-9a-f]{2}>|\?\?)(?: (?:[0-9a-f]{2}|<[0-9a-f]{2}>|\?\?))*)/,
    stage: undefined,
    role: 'inside',
    // A second one is of the interrupted program; before 4.19 the only one stands behind the trace.
    within: ({ code }) => code === undefined,
    read: (m) => codeLine(m[1] as string),
    samples: [
      {
        line: 'Code: 5d c3 48 83 fe ff 74 da <0f> 0b 48 03 3d ce',
        states: {
          code: {
            runs: [
              {
                offset: 0,
                bytes: [0x5d, 0xc3, 0x48, 0x83, 0xfe, 0xff, 0x74, 0xda, 0x0f, 0x0b, 0x48, 0x03, 0x3d, 0xce],
              },
            ],
            trap: 8,
          },
        },
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: 'no code',
    origin: 'linux',
    hint: /Code: +(?:Bad RIP|Unable to access)/,
    pattern: /\bCode: +(?:Bad RIP value|Unable to access opcode bytes)/,
    stage: undefined,
    role: 'inside',
    read: (m) => ({ remarks: [m[0]] }),
    samples: [
      { line: 'Code: Bad RIP value.', states: { remarks: ['Code: Bad RIP value'] }, given: { system: 'linux' } },
    ],
  },
  {
    name: 'call trace header',
    origin: 'linux',
    hint: /Call [Tt]race:/,
    pattern: /\bCall [Tt]race:/,
    stage: undefined,
    role: 'inside',
    read: () => ({ trace: [] }),
    samples: [{ line: 'Call Trace:', states: { trace: [] }, given: { system: 'linux' } }],
  },
  {
    name: 'call trace line',
    origin: 'linux',
    hint: /\+0x[0-9a-f]+\/0x[0-9a-f]/,
    pattern: new RegExp(
      String.raw`^ *(?:\[<?([0-9a-f]*)>?\] +)?(\? )?(${SYMBOL})(?: \[[\w-]+\])?(?: \S+:\d+)?(?: \[inline\])? *$`,
    ),
    stage: undefined,
    role: 'inside',
    within: ({ trace, system }) => trace !== undefined && system === 'linux',
    read: (m) => {
      const line: TraceLine = {
        address: m[1] ? parseWord(m[1]) : undefined,
        symbol: m[3],
        certain: m[2] === undefined,
      };
      return { trace: [line] };
    },
    samples: [
      {
        line: ' [<ffffffff81358bd9>] ? do_page_fault+0x339/0x4e0',
        states: { trace: [{ address: 0xffffffff81358bd9n, symbol: 'do_page_fault+0x339/0x4e0', certain: false }] },
        given: { system: 'linux', trace: [] },
      },
      {
        line: ' flush_tlb_mm_range+0x26d/0x370 arch/x86/mm/tlb.c:317',
        states: { trace: [{ address: undefined, symbol: 'flush_tlb_mm_range+0x26d/0x370', certain: true }] },
        given: { system: 'linux', trace: [] },
      },
    ],
  },
  {
    name: '32-bit version',
    origin: 'linux',
    hint: 'EFLAGS: ',
    pattern: /\bEFLAGS: [0-9a-f]{8} +\((\d+\.\d+[\w.+~-]*) #/,
    stage: undefined,
    role: 'inside',
    read: (m) => ({ version: m[1] as string, is32Bit: true }),
    samples: [
      {
        line: 'EFLAGS: 00000286   (2.6.17-rc2 #3)',
        states: { version: '2.6.17-rc2', is32Bit: true },
        given: { system: 'linux' },
      },
    ],
  },
  {
    name: '32-bit registers',
    origin: 'linux',
    hint: /\b(?:EIP|EAX|eax): |EIP is at |\*pde = /,
    pattern:
      /\bEIP: +(?:[0-9a-f]{4}:)?(?:\[<([0-9a-f]{8})>\]|([\w.$]+\+0x[0-9a-f]+\/0x[0-9a-f]+))|\bEIP is at ([\w.$]+\+0x[0-9a-f]+\/0x[0-9a-f]+)|\b(?:EAX|eax): [0-9a-f]{8}(?![0-9a-f])|\*pde = /,
    stage: undefined,
    role: 'belongs',
    within: beforeTrace,
    read: (m) => {
      const symbol = m[2] ?? m[3];
      return {
        system: 'linux',
        is32Bit: true,
        ...(m[1] === undefined ? {} : { registers: { rip: parseWord(m[1]) } }),
        ...(symbol === undefined ? {} : { ripSymbol: symbol }),
      };
    },
    samples: [
      {
        line: 'EIP:    0060:[<c0123456>]    Not tainted VLI',
        states: { is32Bit: true, registers: { rip: 0xc0123456n } },
      },
      { line: 'EIP is at create_dir+0x15/0x165', states: { ripSymbol: 'create_dir+0x15/0x165' } },
      { line: 'EAX: 00000000 EBX: c1371fd0 ECX: 00000001 EDX: c1742000', states: { is32Bit: true } },
    ],
  },
];
