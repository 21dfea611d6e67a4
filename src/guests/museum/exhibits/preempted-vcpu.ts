// CVE-2022-39189: a vCPU is reported as not running, and its flush is put off, while it still runs.

import type { Exhibit } from '../exhibit.js';
import { at, expect, flushAll, flushPageEverywhere, map, onFaultGoTo, only, pass, store, unmap } from '../steps.js';

export const preemptedVcpu: Exhibit = {
  name: 'preempted-vcpu',
  title: 'A vCPU is reported as preempted, so its flush is put off; but it still runs',
  year: '2022',
  system: 'KVM',
  bugClass: 'X',
  source: 'CVE-2022-39189; Linux commit 6cd88243c7e0',
  catalogue: [25],
  story:
    'A guest of KVM need not interrupt a vCPU that does not run: it leaves a note, and the vCPU flushes before it runs again. KVM called a ' +
    'vCPU preempted as soon as its host thread was, also while that was in the middle of emulating one of its instructions. ' +
    'The instruction was completed later, without the flush, through translations that the guest took for gone.',
  see: 'The note was left and will be read; the store comes first.',
  wrong: 'a vCPU said not to run wrote into a freed page',
  finding: { kind: 'unmapped', mistake: 'no-flush', grade: 're-use' },
  goesWrongOn: ['today', 'xen-4.1', 'worst', 'amd', 'xpti'],
  main: () => `
      ${map(at(0), 'page_a')}
      ${pass()}
      ${unmap(at(0))}
      ; variable_a: the other vCPU is preempted; variable_b: it is to flush when it runs again
      cmp qword ptr [variable_a], 0
      je .running
      mov qword ptr [variable_b], 1
      jmp .flushed
    .running:
      ${flushPageEverywhere(at(0))}
    .flushed:
      ${map(at(1), 'page_a')}
      ${store(at(1), 2)}
      ${pass()}
      ${expect(at(1), 2)}`,
  second: (build) => `
      ${store(at(0), 1)}
      ; its thread is preempted, in the middle of an instruction: mended, that is not reported
      ${only(build === 'before', 'mov qword ptr [variable_a], 1')}
      ${pass()}
      ; the instruction is completed
      ${onFaultGoTo('.caught')}
      ${store(at(0), 3)}
    .caught:
      ; it runs again: is there a note?
      cmp qword ptr [variable_b], 0
      je .no_note
      ${flushAll()}
    .no_note:`,
};
