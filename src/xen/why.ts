// The label that Xen puts on each page-table store and each invalidation: what it was doing, for whom. mmu carries it to
// whoever listens, so that a report can say "changed by update_va_mapping, called from ffffffff8126…, flags 0".

import { hex } from '../base/hex.js';
import type { Why } from '../mmu/index.js';

/** A hypercall that is being carried out. */
export interface CallInProgress {
  readonly domain: number;
  readonly vcpu: number;
  readonly name: string;
  readonly args: readonly bigint[];
  /** The address of the guest's syscall instruction. */
  readonly rip: bigint;
  /** Where the hypercall page's stub will return to; undefined for a syscall in the guest's own code. */
  readonly returnsTo: bigint | undefined;
  /** The multicall that it is an entry of, and which: of those that were left when this execution of it began. */
  readonly within: { readonly name: string; readonly index: number } | undefined;
}

export class XenWhy implements Why {
  /** Undefined when Xen acts without a hypercall: building a domain, handling a trap. */
  readonly call: CallInProgress | undefined;
  /** What in particular: "MMUEXT_PIN_L4_TABLE mfn 12ab", "writable page tables", … Empty when the call says it all. */
  readonly detail: string;

  constructor(call: CallInProgress | undefined, detail: string) {
    this.call = call;
    this.detail = detail;
  }

  /** The same, with something more particular. */
  and(detail: string): XenWhy {
    return new XenWhy(this.call, this.detail === '' ? detail : `${this.detail}, ${detail}`);
  }

  /** In a few words: "update_va_mapping(ffffffff84dc7000, dc8da063, 0) at ffffffff81001234". */
  get what(): string {
    if (!this.call) return this.detail;
    const { name, args, rip, returnsTo, within } = this.call;
    const shown = args.slice(0, ARGUMENTS_SHOWN[name] ?? 2).map((arg) => hex(arg));
    const entry = within ? `${within.name} entry ${within.index}: ` : '';
    const detail = this.detail === '' ? '' : `: ${this.detail}`;
    const place = returnsTo === undefined ? `at ${hex(rip)}` : `returning to ${hex(returnsTo)}`;
    return `${entry}${name}(${shown.join(', ')})${detail} ${place}`;
  }
}

/** How many arguments say something; the other registers hold what was left in them. */
const ARGUMENTS_SHOWN: Readonly<Record<string, number>> = {
  set_trap_table: 1,
  mmu_update: 4,
  set_callbacks: 3,
  fpu_taskswitch: 1,
  memory_op: 2,
  update_va_mapping: 3,
  set_timer_op: 1,
  grant_table_op: 3,
  update_va_mapping_otherdomain: 4,
  iret: 0,
  vcpu_op: 3,
  mmuext_op: 4,
  console_io: 3,
};
