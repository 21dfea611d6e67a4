// FreeBSD: copy-on-write changes the frame in one step, and two threads see two pages.

import type { Exhibit } from '../exhibit.js';
import {
  at,
  copyPage,
  expect,
  flushPage,
  flushPageEverywhere,
  load,
  map,
  only,
  pass,
  RO,
  RW,
  store,
  unmap,
} from '../steps.js';

export const cowThreads: Exhibit = {
  name: 'cow-threads',
  title: 'Copy-on-write changes the frame in one step, and two threads see two pages',
  year: '2018',
  system: 'FreeBSD',
  bugClass: 'X',
  source: 'FreeBSD r329254, r335784',
  catalogue: [55],
  story:
    'After a write to a shared page each thread of a process has to see the copy. FreeBSD replaced the entry and then sent the flush. ' +
    'Until it arrives, one thread writes into the copy while another still reads the original: locks that are held look free. ' +
    'The mended kernel takes the entry away, flushes, and only then maps the copy: who comes between waits in a fault.',
  see: 'The second thread reads the word as it was before the first thread wrote it, although it reads later.',
  wrong: 'a thread read the page from before the copy',
  finding: { kind: 'frame-replaced', mistake: 'other-vcpu', grade: 'window' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd', 'xpti'],
  main: (build) => `
      ${store('page_a', 1)}
      ${map(at(0), 'page_a', RO)}
      ${pass()}
      ; a write fault of this thread
      ${copyPage('page_b', 'page_a')}
      ${only(build === 'after', `${unmap(at(0))}${flushPageEverywhere(at(0))}`)}
      ${map(at(0), 'page_b', RW)}
      ${flushPage(at(0))}
      ${store(at(0), 2)}
      ${pass()}
      ; the flush for the others arrives
      ${flushPageEverywhere(at(0))}
      ${expect('variable_a', 2)}`,
  second: () => `
      ${load(at(0))}
      ${pass()}
      ${load(at(0))}
      mov [variable_a], rax`,
};
