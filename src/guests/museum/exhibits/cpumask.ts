// CVE-2016-2069: a CPU reads page tables before it has said that it does.

import type { Exhibit } from '../exhibit.js';
import { at, expect, flushPage, flushPageEverywhere, map, onFaultGoTo, only, pass, store, unmap } from '../steps.js';

const joins = 'mov qword ptr [variable_a], 1';

export const cpumask: Exhibit = {
  name: 'cpumask',
  title: 'A CPU is not on the list of those to flush, and has loaded translations already',
  year: '2016',
  system: 'Linux',
  bugClass: 'X',
  source: 'CVE-2016-2069; Linux commit 71b3c126e611',
  catalogue: [23],
  story:
    'Each address space has a list of the CPUs that run it, so that a flush need only go to those. switch_mm put its CPU on the list ' +
    'and loaded CR3 with nothing between to keep the two in order: the CPU could walk the new tables before others saw it on ' +
    'the list. A flush in that moment left it out, and it kept what it had loaded.',
  see: 'The list says that nobody else runs here. The other vCPU has had the page for some time.',
  wrong: 'a CPU that was on no list wrote into a freed page',
  finding: { kind: 'unmapped', mistake: 'other-vcpu', grade: 're-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd', 'xpti'],
  main: () => `
      ${map(at(0), 'page_a')}
      ${pass()}
      ; munmap: a flush for those on the list
      ${unmap(at(0))}
      cmp qword ptr [variable_a], 0
      jne .everywhere
      ${flushPage(at(0))}
      jmp .flushed
    .everywhere:
      ${flushPageEverywhere(at(0))}
    .flushed:
      ${map(at(1), 'page_a')}
      ${store(at(1), 2)}
      ${pass()}
      ${expect(at(1), 2)}`,
  second: (build) => `
      ; switch_mm: on the list first, if mended
      ${only(build === 'after', joins)}
      ${store(at(0), 1)}
      ${pass()}
      ${only(build === 'before', joins)}
      ${onFaultGoTo('.caught')}
      ${store(at(0), 3)}
    .caught:`,
};
