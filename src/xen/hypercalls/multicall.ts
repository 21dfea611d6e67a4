// multicall: a list of hypercalls, carried out in order; each one's result goes into its entry.
// Source: Xen 4.1.3 and 4.17 common/multicall.c. An iret among them ends the list, as nothing may run behind it for what may
// then be a program. DEVIATION: so here under the 4.1 profile too, which went on (XSA-213).

import { EFAULT, EINVAL } from '../../abi/errno.js';
import { __HYPERVISOR_iret, __HYPERVISOR_multicall } from '../../abi/hypercalls.js';
import { MULTICALL_args, MULTICALL_ENTRY_BYTES, MULTICALL_op, MULTICALL_result } from '../../abi/mmu-ops.js';
import { invoke } from '../dispatch.js';
import { readGuestStruct, writeGuest64 } from '../guest-memory.js';
import type { Hypercall, HypercallArgs } from '../hypercall.js';

/** (list, number of entries); 0, or -EFAULT when the list cannot be read. */
export const multicall: Hypercall = (vcpu, [list, countWord]) => {
  const count = Number(BigInt.asUintN(32, countWord));
  for (let index = 0; index < count; index++) {
    const at = BigInt.asUintN(64, list + BigInt(index * MULTICALL_ENTRY_BYTES));
    const entry = readGuestStruct(vcpu, at, MULTICALL_ENTRY_BYTES);
    if (!entry) return -EFAULT;
    const arg = (number: number): bigint => entry.getBigUint64(MULTICALL_args + 8 * number, true);
    const args: HypercallArgs = [arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)];
    const operation = entry.getBigUint64(MULTICALL_op, true);
    if (operation === BigInt(__HYPERVISOR_iret)) return invoke(vcpu, operation, args, index);
    const result =
      operation === BigInt(__HYPERVISOR_multicall)
        ? BigInt.asUintN(64, BigInt(-EINVAL))
        : invoke(vcpu, operation, args, index);
    if (vcpu.domain.ended) return 0;
    if (!writeGuest64(vcpu, at + BigInt(MULTICALL_result), result)) return -EFAULT;
  }
  return 0;
};
