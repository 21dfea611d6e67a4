// event_channel_op: ports are allocated, bound, sent to, asked about and closed.
// Source: Xen 4.17 public/event_channel.h, common/event_channel.c (do_event_channel_op, do_event_channel_op_compat).
// Left out: physical interrupts (a domU without devices is refused them); the FIFO ABI, whose operations are as unknown
// here as to a Xen before 4.4, so that a guest takes the two-level one.

import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../../abi/errno.js';
import * as E from '../../abi/event-channel.js';
import { DOMID_SELF } from '../../abi/xen-layout.js';
import { copyToGuest, readGuest32, readGuestStruct } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import type { XenVcpu } from '../vcpu.js';

/** How many bytes of structure each operation has. */
const ARGUMENT_BYTES: Readonly<Record<number, number>> = {
  [E.EVTCHNOP_bind_interdomain]: 12,
  [E.EVTCHNOP_bind_virq]: 12,
  [E.EVTCHNOP_bind_pirq]: 12,
  [E.EVTCHNOP_close]: 4,
  [E.EVTCHNOP_send]: 4,
  [E.EVTCHNOP_status]: 24,
  [E.EVTCHNOP_alloc_unbound]: 8,
  [E.EVTCHNOP_bind_ipi]: 8,
  [E.EVTCHNOP_bind_vcpu]: 8,
  [E.EVTCHNOP_unmask]: 4,
  [E.EVTCHNOP_reset]: 2,
};

/** A domU has no physical interrupts; Xen knows this many numbers for them. */
const NR_PIRQS = 256;

/** 0 or a negative errno; new ports are stored into the structure. */
export const event_channel_op: Hypercall = (vcpu, [cmd, arg]) => operate(vcpu, Number(BigInt.asUintN(32, cmd)), arg);

/** The form before interface 0x00030202: one pointer to { cmd u32, the operation's structure }. */
export const event_channel_op_compat: Hypercall = (vcpu, [arg]) => {
  const cmd = readGuest32(vcpu, arg);
  return cmd === undefined ? -EFAULT : operate(vcpu, cmd, arg + 4n);
};

function operate(vcpu: XenVcpu, cmd: number, arg: bigint): number {
  const bytes = ARGUMENT_BYTES[cmd];
  if (bytes === undefined) return -ENOSYS;
  const request = readGuestStruct(vcpu, arg, bytes);
  if (!request) return -EFAULT;
  const { domain } = vcpu;
  const { events } = domain;
  const u32 = (offset: number): number => request.getUint32(offset, true);
  const u16 = (offset: number): number => request.getUint16(offset, true);
  const isSelf = (id: number): boolean => id === DOMID_SELF || id === domain.id;
  const refusal = (id: number): number => (domain.hypervisor.domains.has(id) || id === 0 ? -EPERM : -ESRCH);

  /** Stores a new port into the structure; a port that the guest cannot be told of stays allocated, as in Xen. */
  const answer = (port: number, offset: number): number => {
    if (port < 0) return port;
    request.setUint32(offset, port, true);
    return copyToGuest(vcpu, arg, new Uint8Array(request.buffer)) ? 0 : -EFAULT;
  };

  switch (cmd) {
    case E.EVTCHNOP_bind_interdomain:
      return answer(events.bindInterdomain(isSelf(u16(0)) ? domain.id : u16(0), u32(4)), 8);
    case E.EVTCHNOP_bind_virq:
      return answer(events.bindVirq(u32(0), u32(4)), 8);
    case E.EVTCHNOP_bind_pirq:
      return u32(0) >= NR_PIRQS ? -EINVAL : -EPERM;
    case E.EVTCHNOP_close:
      return events.close(u32(0));
    case E.EVTCHNOP_send:
      return events.send(u32(0));
    case E.EVTCHNOP_alloc_unbound:
      if (!isSelf(u16(0))) return refusal(u16(0));
      return answer(events.allocUnbound(isSelf(u16(2)) ? domain.id : u16(2)), 4);
    case E.EVTCHNOP_bind_ipi:
      return answer(events.bindIpi(u32(0)), 4);
    case E.EVTCHNOP_bind_vcpu:
      return events.bindVcpu(u32(0), u32(4));
    case E.EVTCHNOP_unmask:
      return events.unmask(u32(0));
    case E.EVTCHNOP_reset:
      if (!isSelf(u16(0))) return refusal(u16(0));
      events.reset();
      return 0;
    case E.EVTCHNOP_status: {
      if (!isSelf(u16(0))) return refusal(u16(0));
      const status = events.status(u32(4));
      if (typeof status === 'number') return status;
      request.setUint32(8, status.status, true);
      request.setUint32(12, status.vcpu, true);
      if (status.status === E.EVTCHNSTAT_unbound || status.status === E.EVTCHNSTAT_interdomain)
        request.setUint16(16, status.domain, true);
      if (status.status === E.EVTCHNSTAT_interdomain) request.setUint32(20, status.port, true);
      if (status.status === E.EVTCHNSTAT_virq) request.setUint32(16, status.virq, true);
      return copyToGuest(vcpu, arg, new Uint8Array(request.buffer)) ? 0 : -EFAULT;
    }
    default:
      return -ENOSYS;
  }
}
