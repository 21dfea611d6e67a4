// Memory used after it was freed: a checker says so, or a mark of freed memory was used as a pointer.

import { isCanonical } from '../../base/addresses.js';
import type { Case } from '../derive/case.js';
import { all, any, headlineText, hintSays, isKind, known, type Truth } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

const checkerSaysFreed = hintSays(/use-after-free|invalid-free|double-free/);
const holdsMark = ({ poison, facts }: Case): Truth =>
  poison !== undefined ? true : facts.registers === undefined ? undefined : false;

export const useAfterFree: Diagnosis = {
  id: 'use-after-free',
  verdict: 'memory was used after it had been freed',
  family: 'check',
  requires: [
    {
      when: (of) => any(checkerSaysFreed(of), holdsMark(of)),
      weight: 5,
      says: (of) =>
        checkerSaysFreed(of)
          ? `the checker says so: ${headlineText(of)}`
          : `${of.poison?.name} holds ${of.poison?.words}`,
    },
  ],
  clues: [
    { when: isKind('sanitizer'), weight: 19, says: 'a checker that is compiled in watched the memory' },
    {
      when: (of) =>
        all(
          isKind('general-protection')(of),
          known(of.poison, ({ value }) => !isCanonical(value)),
        ),
      weight: 4,
      says: 'such a value is no canonical address: to use it raises just this exception',
    },
    {
      when: (of) => (checkerSaysFreed(of) ? true : known(of.poison, ({ used }) => used)),
      weight: 4,
      says: 'the access went through it',
      otherwise: { weight: -4, says: 'the trapping instruction does not use that register: it may be left over' },
    },
  ],
  explanation: (of) =>
    of.facts.kind === 'sanitizer'
      ? 'The checker keeps track of every object: this one had been given back when it was accessed. Its report shows where it was freed.'
      : 'Freed memory is filled with a pattern, and deleted list entries get marked pointers, so that whoever still uses them is caught. Such a value was about to be used as a pointer.',
  next: () => [
    'Find who freed the object (the report of KASAN names it) and which path still held a pointer: usually a missing reference, lock or wait for a work item.',
    'Without KASAN: boot the kernel with slub_debug=FZPU, or build it with CONFIG_KASAN, and repeat.',
  ],
  sources: ['Linux include/linux/poison.h', 'Linux Documentation/dev-tools/kasan.rst'],
  examples: ['corpus/linux-6.13-kasan-l2cap.log', 'corpus/linux-3.16-memcg-oom-gpf.log'],
};
