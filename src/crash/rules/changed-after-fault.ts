// The tables were changed between the fault and the printing of the walk: the walk shows a later moment than the fault.

import { all, isAllowedByTables, leafText, pageFaultClue, wasForbidden } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const changedAfterFault: Diagnosis = {
  id: 'changed-after-fault',
  verdict: 'the entry was changed after the fault and before the walk was printed, by another CPU or vCPU',
  family: 'fault',
  requires: [
    pageFaultClue(0),
    {
      when: (of) => all(wasForbidden(of), isAllowedByTables(of)),
      weight: 3,
      says: (of) =>
        `the walk is of a later moment than the fault, and allows what the fault says was forbidden: ${leafText(of)}`,
    },
  ],
  clues: [
    {
      when: ({ handed, facts }) =>
        handed !== undefined ? true : facts.registers?.rsi === undefined ? undefined : false,
      weight: -2,
      says: ({ handed }) =>
        `${handed?.register} holds the entry: this very vCPU had it changed, before the access and not after`,
    },
    {
      when: ({ machine }) =>
        machine?.change !== undefined && machine.faultTime !== undefined && machine.change.time <= machine.faultTime,
      weight: -4,
      says: 'the machine saw the entry change before the access',
    },
  ],
  explanation: () =>
    'The dump walks the tables when it is printed, some microseconds after the fault. If another vCPU raised the rights in that time, the walk shows the new entry although the CPU rightly saw the old one.',
  next: () => [
    'Look whether another vCPU was running: with one vCPU nobody could change the entry in between.',
    'Look for a lock that should keep accesses to the page and changes of its entry apart.',
  ],
  sources: ['Xen arch/x86/x86_64/traps.c show_page_walk (walks when it prints)'],
  examples: [],
};
