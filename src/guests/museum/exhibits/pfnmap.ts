// CVE-2022-39188: a mapping of device memory leaves the books before it leaves the TLB.

import type { Exhibit } from '../exhibit.js';
import { at, expect, flushAll, map, onFaultGoTo, only, store, unmap } from '../steps.js';

export const pfnmap: Exhibit = {
  name: 'pfnmap',
  title: 'A mapping leaves the books before it leaves the TLB, and its driver frees the page',
  year: '2022',
  system: 'Linux',
  bugClass: 'B',
  source: 'CVE-2022-39188; Linux commit b67fbebd4cf9',
  catalogue: [18],
  story:
    'munmap gathers what it takes away and flushes once, at the end. A VM_PFNMAP mapping was taken off the list of the mappings of ' +
    'its file before that flush. A driver that wants its pages back calls unmap_mapping_range, which goes by that list: finds ' +
    'nothing, flushes nothing, and the driver frees pages that a thread can still write to.',
  see: 'The driver asked, was told that nobody maps the page, and gave it away.',
  wrong: 'wrote into a page that its driver had freed',
  finding: { kind: 'unmapped', mistake: 'no-flush', grade: 're-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd'],
  main: (build) => `
      ; mmap: variable_a counts the mappings on the file's list
      ${map(at(0), 'page_a')}
      mov qword ptr [variable_a], 1
      ${store(at(0), 1)}
      ; munmap takes the entry away; mended, it flushes before the mapping leaves the list
      ${unmap(at(0))}
      ${only(build === 'after', flushAll())}
      mov qword ptr [variable_a], 0
      ; the driver: unmap_mapping_range
      cmp qword ptr [variable_a], 0
      je .nobody
      ${unmap(at(0))}
      ${flushAll()}
    .nobody:
      ; the page is freed, and used again
      ${map(at(1), 'page_a')}
      ${store(at(1), 2)}
      ${onFaultGoTo('.caught')}
      ${store(at(0), 3)}
    .caught:
      ${expect(at(1), 2)}
      ; munmap's one flush, at its end
      ${flushAll()}`,
};
