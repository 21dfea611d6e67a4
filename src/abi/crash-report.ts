// A crash of a Xen PV guest as a value: what Xen's console dump states, field by field. `xen` makes one when a domain
// crashes, `crash` prints it in a Xen version's form and parses such text back to it.
// Source: Xen 4.1 and 4.17 arch/x86/traps.c, x86_64/traps.c (show_registers, show_page_walk, do_page_fault), common/domain.c.

import type { Level } from './paging.js';

/** The two forms in which Xen prints a dump; other versions' forms are variants of these. */
export type DumpForm = '4.1' | '4.17';

/** One line of "Pagetable walk from": the raw entry and what the M2P says of its frame. */
export interface WalkLine {
  readonly level: Level;
  readonly index: number;
  readonly entry: bigint;
  /** M2P[frame of entry]; undefined where Xen prints ffffffffffffffff (no such frame). */
  readonly pfn: bigint | undefined;
}

/** Why the domain crashed, as the first lines of the dump say it. */
export type CrashCause =
  /** An exception whose handler the guest has not registered. */
  | { readonly kind: 'unhandled'; readonly vector: number; readonly errorCode: number | undefined }
  /** domain_crash() called by Xen, with what Xen printed before it. */
  | { readonly kind: 'domain-crash'; readonly message: string; readonly calledFrom: string };

export interface CrashRegisters {
  readonly rip: bigint;
  readonly rflags: bigint;
  /** By encoding number: rax rcx rdx rbx rsp rbp rsi rdi r8 … r15. */
  readonly gpr: readonly bigint[];
  readonly cr0: bigint;
  readonly cr2: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  /** The bases are undefined where the form does not print them: before 4.10. */
  readonly fsBase: bigint | undefined;
  readonly gsBase: bigint | undefined;
  /** The GS base that swapgs would bring in ("gss"). */
  readonly gsShadow: bigint | undefined;
  readonly ds: number;
  readonly es: number;
  readonly fs: number;
  readonly gs: number;
  readonly ss: number;
  readonly cs: number;
}

export interface CrashReport {
  readonly domain: number;
  readonly vcpu: number;
  /** The physical CPU. */
  readonly cpu: number;
  readonly cause: CrashCause;
  /** Only for page faults: the address and the lines of the walk, from L4 down to where it stopped. */
  readonly walk: { readonly vaddr: bigint; readonly lines: readonly WalkLine[] } | undefined;
  readonly xen: {
    readonly form: DumpForm;
    /** As in the banner: "4.1.3OVM". */
    readonly version: string;
    /** "n" or "y". */
    readonly debug: string;
    readonly taint: string;
    /** 4.4 and later: " fault at …" behind "domain_crash_sync called from entry.S:"; the address and its symbol. */
    readonly entryPoint: { readonly address: bigint; readonly symbol: string } | undefined;
  };
  /** evtchn_upcall_mask, printed as EM. */
  readonly eventMask: boolean;
  readonly registers: CrashRegisters;
  /** Words from rsp upwards, at most 80, and why Xen stopped before that, if it did. */
  readonly stack: { readonly words: readonly bigint[]; readonly stop: 'fault' | 'inaccessible' | 'empty' | undefined };
}
