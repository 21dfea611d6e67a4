// Redox: a page is freed while another CPU still has its translation.

import type { Exhibit } from '../exhibit.js';
import { at, expect, map, onFaultGoTo, pass, store, UVMF_ALL, UVMF_INVLPG, unmap } from '../steps.js';

export const noShootdown: Exhibit = {
  name: 'no-shootdown',
  title: 'A page is unmapped and freed, and the other CPUs are not told',
  year: '2023',
  system: 'Redox',
  bugClass: 'X',
  source: 'Redox kernel, GitLab merge request 282',
  catalogue: [57],
  story:
    'INVLPG works on the CPU that executes it. Redox had no shootdown at all: a thread unmapped memory, its own CPU forgot it, and the ' +
    'page was given to somebody else, while threads of the same process on other CPUs went on using it. Programs were seen ' +
    '"executing zeroes".',
  see: 'The first vCPU flushed. The second one stores into the page of the new owner.',
  wrong: "another CPU wrote into the page's new owner",
  finding: { kind: 'unmapped', mistake: 'other-vcpu', grade: 're-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd', 'xpti'],
  main: (build) => `
      ${map(at(0), 'page_a')}
      ${pass()}
      ${unmap(at(0), build === 'after' ? UVMF_INVLPG + UVMF_ALL : UVMF_INVLPG)}
      ; the new owner
      ${map(at(1), 'page_a')}
      ${store(at(1), 2)}
      ${pass()}
      ${expect(at(1), 2)}`,
  second: () => `
      ${store(at(0), 1)}
      ${pass()}
      ${onFaultGoTo('.caught')}
      ${store(at(0), 3)}
    .caught:`,
};
