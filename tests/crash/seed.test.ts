// The seed: a real crash of 2013, as a console log and as a web page pasted whole. What must come out is what its report and
// its fix established, digit for digit.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Explanation, explain, explainReport, parse, renderMarkdown, renderText } from '../../src/crash/index.js';
import { sketch } from './reports.js';

const read = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8');
const LOG = read('crash-dl380-g4.txt');
const PAGE = read('commit-page.txt');
const VERDICT = 'stale TLB entry: rights were raised in memory, and the CPU still held the old translation';

const only = (text: string): Explanation => {
  const { crashes } = explain(text);
  expect(crashes).toHaveLength(1);
  return crashes[0] as Explanation;
};

describe.each([
  ['the log', LOG],
  ['the page', PAGE],
])('%s', (_, text) => {
  const explanation = only(text);
  const said = explanation.findings.join('\n');

  test('verdict and certainty', () => {
    expect(explanation.verdict).toEqual({
      id: 'stale-tlb-entry',
      text: VERDICT,
      family: 'stale-translation',
      certainty: 'very likely',
    });
    expect(explanation.summary).toBe(`Xen domain 244 crashed when its kernel wrote to ffffffff84dc7000: ${VERDICT}.`);
  });

  test('the crash itself', () => {
    expect(explanation.crash).toMatchObject({
      system: 'xen-guest',
      kind: 'page-fault',
      vector: 14,
      exception: '#PF page fault',
      domain: 244,
      vcpu: 0,
      cpu: 3,
      version: '4.1.3OVM',
      rip: 0xffffffff81263f22n,
    });
  });

  test('every index is recomputed from the address and agrees', () => {
    expect(
      explanation.walk?.levels.map(({ level, index, indexFromAddress, indexAgrees }) => [
        level,
        index,
        indexFromAddress,
        indexAgrees,
      ]),
    ).toEqual([
      [4, 0x1ff, 0x1ff, true],
      [3, 0x1fe, 0x1fe, true],
      [2, 0x026, 0x026, true],
      [1, 0x1c7, 0x1c7, true],
    ]);
    expect(said).toContain('L4 0x1ff, L3 0x1fe, L2 0x026, L1 0x1c7');
  });

  test('frames, pfns and flags of each entry', () => {
    const names = ['P', 'RW', 'US', 'A', 'D'];
    expect(
      explanation.walk?.levels.map(({ frame, pfn, flags }) => [frame, pfn, flags.map(({ name }) => name)]),
    ).toEqual([
      [0xc3f18n, 0x1789n, names],
      [0xc3f14n, 0x178dn, names],
      [0xdc8b2n, 0x4defn, names],
      [0xdc8dan, 0x4dc7n, [...names, 'bit 52']],
    ]);
    const bit52 = explanation.walk?.levels[3]?.flags.find(({ bit }) => bit === 52);
    expect(bit52?.meaning).toBe("Xen's mark for a page of the guest's kernel");
  });

  test('effective rights allow the write', () => {
    expect(explanation.walk).toMatchObject({
      rights: { writable: true, user: true, executable: true },
      allowsAccess: true,
      outcome: 'maps',
    });
  });

  test('pfn 4dc7 fits the address, and it says how the base is inferred', () => {
    expect(explanation.walk?.pfnCheck).toMatchObject({ pfn: 0x4dc7n, base: 0xffffffff80000000n });
    expect(said).toContain('ffffffff84dc7000 - 4dc7 * 0x1000 = ffffffff80000000');
    expect(said).toContain('how the base is inferred');
  });

  test('e033 is the guest kernel at CPL 3, and how that is known', () => {
    expect(explanation.mode).toMatchObject({ who: 'guest kernel', cpl: 3 });
    expect(explanation.mode.because.join(' ')).toMatch(/e033 .* CPL 3.*bit 2 of the error code, which Xen rewrites/);
  });

  test('the error code bit by bit', () => {
    expect(explanation.errorCode?.value).toBe(3);
    expect(explanation.errorCode?.bits.map(({ bit, name, set }) => [bit, name, set])).toEqual([
      [0, 'P', true],
      [1, 'W', true],
      [2, 'U', false],
      [3, 'RSVD', false],
      [4, 'I/D', false],
    ]);
  });

  test('entry and error code contradict each other', () => {
    expect(explanation.contradictions).toHaveLength(1);
    expect(explanation.contradictions[0]).toContain('Error code 0003');
  });

  test('rsi is the entry just handed to the hypercall, rdx asks for no flush, and the flush is named', () => {
    expect(said).toMatch(
      /rsi = 00000000dc8da063 is the page's own entry as the guest hands it to Xen \(P RW A D\); .* added US bit 52/,
    );
    expect(said).toMatch(/rdx = 0x0 .* HYPERVISOR_update_va_mapping.* UVMF_NONE, no flush\. UVMF_INVLPG/);
    expect(explanation.registers).toEqual(
      expect.arrayContaining([
        { register: 'rdi', value: 0xffffffff84dc7000n, says: 'the faulting address' },
        { register: 'rsi', value: 0xdc8da063n, says: "the page's entry, as the guest hands it to Xen" },
        { register: 'rdx', value: 0n, says: 'flags of the hypercall: no flush' },
      ]),
    );
    expect(explanation.next[0]).toContain('UVMF_INVLPG');
  });

  test("the page is the second of Xen's three boot tables", () => {
    expect(said).toContain('pfn 4def - 0x26 = 4dc9');
    expect(said).toContain('L4, L3, L2: pfns 4dc6, 4dc7, 4dc8');
    expect(said).toContain('pfn 4dc7, is the second of these three boot tables: the L3');
  });

  test('causes are ranked, with evidence for and against', () => {
    const ids = explanation.causes.map(({ id }) => id);
    expect(ids[0]).toBe('stale-tlb-entry');
    expect(ids).toContain('changed-after-fault');
    expect(ids).not.toContain('write-to-read-only-page');
    expect(explanation.causes[0]?.evidenceFor.length).toBeGreaterThan(5);
    expect(explanation.causes.find(({ id }) => id === 'changed-after-fault')?.evidenceAgainst).toHaveLength(1);
    const scores = explanation.causes.map(({ score }) => score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  });

  test('what the log has not', () => {
    expect(explanation.missing).toEqual(
      expect.arrayContaining(['registers rbp, rsp, r8 to r15', 'control registers', 'the stack']),
    );
  });

  test('text of at most 80 columns, and Markdown', () => {
    const lines = renderText(explanation).split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines[0]).toBe('Xen domain 244 crashed when its kernel wrote to ffffffff84dc7000: stale TLB');
    expect(renderMarkdown(explanation)).toContain(
      '| L1 | 0x1c7 | `00100000dc8da067` | dc8da | 4dc7 | P RW US A D bit 52 |',
    );
  });
});

describe('the log alone', () => {
  const explanation = only(LOG);

  test('has no code: the operand is guessed from the registers, and the gap is named', () => {
    expect(explanation.access).toMatchObject({ kind: 'write', address: 0xffffffff84dc7000n, instruction: undefined });
    expect(explanation.findings.join('\n')).toContain(
      'rdi holds the faulting address: the operand was most likely [rdi]',
    );
    expect(explanation.missing.join('\n')).toContain('code bytes');
  });
});

describe('the page alone', () => {
  const explanation = only(PAGE);

  test('names the instruction by the listing', () => {
    expect(explanation.access).toMatchObject({
      kind: 'write',
      bytes: 8,
      value: 0n,
      instruction: 'mov [rdi], rax',
      operand: '[rdi]',
      operandAddress: 0xffffffff84dc7000n,
      operandAgrees: true,
    });
    expect(explanation.code.find(({ trapping }) => trapping)).toMatchObject({
      address: 0xffffffff81263f22n,
      bytes: '48 89 07',
      att: 'mov %rax,(%rdi)',
    });
  });

  test('knows the loop, its first turn, and the flags that fit it', () => {
    const said = explanation.findings.join('\n');
    expect(said).toContain('turn 1 of 64');
    expect(said).toContain('RFLAGS 0000000000000216 is what its DEC leaves');
  });

  test('notes that both dumps died on the same page', () => {
    expect(explanation.findings.join('\n')).toMatch(
      /L1\[0x1c7\] = 001000004885f067 .* the same index and the same pfn 4dc7, other frame \(4885f there\): both dumps died on the same page/,
    );
  });
});

/** What the line was for, and what the text must then say of it. */
const LOST: readonly (readonly [RegExp, RegExp])[] = [
  [/unhandled page fault/, /names the exception.*error code/s],
  [/Pagetable walk from/, /faulting address/],
  [/L4\[0x1ff\]/, /line L4 of the walk/],
  [/L3\[0x1fe\]/, /line L3 of the walk/],
  [/L2\[0x026\]/, /line L2 of the walk/],
  [/L1\[0x1c7\] = 00100000dc8da067/, /line L1 of the walk/],
  [/domain_crash_sync/, /domain_crash/],
  [/Xen-4\.1\.3OVM/, /banner/],
  [/RIP:/, /RIP line/],
  [/RFLAGS:/, /RFLAGS/],
  [/rax: /, /rax, rbx, rcx/],
  [/rdx: /, /rdx, rsi, rdi/],
  [/15:\*/, /line of the trapping instruction/],
];

describe('any single line cut from the page', () => {
  const whole = only(PAGE);
  const lines = PAGE.split('\n');
  const order = ['unlikely', 'possible', 'likely', 'very likely', 'certain'];

  test.each(lines.map((line, index) => [index + 1, line] as const))('line %i: %s', (number, line) => {
    const explanation = only(lines.toSpliced(number - 1, 1).join('\n'));
    expect(explanation.verdict.id).toBe('stale-tlb-entry');
    expect(order.indexOf(explanation.verdict.certainty)).toBeLessThanOrEqual(order.indexOf(whole.verdict.certainty));
    const plain = line.replaceAll('\u00a0', ' ');
    for (const [cut, named] of LOST) if (cut.test(plain)) expect(explanation.missing.join('\n')).toMatch(named);
  });

  test.each([
    [/unhandled page fault/, 'errorCode'],
    [/15:\*/, 'instruction'],
    [/Pagetable walk/, 'address'],
  ] as const)('what %s alone says is gone with it, not made up', (cut, fact) => {
    const explanation = only(lines.filter((line) => !cut.test(line.replaceAll('\u00a0', ' '))).join('\n'));
    const facts = {
      errorCode: explanation.errorCode,
      instruction: explanation.access?.instruction,
      address: explanation.access?.address,
    };
    expect(facts[fact]).toBeUndefined();
  });

  test('without the address line the page is spelled from the indexes', () => {
    const explanation = only(lines.filter((line) => !line.includes('Pagetable')).join('\n'));
    expect(explanation.access?.page).toBe(0xffffffff84dc7000n);
  });

  test("the earlier dump's L1 line never becomes this dump's", () => {
    const explanation = only(lines.filter((line) => !line.includes('00100000dc8da067')).join('\n'));
    expect(explanation.walk?.levels.map(({ level }) => level)).toEqual([4, 3, 2]);
    expect(explanation.verdict.certainty).not.toBe('very likely');
  });
});

test('the same crash as a report of our own, with what the machine saw', () => {
  const report = sketch({
    domain: 244,
    errorCode: 3,
    entries: [0xc3f18067n, 0xc3f14067n, 0xdc8b2067n, 0x00100000dc8da067n],
    pfns: [0x1789n, 0x178dn, 0x4defn, 0x4dc7n],
    gpr: { 2: 0n, 6: 0xdc8da063n, 7: 0xffffffff84dc7000n },
  });
  const explanation = explainReport(report, {
    change: {
      hypercall: 'update_va_mapping',
      flags: 'UVMF_NONE',
      rip: 0xffffffff81001000n,
      symbol: 'recycle+0x20',
      before: 0x00100000dc8da025n,
      after: 0x00100000dc8da027n,
      time: 2000,
    },
    staleLoad: {
      why: 'wrong-path',
      rip: 0xffffffff81263f22n,
      symbol: 'clear_page+0x12',
      entry: 0x00100000dc8da025n,
      time: 1900,
    },
    flushes: [{ what: 'type change of mfn dc8da', time: 1950, covered: false, why: 'skipped by its time stamp' }],
    faultTime: 2100,
    cure: 'UVMF_INVLPG',
  });
  expect(explanation.verdict).toMatchObject({ id: 'stale-tlb-entry', certainty: 'certain' });
  expect(explanation.machine?.story).toEqual([
    'The translation was loaded at instruction 1,900 by an instruction down a mispredicted branch, whose work was thrown away, at ffffffff81263f22 (clear_page+0x12): 00100000dc8da025 (P US A bit 52).',
    'type change of mfn dc8da at instruction 1,950 did not remove it: skipped by its time stamp.',
    'The entry was changed at instruction 2,000 by update_va_mapping with UVMF_NONE, called from ffffffff81001000 (recycle+0x20): 00100000dc8da025 (P US A bit 52) became 00100000dc8da027 (P RW US A bit 52).',
    'The access faulted at instruction 2,100.',
    'UVMF_INVLPG would have removed the stale translation.',
  ]);
});

test('neither text is a whole report: both end in the middle of the registers', () => {
  expect(parse(LOG)).toBeUndefined();
  expect(parse(PAGE)).toBeUndefined();
});
