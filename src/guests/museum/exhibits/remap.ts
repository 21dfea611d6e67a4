// Windows 9x: a valid entry is given another frame, and used at once.

import type { Exhibit } from '../exhibit.js';
import { at, expect, load, map, RW, store, UVMF_INVLPG, UVMF_NONE } from '../steps.js';

export const remap: Exhibit = {
  name: 'remap',
  title: 'A valid entry is given another frame, and used at once',
  year: '1995-2015',
  system: 'Windows 95, 98, Me',
  bugClass: 'T',
  source: 'H. Wong, "TLB and Pagewalk Coherence in x86 Processors" (2015); patcher9x README',
  catalogue: [9],
  story:
    'The virtual machine manager of Windows 9x moved a mapping from one frame to another and went on through the new one with ' +
    'no invalidation between. For twenty years it ran: most CPUs noticed when a store overtook a page walk. ' +
    'AMD Zen 2 and Intel of the 11th generation no longer do, and there Windows 98 needs a patch.',
  see: 'The read after the change still gives what the old frame holds. Only a TLB that is never stale, or a Xen that flushes at each hypercall (XPTI), hides it.',
  wrong: 'read the old frame',
  finding: { kind: 'frame-replaced', mistake: 'no-flush', grade: 'stale-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ${store('page_a', 1)}
      ${store('page_b', 2)}
      ${map(at(0), 'page_a')}
      ${load(at(0))}
      ${map(at(0), 'page_b', RW, build === 'after' ? UVMF_INVLPG : UVMF_NONE)}
      ${expect(at(0), 2)}`,
};
