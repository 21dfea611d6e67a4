// What explaining a crash gives: facts as fields, and sentences only where a fact needs one. Renderers (render/*.ts) lay it out;
// `--json` is this value with 64-bit words as "0x…" strings. docs/explain.md describes every field.

import type { EntryFlag } from './derive/entry-flags.js';
import type { ErrorCodeBit } from './derive/error-code.js';
import type { Truth } from './derive/truth.js';
import type { CrashKind, CrashSystem, TraceLine, WalkLevel } from './facts.js';
import type { MachineEvidence } from './machine-evidence.js';
import type { Certainty, Family, KnownCase } from './rules/diagnosis.js';

/** What a whole text gives. */
export interface Reading {
  /** In the order of the text. */
  readonly crashes: readonly Explanation[];
  readonly lines: number;
  /** Lines that no format recognises. */
  readonly noise: number;
}

export interface Explanation {
  /** One sentence: what crashed, and why, as far as the text tells. */
  readonly summary: string;
  readonly verdict: Verdict;
  readonly crash: CrashFacts;
  readonly access: AccessFacts | undefined;
  readonly mode: ModeFacts;
  readonly errorCode: ErrorCodeFacts | undefined;
  readonly walk: WalkFacts | undefined;
  readonly code: readonly CodeFacts[];
  readonly registers: readonly RegisterNote[];
  readonly trace: readonly TraceLine[];
  /** Statements of the text that cannot all be true of one moment. */
  readonly contradictions: readonly string[];
  /** What follows from the facts, one sentence each: checks that came out, places found, values recognised. */
  readonly findings: readonly string[];
  /** Most likely first; the first is the verdict. */
  readonly causes: readonly Cause[];
  readonly next: readonly string[];
  /** What the text has lost, and what that leaves open. */
  readonly missing: readonly string[];
  /** What Xen or the kernel said besides. */
  readonly remarks: readonly string[];
  readonly machine: MachineFacts | undefined;
}

export interface Verdict {
  readonly id: string;
  readonly text: string;
  readonly family: Family;
  readonly certainty: Certainty;
}

export interface CrashFacts {
  readonly system: CrashSystem | undefined;
  readonly kind: CrashKind | undefined;
  readonly headline: string | undefined;
  readonly vector: number | undefined;
  /** "#PF page fault". */
  readonly exception: string | undefined;
  readonly domain: number | undefined;
  readonly vcpu: number | undefined;
  readonly cpu: number | undefined;
  readonly task: string | undefined;
  readonly pid: number | undefined;
  readonly version: string | undefined;
  readonly hardware: string | undefined;
  readonly rip: bigint | undefined;
  readonly symbol: string | undefined;
  /** File and line, when a file with debug information was given. */
  readonly source: string | undefined;
  readonly firstLine: number | undefined;
  readonly lastLine: number | undefined;
}

export interface AccessFacts {
  readonly kind: 'read' | 'write' | 'fetch' | undefined;
  readonly address: bigint | undefined;
  /** The page, when only that is known. */
  readonly page: bigint | undefined;
  /** What lies there: "the kernel's image mapping". */
  readonly place: string | undefined;
  readonly bytes: number | undefined;
  /** Intel's syntax. */
  readonly instruction: string | undefined;
  /** The operand as written, and the address that the registers give it. */
  readonly operand: string | undefined;
  readonly operandAddress: bigint | undefined;
  readonly operandAgrees: Truth;
  /** The value it would have stored, where the registers tell. */
  readonly value: bigint | undefined;
}

export interface ModeFacts {
  /** "guest kernel", "hypervisor", … */
  readonly who: string | undefined;
  readonly cpl: 0 | 3 | undefined;
  readonly because: readonly string[];
}

export interface ErrorCodeFacts {
  readonly value: number;
  readonly bits: readonly ErrorCodeBit[];
}

export interface WalkFacts {
  readonly address: bigint | undefined;
  readonly levels: readonly WalkLevelFacts[];
  readonly missing: readonly WalkLevel[];
  readonly outcome: 'maps' | 'not-present' | 'open';
  /** Effective rights; undefined where a lost line leaves them open. */
  readonly rights: { readonly writable: Truth; readonly user: Truth; readonly executable: Truth };
  /** Whether these tables allow the access. */
  readonly allowsAccess: Truth;
  readonly pfnCheck: PfnCheck | undefined;
}

export interface WalkLevelFacts {
  readonly level: WalkLevel;
  readonly index: number | undefined;
  readonly indexFromAddress: number | undefined;
  readonly indexAgrees: Truth;
  readonly entry: bigint;
  readonly frame: bigint;
  readonly pfn: bigint | 'invalid' | undefined;
  readonly present: boolean;
  readonly large: boolean;
  readonly flags: readonly EntryFlag[];
}

/** The page's pfn against its address: they agree when the address is in a known linear map. */
export interface PfnCheck {
  readonly pfn: bigint;
  readonly base: bigint;
  readonly words: string;
}

export interface CodeFacts {
  readonly address: bigint | undefined;
  readonly offset: number;
  readonly bytes: string;
  readonly intel: string;
  readonly att: string;
  readonly trapping: boolean;
}

export interface RegisterNote {
  readonly register: string;
  readonly value: bigint;
  readonly says: string;
}

export interface Cause {
  readonly id: string;
  readonly text: string;
  readonly family: Family;
  readonly certainty: Certainty;
  readonly score: number;
  readonly explanation: string;
  readonly evidenceFor: readonly string[];
  readonly evidenceAgainst: readonly string[];
  /** What would tell this cause from the others. */
  readonly wanted: readonly string[];
  readonly sources: readonly string[];
  readonly alike: readonly KnownCase[];
}

export interface MachineFacts {
  readonly evidence: MachineEvidence;
  /** The same as sentences, in the order of time. */
  readonly story: readonly string[];
}
