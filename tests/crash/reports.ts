// Made-up reports for the tests of crash: one call says what matters, the rest is filled in plausibly.

import type { CrashCause, CrashReport, DumpForm, WalkLine } from '../../src/abi/crash-report.js';
import { type Level, PTE_P, tableIndex } from '../../src/abi/paging.js';

export interface Sketch {
  readonly form?: DumpForm;
  readonly vector?: number;
  readonly errorCode?: number;
  readonly vaddr?: bigint;
  /** The entries of the walk from L4 down, as far as it goes. */
  readonly entries?: readonly bigint[];
  readonly rip?: bigint;
  readonly gpr?: Partial<Record<number, bigint>>;
  readonly domain?: number;
  readonly cr3?: bigint;
  readonly words?: readonly bigint[];
  /** pfns of the walk's frames; a fixed distance from the mfn unless given. */
  readonly pfns?: readonly bigint[];
}

/** A kernel's tables: every level present, writable, user. */
export const UPPER = [0x0c3f_1806_7n, 0x0c3f_1406_7n, 0x0dc8_b206_7n] as const;

export function sketch(s: Sketch): CrashReport {
  const form = s.form ?? '4.1';
  const vector = s.vector ?? 14;
  const hasCode = [8, 10, 11, 12, 13, 14, 17].includes(vector);
  const cause: CrashCause = { kind: 'unhandled', vector, errorCode: hasCode ? (s.errorCode ?? 0) : undefined };
  const vaddr = s.vaddr ?? 0xffffffff84dc7000n;
  const lines: readonly WalkLine[] = (s.entries ?? []).map((entry, depth) => {
    const level = (4 - depth) as Level;
    const pfn = s.pfns?.[depth] ?? ((entry >> 12n) & 0xffffffffffn) + 0x10n;
    return { level, index: tableIndex(vaddr, level), entry, pfn: (entry & PTE_P) === 0n ? undefined : pfn };
  });
  return {
    domain: s.domain ?? 7,
    vcpu: 0,
    cpu: 2,
    cause,
    walk: vector === 14 ? { vaddr, lines } : undefined,
    xen: {
      form,
      version: form === '4.1' ? '4.1.3' : '4.17.7',
      debug: 'n',
      taint: 'Not tainted',
      entryPoint:
        form === '4.1'
          ? undefined
          : { address: 0xffff82d040204b78n, symbol: 'x86_64/entry.S#create_bounce_frame+0x14f/0x177' },
    },
    eventMask: true,
    registers: {
      rip: s.rip ?? 0xffffffff81001234n,
      rflags: 0x10206n,
      gpr: Array.from({ length: 16 }, (_, n) => s.gpr?.[n] ?? 0x1111_0000_0000n + BigInt(n)),
      cr0: 0x8005003bn,
      cr2: vector === 14 ? vaddr : 0n,
      cr3: s.cr3 ?? 0x12345000n,
      cr4: 0x2660n,
      fsBase: 0n,
      gsBase: 0xffffffff81c00000n,
      gsShadow: 0n,
      ds: 0,
      es: 0,
      fs: 0,
      gs: 0,
      ss: 0xe02b,
      cs: 0xe033,
    },
    stack: { words: s.words ?? [1n, 2n, 3n, 4n, 5n], stop: s.words?.length === 0 ? 'empty' : undefined },
  };
}
