// UEFI runtime services crashed while Xen called them.

import { hex64 } from '../../base/hex.js';
import type { Case } from '../derive/case.js';
import { isSystem, known, only, type Truth } from './conditions.js';
import type { Diagnosis } from './diagnosis.js';

/** Runtime services are called by efi_* and, for the reset, at the end of machine_restart. */
const callsFirmware = ({ facts }: Case): Truth =>
  known(facts.trace, (trace) => trace.some(({ symbol }) => /\befi_|runtime\.c#|machine_restart/.test(symbol ?? '')));

export const firmwareCall: Diagnosis = {
  id: 'firmware-call',
  verdict: "the machine's firmware (UEFI runtime services) crashed while the hypervisor called it",
  family: 'fault',
  requires: [
    only(isSystem('xen')),
    {
      when: ({ facts }) =>
        facts.ripOutsideCode ?? (facts.registers?.rip === undefined ? undefined : facts.registers.rip < 0x1_0000_0000n),
      weight: 5,
      says: ({ facts }) => `rip ${hex64(facts.registers?.rip ?? 0n)} is outside Xen's code`,
    },
    {
      when: callsFirmware,
      weight: 6,
      says: 'the call trace comes from where Xen calls EFI runtime services',
      wanted: 'the call trace: whether an efi_ function is in it',
    },
  ],
  clues: [],
  explanation: () =>
    "UEFI firmware leaves services behind for the running system: clock, variables, reset. Their code is the vendor's, runs with the mappings that the system gives it, and often touches memory that it never asked for.",
  next: () => [
    'Boot Xen with efi=no-rs (no runtime services), or with /mapbs (keep boot-services memory mapped); use reboot=acpi when it is the reset. Update the firmware.',
  ],
  sources: ['Xen docs/misc/efi.pandoc and xen-command-line.pandoc (efi=)', 'UEFI specification "Runtime Services"'],
  examples: ['corpus/xen-4.14-efi-get-time.log', 'corpus/xen-4.18-efi-reset-invalid-opcode.log'],
};
