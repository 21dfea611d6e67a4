// set_callbacks and callback_op: where events, failed returns and system calls of programs enter the guest's kernel.
// Source: Xen 4.1.3 arch/x86/x86_64/traps.c, Xen 4.17 arch/x86/pv/callback.c, public/callback.h.

import { EFAULT, EINVAL, ENOSYS } from '../../abi/errno.js';
import { isCanonical } from '../../base/addresses.js';
import { readGuestStruct } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import { registerNmiHandler, unregisterNmiHandler } from '../nmi.js';
import type { Callback, XenVcpu } from '../vcpu.js';

const CALLBACKOP_register = 0;
const CALLBACKOP_unregister = 1;

const CALLBACKTYPE_event = 0;
const CALLBACKTYPE_failsafe = 1;
const CALLBACKTYPE_syscall = 2;
const CALLBACKTYPE_sysenter_deprecated = 3;
const CALLBACKTYPE_nmi = 4;
const CALLBACKTYPE_sysenter = 5;
const CALLBACKTYPE_syscall32 = 7;

const CALLBACKF_mask_events = 1;
// callback_register: { type u16 at 0, flags u16 at 2, address u64 at 8 }; callback_unregister: { type u16 at 0, u16 }.
const REGISTER_BYTES = 16;
const UNREGISTER_BYTES = 4;

/** (event, failsafe, syscall): three registrations without flags; a non-canonical address leaves that one as it was. */
export const set_callbacks: Hypercall = (vcpu, [event, failsafe, syscall]) => {
  register(vcpu, CALLBACKTYPE_event, event, false);
  register(vcpu, CALLBACKTYPE_failsafe, failsafe, false);
  register(vcpu, CALLBACKTYPE_syscall, syscall, false);
  return 0;
};

/** (command, its structure) */
export const callback_op: Hypercall = (vcpu, [command, pointer]) => {
  switch (Number(BigInt.asUintN(32, command))) {
    case CALLBACKOP_register: {
      const words = readGuestStruct(vcpu, pointer, REGISTER_BYTES);
      if (!words) return -EFAULT;
      const masksEvents = (words.getUint16(2, true) & CALLBACKF_mask_events) !== 0;
      return register(vcpu, words.getUint16(0, true), words.getBigUint64(8, true), masksEvents);
    }
    case CALLBACKOP_unregister: {
      const words = readGuestStruct(vcpu, pointer, UNREGISTER_BYTES);
      return words ? unregister(vcpu, words.getUint16(0, true)) : -EFAULT;
    }
    default:
      return -ENOSYS;
  }
};

function register(vcpu: XenVcpu, type: number, address: bigint, masksEvents: boolean): number {
  if (!isCanonical(address)) return -EINVAL;
  const callback: Callback = { address, masksEvents };
  switch (type) {
    case CALLBACKTYPE_event:
      vcpu.eventCallback = callback;
      return 0;
    case CALLBACKTYPE_failsafe:
      vcpu.failsafeCallback = callback;
      return 0;
    case CALLBACKTYPE_syscall:
      vcpu.syscallCallback = callback;
      return 0;
    case CALLBACKTYPE_syscall32:
      vcpu.syscall32Callback = callback;
      return 0;
    case CALLBACKTYPE_sysenter:
    case CALLBACKTYPE_sysenter_deprecated:
      // The deprecated number went away with 64-bit guests of new interface versions; both mean the same.
      vcpu.sysenterCallback = callback;
      return 0;
    case CALLBACKTYPE_nmi:
      registerNmiHandler(vcpu, address);
      return 0;
    default:
      return -ENOSYS;
  }
}

function unregister(vcpu: XenVcpu, type: number): number {
  switch (type) {
    case CALLBACKTYPE_nmi:
      unregisterNmiHandler(vcpu);
      return 0;
    case CALLBACKTYPE_event:
    case CALLBACKTYPE_failsafe:
    case CALLBACKTYPE_syscall:
    case CALLBACKTYPE_syscall32:
    case CALLBACKTYPE_sysenter:
    case CALLBACKTYPE_sysenter_deprecated:
      return -EINVAL;
    default:
      return -ENOSYS;
  }
}
