// Linux 3.x on Xen: pages that held boot page tables become writable without a flush, and are cleared. The seed in small.

import { MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE } from '../../../abi/mmu-ops.js';
import type { Build, Exhibit } from '../exhibit.js';
import { map, RO, RW, UVMF_INVLPG, UVMF_NONE } from '../steps.js';

const pin = (command: number, table: string): string => `
      mov rdi, ${table}
      call virt_to_mfn
      mov rdi, rax
      mov esi, ${command}
      call mmuext`;

const recycle = (table: string, build: Build): string => `
      ${map(table, table, RW, build === 'after' ? UVMF_INVLPG : UVMF_NONE)}
      mov rdi, ${table}
      call clear_page`;

export const recycledTables: Exhibit = {
  name: 'recycled-tables',
  title: 'Boot page tables are made writable without a flush, and cleared',
  year: '2013',
  system: 'Linux 3.x on Xen',
  bugClass: 'L',
  source:
    'Linux commit b22227944b8f, "xen/mmu: On early bootup, flush the TLB when changing RO->RW bits Xen provided pagetables"',
  catalogue: [1],
  story:
    'Once on tables of its own, the kernel recycled the pages in which Xen had built the first ones: read-only became writable, ' +
    'and then they were cleared. Nobody flushed, and nobody handled page faults yet; a DL380 G4 died now and then in clear_page. ' +
    'This is the crash of paravane demo, cut down to two tables side by side: clearing the first one, the CPU speculates into ' +
    'the second and loads its read-only translation just before it is made writable.',
  see: 'Xen 4.1 and 4.17 flush when the first page changes its type, and then think that the second needs no flush. A CPU that walks again for rights (amd) never notices.',
  handlesNoFaults: true,
  finding: { kind: 'right-added', mistake: 'flush-before-store', grade: 'fatal' },
  goesWrongOn: ['today', 'xen-4.1', 'worst'],
  main: (build) => `
      ${map('table_a', 'table_a', RO, UVMF_INVLPG)}
      ${map('table_b', 'table_b', RO, UVMF_INVLPG)}
      ${pin(MMUEXT_PIN_L1_TABLE, 'table_a')}
      ${pin(MMUEXT_PIN_L1_TABLE, 'table_b')}
      ${pin(MMUEXT_UNPIN_TABLE, 'table_a')}
      ${pin(MMUEXT_UNPIN_TABLE, 'table_b')}
      ${recycle('table_a', build)}
      ${recycle('table_b', build)}`,
  parts: `
    clear_page:
      xor eax, eax
      mov ecx, 64
    clear_page_turn:
      dec ecx
      mov [rdi], rax
      mov [rdi + 0x20], rax
      lea rdi, [rdi + 0x40]
      jnz clear_page_turn
      ret`,
};
