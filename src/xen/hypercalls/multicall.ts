// multicall: a list of hypercalls, carried out in order; each one's result goes into its entry. One that is to be continued
// has its arguments in the entry replaced, and the multicall is continued with it.
// Source: Xen 4.1.3 and 4.17 common/multicall.c. An iret among them ends the list, as nothing may run behind it for what may
// then be a program. DEVIATION: so here under the 4.1 profile too, which went on (XSA-213).

import { EFAULT, EINVAL } from '../../abi/errno.js';
import { __HYPERVISOR_iret, __HYPERVISOR_multicall } from '../../abi/hypercalls.js';
import { MULTICALL_args, MULTICALL_ENTRY_BYTES, MULTICALL_op, MULTICALL_result } from '../../abi/mmu-ops.js';
import { Continuation, eachItem } from '../continuation.js';
import { invoke } from '../dispatch.js';
import { copyToGuest, readGuestStruct, writeGuest64 } from '../guest-memory.js';
import type { Hypercall, HypercallArgs } from '../hypercall.js';
import type { XenVcpu } from '../vcpu.js';

/** (list, number of entries); 0, or -EFAULT when the list cannot be read or written. */
export const multicall: Hypercall = (vcpu, [list, countWord]) => {
  const count = Number(BigInt.asUintN(32, countWord));
  const place = (index: number): bigint => BigInt.asUintN(64, list + BigInt(index * MULTICALL_ENTRY_BYTES));
  const { done, stop, isPreempted } = eachItem(vcpu, count, (index) => carryOut(vcpu, place(index), index));
  return isPreempted || stop === 'continue' ? new Continuation(place(done), count - done) : (stop ?? 0);
};

/** Undefined when the next entry may follow, 'continue' when this one is to be taken up again, or what the call returns. */
function carryOut(vcpu: XenVcpu, at: bigint, index: number): 'continue' | number | bigint | undefined {
  const entry = readGuestStruct(vcpu, at, MULTICALL_ENTRY_BYTES);
  if (!entry) return -EFAULT;
  const operation = entry.getBigUint64(MULTICALL_op, true);
  const arg = (number: number): bigint => entry.getBigUint64(MULTICALL_args + 8 * number, true);
  const args: HypercallArgs = [arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)];
  const result =
    operation === BigInt(__HYPERVISOR_multicall)
      ? BigInt.asUintN(64, BigInt(-EINVAL))
      : invoke(vcpu, operation, args, index);
  if (result instanceof Continuation) {
    // As in rax, the call's number stands where its result will.
    entry.setBigUint64(MULTICALL_result, operation, true);
    for (const [number, word] of result.args.entries()) entry.setBigUint64(MULTICALL_args + 8 * number, word, true);
    return copyToGuest(vcpu, at, new Uint8Array(entry.buffer)) ? 'continue' : -EFAULT;
  }
  if (operation === BigInt(__HYPERVISOR_iret)) return result;
  return writeGuest64(vcpu, at + BigInt(MULTICALL_result), result) ? undefined : -EFAULT;
}
