// What a crash text states, fact by fact, whichever system wrote it. Every field may be missing: a console loses lines, and
// nothing that is not in the text is ever put here. Conclusions are drawn from these facts in derive/ and rules/.
// Sources for what each system prints: formats/*.ts, format by format.

/** Who printed the dump: Xen about a guest, Xen about itself, or a Linux kernel about itself. */
export type CrashSystem = 'xen-guest' | 'xen' | 'linux';

/** What happened, in the text's own terms. `exception` is any vector that has no kind of its own. */
export type CrashKind =
  | 'page-fault'
  | 'general-protection'
  | 'invalid-opcode'
  | 'double-fault'
  | 'machine-check'
  | 'exception'
  /** BUG(), BUG_ON(), "kernel BUG at", "Xen BUG at", and what Linux prints behind "BUG: ". */
  | 'bug'
  | 'assertion'
  | 'warning'
  /** KASAN, KMSAN, KCSAN, KFENCE, UBSAN: a checker compiled into the kernel found it. */
  | 'sanitizer'
  | 'stack-overflow'
  | 'soft-lockup'
  | 'hard-lockup'
  | 'rcu-stall'
  | 'hung-task'
  /** Xen's own watchdog. */
  | 'watchdog'
  | 'panic'
  /** domain_crash() by Xen, for a reason other than an exception without a handler. */
  | 'domain-crash'
  /** Registers that somebody asked for: no crash by itself. */
  | 'state-dump'
  /** Lines of a dump whose beginning is not in the text. */
  | 'fragment'
  /** A 32-bit kernel's or hypervisor's dump: recognised, and not read further. */
  | '32-bit';

/** Paging levels as texts name them; 5 is the top level of five-level paging (Linux PGD beside a P4D of its own). */
export type WalkLevel = 1 | 2 | 3 | 4 | 5;

/** One entry of a printed page-table walk. */
export interface StatedEntry {
  readonly level: WalkLevel;
  /** As printed; Linux prints none. */
  readonly index: number | undefined;
  readonly entry: bigint;
  /** The pseudo-physical frame that Xen's machine-to-physical table gives; 'invalid' where Xen prints all ones. */
  readonly pfn: bigint | 'invalid' | undefined;
}

/** Bytes around the instruction pointer. Offsets are the text's own; bytes that the text does not show have no place here. */
export interface StatedCode {
  /** Runs of bytes without holes, ascending and disjoint. */
  readonly runs: readonly CodeRun[];
  /** The offset of the instruction that trapped, if the text marks it. */
  readonly trap: number | undefined;
}

export interface CodeRun {
  readonly offset: number;
  readonly bytes: readonly number[];
}

/** A line of a call trace. `certain` is false where the kernel itself marks it as a guess ("?", Xen's S lines). */
export interface TraceLine {
  readonly address: bigint | undefined;
  readonly symbol: string | undefined;
  readonly certain: boolean;
}

// biome-ignore format: a row as the dumps have it
export const WORD_REGISTERS = [
  'rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15',
  'rip', 'rflags', 'cr0', 'cr2', 'cr3', 'cr4', 'fsb', 'gsb', 'gss',
] as const;

/** 64-bit registers by the names Xen prints; Linux's capitals and FS/GS bases are mapped to them. */
export type WordRegister = (typeof WORD_REGISTERS)[number];
export type SelectorRegister = 'cs' | 'ss' | 'ds' | 'es' | 'fs' | 'gs';

export interface Facts {
  readonly system?: CrashSystem;
  readonly kind?: CrashKind;
  /** The text's own words for what happened: the line that says it, without prefixes. */
  readonly headline?: string;
  readonly vector?: number;
  readonly errorCode?: number;
  /** The faulting linear address. */
  readonly address?: bigint;
  /** What the text says in words about the access (Linux since 5.0, and its "NX-protected", "user address" hints). */
  readonly accessWords?: AccessWords;

  readonly domain?: number;
  readonly vcpu?: number;
  readonly cpu?: number;
  readonly pid?: number;
  /** The task's name, as Linux prints it. */
  readonly task?: string;
  /** "4.1.3OVM", or a Linux release. */
  readonly version?: string;
  readonly debug?: string;
  readonly taint?: string;
  readonly hardware?: string;
  /** Xen's CONTEXT field. */
  readonly context?: 'hypervisor' | 'pv guest' | 'hvm guest';
  /** The CONTEXT field names a vCPU: Xen 4.4 and later. */
  readonly contextNamesVcpu?: boolean;
  readonly eventMask?: boolean;
  /** Where in Xen's entry code a guest's crash was noticed. */
  readonly entryPoint?: { readonly address: bigint; readonly symbol: string };
  /** "domain_crash called from …". */
  readonly crashCall?: string;
  /** "Panic on CPU n:", and the line under it. */
  readonly panicCpu?: number;
  readonly panicMessage?: string;
  /** How Xen worded the unhandled exception, which dates it. */
  readonly wording?: '3.x' | '4.1' | '4.5' | '4.9' | '4.17';

  readonly walkFrom?: bigint;
  readonly walk?: Readonly<Partial<Record<WalkLevel, StatedEntry>>>;
  readonly registers?: Readonly<Partial<Record<WordRegister, bigint>>>;
  readonly selectors?: Readonly<Partial<Record<SelectorRegister, number>>>;
  /** The symbol that the text gives for rip, as written: "clear_page+0x12/0x30". */
  readonly ripSymbol?: string;
  /** The text says that no code of the crashed program lies at rip. */
  readonly ripOutsideCode?: true;
  readonly stackFrom?: bigint;
  readonly stack?: readonly bigint[];
  readonly stackStop?: 'fault' | 'inaccessible' | 'empty';
  readonly trace?: readonly TraceLine[];
  readonly code?: StatedCode;
  /** Other lines that bear on the crash: what Xen refused just before, hints, panic messages. */
  readonly remarks?: readonly string[];
  /** How far KASLR moved a Linux kernel from where its files say it is. */
  readonly kernelOffset?: bigint;
  /** The dump is of a 32-bit kernel, guest or hypervisor. */
  readonly is32Bit?: true;
  /** Linux's "end trace" line was seen: what follows is of another event. */
  readonly ended?: true;
  /** Oops number in brackets, "[#1]". */
  readonly oopsNumber?: number;
}

export interface AccessWords {
  readonly access?: 'read' | 'write' | 'fetch';
  readonly privilege?: 'user' | 'supervisor';
  /** What the text itself makes of it: "NULL pointer dereference", "non-canonical", "NX-protected page"… */
  readonly hint?: string;
}

/** How much of a list is kept, so that a hostile or endless log cannot fill memory. */
export const LIST_LIMITS = { stack: 512, trace: 128, remarks: 16, codeBytes: 512 } as const;
