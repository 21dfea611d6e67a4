// A page-table entry still in a register: what a PV guest handed to Xen, before Xen rewrote it. Xen adds US and, for a kernel
// page, bit 52; the CPU adds A and D. update_va_mapping takes the address in rdi, the entry in rsi and the flush flags in rdx.
// Sources: Xen public/xen.h (update_va_mapping, UVMF_*), arch/x86/pv/mm.h adjust_guest_l1e.

import { PTE_A, PTE_D, PTE_G, PTE_GUEST_KERNEL, PTE_NX, PTE_RW, PTE_US } from '../../abi/paging.js';
import type { Facts, WordRegister } from '../facts.js';
import { frameOf, isPresent } from './entry-flags.js';
import type { Walk } from './walk.js';

/** What Xen and the CPU may have changed between the hypercall and the dump. */
const REWRITTEN = PTE_US | PTE_GUEST_KERNEL | PTE_G | PTE_A | PTE_D;

export interface HandedEntry {
  readonly register: WordRegister;
  readonly value: bigint;
  /** What the entry in memory has and the register has not: Xen's and the CPU's additions. */
  readonly added: bigint;
  readonly writable: boolean;
  /** True when the walk's own entry shows the same frame; without that line it only looks like an entry. */
  readonly matchesWalk: boolean;
  /** rdi, rsi and rdx read as the arguments of update_va_mapping, where rdi is the faulting page. */
  readonly hypercall: { readonly flags: bigint; readonly flush: FlushAsked } | undefined;
}

export type FlushAsked = 'none' | 'UVMF_TLB_FLUSH' | 'UVMF_INVLPG' | 'unknown';

// biome-ignore format: a row as the dumps have it
const GPRS: readonly WordRegister[] = [
  'rsi', 'rdx', 'rax', 'rbx', 'rcx', 'rdi', 'rbp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15',
];

/** UVMF_FLUSHTYPE_MASK and the highest flag value without a pointer to a CPU mask. */
const FLUSH_TYPE_MASK = 3n;
const HIGHEST_PLAIN_FLAGS = 7n;

function flushOf(flags: bigint): FlushAsked {
  if (flags > HIGHEST_PLAIN_FLAGS) return 'unknown';
  return (['none', 'UVMF_TLB_FLUSH', 'UVMF_INVLPG', 'unknown'] as const)[Number(flags & FLUSH_TYPE_MASK)] ?? 'unknown';
}

/** The register that holds the page's entry as a guest hands it over, if one does. */
export function handedEntry(facts: Facts, walk: Walk | undefined, page: bigint | undefined): HandedEntry | undefined {
  const { registers } = facts;
  if (registers === undefined) return undefined;
  const hypercall = argumentsOf(registers, page);
  const leaf = walk?.outcome === 'maps' && walk.last?.level === 1 ? walk.last.entry : undefined;
  if (leaf !== undefined) {
    const register = GPRS.find((name) => sameEntry(registers[name], leaf));
    if (register === undefined) return undefined;
    const value = registers[register] as bigint;
    return {
      register,
      value,
      added: leaf & ~value,
      writable: (value & PTE_RW) !== 0n,
      matchesWalk: true,
      hypercall: register === 'rsi' ? hypercall : undefined,
    };
  }
  const value = registers.rsi;
  if (value === undefined || hypercall === undefined || !looksLikeEntry(value)) return undefined;
  return { register: 'rsi', value, added: 0n, writable: (value & PTE_RW) !== 0n, matchesWalk: false, hypercall };
}

const sameEntry = (value: bigint | undefined, leaf: bigint): boolean =>
  value !== undefined && isPresent(value) && frameOf(value) === frameOf(leaf) && ((value ^ leaf) & ~REWRITTEN) === 0n;

/** A present entry of a page of RAM below 16 TiB, without cache bits: what kernels hand over, and no pointer. */
const looksLikeEntry = (value: bigint): boolean =>
  isPresent(value) && frameOf(value) > 0n && value >> 44n === 0n && (value & 0xe98n) === 0n && (value & PTE_NX) === 0n;

function argumentsOf(registers: NonNullable<Facts['registers']>, page: bigint | undefined): HandedEntry['hypercall'] {
  const { rdi, rdx } = registers;
  if (rdi === undefined || rdx === undefined || page === undefined || (rdi & ~0xfffn) !== page) return undefined;
  const flush = flushOf(rdx);
  return flush === 'unknown' ? undefined : { flags: rdx, flush };
}
