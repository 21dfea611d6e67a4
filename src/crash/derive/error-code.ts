// Error codes bit by bit. Sources: SDM 3A "Page-Fault Exceptions" (§4.7) and "Error Code" (§6.13); AMD APM 2 "#PF"; for what
// Xen makes of bit 2 for a PV guest: Xen arch/x86/traps.c propagate_page_fault, arch/x86/pv/traps.c pv_inject_event.

import { X86_EXC_PF } from '../../abi/exceptions.js';
import {
  PFEC_insn_fetch,
  PFEC_page_present,
  PFEC_reserved_bit,
  PFEC_user_mode,
  PFEC_write_access,
} from '../../abi/paging.js';

export interface ErrorCodeBit {
  readonly bit: number;
  readonly name: string;
  readonly set: boolean;
  /** What the bit says, set or clear as it is. */
  readonly meaning: string;
}

export interface PageFaultCode {
  readonly value: number;
  readonly present: boolean;
  readonly write: boolean;
  readonly user: boolean;
  readonly reserved: boolean;
  readonly fetch: boolean;
  readonly protectionKey: boolean;
  readonly access: 'read' | 'write' | 'fetch';
  readonly bits: readonly ErrorCodeBit[];
}

const PFEC_prot_key = 1 << 5;
const PFEC_shstk = 1 << 6;
const PFEC_sgx = 1 << 15;

interface BitFacts {
  readonly mask: number;
  readonly bit: number;
  readonly name: string;
  readonly set: string;
  readonly clear: string;
  /** Named only when set. */
  readonly rare?: true;
}

const BITS: readonly BitFacts[] = [
  {
    mask: PFEC_page_present,
    bit: 0,
    name: 'P',
    set: 'a translation was present, and forbade the access',
    clear: 'no translation was present',
  },
  { mask: PFEC_write_access, bit: 1, name: 'W', set: 'the access was a write', clear: 'the access was no write' },
  { mask: PFEC_user_mode, bit: 2, name: 'U', set: 'from user mode', clear: 'from kernel mode' },
  {
    mask: PFEC_reserved_bit,
    bit: 3,
    name: 'RSVD',
    set: 'a reserved bit was set in an entry',
    clear: 'no reserved bit was set in an entry',
  },
  {
    mask: PFEC_insn_fetch,
    bit: 4,
    name: 'I/D',
    set: 'the access was an instruction fetch',
    clear: 'the access was no instruction fetch',
  },
  { mask: PFEC_prot_key, bit: 5, name: 'PK', set: 'a protection key forbade it', clear: '', rare: true },
  { mask: PFEC_shstk, bit: 6, name: 'SS', set: 'the access was to a shadow stack', clear: '', rare: true },
  { mask: PFEC_sgx, bit: 15, name: 'SGX', set: 'SGX access control forbade it', clear: '', rare: true },
];

/** What a PV guest's bit 2 means: Xen rewrites it, because the hardware's says CPL 3 for guest kernels too. */
const PV_USER = {
  set: "from the guest's user mode (as Xen rewrites the bit for a PV guest)",
  clear: "from the guest's kernel mode (as Xen rewrites the bit: the hardware's said CPL 3, where PV kernels run too)",
};

export function pageFaultCode(value: number, ofPvGuest: boolean): PageFaultCode {
  const has = (mask: number): boolean => (value & mask) !== 0;
  const bits = BITS.filter(({ rare, mask }) => !rare || has(mask)).map(({ mask, bit, name, set, clear }) => {
    const words = ofPvGuest && mask === PFEC_user_mode ? PV_USER : { set, clear };
    return { bit, name, set: has(mask), meaning: has(mask) ? words.set : words.clear };
  });
  return {
    value,
    present: has(PFEC_page_present),
    write: has(PFEC_write_access),
    user: has(PFEC_user_mode),
    reserved: has(PFEC_reserved_bit),
    fetch: has(PFEC_insn_fetch),
    protectionKey: has(PFEC_prot_key),
    access: has(PFEC_insn_fetch) ? 'fetch' : has(PFEC_write_access) ? 'write' : 'read',
    bits,
  };
}

/** The bits of an error code that names a selector: #TS, #NP, #SS, #GP. */
export function selectorErrorCode(value: number): readonly ErrorCodeBit[] {
  const table = (value & 2) !== 0 ? 'the IDT' : (value & 4) !== 0 ? 'the LDT' : 'the GDT';
  if (value === 0) return [{ bit: 0, name: 'selector', set: false, meaning: 'no selector is to blame' }];
  return [
    {
      bit: 0,
      name: 'EXT',
      set: (value & 1) !== 0,
      meaning:
        (value & 1) !== 0 ? 'while an external event was delivered' : 'not while an external event was delivered',
    },
    { bit: 3, name: 'index', set: true, meaning: `entry 0x${(value >> 3).toString(16)} of ${table}` },
  ];
}

/** An error code's bits, whatever its vector. */
export const errorCodeBits = (vector: number, value: number, ofPvGuest: boolean): readonly ErrorCodeBit[] =>
  vector === X86_EXC_PF ? pageFaultCode(value, ofPvGuest).bits : selectorErrorCode(value);
