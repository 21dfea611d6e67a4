// console_io: a guest writes to Xen's own console, for the time when nothing else works yet.
// Source: Xen 4.17 and 4.1.3 public/xen.h (CONSOLEIO_*), drivers/char/console.c (do_console_io), xsm/dummy.h.
// A release build refuses a domU; a debug build prints what it writes. Left out: input (there is no serial line).

import { EFAULT, ENOSYS, EPERM } from '../../abi/errno.js';
import { Continuation, eachItem } from '../continuation.js';
import { copyFromGuest } from '../guest-memory.js';
import type { Hypercall, HypercallResult } from '../hypercall.js';
import type { XenVcpu } from '../vcpu.js';

const CONSOLEIO_write = 0;
const CONSOLEIO_read = 1;

/** Xen copies a guest's text in pieces; a guest may hand it over in one call of any length. */
const PIECE_BYTES = 128;

/** 0, or the number of bytes read (none); -EPERM in a release build. */
export const console_io: Hypercall = (vcpu, [cmd, count, buffer]) => {
  const { domain } = vcpu;
  if (!domain.hypervisor.config.debug) return -EPERM;
  const length = Number(BigInt.asUintN(32, count));
  switch (Number(BigInt.asUintN(32, cmd))) {
    case CONSOLEIO_write:
      return write(vcpu, length, buffer);
    case CONSOLEIO_read:
      return 0;
    default:
      return -ENOSYS;
  }
};

function write(vcpu: XenVcpu, length: number, buffer: bigint): HypercallResult {
  const { done, stop, isPreempted } = eachItem(vcpu, Math.ceil(length / PIECE_BYTES), (index) => {
    const at = index * PIECE_BYTES;
    const piece = copyFromGuest(vcpu, buffer + BigInt(at), Math.min(PIECE_BYTES, length - at));
    if (!piece) return -EFAULT;
    vcpu.domain.emergencyOutput.write(piece);
    return undefined;
  });
  if (!isPreempted) return stop ?? 0;
  const written = done * PIECE_BYTES;
  return new Continuation(CONSOLEIO_write, length - written, buffer + BigInt(written));
}
