// physdev_op: physical devices. A domU without any may set its I/O privilege level; the rest is dom0's.
// Source: Xen 4.17 public/physdev.h, arch/x86/physdev.c. Left out: interrupts and PCI of a domain that was given devices.
// DEVIATION: an I/O bitmap is checked and not kept: no port is assigned to a domU here, so it could allow nothing.

import { EFAULT, EINVAL, ENOSYS, EPERM } from '../../abi/errno.js';
import { isGuestAddress, readGuest32, readGuestStruct } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import type { XenVcpu } from '../vcpu.js';

const PHYSDEVOP_irq_status_query = 5;
const PHYSDEVOP_set_iopl = 6;
const PHYSDEVOP_set_iobitmap = 7;
const PHYSDEVOP_apic_read = 8;
const PHYSDEVOP_apic_write = 9;
const PHYSDEVOP_alloc_irq_vector = 10;
const PHYSDEVOP_free_irq_vector = 11;
const PHYSDEVOP_eoi = 12;
const PHYSDEVOP_map_pirq = 13;
const PHYSDEVOP_unmap_pirq = 14;
const PHYSDEVOP_manage_pci_add = 15;
const PHYSDEVOP_manage_pci_remove = 16;
const PHYSDEVOP_setup_gsi = 21;
const PHYSDEVOP_pci_device_add = 25;
const PHYSDEVOP_pci_device_remove = 26;

/** What only the domain that owns the hardware may ask for. */
const PRIVILEGED: ReadonlySet<number> = new Set([
  PHYSDEVOP_apic_read,
  PHYSDEVOP_apic_write,
  PHYSDEVOP_alloc_irq_vector,
  PHYSDEVOP_free_irq_vector,
  PHYSDEVOP_map_pirq,
  PHYSDEVOP_unmap_pirq,
  PHYSDEVOP_manage_pci_add,
  PHYSDEVOP_manage_pci_remove,
  PHYSDEVOP_setup_gsi,
  PHYSDEVOP_pci_device_add,
  PHYSDEVOP_pci_device_remove,
]);

const MAX_PORTS = 65536;

/** 0 or a negative errno. */
export const physdev_op: Hypercall = (vcpu, [cmd, arg]) => operate(vcpu, Number(BigInt.asUintN(32, cmd)), arg);

/** The form before interface 0x00030202: one pointer to { cmd u32, the operation's structure at 8 }. */
export const physdev_op_compat: Hypercall = (vcpu, [arg]) => {
  const cmd = readGuest32(vcpu, arg);
  return cmd === undefined ? -EFAULT : operate(vcpu, cmd, arg + 8n);
};

function operate(vcpu: XenVcpu, cmd: number, arg: bigint): number {
  if (PRIVILEGED.has(cmd)) return -EPERM;
  switch (cmd) {
    case PHYSDEVOP_set_iopl: {
      const iopl = readGuest32(vcpu, arg);
      if (iopl === undefined) return -EFAULT;
      if (iopl > 3) return -EINVAL;
      vcpu.iopl = iopl;
      return 0;
    }
    case PHYSDEVOP_set_iobitmap: {
      const request = readGuestStruct(vcpu, arg, 16);
      if (!request) return -EFAULT;
      if (!isGuestAddress(request.getBigUint64(0, true))) return -EFAULT;
      return request.getUint32(8, true) > MAX_PORTS ? -EINVAL : 0;
    }
    case PHYSDEVOP_irq_status_query:
    case PHYSDEVOP_eoi:
      return readGuest32(vcpu, arg) === undefined ? -EFAULT : -EINVAL;
    default:
      return -ENOSYS;
  }
}
