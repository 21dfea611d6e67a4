// An address that belongs to an area of the kernel or hypervisor which is not mapped: not yet, or not any more.

import { shadowed } from '../derive/places.js';
import { hexAddress, isAt, isSystem, notMappedClue, notPresentClue, pageFaultClue } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

const KERNEL_AREAS = [
  'kernel',
  'kernel-directmap',
  'kernel-vmalloc',
  'kernel-vmemmap',
  'kasan-shadow',
  'kernel-cpu-entry',
  'kernel-fixmap',
  'kernel-image',
  'kernel-modules',
  'xen-directmap',
  'xen-image',
] as const;

const XEN_AREAS = ['xen-m2p', 'xen-private'] as const;

export const kernelAreaNotMapped: Diagnosis = {
  id: 'kernel-area-not-mapped',
  verdict: ({ place }) => `an access to ${place?.words ?? "the kernel's address space"}, where nothing is mapped`,
  family: 'fault',
  requires: [
    pageFaultClue(1),
    {
      // For a guest Xen's own area is another matter: see xen-private-access.
      when: (of) => isAt(...KERNEL_AREAS, ...(of.facts.system === 'xen-guest' ? [] : XEN_AREAS))(of),
      weight: 2,
      says: ({ place, address }) => `${hexAddress(address)} lies in ${place?.words}`,
    },
    notPresentClue,
    notMappedClue,
  ],
  clues: [
    { when: isSystem('linux'), weight: -2, says: 'the kernel was running: its areas were set up' },
    {
      when: isAt('kasan-shadow'),
      weight: 4,
      says: ({ address }) =>
        `it is the shadow byte of ${hexAddress(address === undefined ? undefined : shadowed(address))}: instrumented code ran before KASAN's shadow was set up`,
    },
  ],
  explanation: ({ place, address }) =>
    place?.name === 'kasan-shadow' && address !== undefined
      ? `Code that the compiler instrumented for KASAN looks up the shadow byte of every address it touches, here of ${hexAddress(shadowed(address))}. The shadow is not mapped yet (or not for that address), so the look-up itself faults.`
      : `The address is one that a kernel uses for ${place?.words ?? 'its own data'}, but no table maps it: the area is not set up yet, was torn down, or the index or pointer that led there is wrong.`,
  next: ({ place }) =>
    place?.name === 'kasan-shadow'
      ? [
          'Keep KASAN out of the code that runs this early (KASAN_SANITIZE_<file>.o := n), or boot this kernel without KASAN as a PV guest.',
        ]
      : [
          'See whether the area is set up by the time rip is reached, above all early in boot.',
          'See whether the pointer or index that gives the address is in range.',
        ],
  sources: ['Linux Documentation/arch/x86/x86_64/mm.rst (what lies where)', 'Xen arch/x86/include/asm/config.h'],
  examples: [
    'corpus/xen-4.2-early-vmemmap.log',
    'corpus/xen-4.9-kasan-shadow.log',
    'corpus/xen-4.19-kasan-shadow-quoted-printable.log',
    'corpus/xen-4.9-kaiser-before-detection.log',
  ],
};
