// What a text can never say and a machine that watched itself can: who changed the entry, when the stale translation was
// loaded, which flushes came between. Plain data, filled by whoever ran the guest; crash itself knows no machine.

/** Times are counts of retired instructions of the crashed vCPU. */
export interface MachineEvidence {
  /** The last change of the entry that maps the faulting address. */
  readonly change?: EntryChange;
  /** The translation that the access used instead of memory's. */
  readonly staleLoad?: StaleLoad;
  /** Between the load and the fault, in order. Empty when there were none. */
  readonly flushes?: readonly FlushEvent[];
  /** When the access faulted. */
  readonly faultTime?: number;
  /** What would have removed the stale translation, as the ABI spells it: "UVMF_INVLPG". */
  readonly cure?: string;
  /** The command that runs the same crash again. */
  readonly replay?: string;
}

export interface EntryChange {
  /** As the ABI names it: "update_va_mapping". */
  readonly hypercall: string;
  /** Its flush argument as the ABI spells it: "UVMF_NONE"; undefined for calls that have none. */
  readonly flags?: string;
  /** The guest's address behind the hypercall, and the symbol there. */
  readonly rip: bigint;
  readonly symbol?: string;
  readonly before: bigint;
  readonly after: bigint;
  readonly time: number;
}

export interface StaleLoad {
  /**
   * 'access': an access of the guest · 'wrong-path': an instruction behind a mispredicted branch, thrown away afterwards ·
   * 'any': the processor, for no reason that the guest gave.
   */
  readonly why: 'access' | 'wrong-path' | 'any';
  /** The instruction whose access it was; undefined for 'any'. */
  readonly rip?: bigint;
  readonly symbol?: string;
  /** The leaf entry as it was loaded. */
  readonly entry: bigint;
  readonly time: number;
}

export interface FlushEvent {
  /** "CR3 load by MMUEXT_NEW_BASEPTR", "type change of mfn dc8db (skipped: CPU flushed since)". */
  readonly what: string;
  readonly time: number;
  /** Whether it removed the translation. Only the last one before the load may have. */
  readonly covered: boolean;
  /** Why it did not: "came before the load", "named another page", "skipped by its time stamp". */
  readonly why: string;
}
