// Event channels, two-level ABI: one bit per port in shared_info, one selector bit per word of 64 ports in vcpu_info, one
// byte that says that anything is pending at all. A bit that goes from 0 to 1 carries the notification up a level.
// Source: Xen 4.17 common/event_channel.c, common/event_2l.c. Left out: the FIFO ABI, physical interrupts.
//
//   port p:  evtchn_pending[p / 64] bit p % 64  --(unless masked)-->  pending_sel bit p / 64  -->  upcall_pending  --> upcall
//
// The other end of a channel is a port of a guest, or a callback of one of dom0's backends: dom0 itself is no guest here.

import { EEXIST, EINVAL, ENOENT, ENOSPC, ESRCH } from '../abi/errno.js';
import * as E from '../abi/event-channel.js';
import {
  SHARED_INFO_evtchn_mask,
  SHARED_INFO_evtchn_pending,
  VCPU_INFO_evtchn_pending_sel,
} from '../abi/xen-layout.js';
import { type Maddr, maddr, mfnToMaddr } from '../base/addresses.js';
import { unreachable } from '../base/failures.js';
import type { Domain } from './domain.js';
import type { XenVcpu } from './vcpu.js';

/** The domain that the backends belong to. */
export const DOM0 = 0;

/** dom0's end of a channel, in a backend's hands. Neither call does anything once the guest has closed its end. */
export interface BackendPort {
  /** dom0's own number for it, which EVTCHNOP_status shows. */
  readonly port: number;
  /** Sends the guest an event. */
  notify(): void;
  /** Closes dom0's end; the guest's becomes unbound. */
  close(): void;
}

interface Backend {
  readonly port: number;
  readonly onNotify: () => void;
}

type Binding =
  | { readonly kind: 'free' }
  | { readonly kind: 'unbound'; readonly remoteDomain: number }
  | { readonly kind: 'interdomain'; readonly remote: Domain; readonly remotePort: number }
  | { readonly kind: 'backend'; readonly backend: Backend }
  | { readonly kind: 'virq'; readonly virq: number }
  | { readonly kind: 'ipi' };

interface Channel {
  binding: Binding;
  /** The vCPU that is told. */
  vcpu: number;
}

/** What EVTCHNOP_status answers; `detail` is the union's content: domain and port, or a VIRQ. */
export interface ChannelStatus {
  readonly status: number;
  readonly vcpu: number;
  readonly domain: number;
  readonly port: number;
  readonly virq: number;
}

const FREE: Binding = { kind: 'free' };

/** Xen allocates channels by the bucket; a free port in an allocated bucket is closed, one beyond is invalid. */
const BUCKET_PORTS = 64;

/** The VIRQs that each vCPU has of its own; all others are the domain's and arrive first at vCPU 0. */
const PER_VCPU_VIRQS: ReadonlySet<number> = new Set([E.VIRQ_TIMER, E.VIRQ_DEBUG, E.VIRQ_XENOPROF, E.VIRQ_XENPMU]);

/** All ports of one domain. Its calls return what the hypercalls do: a port or 0, or a negative errno. */
export class EventChannels {
  readonly #domain: Domain;
  /** By port; [0] is never used. */
  readonly #channels: Channel[] = [{ binding: FREE, vcpu: 0 }];
  /** Key: vCPU * NR_VIRQS + VIRQ. */
  readonly #virqPorts = new Map<number, number>();
  /** dom0's ports are counted per guest: no guest can tell. */
  #nextBackendPort = 1;

  constructor(domain: Domain) {
    this.#domain = domain;
  }

  /** A new port that `remoteDomain` may bind to; or -ENOSPC. */
  allocUnbound(remoteDomain: number): number {
    return this.#allocate({ kind: 'unbound', remoteDomain }, 0);
  }

  /** Binds dom0's end to a port that waits for dom0. Undefined when the port does not. The guest's end is not notified. */
  bindBackend(port: number, onNotify: () => void): BackendPort | undefined {
    const channel = this.#channels[port];
    if (channel?.binding.kind !== 'unbound' || channel.binding.remoteDomain !== DOM0) return undefined;
    const backend: Backend = { port: this.#nextBackendPort++, onNotify };
    const bound: Binding = { kind: 'backend', backend };
    channel.binding = bound;
    return {
      port: backend.port,
      notify: () => {
        if (channel.binding === bound) this.#setPending(port);
      },
      close: () => {
        if (channel.binding === bound) channel.binding = { kind: 'unbound', remoteDomain: DOM0 };
      },
    };
  }

  /**
   * Binds a new local port to a port that another domain allocated for this one; it becomes pending once, for what may have
   * been sent before. The port, or -EINVAL, -ESRCH, -ENOSPC. dom0 offers no ports to guests.
   */
  bindInterdomain(remoteDomain: number, remotePort: number): number {
    if (remoteDomain === DOM0) return -EINVAL;
    const remote = this.#domain.hypervisor.domains.get(remoteDomain);
    if (!remote) return -ESRCH;
    const other = remote.events.#channels[remotePort];
    if (other?.binding.kind !== 'unbound' || other.binding.remoteDomain !== this.#domain.id) return -EINVAL;
    const port = this.#allocate({ kind: 'interdomain', remote, remotePort }, 0);
    if (port < 0) return port;
    other.binding = { kind: 'interdomain', remote: this.#domain, remotePort: port };
    this.#setPending(port);
    return port;
  }

  /** The port, or -EINVAL (no such VIRQ, or a domain's VIRQ not on vCPU 0), -ENOENT, -EEXIST, -ENOSPC. */
  bindVirq(virq: number, vcpu: number): number {
    if (virq >= E.NR_VIRQS || (!PER_VCPU_VIRQS.has(virq) && vcpu !== 0)) return -EINVAL;
    if (!this.#domain.vcpus[vcpu]) return -ENOENT;
    const key = vcpu * E.NR_VIRQS + virq;
    if (this.#virqPorts.has(key)) return -EEXIST;
    const port = this.#allocate({ kind: 'virq', virq }, vcpu);
    if (port > 0) this.#virqPorts.set(key, port);
    return port;
  }

  /** The port, or -ENOENT, -ENOSPC. */
  bindIpi(vcpu: number): number {
    return this.#domain.vcpus[vcpu] ? this.#allocate({ kind: 'ipi' }, vcpu) : -ENOENT;
  }

  /** 0, or -EINVAL for a port that is not in use. The other end becomes unbound. */
  close(port: number): number {
    const channel = this.#used(port);
    if (!channel) return -EINVAL;
    const { binding } = channel;
    if (binding.kind === 'interdomain') {
      const other = binding.remote.events.#channels[binding.remotePort];
      if (other) other.binding = { kind: 'unbound', remoteDomain: this.#domain.id };
    }
    if (binding.kind === 'virq') {
      const owner = PER_VCPU_VIRQS.has(binding.virq) ? channel.vcpu : 0;
      this.#virqPorts.delete(owner * E.NR_VIRQS + binding.virq);
    }
    channel.binding = FREE;
    channel.vcpu = 0;
    this.#clearBit(SHARED_INFO_evtchn_pending, port);
    return 0;
  }

  /** 0 (also when nobody listens at the other end), or -EINVAL for a port that cannot be sent to. */
  send(port: number): number {
    const binding = this.#used(port)?.binding;
    if (!binding) return -EINVAL;
    switch (binding.kind) {
      case 'interdomain':
        binding.remote.events.#setPending(binding.remotePort);
        return 0;
      case 'backend':
        binding.backend.onNotify();
        return 0;
      case 'ipi':
        this.#setPending(port);
        return 0;
      case 'unbound':
        return 0;
      case 'virq':
      case 'free':
        return -EINVAL;
      default:
        return unreachable(binding);
    }
  }

  /** What the port is, or -EINVAL for a number that no port has. */
  status(port: number): ChannelStatus | number {
    if (!this.#valid(port)) return -EINVAL;
    const { binding, vcpu } = this.#channels[port] ?? { binding: FREE, vcpu: 0 };
    const nothing = { vcpu, domain: 0, port: 0, virq: 0 };
    switch (binding.kind) {
      case 'free':
        return { ...nothing, status: E.EVTCHNSTAT_closed };
      case 'unbound':
        return { ...nothing, status: E.EVTCHNSTAT_unbound, domain: binding.remoteDomain };
      case 'interdomain':
        return {
          ...nothing,
          status: E.EVTCHNSTAT_interdomain,
          domain: binding.remote.id,
          port: binding.remotePort,
        };
      case 'backend':
        return { ...nothing, status: E.EVTCHNSTAT_interdomain, domain: DOM0, port: binding.backend.port };
      case 'virq':
        return { ...nothing, status: E.EVTCHNSTAT_virq, virq: binding.virq };
      case 'ipi':
        return { ...nothing, status: E.EVTCHNSTAT_ipi };
      default:
        return unreachable(binding);
    }
  }

  /** Which vCPU is told of a port's events from now on. 0, -ENOENT, or -EINVAL: IPIs and a vCPU's own VIRQs stay put. */
  bindVcpu(port: number, vcpu: number): number {
    if (!this.#domain.vcpus[vcpu]) return -ENOENT;
    const channel = this.#used(port);
    if (!channel || channel.binding.kind === 'ipi') return -EINVAL;
    if (channel.binding.kind === 'virq' && PER_VCPU_VIRQS.has(channel.binding.virq)) return -EINVAL;
    channel.vcpu = vcpu;
    return 0;
  }

  /** Clears the port's mask bit, and passes on what is pending. 0, or -EINVAL. */
  unmask(port: number): number {
    if (!this.#valid(port)) return -EINVAL;
    if (this.#clearBit(SHARED_INFO_evtchn_mask, port) && this.isPending(port)) this.#tell(port);
    return 0;
  }

  /** Closes every port. */
  reset(): void {
    for (let port = 1; port < this.#channels.length; port++) this.close(port);
  }

  /** Raises a virtual interrupt: of this vCPU, or of the domain. Nothing happens while it is not bound. */
  raiseVirq(virq: number, vcpu = 0): void {
    const port = this.#virqPorts.get(vcpu * E.NR_VIRQS + virq);
    if (port !== undefined) this.#setPending(port);
  }

  /** Whether the port's pending bit is set, masked or not. */
  isPending(port: number): boolean {
    return this.#testBit(SHARED_INFO_evtchn_pending, port);
  }

  /** Whether a number can be a port at all: Xen's port_is_valid. */
  isValid(port: number): boolean {
    return this.#valid(port);
  }

  /** Marks the vCPU as having something pending, whether it has or not, and wakes it. */
  markPending(vcpu: XenVcpu): void {
    if (vcpu.upcallPending) return;
    vcpu.upcallPending = true;
    vcpu.time.wake();
  }

  #allocate(binding: Binding, vcpu: number): number {
    let port = this.#channels.findIndex((channel, index) => index > 0 && channel.binding.kind === 'free');
    if (port < 0) port = this.#channels.length;
    if (port >= E.EVTCHN_2L_NR_CHANNELS) return -ENOSPC;
    this.#channels[port] = { binding, vcpu };
    return port;
  }

  #valid(port: number): boolean {
    return port < Math.ceil(this.#channels.length / BUCKET_PORTS) * BUCKET_PORTS;
  }

  #used(port: number): Channel | undefined {
    const channel = this.#channels[port];
    return channel && channel.binding.kind !== 'free' ? channel : undefined;
  }

  /** An event for this port: see the picture above. */
  #setPending(port: number): void {
    if (!this.#setBit(SHARED_INFO_evtchn_pending, port)) return;
    if (!this.#testBit(SHARED_INFO_evtchn_mask, port)) this.#tell(port);
    for (const vcpu of this.#domain.vcpus) if (vcpu.time.polls(port)) vcpu.time.wake();
  }

  /** Carries a pending, unmasked port up to its vCPU. */
  #tell(port: number): void {
    const vcpu = this.#domain.vcpus[this.#channels[port]?.vcpu ?? 0];
    if (!vcpu) return;
    const { memory } = this.#domain.hypervisor;
    const selector = vcpu.info(VCPU_INFO_evtchn_pending_sel);
    const bit = 1n << BigInt(Math.floor(port / E.EVTCHN_WORD_PORTS));
    const old = memory.read64(selector);
    if (old & bit) return;
    memory.write64(selector, old | bit);
    this.markPending(vcpu);
  }

  #word(base: number, port: number): Maddr {
    return maddr(mfnToMaddr(this.#domain.sharedInfo) + base + Math.floor(port / E.EVTCHN_WORD_PORTS) * 8);
  }

  #testBit(base: number, port: number): boolean {
    const word = this.#domain.hypervisor.memory.read64(this.#word(base, port));
    return ((word >> BigInt(port % E.EVTCHN_WORD_PORTS)) & 1n) === 1n;
  }

  /** True when the bit was clear before. */
  #setBit(base: number, port: number): boolean {
    if (this.#testBit(base, port)) return false;
    this.#flipBit(base, port);
    return true;
  }

  /** True when the bit was set before. */
  #clearBit(base: number, port: number): boolean {
    if (!this.#testBit(base, port)) return false;
    this.#flipBit(base, port);
    return true;
  }

  #flipBit(base: number, port: number): void {
    const { memory } = this.#domain.hypervisor;
    const word = this.#word(base, port);
    memory.write64(word, memory.read64(word) ^ (1n << BigInt(port % E.EVTCHN_WORD_PORTS)));
  }
}
