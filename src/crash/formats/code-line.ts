// "48 89 <07> 48 -- --": bytes around the instruction pointer as kernels and Xen print them, the trapping byte in brackets.

import { type Facts, LIST_LIMITS } from '../facts.js';
import { parseNumber } from './format.js';

/** The bytes of such a line. Unreadable bytes ("--", "??", "XX") leave holes; undefined when no byte is marked. */
export function codeLine(text: string): Pick<Facts, 'code'> | undefined {
  const runs: { offset: number; bytes: number[] }[] = [];
  let trap: number | undefined;
  let offset = 0;
  for (const token of text.trim().split(/ +/)) {
    if (offset >= LIST_LIMITS.codeBytes) break;
    const plain = token.replace(/[<>()]/g, '');
    if (plain.length !== token.length) trap = offset;
    if (!/^[0-9a-f]{2}$/.test(plain)) {
      offset++;
      continue;
    }
    const last = runs.at(-1);
    if (last && last.offset + last.bytes.length === offset) last.bytes.push(parseNumber(plain));
    else runs.push({ offset, bytes: [parseNumber(plain)] });
    offset++;
  }
  if (trap === undefined || runs.length === 0) return undefined;
  return { code: { runs, trap } };
}
