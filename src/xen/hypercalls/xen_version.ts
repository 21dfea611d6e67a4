// xen_version: which Xen this is, and what it offers.
// Source: Xen 4.17 and 4.1.3 public/version.h, public/features.h, common/kernel.c (do_xen_version).
// A guest that sees "4.1" or "4.17" here may choose its ways by it, so the numbers follow the configured version.
// DEVIATION: who compiled what and when says "paravane"; there is no HVM among the capabilities.

import { EFAULT, EINVAL, ENOSYS, EPERM } from '../../abi/errno.js';
import { HYPERVISOR_VIRT_START } from '../../abi/xen-layout.js';
import { PAGE_BYTES } from '../../base/addresses.js';
import { copyToGuest, readGuest32, writeGuest32, writeGuest64 } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import type { VersionProfile } from '../hypervisor.js';
import type { XenVcpu } from '../vcpu.js';
import { hasVmAssist, VMASST_TYPE_pae_extended_cr3 } from '../vm-assist.js';

const XENVER_version = 0;
const XENVER_extraversion = 1;
const XENVER_compile_info = 2;
const XENVER_capabilities = 3;
const XENVER_changeset = 4;
const XENVER_platform_parameters = 5;
const XENVER_get_features = 6;
const XENVER_pagesize = 7;
const XENVER_guest_handle = 8;
const XENVER_commandline = 9;
const XENVER_build_id = 10;

const XENFEAT_pae_pgdir_above_4gb = 4;
const XENFEAT_mmu_pt_update_preserve_ad = 5;
const XENFEAT_highmem_assist = 6;
const XENFEAT_gnttab_map_avail_bits = 7;
const XENFEAT_memory_op_vnode_supported = 13;
const XENFEAT_direct_mapped = 17;

/** 0 or a negative errno; the version and the page size themselves are returned. */
export const xen_version: Hypercall = (vcpu, [cmd, arg]) => {
  const { profile, version } = vcpu.domain.hypervisor.config;
  const { major, minor, extra } = parseVersion(version, profile);
  switch (Number(BigInt.asUintN(32, cmd))) {
    case XENVER_version:
      return (major << 16) | minor;
    case XENVER_extraversion:
      return putText(vcpu, arg, [[extra, 16]]);
    case XENVER_compile_info:
      return putText(vcpu, arg, [
        ['paravane', 64],
        ['paravane', 16],
        ['', 32],
        ['', 32],
      ]);
    case XENVER_capabilities:
      return putText(vcpu, arg, [['xen-3.0-x86_64 ', 1024]]);
    case XENVER_changeset:
      return putText(vcpu, arg, [['unavailable', 64]]);
    case XENVER_platform_parameters:
      return writeGuest64(vcpu, arg, HYPERVISOR_VIRT_START) ? 0 : -EFAULT;
    case XENVER_get_features:
      return getFeatures(vcpu, arg, profile);
    case XENVER_pagesize:
      return arg === 0n ? PAGE_BYTES : -EINVAL;
    case XENVER_guest_handle:
      return copyToGuest(vcpu, arg, new Uint8Array(16)) ? 0 : -EFAULT;
    case XENVER_commandline:
      return putText(vcpu, arg, [[profile === '4.1' ? '' : '<denied>', 1024]]);
    case XENVER_build_id:
      return profile === '4.1' ? -ENOSYS : -EPERM;
    default:
      return -ENOSYS;
  }
};

/** "4.1.3OVM" is 4, 1, ".3OVM"; a version that cannot be read so is the profile's own. */
export function parseVersion(
  version: string,
  profile: VersionProfile,
): { readonly major: number; readonly minor: number; readonly extra: string } {
  const [, major, minor, extra] = /^(\d+)\.(\d+)(.*)$/.exec(version) ?? /^(\d+)\.(\d+)(.*)$/.exec(profile) ?? [];
  return { major: Number(major), minor: Number(minor), extra: extra ?? '' };
}

function getFeatures(vcpu: XenVcpu, arg: bigint, profile: VersionProfile): number {
  const submap = readGuest32(vcpu, arg);
  if (submap === undefined) return -EFAULT;
  if (submap !== 0) return -EINVAL;
  const features = [XENFEAT_mmu_pt_update_preserve_ad, XENFEAT_highmem_assist, XENFEAT_gnttab_map_avail_bits];
  if (hasVmAssist(vcpu.domain, VMASST_TYPE_pae_extended_cr3)) features.push(XENFEAT_pae_pgdir_above_4gb);
  if (profile !== '4.1') features.push(XENFEAT_memory_op_vnode_supported, XENFEAT_direct_mapped);
  const bits = features.reduce((mask, feature) => mask | (1 << feature), 0);
  return writeGuest32(vcpu, arg + 4n, bits) ? 0 : -EFAULT;
}

/** Stores texts one after another, each in a field of its size, cut to leave room for its NUL. */
function putText(vcpu: XenVcpu, arg: bigint, fields: readonly (readonly [string, number])[]): number {
  const bytes = new Uint8Array(fields.reduce((total, [, size]) => total + size, 0));
  let at = 0;
  for (const [text, size] of fields) {
    bytes.set(new TextEncoder().encode(text).subarray(0, size - 1), at);
    at += size;
  }
  return copyToGuest(vcpu, arg, bytes) ? 0 : -EFAULT;
}
