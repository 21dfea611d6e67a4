// Reports as Xen prints them, to the character, and back.

import { describe, expect, test } from 'vitest';
import { print } from '../../src/crash/index.js';
import { sketch, UPPER } from './reports.js';

const lines = (text: string): string[] => text.split('\n').slice(0, -1);

describe('a page fault', () => {
  const fault = { errorCode: 3, vaddr: 0xffffffff84dc7000n, entries: [...UPPER, 0x00100000dc8da067n] };
  const pfns = [0x1789n, 0x178dn, 0x4defn, 0x4dc7n];
  const words = [0x3fn, 0x206n, 3n, 0xffffffff81263f22n, 0xe030n];

  test('as Xen 4.1 prints it: note the blank behind L2', () => {
    const report = sketch({ ...fault, pfns, words, rip: 0xffffffff81263f22n });
    expect(lines(print(report))).toEqual([
      '(XEN) d7:v0: unhandled page fault (ec=0003)',
      '(XEN) Pagetable walk from ffffffff84dc7000:',
      '(XEN)  L4[0x1ff] = 00000000c3f18067 0000000000001789',
      '(XEN)  L3[0x1fe] = 00000000c3f14067 000000000000178d',
      '(XEN)  L2[0x026] = 00000000dc8b2067 0000000000004def ',
      '(XEN)  L1[0x1c7] = 00100000dc8da067 0000000000004dc7',
      '(XEN) domain_crash_sync called from entry.S',
      '(XEN) Domain 7 (vcpu#0) crashed on cpu#2:',
      '(XEN) ----[ Xen-4.1.3  x86_64  debug=n  Not tainted ]----',
      '(XEN) CPU:    2',
      '(XEN) RIP:    e033:[<ffffffff81263f22>]',
      '(XEN) RFLAGS: 0000000000010206   EM: 1   CONTEXT: pv guest',
      '(XEN) rax: 0000111100000000   rbx: 0000111100000003   rcx: 0000111100000001',
      '(XEN) rdx: 0000111100000002   rsi: 0000111100000006   rdi: 0000111100000007',
      '(XEN) rbp: 0000111100000005   rsp: 0000111100000004   r8:  0000111100000008',
      '(XEN) r9:  0000111100000009   r10: 000011110000000a   r11: 000011110000000b',
      '(XEN) r12: 000011110000000c   r13: 000011110000000d   r14: 000011110000000e',
      '(XEN) r15: 000011110000000f   cr0: 000000008005003b   cr4: 0000000000002660',
      '(XEN) cr3: 0000000012345000   cr2: ffffffff84dc7000',
      '(XEN) ds: 0000   es: 0000   fs: 0000   gs: 0000   ss: e02b   cs: e033',
      '(XEN) Guest stack trace from rsp=0000111100000004:',
      '(XEN)    000000000000003f 0000000000000206 0000000000000003 ffffffff81263f22',
      '(XEN)    000000000000e030',
    ]);
  });

  test('as Xen 4.17 prints it', () => {
    const text = lines(print(sketch({ ...fault, pfns, words, form: '4.17' }), { prefix: '' }));
    expect(text[0]).toBe('d7v0 Unhandled: vec 14, #PF[0003]');
    expect(text[4]).toBe(' L2[0x026] = 00000000dc8b2067 0000000000004def');
    expect(text[6]).toBe(
      'domain_crash_sync called from entry.S: fault at ffff82d040204b78 x86_64/entry.S#create_bounce_frame+0x14f/0x177',
    );
    expect(text[11]).toBe('RFLAGS: 0000000000010206   EM: 1   CONTEXT: pv guest (d7v0)');
    expect(text[19]).toBe('fsb: 0000000000000000   gsb: ffffffff81c00000   gss: 0000000000000000');
  });
});

test.each([
  ['4.1', 6, undefined, 'traps.c:481:d7 Unhandled invalid opcode fault/trap [#6] on VCPU 0 [ec=0000]'],
  ['4.1', 13, 0x10, 'traps.c:481:d7 Unhandled general protection fault fault/trap [#13] on VCPU 0 [ec=0010]'],
  ['4.17', 6, undefined, 'd7v0 Unhandled: vec 6, #UD[ffffffff]'],
  ['4.17', 13, 0x10, 'd7v0 Unhandled: vec 13, #GP[0010]'],
  ['4.17', 2, undefined, 'd7v0 Unhandled: vec 2, NMI[ffffffff]'],
] as const)('in the form of %s vector %i begins with its own line', (form, vector, errorCode, first) => {
  const report = sketch({ form, vector, ...(errorCode === undefined ? {} : { errorCode }) });
  expect(lines(print(report, { prefix: '' }))[0]).toBe(first);
});

test.each([
  ['4.1', ' L2[0x026] = 00000000dc8b20e7 00000000000dc8c2 (PSE)'],
  ['4.17', ' L2[0x026] = 00000000dc8b20e7 00000000000dc8c2 (PSE)'],
] as const)('a large page is marked (%s)', (form, line) => {
  const text = print(sketch({ form, errorCode: 3, entries: [UPPER[0], UPPER[1], 0xdc8b20e7n] }), { prefix: '' });
  expect(lines(text)).toContain(line);
});

test.each([
  [0, 'empty', ['Guest stack trace from rsp=0000111100000004:', '  Stack empty.']],
  [0, 'fault', ['Guest stack trace from rsp=0000111100000004:', '  Fault while accessing guest memory.']],
  [0, 'inaccessible', ['Guest stack trace from rsp=0000111100000004:', '  Guest-inaccessible memory.']],
  [
    1,
    'fault',
    ['Guest stack trace from rsp=0000111100000004:', '   0000000000000001', '    Fault while accessing guest memory.'],
  ],
] as const)('a stack of %i words that ends by %s', (count, stop, tail) => {
  const report = { ...sketch({}), stack: { words: [1n].slice(0, count), stop } };
  expect(lines(print(report, { prefix: '' })).slice(-tail.length)).toEqual(tail);
});
