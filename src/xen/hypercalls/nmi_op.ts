// nmi_op: where vCPU 0 takes NMIs. The older way; callback_op has one as well.
// Source: Xen 4.17 public/nmi.h, arch/x86/pv/callback.c (do_nmi_op). Left out: the reasons for NMIs, which are dom0's.

import { EFAULT, EINVAL, ENOSYS } from '../../abi/errno.js';
import { isCanonical } from '../../base/addresses.js';
import { readGuest64 } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import { registerNmiHandler, unregisterNmiHandler } from '../nmi.js';

const XENNMI_register_callback = 0;
const XENNMI_unregister_callback = 1;

/** 0 or a negative errno. */
export const nmi_op: Hypercall = (vcpu, [cmd, arg]) => {
  switch (Number(BigInt.asUintN(32, cmd))) {
    case XENNMI_register_callback: {
      const address = readGuest64(vcpu, arg);
      if (address === undefined) return -EFAULT;
      if (vcpu.id !== 0 || !isCanonical(address)) return -EINVAL;
      registerNmiHandler(vcpu, address);
      return 0;
    }
    case XENNMI_unregister_callback:
      unregisterNmiHandler(vcpu);
      return 0;
    default:
      return -ENOSYS;
  }
};
