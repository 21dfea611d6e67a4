// set_trap_table: which address handles which exception vector.
// Source: Xen 4.1.3 arch/x86/traps.c do_set_trap_table, Xen 4.17 arch/x86/pv/callback.c.

import { EFAULT, EINVAL } from '../../abi/errno.js';
import { isCanonical } from '../../base/addresses.js';
import { Continuation, eachItem } from '../continuation.js';
import { readGuestStruct } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import { readTrapInfo, TRAP_INFO_BYTES, TRAP_INFO_vector } from '../trap-info.js';
import { NO_TRAP } from '../vcpu.js';

/** (table, ended by an entry with address 0); a null pointer takes all handlers away. */
export const set_trap_table: Hypercall = (vcpu, [table]) => {
  if (table === 0n) {
    vcpu.trapTable.fill(NO_TRAP);
    return 0;
  }
  const { done, stop } = eachItem(vcpu, Number.POSITIVE_INFINITY, (index) => {
    const words = readGuestStruct(vcpu, BigInt.asUintN(64, table + BigInt(index * TRAP_INFO_BYTES)), TRAP_INFO_BYTES);
    if (!words) return -EFAULT;
    const entry = readTrapInfo(words, 0);
    if (entry.address === 0n) return 0;
    if (!isCanonical(entry.address)) return -EINVAL;
    vcpu.trapTable[words.getUint8(TRAP_INFO_vector)] = entry;
    return undefined;
  });
  return stop ?? new Continuation(table + BigInt(done * TRAP_INFO_BYTES));
};
