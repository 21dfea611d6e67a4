// Flush, then change: in one multicall, in the wrong order.

import { __HYPERVISOR_mmuext_op, __HYPERVISOR_update_va_mapping } from '../../../abi/hypercalls.js';
import { MMUEXT_INVLPG_LOCAL } from '../../../abi/mmu-ops.js';
import { DOMID_SELF } from '../../../abi/xen-layout.js';
import type { Exhibit } from '../exhibit.js';
import { at, expect, load, map, multicall, store, UVMF_NONE } from '../steps.js';

const FLUSH = [__HYPERVISOR_mmuext_op, 'mmuext_command', 1, 0, DOMID_SELF] as const;
const CHANGE = [__HYPERVISOR_update_va_mapping, 'window', 'r12', UVMF_NONE] as const;

export const flushFirst: Exhibit = {
  name: 'flush-first',
  title: 'The flush comes before the change, with nothing between',
  year: '2022',
  system: 'Xen',
  bugClass: 'B',
  source: 'XSA-401 (CVE-2022-26362), Xen commit 8cc5036bc3; AMD manual, volume 2, section 7.3.1',
  catalogue: [35],
  story:
    'A flush covers what was true before it. Xen flushed a page that was about to become a page table and then committed the new ' +
    'type; in the gap a second vCPU could load a writable translation, and kept it. Between flush and change no second vCPU is needed: ' +
    'the CPU may load a translation at any time, by prefetch or speculation. This guest sends both in one multicall, so that not one ' +
    'of its own instructions comes between.',
  see: 'Only a machine that loads translations at any moment (--refill any) shows it; on most CPUs, most days, it works.',
  wrong: 'read the old frame',
  finding: { kind: 'frame-replaced', mistake: 'batch-order', grade: 'stale-use' },
  goesWrongOn: ['worst', 'amd'],
  main: (build) => `
      ${store('page_a', 1)}
      ${store('page_b', 2)}
      ${map(at(0), 'page_a')}
      ${load(at(0))}
      mov rdi, page_b
      call virt_to_mfn
      shl rax, 12
      or rax, 0x63
      mov r12, rax
      mov dword ptr [mmuext_command], ${MMUEXT_INVLPG_LOCAL}
      mov qword ptr [mmuext_command + 8], window
      ${build === 'before' ? multicall(FLUSH, CHANGE) : multicall(CHANGE, FLUSH)}
      ${expect(at(0), 2)}`,
};
