// Crashes that software decided on: assertions, BUGs, compiled-in checkers, panics for a reason. What the software says of
// itself is certain; why its condition came about is not in the text.

import type { Case } from '../derive/case.js';
import { hexWord, isKind, isSystem, known, type Truth } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

const X86_UD = 6;
const SAYS_SO = 20;

const remarksSay =
  (pattern: RegExp) =>
  ({ facts }: Case): Truth =>
    facts.remarks?.some((remark) => pattern.test(remark)) ?? undefined;
const panicSays =
  (pattern: RegExp) =>
  ({ facts }: Case): Truth =>
    known(facts.panicMessage, (message) => pattern.test(message));
const hintSays =
  (pattern: RegExp) =>
  ({ facts }: Case): Truth =>
    known(facts.accessWords?.hint, (hint) => pattern.test(hint));

const quoted = ({ facts }: Case): string => (facts.headline === undefined ? 'the text says so' : `"${facts.headline}"`);

export const declined32Bit: Diagnosis = {
  id: 'declined-32-bit',
  verdict: 'a 32-bit dump, which is recognised but not explained: only 64-bit ones are',
  family: 'unknown',
  requires: [{ when: isKind('32-bit'), weight: 30, says: 'registers or stack have the 32-bit form' }],
  clues: [],
  explanation: () =>
    'Paging, segments and code of a 32-bit kernel, guest or hypervisor differ from what is modelled here. What the text states is set out above as it stands.',
  next: () => [
    'For an explanation use tools of that time (ksymoops, the decodecode script of the same kernel), or reproduce it on a 64-bit kernel.',
  ],
  sources: ['Linux arch/x86/kernel/process_32.c; Xen arch/x86/x86_32/traps.c (to 4.2)'],
  examples: ['corpus/linux-2.6.17-32bit-oops.log', 'corpus/xen-4.1-guest-32bit.log'],
};

export const failedAssertion: Diagnosis = {
  id: 'failed-assertion',
  verdict: ({ facts }) =>
    `a check in the code failed and stopped it${facts.headline === undefined ? '' : `: ${facts.headline}`}`,
  family: 'check',
  requires: [
    {
      when: (of) =>
        known(
          of.facts.kind,
          (kind) =>
            kind === 'bug' ||
            kind === 'assertion' ||
            (kind === 'invalid-opcode' && (of.instruction === undefined || of.effects?.raises === X86_UD)),
        ),
      weight: 8,
      says: (of) =>
        of.facts.kind === 'invalid-opcode'
          ? 'an invalid opcode: BUG() and assertions are the instruction ud2'
          : `it says so: ${quoted(of)}`,
    },
  ],
  clues: [
    {
      when: ({ facts }) => (facts.kind === 'invalid-opcode' ? undefined : known(facts.kind, () => true)),
      weight: SAYS_SO - 8,
      says: 'the place in the source is named',
    },
    {
      when: ({ effects }) => known(effects, ({ raises }) => raises === X86_UD),
      weight: 4,
      says: 'the instruction is ud2, as BUG() is compiled',
    },
  ],
  explanation: ({ facts }) =>
    facts.kind === 'invalid-opcode'
      ? 'BUG(), BUG_ON() and assertions end in the instruction ud2. Early in boot, before the kernel has an exception handler, all that is left to see of one is an invalid opcode.'
      : 'The code checked something that must hold, and it did not. The place is exact; the reason lies before it: in who brought about the state that was checked.',
  next: ({ facts }) => [
    facts.kind === 'invalid-opcode'
      ? 'Look up rip in the kernel: the BUG_ON() there, and what it checks.'
      : 'Read the condition at the place named, and find out which of its parts failed: the registers often hold the values compared.',
    'Search for the place in the list archives: others who hit the same check.',
  ],
  sources: ['Linux include/asm-generic/bug.h, arch/x86/include/asm/bug.h', 'Xen common/bug.c'],
  examples: [
    'corpus/linux-4.12-leave-mm-bug.log',
    'corpus/xen-4.20-pcidevs-assertion.log',
    'corpus/xen-4.8-e820-conflict-deeply-quoted.log',
  ],
};

export const warningOnly: Diagnosis = {
  id: 'warning',
  verdict: ({ facts }) => `a warning, not a crash${facts.headline === undefined ? '' : `: ${facts.headline}`}`,
  family: 'check',
  requires: [{ when: isKind('warning'), weight: SAYS_SO, says: (of) => quoted(of) }],
  clues: [],
  explanation: () => 'The code noticed something that should not be, said so, and went on.',
  next: () => ['Read the condition at the place named. A warning just before a crash is often its first symptom.'],
  sources: ['Linux include/asm-generic/bug.h WARN()'],
  examples: [],
};

export const useAfterFree: Diagnosis = {
  id: 'use-after-free',
  verdict: 'memory was used after it had been freed',
  family: 'check',
  requires: [
    {
      when: (of) =>
        hintSays(/use-after-free|invalid-free|double-free/)(of)
          ? true
          : of.poison === undefined
            ? of.facts.registers === undefined
              ? undefined
              : false
            : true,
      weight: 7,
      says: (of) =>
        hintSays(/use-after-free|invalid-free|double-free/)(of)
          ? `the checker says so: ${quoted(of)}`
          : `${of.poison?.name} holds ${of.poison?.words}`,
    },
  ],
  clues: [
    { when: isKind('sanitizer'), weight: 13, says: 'a checker that is compiled in watched the memory' },
    {
      when: ({ poison }) => known(poison, ({ used }) => used),
      weight: 3,
      says: 'and the trapping access went through that value',
    },
  ],
  explanation: (of) =>
    of.facts.kind === 'sanitizer'
      ? 'The checker keeps track of every object: this one had been given back when it was accessed. Its report shows where it was freed.'
      : 'Freed memory is filled with a pattern, and deleted list entries get marked pointers, so that whoever still uses them is caught. Such a value was about to be used as a pointer.',
  next: () => [
    'Find who freed the object (the report of KASAN names it) and which path still held a pointer: usually a missing reference, lock or wait for a work item.',
    'Without KASAN: boot the kernel with slub_debug=FZPU, or build it with CONFIG_KASAN, and repeat.',
  ],
  sources: ['Linux include/linux/poison.h', 'Linux Documentation/dev-tools/kasan.rst'],
  examples: ['corpus/linux-6.13-kasan-l2cap.log', 'corpus/linux-3.16-memcg-oom-gpf.log'],
};

export const outOfBounds: Diagnosis = {
  id: 'out-of-bounds',
  verdict: 'memory outside the object was accessed',
  family: 'check',
  requires: [
    {
      when: hintSays(/out-of-bounds(?! in \/)|global-out|stack-out|slab-out|vmalloc-out|wild-memory-access/),
      weight: SAYS_SO,
      says: (of) => `the checker says so: ${quoted(of)}`,
    },
    { when: isKind('sanitizer'), weight: 0, says: '' },
    { when: (of) => !/^UBSAN|shift-out/.test(of.facts.headline ?? ''), weight: 0, says: '' },
  ],
  clues: [],
  explanation: () =>
    'The access lies behind or before the object that the pointer was made for: an index or a length was not checked.',
  next: () => [
    'Compare the offset in the report with the size of the object, and find the index or length that was not checked.',
  ],
  sources: ['Linux Documentation/dev-tools/kasan.rst'],
  examples: [],
};

export const undefinedBehaviour: Diagnosis = {
  id: 'undefined-behaviour',
  verdict: ({ facts }) =>
    `the code did something that C leaves undefined${facts.accessWords?.hint === undefined ? '' : `: ${facts.accessWords.hint}`}`,
  family: 'check',
  requires: [
    {
      when: ({ facts }) => known(facts.headline, (line) => line.startsWith('UBSAN')),
      weight: SAYS_SO,
      says: (of) => `the checker says so: ${quoted(of)}`,
    },
  ],
  clues: [],
  explanation: () =>
    'UBSAN checks at run time what the compiler may assume never to happen: shifts that are too far, overflows, misaligned pointers. It reports and goes on.',
  next: () => ['Read the expression at the place named, and check its operands before it.'],
  sources: ['Linux Documentation/dev-tools/ubsan.rst; Xen common/ubsan'],
  examples: ['corpus/linux-5.10-ubsan-io-uring.log', 'corpus/xen-4.11-ubsan-vtd-quirk.log'],
};

export const dataRace: Diagnosis = {
  id: 'data-race',
  verdict: 'two CPUs accessed the same memory at once, and at least one wrote, with nothing to order them',
  family: 'check',
  requires: [{ when: hintSays(/data-race/), weight: SAYS_SO, says: (of) => `the checker says so: ${quoted(of)}` }],
  clues: [],
  explanation: () =>
    'KCSAN stops at an access and looks whether another CPU touches the same memory meanwhile. It did.',
  next: () => [
    'Take the lock that the other side takes, or mark both accesses (READ_ONCE, WRITE_ONCE) where the race is meant.',
  ],
  sources: ['Linux Documentation/dev-tools/kcsan.rst'],
  examples: ['corpus/linux-kcsan-udp-tskey.log'],
};

export const uninitialised: Diagnosis = {
  id: 'uninitialised-memory',
  verdict: 'memory was used that nobody had written',
  family: 'check',
  requires: [
    { when: hintSays(/uninit|kernel-infoleak/), weight: SAYS_SO, says: (of) => `the checker says so: ${quoted(of)}` },
  ],
  clues: [],
  explanation: () => 'KMSAN follows every byte from where it was written. This one never was.',
  next: () => ['Initialise the object where it is allocated; the report names the place.'],
  sources: ['Linux Documentation/dev-tools/kmsan.rst'],
  examples: [],
};

export const noRootDevice: Diagnosis = {
  id: 'no-root-device',
  verdict: 'the kernel found no file system to mount as root',
  family: 'check',
  requires: [
    {
      when: panicSays(/Unable to mount root fs|VFS: Cannot open root/),
      weight: SAYS_SO,
      says: (of) => `"${of.facts.panicMessage}"`,
    },
  ],
  clues: [],
  explanation: () =>
    'The device of root= does not exist (its driver is missing, or the name is wrong), or holds no file system that the kernel knows.',
  next: () => [
    'Check root= on the command line and the initramfs: under Xen the disk is xvda, and its driver is xen-blkfront.',
  ],
  sources: ['Linux init/do_mounts.c'],
  examples: ['corpus/linux-4.19-no-root-device.log'],
};

export const noInit: Diagnosis = {
  id: 'no-init',
  verdict: 'the kernel found no program to run as the first process, or that program ended',
  family: 'check',
  requires: [
    {
      when: panicSays(/No working init found|No init found|Attempted to kill init/),
      weight: SAYS_SO,
      says: (of) => `"${of.facts.panicMessage}"`,
    },
  ],
  clues: [],
  explanation: () =>
    'The root file system is mounted, but /sbin/init (or init=) is not there, is for another architecture, or exited.',
  next: () => [
    'Check init= and whether the file and its interpreter are on the root file system. exitcode=0x0000000b means that init got SIGSEGV.',
  ],
  sources: ['Linux init/main.c kernel_init, kernel/exit.c'],
  examples: ['corpus/linux-5.10-no-init.log'],
};

export const outOfMemory: Diagnosis = {
  id: 'out-of-memory',
  verdict: 'memory ran out',
  family: 'check',
  requires: [
    {
      when: (of) =>
        panicSays(/[Oo]ut of memory|deadlocked on memory|Could not allocate/)(of) ||
        remarksSay(/failed: -12\b|Could not allocate order|[Oo]ut of memory/)(of) ||
        (of.facts.panicMessage === undefined && of.facts.remarks === undefined ? undefined : false),
      weight: 12,
      says: (of) =>
        of.facts.panicMessage === undefined
          ? `Xen said: ${of.facts.remarks?.find((remark) => /-12\b|allocate|memory/.test(remark))}`
          : `"${of.facts.panicMessage}"`,
    },
  ],
  clues: [],
  explanation: ({ facts }) =>
    facts.system === 'xen-guest'
      ? 'An allocation that Xen needed on behalf of the guest failed with -12 (ENOMEM), in a place where the only answer is to crash the guest.'
      : 'Nothing could be freed any more, and there was no process left to kill.',
  next: () => [
    "Give more memory to the guest, or, where Xen's own pool ran out (IOMMU page tables, shadow), to Xen: leave some of the host's free.",
  ],
  sources: ['Xen drivers/passthrough/iommu.c; Linux mm/oom_kill.c'],
  examples: ['corpus/xen-4.18-iommu-mapping-failed.log', 'corpus/linux-oom-deadlocked-on-memory.log'],
};

export const stackCorruption: Diagnosis = {
  id: 'stack-corruption',
  verdict: 'something wrote over the stack: the guard value of a function was not what it had been',
  family: 'check',
  requires: [
    {
      when: panicSays(/stack-protector: Kernel stack is corrupted/),
      weight: SAYS_SO,
      says: (of) => `"${of.facts.panicMessage}"`,
    },
  ],
  clues: [],
  explanation: () =>
    'A function keeps a secret value between its variables and its return address, and compares it before it returns. It had changed: a write ran past the end of a variable, or somebody else wrote into this stack.',
  next: () => [
    'Look at arrays on the stack of the function named, and at what it called; then at other CPUs that may have written through a stale pointer.',
  ],
  sources: ['Linux kernel/panic.c __stack_chk_fail'],
  examples: ['corpus/linux-5.4-stack-protector-panic.log'],
};

export const otherPanic: Diagnosis = {
  id: 'panic',
  verdict: ({ facts }) => `the kernel gave up: ${facts.panicMessage ?? facts.headline ?? 'no reason in the text'}`,
  family: 'check',
  requires: [{ when: isKind('panic'), weight: 4, says: (of) => quoted(of) }],
  clues: [],
  explanation: () => 'A panic is a decision of the software: it saw no way to go on. Its message says why.',
  next: () => ['Search for the message, and look at the lines before the panic.'],
  sources: ['Linux kernel/panic.c; Xen drivers/char/console.c panic'],
  examples: [],
};

export const badPageTableEntry: Diagnosis = {
  id: 'bad-page-table-entry',
  verdict: 'a page-table entry is not what it should be: garbage, or refused by Xen',
  family: 'check',
  requires: [
    {
      when: (of) =>
        hintSays(/bad page map|corrupted page table/)(of) ||
        remarksSay(/Bad L\d flags|Error getting mfn|Bad type \(saw/)(of) ||
        known(of.facts.ripSymbol, (symbol) => /^(?:do_)?vmalloc_fault\+/.test(symbol) && of.facts.kind === 'bug') ||
        (of.facts.accessWords === undefined && of.facts.remarks === undefined && of.facts.ripSymbol === undefined
          ? undefined
          : false),
      weight: 9,
      says: (of) => {
        const remark = of.facts.remarks?.find((line) => /Bad L\d flags|Error getting mfn|Bad type/.test(line));
        return remark === undefined ? quoted(of) : `Xen refused an entry just before: "${remark}"`;
      },
    },
  ],
  clues: [
    {
      when: ({ facts }) => known(facts.kind, (kind) => kind === 'bug'),
      weight: 20,
      says: 'the code that looks after page tables noticed it',
    },
    {
      when: ({ errorCode, walk }) =>
        known(errorCode, ({ reserved, present }) => reserved && present && walk?.last?.present),
      weight: 4,
      says: ({ walk }) => `a reserved bit is set in an entry: ${hexWord(walk?.last?.entry ?? 0n)}`,
    },
  ],
  explanation: (of) =>
    isSystem('xen-guest')(of)
      ? 'The guest asked Xen for a page-table entry that Xen does not allow (a bad flag, a frame that is not its own). Guests end in BUG() when the hypercall fails.'
      : 'An entry holds a value that no kernel writes there. The table was written over, freed and used for something else, or read while another CPU took it away. Under Xen it can also be an update that was only queued (lazy MMU mode) when it was looked at.',
  next: (of) =>
    isSystem('xen-guest')(of)
      ? [
          'Decode the flags that Xen names: bits 23:12 are bits 63:52 of the entry. Bit 63 (NX) in an entry while EFER.NX is off is a common one.',
        ]
      : [
          'See what the value looks like (text, pointers), who owned the page-table page before, and whether tables are freed before the flush that covers them.',
        ],
  sources: [
    'Linux mm/memory.c print_bad_pte, arch/x86/mm/fault.c pgtable_bad',
    'Xen arch/x86/mm.c (Bad L1 flags)',
    'Linux 1160c2779b82 (vmalloc_fault during lazy MMU updates)',
  ],
  alike: [
    {
      name: 'Linux 1160c2779b82 (2013)',
      words: 'set_pgd only queued in lazy MMU mode, so vmalloc_fault() found the entry missing: BUG at fault.c',
    },
  ],
  examples: [
    'corpus/linux-bad-page-map-oom-reaper.log',
    'corpus/xen-4.4-and-4.15-bad-l1-flags.log',
    'corpus/linux-6.10-corrupted-page-table-journal.log',
  ],
};
