// A load of CR3 is taken for a flush, but Xen makes the pages of programs global.

import type { Exhibit } from '../exhibit.js';
import { flushPage, only, store, USER_RW } from '../steps.js';

export const userGlobal: Exhibit = {
  name: 'user-global',
  title: 'A load of CR3 is taken for a flush of a program’s pages, which are global',
  year: '2005-',
  system: 'PV kernels on 64-bit Xen',
  bugClass: 'G',
  source: 'SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches" (§4.10.4.1); Xen adjust_guest_l1e',
  catalogue: [],
  story:
    'On x86-64 a PV kernel and its programs have separate L4 tables, so that each system call and each return loads CR3. On bare ' +
    'metal a load of CR3 drops the translations of programs and keeps the global ones of the kernel. Xen turns this round: it ' +
    'sets the global bit in the entries of programs, so that they survive the two loads of a system call, and keeps it off the ' +
    'kernel’s. A kernel that changes a program’s entry and trusts the return to the program to flush it is wrong. No advisory tells ' +
    'of such a kernel; it is a trap that stands open for each new one.',
  see: 'Between the change and the read CR3 was loaded, with another table even. The program reads the old frame.',
  wrong: 'the program reads its old page, after a load of CR3',
  finding: { kind: 'table-replaced', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  runsPrograms: true,
  main: (build) => `
      ${store('page_a', 1)}
      ${store('page_b', 2)}
      mov rdi, space_a
      mov rsi, page_a
      call make_space
      mov rdi, space_a
      call use_space
      mov rdi, program_page
      call run_program
      cmp rax, 1
      jne bug
      ; its page becomes another: slot 1 of the L1, the fourth of the space's pages
      mov rdi, page_b
      call virt_to_mfn
      shl rax, 12
      lea rdx, [rax + ${USER_RW}]
      mov rdi, space_a + 0x3000
      mov esi, 1
      call set_entry
      ${only(build === 'after', flushPage('program_page'))}
      mov rdi, program_page
      call run_program
      cmp rax, 2
      jne wrong`,
};
