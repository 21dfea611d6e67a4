// A PV guest touched Xen's part of the address space.

import { hexAddress, isAt, isSystem, lacksUser, leafText, only, pageFaultClue, wasForbidden } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

export const xenPrivateAccess: Diagnosis = {
  id: 'xen-private-access',
  verdict: 'the guest touched the part of the address space that belongs to Xen',
  family: 'fault',
  requires: [
    only(isSystem('xen-guest')),
    pageFaultClue(1),
    {
      when: isAt('xen-private', 'xen-m2p', 'xen-descriptors'),
      weight: 5,
      says: ({ address, place }) => `${hexAddress(address)} lies in ${place?.words}`,
    },
  ],
  clues: [
    {
      when: wasForbidden,
      weight: 2,
      says: 'a translation is present there, but not for the guest: Xen maps it for itself',
    },
    { when: lacksUser, weight: 1, says: (of) => `the entry has no US: ${leafText(of)}` },
  ],
  explanation: () =>
    'A PV guest shares its address space with Xen, which keeps ffff800000000000 to ffff87ffffffffff for itself. Of that a guest may only read the machine-to-physical table, and that has holes where the machine has no memory.',
  next: () => [
    'A wild pointer, or a frame number that the machine-to-physical table has no entry for: check the mfn before looking it up.',
  ],
  sources: ['Xen public/arch-x86/xen-x86_64.h (HYPERVISOR_VIRT_START, MACH2PHYS_VIRT_START)'],
  examples: [],
};
