// Red Hat Enterprise Linux 4 on Xen: a fault handler that knows of no spurious faults.

import type { Exhibit } from '../exhibit.js';
import { at, load, map, onFaultCall, RO, RW, store, UVMF_NONE } from '../steps.js';

export const intolerantHandler: Exhibit = {
  name: 'intolerant-handler',
  title: 'A kernel that takes every kernel fault for a bug meets a spurious one',
  year: '2008-2010',
  system: 'RHEL 4 (Linux 2.6.9) on Xen',
  bugClass: 'L',
  source: 'Xen commits 39407bed9c (suppress_spurious_page_faults), 288f75ff8e (Nehalem); removed again by cf97ba7f7a',
  catalogue: [2, 3],
  story:
    'Kernels of the 2.6.9 generation raised rights without a flush, as Linux does, but their fault handler did not yet look ' +
    'whether the fault was spurious: on Nehalem, RHEL 4 guests took a fair number and oopsed. Xen grew a switch for each domain ' +
    'that made Xen walk the tables before it passed a fault on; 4.8 had been mended by then. The mended guest here still ' +
    'leaves the flush out, and its handler checks the entry.',
  see: 'Both builds take the fault. One dies of it, the other sees that the entry allows the access, and tries again.',
  wrong: 'unable to handle kernel paging request',
  finding: { kind: 'right-added', mistake: 'no-flush', grade: 'tolerated' },
  copes: true,
  goesWrongOn: ['today', 'xen-4.1', 'worst'],
  main: (build) => `
      ${onFaultCall(build === 'after' ? 'check_spurious' : 'wrong')}
      ${map(at(0), 'page_a', RO)}
      ${load(at(0))}
      ${map(at(0), 'page_a', RW, UVMF_NONE)}
      ${store(at(0), 1)}`,
  parts: `
    check_spurious:
      ; a write, to a page of the window that is present and writable
      and rdi, 0x1fffff
      shr rdi, 12
      mov rax, [window_table + rdi*8]
      and eax, 3
      cmp eax, 3
      jne wrong
      ret`,
};
