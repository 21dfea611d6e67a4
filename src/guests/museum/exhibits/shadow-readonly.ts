// KVM: a right is taken away, and only the CPU that does it is flushed.

import type { Exhibit } from '../exhibit.js';
import { at, copyPage, expect, map, onFaultGoTo, pass, RO, store, UVMF_ALL, UVMF_INVLPG } from '../steps.js';

export const shadowReadonly: Exhibit = {
  name: 'shadow-readonly',
  title: 'A page becomes read-only, on the CPU that made it so',
  year: '2007',
  system: 'KVM',
  bugClass: 'X',
  source: 'KVM release 28: "flush remote tlbs when reducing shadow pte permissions"',
  catalogue: [29],
  story:
    'To notice what a guest writes to its page tables, KVM makes its own entry for them read-only. It did so, and flushed, ' +
    'on the CPU that ran the code. On a second one the entry was still writable: the guest changed its tables there and KVM never knew.',
  see: 'The watcher has its copy and believes that the page cannot change without a fault. It changes.',
  wrong: 'a page that is watched changed unseen',
  finding: { kind: 'right-removed', mistake: 'other-vcpu', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd', 'xpti'],
  main: (build) => `
      ${map(at(0), 'page_a')}
      ${pass()}
      ${map(at(0), 'page_a', RO, build === 'after' ? UVMF_INVLPG + UVMF_ALL : UVMF_INVLPG)}
      ${copyPage('page_b', 'page_a')}
      ${pass()}
      mov rax, [page_b]
      cmp rax, [page_a]
      jne wrong
      ${expect('page_b', 1)}`,
  second: () => `
      ${store(at(0), 1)}
      ${pass()}
      ${onFaultGoTo('.caught')}
      ${store(at(0), 2)}
    .caught:`,
};
