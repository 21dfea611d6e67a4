// A panic: no root file system.

import { panicSays } from './conditions.js';
import { type Diagnosis, SAYS_SO } from './diagnosis.js';

export const noRootDevice: Diagnosis = {
  id: 'no-root-device',
  verdict: 'the kernel found no file system to mount as root',
  family: 'check',
  requires: [
    {
      when: panicSays(/Unable to mount root fs|VFS: Cannot open root/),
      weight: SAYS_SO,
      says: (of) => `"${of.facts.panicMessage}"`,
    },
  ],
  clues: [],
  explanation: () =>
    'The device of root= does not exist (its driver is missing, or the name is wrong), or holds no file system that the kernel knows.',
  next: () => [
    'Check root= on the command line and the initramfs: under Xen the disk is xvda, and its driver is xen-blkfront.',
  ],
  sources: ['Linux init/do_mounts.c'],
  examples: ['corpus/linux-4.19-no-root-device.log'],
};
