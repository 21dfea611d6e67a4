// Linux 2.6: fork write-protects the parent, fails, and forgets the flush.

import type { Exhibit } from '../exhibit.js';
import { at, expect, flushAll, map, onFaultCall, only, RO, RW, store, UVMF_INVLPG } from '../steps.js';

export const forkError: Exhibit = {
  name: 'fork-error',
  title: 'fork fails half-way and leaves the parent write-protected, unflushed',
  year: '2004',
  system: 'Linux 2.6',
  bugClass: 'T',
  source: 'linux-kernel, January 2004: A. Blanchard on copy_page_range and the TLB',
  catalogue: [26],
  story:
    'fork makes the pages of the parent read-only, so that parent and child part at the first write, and flushes at its end. When ' +
    'memory ran out in the middle it returned early, without the flush. The next fork finds the page read-only already, has ' +
    'nothing to flush, and shares it with a child; the parent still writes to it through the translation of before.',
  see: "The parent's second store should fault and be given a copy. It goes straight into the page that the child reads.",
  wrong: 'the child sees what the parent wrote',
  finding: { kind: 'right-removed', mistake: 'no-flush', grade: 're-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${map(at(0), 'page_a')}
      ${store(at(0), 1)}
      ; the fork that fails
      ${map(at(0), 'page_a', RO)}
      ${only(build === 'after', flushAll())}
      ; the fork that succeeds: the parent's entry is read-only, nothing to do but to map the page for the child
      ${map(at(1), 'page_a', RO)}
      ; the parent runs
      ${onFaultCall('copy_on_write')}
      ${store(at(0), 2)}
      ${expect(at(1), 1)}`,
  parts: `
    copy_on_write:
      mov rsi, window
      mov rdi, page_b
      mov ecx, 512
      rep movsq
      ${map(at(0), 'page_b', RW, UVMF_INVLPG)}
      ret`,
};
