// sched_op: a vCPU gives the CPU away, sleeps, or shuts its domain down.
// Source: Xen 4.17 public/sched.h, common/sched/core.c (do_sched_op, do_poll, compat_sched_op).
// Left out: remote shutdown and pinning, which a domU may not do.
//
//   sched_op(cmd, arg pointer)                       sched_op_compat(cmd, arg): yield, block, shutdown with the reason itself
//   SCHEDOP_poll arg:  ports* @0 | nr_ports u32 @8 | timeout u64 @16

import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../../abi/errno.js';
import {
  SCHEDOP_block,
  SCHEDOP_pin_override,
  SCHEDOP_poll,
  SCHEDOP_remote_shutdown,
  SCHEDOP_shutdown,
  SCHEDOP_shutdown_code,
  SCHEDOP_watchdog,
  SCHEDOP_yield,
} from '../../abi/sched.js';
import { readGuest32, readGuestStruct } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import type { XenVcpu } from '../vcpu.js';

const MAX_POLLED_PORTS = 128;

/** 0 or a negative errno. A call that sleeps returns 0 at once; the vCPU then does not run until it is woken. */
export const sched_op: Hypercall = (vcpu, [cmd, arg]) => {
  switch (Number(BigInt.asUintN(32, cmd))) {
    case SCHEDOP_yield:
      return 0;
    case SCHEDOP_block:
      return block(vcpu);
    case SCHEDOP_shutdown: {
      const reason = readGuest32(vcpu, arg);
      if (reason === undefined) return -EFAULT;
      vcpu.domain.scheduling.shutdown(reason);
      return 0;
    }
    case SCHEDOP_poll:
      return poll(vcpu, arg);
    case SCHEDOP_remote_shutdown:
      return remoteShutdown(vcpu, arg);
    case SCHEDOP_shutdown_code: {
      const reason = readGuest32(vcpu, arg);
      if (reason === undefined) return -EFAULT;
      vcpu.domain.scheduling.announce(reason);
      return 0;
    }
    case SCHEDOP_watchdog: {
      const watchdog = readGuestStruct(vcpu, arg, 8);
      if (!watchdog) return -EFAULT;
      return vcpu.domain.scheduling.watchdog(watchdog.getUint32(0, true), watchdog.getUint32(4, true));
    }
    case SCHEDOP_pin_override:
      return -EPERM;
    default:
      return -ENOSYS;
  }
};

/** The form before interface 0x00030101: the argument itself in place of a pointer. */
export const sched_op_compat: Hypercall = (vcpu, [cmd, arg]) => {
  switch (Number(BigInt.asUintN(32, cmd))) {
    case SCHEDOP_yield:
      return 0;
    case SCHEDOP_block:
      return block(vcpu);
    case SCHEDOP_shutdown:
      vcpu.domain.scheduling.shutdown(Number(arg & 0xffn));
      return 0;
    default:
      return -ENOSYS;
  }
};

function block(vcpu: XenVcpu): number {
  vcpu.upcallMask = false;
  vcpu.time.block();
  return 0;
}

/** Masks stay as they are. Returns at once when one of the ports is pending or an event can be delivered. */
function poll(vcpu: XenVcpu, arg: bigint): number {
  const request = readGuestStruct(vcpu, arg, 24);
  if (!request) return -EFAULT;
  const list = request.getBigUint64(0, true);
  const count = request.getUint32(8, true);
  if (count > MAX_POLLED_PORTS) return -EINVAL;
  if (vcpu.time.eventDeliverable) return 0;
  const { events } = vcpu.domain;
  const ports: number[] = [];
  for (let index = 0; index < count; index++) {
    const port = readGuest32(vcpu, list + BigInt(index * 4));
    if (port === undefined) return -EFAULT;
    if (!events.isValid(port)) return -EINVAL;
    if (events.isPending(port)) return 0;
    ports.push(port);
  }
  vcpu.time.poll(ports, request.getBigUint64(16, true));
  return 0;
}

function remoteShutdown(vcpu: XenVcpu, arg: bigint): number {
  const request = readGuestStruct(vcpu, arg, 8);
  if (!request) return -EFAULT;
  return vcpu.domain.hypervisor.domains.has(request.getUint16(0, true)) ? -EPERM : -ESRCH;
}
