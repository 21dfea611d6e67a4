// The part of every L4 that is Xen's: slots 256 to 271. Xen writes them when a page becomes an L4, over whatever the guest
// had there.
//
//   256   the machine-to-phys table: user, read-only, 2 MiB pages over the runs that exist
//   258   the table itself ("linear" page table), for Xen only
//   rest  empty here. DEVIATION: Xen maps itself and all RAM there, for itself only, so a guest's access to that part of the
//         hole faults with P=1 on real Xen and with P=0 here.
// Sources: Xen 4.17 arch/x86/mm.c init_xen_l4_slots, arch/x86/x86_64/mm.c (RO_MPT_VIRT_START), public/arch-x86/xen-x86_64.h.

import { ENTRIES_PER_TABLE, PTE_A, PTE_D, PTE_P, PTE_PS, PTE_RW, PTE_US } from '../abi/paging.js';
import { ROOT_PAGETABLE_FIRST_XEN_SLOT, ROOT_PAGETABLE_LAST_XEN_SLOT } from '../abi/xen-layout.js';
import { type Maddr, type Mfn, maddr, mfn, mfnToMaddr } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import { M2P_RUN_ENTRIES } from '../memory/index.js';
import type { Hypervisor } from './hypervisor.js';

const RO_MPT_SLOT = 256;
const LINEAR_SLOT = 258;
const TABLE_FLAGS = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;
/** Read-only, for users too. */
const M2P_PAGE_FLAGS = PTE_P | PTE_US | PTE_PS;
/** __PAGE_HYPERVISOR: for Xen only. */
const LINEAR_FLAGS = PTE_P | PTE_RW | PTE_A | PTE_D;

const entryOf = (frame: Mfn, flags: bigint): bigint => (BigInt(frame) << 12n) | flags;

/** Where entry `index` of a table lies. */
export const entryMaddr = (table: Mfn, index: number): Maddr => maddr(mfnToMaddr(table) + index * 8);

export class XenSlots {
  readonly #hypervisor: Hypervisor;
  #m2pL3: Mfn | undefined;
  readonly #m2pL2s = new Map<number, Mfn>();
  readonly #mapped = new Set<number>();

  constructor(hypervisor: Hypervisor) {
    this.#hypervisor = hypervisor;
  }

  /** Maps those runs of the M2P that are new since the last time: into all address spaces at once, as they share the L3. */
  mapM2p(): void {
    const { m2p } = this.#hypervisor;
    for (const { first, table } of m2p.runs) {
      const number = first / M2P_RUN_ENTRIES;
      if (this.#mapped.has(number)) continue;
      this.#mapped.add(number);
      this.#store(this.#l2(Math.floor(number / ENTRIES_PER_TABLE)), number % ENTRIES_PER_TABLE, table, M2P_PAGE_FLAGS);
    }
  }

  /** Fills Xen's slots of a page that becomes an L4; `withM2p` false leaves slot 256 empty (VMASST_TYPE_m2p_strict). */
  fill(l4: Mfn, withM2p: boolean): void {
    for (let slot = ROOT_PAGETABLE_FIRST_XEN_SLOT; slot <= ROOT_PAGETABLE_LAST_XEN_SLOT; slot++)
      this.#replace(entryMaddr(l4, slot), this.#entry(slot, l4, withM2p));
  }

  /** Takes the M2P out of an L4, or puts it back. */
  setM2p(l4: Mfn, withM2p: boolean): void {
    this.#replace(entryMaddr(l4, RO_MPT_SLOT), this.#entry(RO_MPT_SLOT, l4, withM2p));
  }

  #entry(slot: number, l4: Mfn, withM2p: boolean): bigint {
    if (slot === LINEAR_SLOT) return entryOf(l4, LINEAR_FLAGS);
    return slot === RO_MPT_SLOT && withM2p ? entryOf(this.#l3(), TABLE_FLAGS) : 0n;
  }

  #replace(at: Maddr, entry: bigint): void {
    if (this.#hypervisor.memory.read64(at) !== entry) this.#hypervisor.storeEntry(at, entry);
  }

  #l3(): Mfn {
    this.#m2pL3 ??= this.#table();
    return this.#m2pL3;
  }

  #l2(index: number): Mfn {
    const known = this.#m2pL2s.get(index);
    if (known !== undefined) return known;
    const table = this.#table();
    this.#m2pL2s.set(index, table);
    this.#store(this.#l3(), index, table, TABLE_FLAGS);
    return table;
  }

  #store(table: Mfn, index: number, frame: Mfn, flags: bigint): void {
    this.#hypervisor.storeEntry(entryMaddr(table, index), entryOf(mfn(frame), flags));
  }

  #table(): Mfn {
    const frame = this.#hypervisor.xenFrames.allocate();
    invariant(frame !== undefined, 'the machine has frames for the tables that map the M2P');
    return frame;
  }
}
