// grant_table_op(cmd, array, count): a domain sets its grant table up, asks about it, and has Xen copy between frames.
// Source: Xen 4.17 public/grant_table.h, common/grant_table.c (do_grant_table_op and the functions it calls).
// Version 2 is answered as by a Xen with `gnttab=max-ver:1`, which behaves as before set_version existed.
// DEVIATION: mapping another guest's frames fails with GNTST_general_error; transfer, swap and cache flushing are absent.

import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../../abi/errno.js';
import * as G from '../../abi/grant-table.js';
import { DOMID_SELF } from '../../abi/xen-layout.js';
import { maddr, mfnToMaddr, PAGE_BYTES } from '../../base/addresses.js';
import { Continuation, eachItem } from '../continuation.js';
import { DOM0 } from '../events.js';
import { type FrameUse, useFrame } from '../grants.js';
import {
  copyToGuest,
  isGuestAddress,
  readGuest32,
  readGuestStruct,
  writeGuest32,
  writeGuest64,
} from '../guest-memory.js';
import type { Hypercall, HypercallResult } from '../hypercall.js';
import type { XenVcpu } from '../vcpu.js';

const MAX_COUNT = 0x7fff_ffff;

/** 0 with a status in each element, or a negative errno. */
export const grant_table_op: Hypercall = (vcpu, [command, array, countWord]) => {
  const cmd = Number(BigInt.asUintN(32, command));
  const count = Number(BigInt.asUintN(32, countWord));
  if (count > MAX_COUNT) return -EINVAL;
  if (!isGuestAddress(array)) return -EFAULT;
  switch (cmd) {
    case G.GNTTABOP_setup_table:
      return count === 1 ? setupTable(vcpu, array) : -EINVAL;
    case G.GNTTABOP_query_size:
      return count === 1 ? querySize(vcpu, array) : -EINVAL;
    case G.GNTTABOP_set_version:
      return setVersion(vcpu, array);
    case G.GNTTABOP_get_version:
      return getVersion(vcpu, array);
    case G.GNTTABOP_copy:
      return eachElement(vcpu, cmd, array, count, COPY, (request) => copy(vcpu, request));
    case G.GNTTABOP_map_grant_ref:
      return eachElement(vcpu, cmd, array, count, MAP, (request) =>
        isDomain(vcpu, request.getUint16(16, true)) ? G.GNTST_general_error : G.GNTST_bad_domain,
      );
    case G.GNTTABOP_unmap_grant_ref:
      return eachElement(vcpu, cmd, array, count, UNMAP, () => G.GNTST_bad_handle);
    default:
      return -ENOSYS;
  }
};

/** The size of an element, and where its status goes. */
interface ElementForm {
  readonly bytes: number;
  readonly status: number;
}

const MAP: ElementForm = { bytes: 32, status: 18 };
const UNMAP: ElementForm = { bytes: 24, status: 20 };
const COPY: ElementForm = { bytes: 40, status: 36 };

function eachElement(
  vcpu: XenVcpu,
  cmd: number,
  array: bigint,
  count: number,
  form: ElementForm,
  act: (request: DataView) => number,
): HypercallResult {
  const { done, stop, isPreempted } = eachItem(vcpu, count, (index) => {
    const at = array + BigInt(index * form.bytes);
    const request = readGuestStruct(vcpu, at, form.bytes);
    return request && putStatus(vcpu, at + BigInt(form.status), act(request)) ? undefined : -EFAULT;
  });
  return isPreempted ? new Continuation(cmd, array + BigInt(done * form.bytes), count - done) : (stop ?? 0);
}

function putStatus(vcpu: XenVcpu, at: bigint, status: number): boolean {
  const bytes = new Uint8Array(2);
  new DataView(bytes.buffer).setInt16(0, status, true);
  return copyToGuest(vcpu, at, bytes);
}

const isSelf = (vcpu: XenVcpu, id: number): boolean => id === DOMID_SELF || id === vcpu.domain.id;
const isDomain = (vcpu: XenVcpu, id: number): boolean =>
  isSelf(vcpu, id) || id === DOM0 || vcpu.domain.hypervisor.domains.has(id);

/** What a request about another domain's table gets. */
const refusal = (vcpu: XenVcpu, id: number): number =>
  isDomain(vcpu, id) ? G.GNTST_permission_denied : G.GNTST_bad_domain;

/** struct gnttab_setup_table: dom u16 @0, nr_frames u32 @4, status s16 @8, frame_list* @16. */
function setupTable(vcpu: XenVcpu, arg: bigint): number {
  const request = readGuestStruct(vcpu, arg, 24);
  if (!request) return -EFAULT;
  const list = request.getBigUint64(16, true);
  if (!isGuestAddress(list)) return -EFAULT;
  const id = request.getUint16(0, true);
  const status = isSelf(vcpu, id) ? listFrames(vcpu, request.getUint32(4, true), list) : refusal(vcpu, id);
  return putStatus(vcpu, arg + 8n, status) ? 0 : -EFAULT;
}

function listFrames(vcpu: XenVcpu, count: number, list: bigint): number {
  const { grants, id, hypervisor } = vcpu.domain;
  if (count > grants.maxFrames) {
    if (hypervisor.config.profile === '4.1' || hypervisor.config.debug)
      hypervisor.console.print(`d${id} is limited to ${grants.maxFrames} grant-table frames`);
    return G.GNTST_general_error;
  }
  if (!grants.grow(count)) return G.GNTST_general_error;
  let status = G.GNTST_okay;
  for (const [index, frame] of grants.frames.slice(0, count).entries())
    if (!writeGuest64(vcpu, list + BigInt(index * 8), BigInt(frame))) status = G.GNTST_bad_virt_addr;
  return status;
}

/** struct gnttab_query_size: dom u16 @0, nr_frames u32 @4, max_nr_frames u32 @8, status s16 @12. */
function querySize(vcpu: XenVcpu, arg: bigint): number {
  const request = readGuestStruct(vcpu, arg, 16);
  if (!request) return -EFAULT;
  const { grants } = vcpu.domain;
  const id = request.getUint16(0, true);
  if (isSelf(vcpu, id)) {
    request.setUint32(4, grants.frames.length, true);
    request.setUint32(8, grants.maxFrames, true);
    request.setInt16(12, G.GNTST_okay, true);
  } else request.setInt16(12, refusal(vcpu, id), true);
  return copyToGuest(vcpu, arg, new Uint8Array(request.buffer)) ? 0 : -EFAULT;
}

/** The version in force, which is 1, is stored in any case. */
function setVersion(vcpu: XenVcpu, arg: bigint): number {
  const version = readGuest32(vcpu, arg);
  if (version === undefined) return -EFAULT;
  if (!writeGuest32(vcpu, arg, 1)) return -EFAULT;
  if (version === 1) return 0;
  return version === 2 ? -ENOSYS : -EINVAL;
}

/** struct gnttab_get_version: dom u16 @0, version u32 @4. */
function getVersion(vcpu: XenVcpu, arg: bigint): number {
  const request = readGuestStruct(vcpu, arg, 8);
  if (!request) return -EFAULT;
  const id = request.getUint16(0, true);
  if (!isSelf(vcpu, id)) return isDomain(vcpu, id) ? -EPERM : -ESRCH;
  return writeGuest32(vcpu, arg + 4n, 1) ? 0 : -EFAULT;
}

/** struct gnttab_copy: source and dest { ref u32 or frame u64 @0, domid u16 @8, offset u16 @10 } @0 and @16, len u16 @32, flags u16 @34. */
function copy(vcpu: XenVcpu, request: DataView): number {
  const flags = request.getUint16(34, true);
  const length = request.getUint16(32, true);
  const [fromOffset, toOffset] = [request.getUint16(10, true), request.getUint16(26, true)];
  const from = claim(vcpu, request, 0, (flags & G.GNTCOPY_source_gref) !== 0, 'read');
  if (typeof from === 'number') return from;
  const to = claim(vcpu, request, 16, (flags & G.GNTCOPY_dest_gref) !== 0, 'write');
  if (typeof to === 'number') {
    from.release();
    return to;
  }
  const fits = fromOffset + length <= PAGE_BYTES && toOffset + length <= PAGE_BYTES;
  if (fits) {
    const { memory } = vcpu.domain.hypervisor;
    memory.copyIn(
      maddr(mfnToMaddr(to.mfn) + toOffset),
      memory.copyOut(maddr(mfnToMaddr(from.mfn) + fromOffset), length),
    );
  }
  from.release();
  to.release();
  return fits ? G.GNTST_okay : G.GNTST_bad_copy_arg;
}

/** One side of a copy: by grant from any domain, by frame number only from the caller's own. */
function claim(
  vcpu: XenVcpu,
  request: DataView,
  at: number,
  byGrant: boolean,
  access: 'read' | 'write',
): FrameUse | number {
  const { domain } = vcpu;
  const { hypervisor } = domain;
  const id = request.getUint16(at + 8, true);
  if (byGrant) {
    const owner = isSelf(vcpu, id) ? domain : hypervisor.domains.get(id);
    return owner ? owner.grants.acquire(request.getUint32(at, true), domain.id, access) : G.GNTST_bad_domain;
  }
  if (id !== DOMID_SELF) return G.GNTST_permission_denied;
  return useFrame(domain, request.getBigUint64(at, true), access) ?? G.GNTST_bad_page;
}
