// vcpu_op: a domain starts and stops its vCPUs, sets their timers, and says where it wants to read their state.
// Source: Xen 4.17 and 4.1.3 public/vcpu.h, common/domain.c (common_vcpu_op, map_vcpu_info), arch/x86/domain.c (do_vcpu_op).
// A single shot in the past is -ETIME in 4.1 when the caller says so, and simply due at once since 4.17.7.

import { EEXIST, EFAULT, EINVAL, ENOENT, ENOSYS, ENXIO, ETIME } from '../../abi/errno.js';
import * as S from '../../abi/sched.js';
import {
  CONTEXT_flags,
  SHUTDOWN_poweroff,
  VCPU_GUEST_CONTEXT_BYTES,
  VCPU_INFO_BYTES,
  VCPU_INFO_evtchn_pending_sel,
  VGCF_online,
} from '../../abi/xen-layout.js';
import { maddr, maddrToMfn, mfnToMaddr, PAGE_BYTES } from '../../base/addresses.js';
import { U64_MASK } from '../../base/words.js';
import { copyToGuest, isGuestAddress, readGuest64, readGuestStruct } from '../guest-memory.js';
import type { Hypercall } from '../hypercall.js';
import { PGT_writable_page } from '../page-info.js';
import { getPageAndType } from '../page-types.js';
import type { XenVcpu } from '../vcpu.js';
import { initialiseVcpu } from '../vcpu-context.js';

const MIN_PERIOD_NS = 1_000_000n;
/** Xen's STIME_DELTA_MAX. */
const MAX_PERIOD_NS = (1n << 62n) - 1n;

/** 0 or a negative errno; for is_up, 1 or 0. */
export const vcpu_op: Hypercall = (caller, [cmd, id, arg]) => {
  const vcpu = caller.domain.vcpus[Number(BigInt.asUintN(32, id))];
  if (!vcpu) return -ENOENT;
  const op = OPERATIONS[Number(BigInt.asUintN(32, cmd))];
  return op ? op(vcpu, arg, caller) : -ENOSYS;
};

type VcpuOperation = (vcpu: XenVcpu, arg: bigint, caller: XenVcpu) => number;

const OPERATIONS: Readonly<Record<number, VcpuOperation>> = {
  [S.VCPUOP_initialise]: (vcpu, arg, caller) => {
    const context = readGuestStruct(caller, arg, VCPU_GUEST_CONTEXT_BYTES);
    if (!context) return -EFAULT;
    if (vcpu.initialised) return -EEXIST;
    const status = initialiseVcpu(vcpu, context);
    const online = (context.getUint32(CONTEXT_flags, true) & VGCF_online) !== 0;
    if (status === 0 && online) vcpu.time.setRunState('runnable');
    return status;
  },
  [S.VCPUOP_up]: (vcpu) => {
    if (!vcpu.initialised) return -EINVAL;
    if (vcpu.runState === 'offline') vcpu.time.setRunState('runnable');
    return 0;
  },
  [S.VCPUOP_down]: (vcpu) => {
    const others = vcpu.domain.vcpus.some((other) => other !== vcpu && other.runState !== 'offline');
    if (!others) vcpu.domain.scheduling.shutdown(SHUTDOWN_poweroff);
    else vcpu.time.setRunState('offline');
    return 0;
  },
  [S.VCPUOP_is_up]: (vcpu) => (vcpu.runState === 'offline' ? 0 : 1),
  [S.VCPUOP_get_runstate_info]: (vcpu, arg, caller) => (copyToGuest(caller, arg, vcpu.time.runstate()) ? 0 : -EFAULT),
  [S.VCPUOP_register_runstate_memory_area]: (vcpu, arg, caller) => {
    const area = readGuest64(caller, arg);
    if (area === undefined || !isGuestAddress(area)) return -EFAULT;
    vcpu.time.registerRunstateArea(area);
    return 0;
  },
  [S.VCPUOP_set_periodic_timer]: (vcpu, arg, caller) => {
    const period = readGuest64(caller, arg);
    if (period === undefined) return -EFAULT;
    if (period < MIN_PERIOD_NS || period > MAX_PERIOD_NS) return -EINVAL;
    vcpu.time.setPeriod(period);
    return 0;
  },
  [S.VCPUOP_stop_periodic_timer]: (vcpu) => {
    vcpu.time.setPeriod(0n);
    return 0;
  },
  [S.VCPUOP_set_singleshot_timer]: (vcpu, arg, caller) => (vcpu === caller ? setSingleshot(vcpu, arg) : -EINVAL),
  [S.VCPUOP_stop_singleshot_timer]: (vcpu, _arg, caller) => {
    if (vcpu !== caller) return -EINVAL;
    vcpu.time.setSingleshot(undefined);
    return 0;
  },
  [S.VCPUOP_register_vcpu_info]: registerVcpuInfo,
  [S.VCPUOP_send_nmi]: (vcpu, arg) => {
    if (arg !== 0n) return -EINVAL;
    vcpu.nmiPending = true;
    vcpu.time.wake();
    return 0;
  },
  // Only for vCPUs that are pinned in a domain that owns the hardware.
  [S.VCPUOP_get_physid]: () => -EINVAL,
  [S.VCPUOP_register_vcpu_time_memory_area]: (vcpu, arg, caller) => {
    const area = readGuest64(caller, arg);
    if (area === undefined || !isGuestAddress(area)) return -EFAULT;
    vcpu.time.registerTimeArea(area);
    return 0;
  },
};

/** struct vcpu_set_singleshot_timer: timeout_abs_ns u64 @0, flags u32 @8. */
function setSingleshot(vcpu: XenVcpu, arg: bigint): number {
  const request = readGuestStruct(vcpu, arg, 16);
  if (!request) return -EFAULT;
  const timeout = BigInt.asIntN(64, request.getBigUint64(0, true));
  const { clock, config } = vcpu.domain.hypervisor;
  if (timeout >= clock.nowNs()) {
    vcpu.time.setSingleshot(timeout);
    return 0;
  }
  if (config.profile === '4.1') {
    if ((request.getUint32(8, true) & S.VCPU_SSHOTTMR_future) !== 0) return -ETIME;
    vcpu.time.setSingleshot(timeout);
    return 0;
  }
  vcpu.time.setSingleshot(undefined);
  vcpu.time.raiseTimer();
  return 0;
}

/**
 * struct vcpu_register_vcpu_info: mfn u64 @0, offset u32 @8. Moves vcpu_info there, once, for good. What may have got lost
 * on the way is made up for: everything is marked as pending.
 */
function registerVcpuInfo(vcpu: XenVcpu, arg: bigint, caller: XenVcpu): number {
  const request = readGuestStruct(caller, arg, 16);
  if (!request) return -EFAULT;
  const { hypervisor } = vcpu.domain;
  const { memory, config } = hypervisor;
  const offset = request.getUint32(8, true);
  if (offset > PAGE_BYTES - VCPU_INFO_BYTES || offset % 8 !== 0) return config.profile === '4.1' ? -EINVAL : -ENXIO;
  const moved = maddrToMfn(vcpu.vcpuInfo) !== vcpu.domain.sharedInfo;
  if (moved || (vcpu !== caller && vcpu.runState !== 'offline')) return -EINVAL;
  const page = getPageAndType(hypervisor, request.getBigUint64(0, true), vcpu.domain, PGT_writable_page);
  if (typeof page === 'number') return -EINVAL;
  const target = maddr(mfnToMaddr(page.mfn) + offset);
  memory.copyIn(target, memory.copyOut(vcpu.vcpuInfo, VCPU_INFO_BYTES));
  vcpu.vcpuInfo = target;
  memory.write64(vcpu.info(VCPU_INFO_evtchn_pending_sel), U64_MASK);
  vcpu.domain.events.markPending(vcpu);
  vcpu.time.refreshClock();
  return 0;
}
