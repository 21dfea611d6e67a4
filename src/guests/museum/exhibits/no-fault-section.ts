// FreeBSD: an entry is relaxed without a flush, and the fault comes where none may.

import type { Exhibit } from '../exhibit.js';
import { at, load, map, onFaultCall, RO, RW, store, UVMF_INVLPG, UVMF_NONE } from '../steps.js';

export const noFaultSection: Exhibit = {
  name: 'no-fault-section',
  title: 'Rights are raised without a flush; the fault comes where none may',
  year: '2012',
  system: 'FreeBSD',
  bugClass: 'L',
  source: 'FreeBSD commit 625402758bbb',
  catalogue: [6],
  story:
    'To save a flush, FreeBSD left the old entry in place when it made a page writable: the worst that comes of it is one fault, ' +
    'and its handler finds that all is well. But parts of the kernel touch pages with page faults forbidden, having ' +
    'made sure before that they are mapped. There the harmless fault was an error. AMD CPUs walk again and never fault.',
  see: 'The store faults although the entry in memory allows it, as the guest just made sure.',
  wrong: 'a page fault where none may be',
  finding: { kind: 'right-added', mistake: 'no-flush', grade: 'tolerated' },
  goesWrongOn: ['today', 'xen-4.1', 'worst'],
  main: (build) => `
      ${map(at(0), 'page_a', RO)}
      ${load(at(0))}
      ${map(at(0), 'page_a', RW, build === 'after' ? UVMF_INVLPG : UVMF_NONE)}
      ; the section without faults
      ${onFaultCall('wrong')}
      ${store(at(0), 1)}`,
};
