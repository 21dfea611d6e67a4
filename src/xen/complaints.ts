// What Xen's mm.c says on its console about a guest's request that it refuses: the wording of each version, with the line
// of the source that prints it. Undefined where that version says nothing.
// Sources: Xen 4.1.3 arch/x86/mm.c (MEM_LOG), Xen 4.17.0 arch/x86/mm.c, pv/mm.h, pv/ro-page-fault.c and common/page_alloc.c
// (gdprintk). A line number is that of the call's first line; UNVERIFIED where a call spans several, since compilers differ.

import type { Level } from '../abi/paging.js';
import { hex, hex64 } from '../base/hex.js';

/** A bare line number means mm.c. */
type Said = readonly [place: number | string, text: string] | undefined;

/** One complaint in both wordings. */
export interface Complaint {
  readonly '4.1': Said;
  readonly '4.17': Said;
}

const says = (in41: Said, in417: Said): Complaint => ({ '4.1': in41, '4.17': in417 });

/** "mm.c:2753:d1 text" of 4.1, "arch/x86/mm.c:3343:d1v0 text" of 4.17; undefined when that version says nothing. */
export function complaintLine(
  complaint: Complaint,
  profile: '4.1' | '4.17',
  domain: number,
  vcpu: number,
): string | undefined {
  const said = complaint[profile];
  if (!said) return undefined;
  const [place, text] = said;
  if (profile === '4.1') return `mm.c:${place}:d${domain} ${text}`;
  return `${typeof place === 'number' ? `arch/x86/mm.c:${place}` : place}:d${domain}v${vcpu} ${text}`;
}

/** A frame number as Xen prints one: all ones for a frame that the M2P does not know. */
const frame = (number: number | undefined): string => (number === undefined ? 'ffffffffffffffff' : hex(number));

export const noPageReference = (mfn: bigint | number): Complaint =>
  says([659, `Could not get page ref for pfn ${hex(mfn)}`], undefined);

const FLAGS_IN_NEW_TABLE = { 1: [807, 877], 2: [929, 1134], 3: [970, 1157], 4: [995, 1181] } as const;
const FLAGS_IN_UPDATE = { 1: [1784, 2158], 2: [1852, 2274], 3: [1918, 2336], 4: [1989, 2398] } as const;

/** `flags` are the offending bits in 24-bit form: bits 63:52 of the entry above its bits 11:0. */
export function badFlags(level: Level, flags: number, where: 'table' | 'update'): Complaint {
  const [line41, line417] = (where === 'table' ? FLAGS_IN_NEW_TABLE : FLAGS_IN_UPDATE)[level];
  const text = `Bad L${level} flags ${hex(flags)}`;
  return says([line41, text], [line417, text]);
}

export const superpageRefused = (): Complaint =>
  says([943, 'Attempt to map superpage without allowsuperpage flag in hypervisor'], undefined);

export const linearTableWritable = (level: Level): Complaint => {
  const line41 = { 1: 724, 2: 916, 3: 957, 4: 982 }[level];
  const text = 'Attempt to create linear p.t. with write perms';
  return says([line41, text], [697, text]);
};

export const mapsIoSpace = (domain: number, mfn: number): Complaint =>
  says(
    [825, `Non-privileged (${domain}) attempt to map I/O space ${hex(mfn, 8)}`],
    [901, `d${domain} non-privileged attempt to map MMIO space ${hex(mfn)}`],
  );

export const wrongOwner = (expected: number, l1eOwner: number, real: number | undefined): Complaint =>
  says(undefined, [988, `pg_owner d${expected} l1e_owner d${l1eOwner}, but real_pg_owner d${real ?? -1}`]);

export const notWritable = (): Complaint => says(undefined, [1014, 'Could not get page type PGT_writable_page']);

export const cannotMap = (
  mfn: number,
  pfn: number | undefined,
  entry: bigint,
  l1eOwner: number,
  expected: number,
): Complaint => {
  const start = `Error getting mfn ${hex(mfn)} (pfn ${frame(pfn)}) from L1 entry ${hex64(entry)} for`;
  return says(
    [905, `${start} l1e_owner=${l1eOwner}, pg_owner=${expected}`],
    [1040, `${start} l1e_owner d${l1eOwner}, pg_owner d${expected}`],
  );
};

export const globalKernelPage = (mfn: number): Complaint =>
  says(
    [1019, `Global bit is set to kernel page ${hex(mfn)}`],
    ['arch/x86/pv/mm.h:98', `Global bit is set in kernel page ${hex(mfn)}`],
  );

export const tableFailed = (level: Level, errno: number, slot: number): Complaint => {
  const line41 = { 1: 1223, 2: 1367, 3: 1477, 4: 1524 }[level];
  const line417 = { 1: 1366, 2: 1474, 3: 1593, 4: 1784 }[level];
  return says(
    [line41, `Failure in alloc_l${level}_table: entry ${slot}`],
    [line417, `Failure ${errno} in promote_l${level}_table: slot 0x${hex(slot)}`],
  );
};

export const validationFailed = (
  mfn: number,
  pfn: number | undefined,
  wanted: bigint,
  caf: bigint,
  taf: bigint,
): Complaint => {
  const text =
    `Error while validating mfn ${hex(mfn)} (pfn ${frame(pfn)}) for type ${hex64(wanted)}: ` +
    `caf=${hex(caf, 8)} taf=${hex64(taf)}`;
  return says([2175, text], [2647, text]);
};

export const badType = (saw: bigint, wanted: bigint, mfn: number, pfn: number | undefined): Complaint => {
  const text = `Bad type (saw ${hex64(saw)} != exp ${hex64(wanted)}) for mfn ${hex(mfn)} (pfn ${frame(pfn)})`;
  return says([2422, text], [2938, text]);
};

/** `entry` is where the entry lies: 4.1 prints Xen's pointer to it, of which the low 12 bits carry over. */
export const xenPrivateSlot = (slot: number): Complaint =>
  says(
    [1978, `Illegal L4 update attempt in Xen-private area ${hex64(slot * 8)}`],
    [2387, `L4 update in Xen-private area, slot 0x${hex(slot)}`],
  );

export const badBasePointer = (mfn: bigint): Complaint => {
  const text = `Error while installing new baseptr ${hex(mfn)}`;
  return says([2753, text], [3343, text]);
};

export const badUserBasePointer = (mfn: bigint, errno: number): Complaint =>
  says([3078, `Error while installing new mfn ${hex(mfn)}`], [3692, `Error ${errno} installing new mfn ${hex(mfn)}`]);

export const foreignIsSelf = (): Complaint =>
  says(
    [2789, 'Cannot specify itself as foreign domain'],
    ['common/page_alloc.c:2671', 'Cannot specify itself as foreign domain'],
  );
export const foreignUnknown = (domain: number): Complaint =>
  says([2815, `Unknown domain '${domain}'`], ['common/page_alloc.c:2687', `Unknown domain d${domain}`]);
export const foreignRefused = (): Complaint => says([2820, 'Cannot set foreign dom'], undefined);

export const unreadableRequest = (call: 'mmu_update' | 'mmuext_op'): Complaint =>
  says([call === 'mmu_update' ? 3420 : 2941, 'Bad __copy_from_guest'], undefined);

export const cannotPin = (mfn: bigint, errno: number): Complaint =>
  says([2986, `Error while pinning mfn ${hex(mfn)}`], [3560, `Error ${errno} while pinning mfn ${hex(mfn)}`]);
export const alreadyPinned = (mfn: bigint): Complaint =>
  says([3002, `Mfn ${hex(mfn)} already pinned`], [3572, `mfn ${hex(mfn)} already pinned`]);
export const cannotUnpin = (mfn: bigint, owner: number): Complaint =>
  says([3037, `Mfn ${hex(mfn)} bad domain`], [3616, `mfn ${hex(mfn)} bad, or bad owner d${owner}`]);
export const notPinned = (mfn: bigint): Complaint =>
  says([3047, `Mfn ${hex(mfn)} not pinned`], [3626, `mfn ${hex(mfn)} not pinned`]);

export const cacheFlushRefused = (): Complaint => says([3136, 'Non-physdev domain tried to FLUSH_CACHE.'], undefined);
export const globalCacheFlushRefused = (): Complaint =>
  says([3161, 'Non-physdev domain tried to FLUSH_CACHE_GLOBAL'], undefined);
export const badLdt = (base: bigint, entries: number): Complaint => {
  const text = `Bad args to SET_LDT: ptr=${hex(base)}, ents=${hex(entries)}`;
  return says([3181, text], [3821, text]);
};
export const cannotClear = (mfn: bigint): Complaint =>
  says([3206, `Error while clearing mfn ${hex(mfn)}`], [3849, `Error clearing mfn ${hex(mfn)}`]);
export const cannotCopyFrom = (mfn: bigint): Complaint =>
  says([3231, `Error while copying from mfn ${hex(mfn)}`], [3876, `Error copying from mfn ${hex(mfn)}`]);
export const cannotCopyTo = (mfn: bigint): Complaint =>
  says([3241, `Error while copying to mfn ${hex(mfn)}`], [3897, `Error copying to mfn ${hex(mfn)}`]);
export const superpageMisaligned = (mfn: bigint): Complaint =>
  says([3268, `Unaligned superpage reference mfn ${hex(mfn)}`], undefined);
export const superpagesDisallowed = (): Complaint => says([3275, 'Superpages disallowed'], undefined);
export const unknownExtendedCommand = (command: number): Complaint =>
  says([3314, `Invalid extended pt command 0x${hex(command)}`], undefined);

export const noPageForUpdate = (): Complaint => {
  const text = 'Could not get page for normal update';
  return says([3460, text], [4098, text]);
};
export const noPageForMachphys = (): Complaint => {
  const text = 'Could not get page for mach->phys update';
  return says([3642, text], [4222, text]);
};
export const unknownUpdateCommand = (command: number): Complaint =>
  says([3661, `Invalid page update command ${hex(command)}`], undefined);

export const ptwrBadAccess = (fault: bigint, address: bigint, bytes: number): Complaint => {
  const access = `(cr2=${hex(fault)}, addr=${hex(address)}, bytes=${bytes})`;
  return says(
    [4934, `ptwr_emulate: bad access ${access}`],
    ['arch/x86/pv/ro-page-fault.c:100', `bad access ${access}`],
  );
};
export const ptwrBadSize = (address: bigint, bytes: number): Complaint => {
  const access = `(addr=${hex(address)}, bytes=${bytes})`;
  return says(
    [5054, `ptwr_emulate: bad write size ${access}`],
    ['arch/x86/pv/ro-page-fault.c:236', `bad write size ${access}`],
  );
};
export const ptwrRefused = (): Complaint =>
  says(
    [4995, 'ptwr_emulate: could not get_page_from_l1e()'],
    ['arch/x86/pv/ro-page-fault.c:163', 'could not get_page_from_l1e()'],
  );
