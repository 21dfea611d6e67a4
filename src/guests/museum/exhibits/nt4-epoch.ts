// Windows NT 4.0: a flush is put off by noting its epoch in the entry, and the note is too short.

import type { Exhibit } from '../exhibit.js';
import { at, expect, flushAll, map, only, store, unmap } from '../steps.js';

/** The entry has 20 bits for the epoch. */
const EPOCH_BITS = 20;

export const nt4Epoch: Exhibit = {
  name: 'nt4-epoch',
  title: 'After a million flushes the counter no longer fits its note, and no flush is ever needed',
  year: '1996-1999',
  system: 'Windows NT 4.0',
  bugClass: 'Y',
  source: 'Microsoft Knowledge Base Q142657',
  catalogue: [10],
  story:
    'NT 4.0 freed system pages without a flush: it wrote the number of flushes so far into the dead entry, and whoever used the ' +
    'entry again compared it with the count of then. Equal: no flush since, so flush now. The count has 32 bits, the note 20. Once ' +
    'a machine had flushed 1,048,576 times, the two were never equal again; entries were used again unflushed, and ' +
    'data was corrupted. The guest here begins with that count.',
  see: 'The comparison says that a flush has come since. None has.',
  wrong: 'read what the page before held',
  finding: { kind: 'frame-replaced', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      mov qword ptr [variable_a], ${1 << EPOCH_BITS}   ; flushes so far
      ${store('page_a', 1)}
      ${store('page_b', 2)}
      ${map(at(0), 'page_a')}
      ${expect(at(0), 1)}
      ; freed: the epoch is noted
      ${unmap(at(0))}
      mov rax, [variable_a]
      and eax, ${(1 << EPOCH_BITS) - 1}
      mov [variable_b], rax
      ; used again: has there been a flush since?
      mov rax, [variable_a]
      ${only(build === 'after', `and eax, ${(1 << EPOCH_BITS) - 1}`)}
      cmp rax, [variable_b]
      jne .flushed
      inc qword ptr [variable_a]
      ${flushAll()}
    .flushed:
      ${map(at(0), 'page_b')}
      ${expect(at(0), 2)}`,
};
