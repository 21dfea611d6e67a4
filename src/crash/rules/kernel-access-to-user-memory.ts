// A kernel's access to a program's page, outside copy_from_user() and its kin: SMAP.

import type { Case } from '../derive/case.js';
import {
  all,
  hexAddress,
  hintSays,
  isAt,
  isFetch,
  isKernelMode,
  known,
  not,
  only,
  pageFaultClue,
  type Truth,
  wasForbidden,
} from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

const isUserPage = ({ walk }: Case): Truth => known(walk, ({ user }) => user);

export const smap: Diagnosis = {
  id: 'kernel-access-to-user-memory',
  verdict: "the kernel touched a program's memory directly, and SMAP forbids it",
  family: 'fault',
  requires: [
    pageFaultClue(1),
    only(isKernelMode),
    only((of) => not(isFetch(of))),
    {
      when: wasForbidden,
      weight: 2,
      says: 'a translation was present, and forbade the access',
      wanted: 'the error code',
    },
    {
      when: (of) => all(isAt('user')(of), isUserPage(of)),
      weight: 5,
      says: ({ address }) => `the page of ${hexAddress(address)} is a program's: user-accessible at every level`,
      wanted: 'the walk',
    },
  ],
  clues: [{ when: hintSays(/^SMAP$/), weight: 4, says: 'it says so itself' }],
  explanation: () =>
    "With SMAP a kernel may access pages of programs only between STAC and CLAC, that is through copy_from_user() and its kin. The entry itself allows the access; that code runs in the kernel forbids it. A pointer from a program was used as if it were the kernel's own.",
  next: () => [
    'Find where the pointer comes from, and use copy_from_user/copy_to_user; or it is a wild pointer that happens to hit user memory.',
  ],
  sources: ['SDM 3A "Access Rights" (§4.6.1), CR4.SMAP'],
  examples: ['corpus/linux-6.5-smap-journal.log'],
};
