// The domain builder: a PV kernel and a wish for memory become a domain's initial state, as Xen's toolstack would make it.
// Sources: Xen's toolstack, 4.17 tools/libs/guest/xg_dom_core.c, xg_dom_boot.c, xg_dom_x86.c; 4.1 tools/libxc/xc_dom_*.c.
// Left out: several modules, gzip-compressed initrds (the toolstack unpacks them; kernels do as well), vNUMA, superpages.
// The page tables are as the toolstack wrote them: the hypervisor validates them and adds its bits when it pins the L4.

import {
  HYPERVISOR_VIRT_END,
  HYPERVISOR_VIRT_START,
  SIF_MOD_START_PFN,
  SIF_VIRT_P2M_4TOOLS,
  START_INFO_cmd_line_BYTES,
} from '../abi/xen-layout.js';
import { type Mfn, PAGE_BYTES, type Pfn, pfn, type Vaddr, vaddr } from '../base/addresses.js';
import { InputError } from '../base/failures.js';
import { hex0x } from '../base/hex.js';
import { addOrderedFrames, type FrameOrder, frameCount, type MachineMemory } from '../memory/index.js';
import type { ElfSymbolTable } from './elf.js';
import { DomainFrames, startInfoBytes, writeKernel, writeP2m, writeTables } from './image.js';
import { isGuestRange, type PvKernel } from './kernel.js';
import { type Area, type Layout, type LayoutRequest, layOut, minimumPages } from './layout.js';
import type { XenNotes } from './notes.js';

/** What a domain is to be made of, besides its kernel. */
export interface BuildOptions {
  readonly memory: MachineMemory;
  /** The domain's frames in pfn order: also says how many pages it has. None of them may be RAM yet. */
  readonly frames: FrameOrder;
  /** The frame of shared_info: Xen's, not one of the domain's. */
  readonly sharedInfo: Mfn;
  /** The domain's own ends of the event channels to xenstore and to its console's backend. */
  readonly xenstorePort: number;
  readonly consolePort: number;
  /** Default: empty. At most 1023 bytes of UTF-8. */
  readonly cmdline?: string;
  readonly initrd?: Uint8Array;
  /**
   * Whose toolstack: 4.1's maps the initrd and the p2m list always and sets no flags; 4.17's (the default) honours
   * MOD_START_PFN and INIT_P2M and says that the p2m may be mapped.
   */
  readonly toolstack?: '4.1' | '4.17';
}

/** A part of the initial area, for people to look at. */
export interface NamedArea extends Area {
  readonly name: string;
}

/** A domain as it stands in memory before its first instruction: what Xen, the backends and people need to know of it. */
export interface BuiltDomain {
  /** The domain's frames by pfn. */
  readonly p2m: readonly Mfn[];
  readonly l4: Mfn;
  /** rip, rsi and rsp of vCPU 0. */
  readonly entry: Vaddr;
  readonly startInfo: Vaddr;
  readonly stackEnd: Vaddr;
  readonly xenstore: { readonly pfn: Pfn; readonly mfn: Mfn };
  readonly console: { readonly pfn: Pfn; readonly mfn: Mfn };
  readonly sharedInfo: Mfn;
  /** pfn 0 is mapped at virtBase, and so on up to mappedEnd (exclusive). */
  readonly virtBase: Vaddr;
  readonly mappedEnd: bigint;
  readonly ptBase: Vaddr;
  readonly ptFrames: number;
  readonly hypercallPage: Vaddr | undefined;
  /** In pfn order. */
  readonly areas: readonly NamedArea[];
  readonly notes: XenNotes;
  /** The kernel's symbol table as it stands in the file, if it has one. */
  readonly symbols: ElfSymbolTable | undefined;
}

/** The fewest pages a domain of this kernel and initrd can have. */
export const minimumDomainPages = (
  kernel: PvKernel,
  options: Pick<BuildOptions, 'initrd' | 'toolstack'> = {},
): number => minimumPages(layoutRequest(kernel, options));

/**
 * Builds the domain into `options.memory`. Throws InputError, and changes nothing, when kernel, initrd, command line and
 * memory do not fit together.
 */
export function buildDomain(kernel: PvKernel, options: BuildOptions): BuiltDomain {
  const pages = frameCount(options.frames);
  const layout = layOut({ ...layoutRequest(kernel, options), pages });
  checkFits(kernel, layout, pages, options);
  const cmdline = encodeCmdline(options.cmdline ?? '');

  const p2m = addOrderedFrames(options.memory, options.frames);
  const frames = new DomainFrames(options.memory, p2m);
  const at = (area: Area): Vaddr => vaddr(kernel.virtBase + BigInt(area.pfn) * BigInt(PAGE_BYTES));
  const place = (area: Area): { pfn: Pfn; mfn: Mfn } => ({ pfn: pfn(area.pfn), mfn: frames.mfn(area.pfn) });
  writeKernel(frames, kernel);
  if (layout.initrd && options.initrd) frames.write(layout.initrd.pfn * PAGE_BYTES, options.initrd);
  writeP2m(frames, layout, p2m);
  writeTables(frames, layout);
  const outside = layout.p2m.vaddr !== at(layout.p2m);
  frames.write(
    layout.startInfo.pfn * PAGE_BYTES,
    startInfoBytes({
      pages,
      sharedInfo: options.sharedInfo,
      flags: startFlags(layout, options),
      xenstore: { mfn: frames.mfn(layout.xenstore.pfn), port: options.xenstorePort },
      console: { mfn: frames.mfn(layout.console.pfn), port: options.consolePort },
      ptBase: at(layout.tables),
      ptFrames: layout.tables.pages,
      p2m: layout.p2m.vaddr as bigint,
      module: moduleOf(layout, options.initrd),
      p2mFrames: outside ? { firstPfn: layout.p2m.pfn, count: layout.p2mFrames } : undefined,
      cmdline,
    }),
  );
  return {
    p2m,
    l4: frames.mfn(layout.tables.pfn),
    entry: kernel.entry,
    startInfo: at(layout.startInfo),
    stackEnd: vaddr(at(layout.bootStack) + BigInt(PAGE_BYTES)),
    xenstore: place(layout.xenstore),
    console: place(layout.console),
    sharedInfo: options.sharedInfo,
    virtBase: vaddr(kernel.virtBase),
    mappedEnd: layout.mappedEnd,
    ptBase: at(layout.tables),
    ptFrames: layout.tables.pages,
    hypercallPage: kernel.hypercallPage,
    areas: namedAreas(layout),
    notes: kernel.notes,
    symbols: kernel.symbols,
  };
}

function layoutRequest(
  kernel: PvKernel,
  { initrd, toolstack }: Pick<BuildOptions, 'initrd' | 'toolstack'>,
): Omit<LayoutRequest, 'pages'> {
  const modern = toolstack !== '4.1';
  return {
    virtBase: kernel.virtBase,
    virtStart: kernel.virtStart,
    virtEnd: kernel.virtEnd,
    initrdBytes: initrd?.length ?? 0,
    unmappedInitrd: modern && kernel.notes.unmappedInitrd,
    initP2m: modern ? usableInitP2m(kernel) : undefined,
  };
}

/** The toolstack takes no notice of an INIT_P2M above the kernel or off a page boundary. */
function usableInitP2m({ notes, virtBase }: PvKernel): bigint | undefined {
  const { initP2m } = notes;
  return initP2m === undefined || initP2m >= virtBase || initP2m % BigInt(PAGE_BYTES) !== 0n ? undefined : initP2m;
}

function checkFits(kernel: PvKernel, layout: Layout, pages: number, options: BuildOptions): void {
  if (layout.pagesNeeded > pages)
    throw new InputError(
      `not enough memory for this kernel: the domain has ${describePages(pages)}, ` +
        `needed are at least ${describePages(minimumDomainPages(kernel, options))}`,
    );
  for (const { vaddr: start, pages: count } of layout.mappings) {
    const end = start + BigInt(count) * BigInt(PAGE_BYTES);
    if (!isGuestRange(start, end))
      throw new InputError(
        `this kernel's initial mapping ${hex0x(start)}..${hex0x(end)} does not fit the guest's part of the address space ` +
          `(outside Xen's ${hex0x(HYPERVISOR_VIRT_START)}..${hex0x(HYPERVISOR_VIRT_END)})`,
      );
  }
  const [main, p2m] = layout.mappings;
  if (main && p2m && p2m.vaddr + BigInt(p2m.pages) * BigInt(PAGE_BYTES) > main.vaddr)
    throw new InputError(
      `damaged Xen notes: the p2m list at INIT_P2M ${hex0x(p2m.vaddr)} runs into the kernel's mapping`,
    );
  const call = kernel.hypercallPage;
  const end = kernel.virtBase + BigInt(pages) * BigInt(PAGE_BYTES);
  if (call !== undefined && (call < kernel.virtBase || call >= end))
    throw new InputError(
      `damaged Xen notes: HYPERCALL_PAGE ${hex0x(call)} lies outside the domain's memory (${hex0x(kernel.virtBase)}..${hex0x(end)})`,
    );
}

const describePages = (pages: number): string => `${Math.ceil(pages / 2.56) / 100} MiB (${pages} pages)`;

function encodeCmdline(cmdline: string): Uint8Array {
  const bytes = new TextEncoder().encode(cmdline);
  if (bytes.length >= START_INFO_cmd_line_BYTES)
    throw new InputError(
      `the guest's command line has ${bytes.length} bytes, at most ${START_INFO_cmd_line_BYTES - 1} fit into start_info`,
    );
  if (bytes.includes(0)) throw new InputError("the guest's command line contains a NUL character");
  return bytes;
}

function startFlags(layout: Layout, { toolstack }: BuildOptions): number {
  if (toolstack === '4.1') return 0;
  const unmapped = layout.initrd && layout.initrd.vaddr === undefined;
  return SIF_VIRT_P2M_4TOOLS | (unmapped ? SIF_MOD_START_PFN : 0);
}

/** An unmapped initrd is named by its pfn, and its length is rounded up to pages. */
function moduleOf(
  { initrd }: Layout,
  bytes: Uint8Array | undefined,
): { start: bigint; lengthBytes: number } | undefined {
  if (!initrd || !bytes) return undefined;
  if (initrd.vaddr === undefined) return { start: BigInt(initrd.pfn), lengthBytes: initrd.pages * PAGE_BYTES };
  return { start: initrd.vaddr, lengthBytes: bytes.length };
}

function namedAreas(layout: Layout): NamedArea[] {
  const areas: readonly (readonly [string, Area | undefined])[] = [
    ['kernel', layout.kernel],
    ['initrd', layout.initrd],
    ['p2m list', layout.p2m],
    ['start_info', layout.startInfo],
    ['xenstore', layout.xenstore],
    ['console', layout.console],
    ['page tables', layout.tables],
    ['boot stack', layout.bootStack],
  ];
  return areas.flatMap(([name, area]) => (area ? [{ name, ...area }] : [])).sort((a, b) => a.pfn - b.pfn);
}
