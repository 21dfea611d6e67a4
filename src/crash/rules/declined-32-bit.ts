// A 32-bit dump: recognised, and left at that.

import { isKind } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const declined32Bit: Diagnosis = {
  id: 'declined-32-bit',
  verdict: 'a 32-bit dump, which is recognised but not explained: only 64-bit ones are',
  family: 'unknown',
  requires: [{ when: isKind('32-bit'), weight: 30, says: 'registers or stack have the 32-bit form' }],
  clues: [],
  explanation: () =>
    'Paging, segments and code of a 32-bit kernel, guest or hypervisor differ from what is modelled here. What the text states is set out above as it stands.',
  next: () => [
    'For an explanation use tools of that time (ksymoops, the decodecode script of the same kernel), or reproduce it on a 64-bit kernel.',
  ],
  sources: ['Linux arch/x86/kernel/process_32.c; Xen arch/x86/x86_32/traps.c (to 4.2)'],
  examples: ['corpus/linux-2.6.17-32bit-oops.log', 'corpus/xen-4.1-guest-32bit.log'],
};
