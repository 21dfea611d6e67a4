// A guest of our own, assembled: what an ELF writer needs to make a PV kernel of it.

export interface GuestImage {
  /** For tables and file names: "seed (unfixed)". */
  readonly name: string;
  readonly entry: bigint;
  /** The virtual address of pfn 0: the VIRT_BASE note. */
  readonly virtBase: bigint;
  readonly hypercallPage: bigint;
  /** Runs of bytes without holes, ascending. */
  readonly segments: readonly { readonly vaddr: bigint; readonly bytes: Uint8Array }[];
  /** Where the kernel's memory ends; what no segment covers reads as zero. */
  readonly end: bigint;
  /** Address, and size in bytes (0 for a bare label). */
  readonly symbols: ReadonlyMap<string, { readonly address: bigint; readonly size: number }>;
}
