// Another program is to run, and only the user's L4 is changed.

import type { Exhibit } from '../exhibit.js';
import { flushAll, only, store } from '../steps.js';

export const userSpaceSwitch: Exhibit = {
  name: 'user-space-switch',
  title: 'A switch of address spaces sets the user L4 alone, and programs see each other’s pages',
  year: '2005-',
  system: 'PV kernels on 64-bit Xen',
  bugClass: 'G',
  source: 'Xen public/xen.h MMUEXT_NEW_BASEPTR, MMUEXT_NEW_USER_BASEPTR; Linux arch/x86/xen/mmu_pv.c xen_write_cr3',
  catalogue: [],
  story:
    'A program on 64-bit Xen has two L4 tables, one for its kernel and one for itself. Linux sets both in one multicall. It is ' +
    'NEW_BASEPTR, the kernel’s, that flushes everything; NEW_USER_BASEPTR only takes note of the other. A kernel that keeps one ' +
    'L4 for itself and thinks that the user’s will do gets no flush: the next load of CR3 leaves the pages of the last program, ' +
    'which are global, to the next one.',
  see: 'The second program reads the page of the first.',
  wrong: 'a program reads the page of another',
  finding: { kind: 'table-replaced', mistake: 'other-root', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  runsPrograms: true,
  main: (build) => `
      ${store('page_a', 1)}
      ${store('page_b', 2)}
      mov rdi, space_a
      mov rsi, page_a
      call make_space
      mov rdi, space_b
      mov rsi, page_b
      call make_space
      mov rdi, space_a
      call use_space
      mov rdi, program_page
      call run_program
      cmp rax, 1
      jne bug
      mov rdi, space_b
      call use_space
      ${only(build === 'after', flushAll())}
      mov rdi, program_page
      call run_program
      cmp rax, 2
      jne wrong`,
};
