// console_io: a guest writes to Xen's own console, for the time when nothing else works yet.
// Source: Xen 4.17 and 4.1.3 public/xen.h (CONSOLEIO_*), drivers/char/console.c (do_console_io), xsm/dummy.h.
// A release build refuses a domU; a debug build prints what it writes. Left out: input (there is no serial line).

import { EFAULT, ENOSYS, EPERM } from '../../abi/errno.js';
import { copyFromGuest } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';

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
      for (let done = 0; done < length; done += PIECE_BYTES) {
        const piece = copyFromGuest(vcpu, buffer + BigInt(done), Math.min(PIECE_BYTES, length - done));
        if (!piece) return -EFAULT;
        domain.emergencyOutput.write(piece);
      }
      return 0;
    case CONSOLEIO_read:
      return 0;
    default:
      return -ENOSYS;
  }
};
