// What the hypervisor sees of a virtual CPU's registers. The engine's Vcpu has this shape; `xen` asks for no more, so that
// neither needs to know the other.

export interface VcpuRegisters {
  /** By encoding number, 0..15. */
  readGpr(index: number): bigint;
  writeGpr(index: number, value: bigint): void;
  rip: bigint;
  /** All of RFLAGS, with lazily computed flags filled in; bit 1 reads as one. */
  rflags: bigint;
  /** A selector as it stands, with no descriptor check; index as in registers.ts (ES 0 … GS 5). */
  readSelector(segment: number): number;
  writeSelector(segment: number, selector: number): void;
  /** The FS or GS base in use. */
  readSegmentBase(segment: number): bigint;
  writeSegmentBase(segment: number, base: bigint): void;
  /** CR0.TS as the guest has it: while it is set, whatever uses x87, MMX or SSE registers is #NM. */
  taskSwitched: boolean;
}
