// Disassembly listings that people paste under a dump: objdump -d, gdb, and the kernel's scripts/decodecode. The bytes are
// read, not the mnemonics: crash disassembles them itself. Only the mark of the trapping instruction is taken from the text.
// Sources: binutils objdump(1) output; Linux scripts/decodecode ("*" and "<-- trapping instruction").

import type { Facts } from '../facts.js';
import { type Format, parseNumber } from './format.js';

export const LISTING_FORMATS: readonly Format[] = [
  {
    name: 'listing line',
    origin: undefined,
    hint: /[0-9a-f]:\*?[ \t\u00a0]+[0-9a-f]{2}(?:[ \t\u00a0]|$)/,
    pattern: /^[ =>]*([0-9a-f]{1,16}):(\*?) +((?:[0-9a-f]{2} ){0,14}[0-9a-f]{2})(?: +(?![0-9a-f]{2} )(\S.*))? *$/,
    stage: undefined,
    role: 'inside',
    read: (m, facts) => {
      const offset = parseNumber((m[1] as string).slice(-8));
      const bytes = (m[3] as string).split(' ').map(parseNumber);
      const marked = m[2] === '*' || /<-+ *trapping/.test(m[4] ?? '');
      if (!fits(facts, offset)) return undefined;
      return { code: { runs: [{ offset, bytes }], trap: marked ? offset : undefined } };
    },
    samples: [
      {
        line: '   15:* 48 89 07                mov    %rax,(%rdi)     <-- trapping instruction',
        states: { code: { runs: [{ offset: 0x15, bytes: [0x48, 0x89, 0x07] }], trap: 0x15 } },
      },
      { line: '   11:   00 00', states: { code: { runs: [{ offset: 0x11, bytes: [0, 0] }], trap: undefined } } },
      {
        line: 'ffffffff81263f22:       48 89 07                mov    %rax,(%rdi)',
        states: { code: { runs: [{ offset: 0x81263f22, bytes: [0x48, 0x89, 0x07] }], trap: undefined } },
      },
    ],
  },
];

/** A listing goes on where it was: bytes that overlap what is known, or lie a page away, are of another listing. */
function fits(facts: Facts, offset: number): boolean {
  const last = facts.code?.runs.at(-1);
  if (last === undefined) return true;
  const end = last.offset + last.bytes.length;
  return offset >= end && offset - end < 256;
}
