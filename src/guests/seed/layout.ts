// Where the seed's guest keeps things, and how large its domain is: the numbers of the 2013 crash dump, so that a machine
// which hands out frames as that host did must compute the same addresses, frames and entries.
// Source: the dump itself (tests/crash/crash-dl380-g4.txt) and what its numbers imply; the worked arithmetic is beside each
// constant. Names are Linux 3.x's (arch/x86/kernel/head_64.S, arch/x86/xen/mmu.c).
//
//  pfn    virtual address      what
//  1000   ffffffff81000000     startup_xen, then the rest of the text
//  1001   ffffffff81001000     hypercall_page
//  1263   ffffffff81263f10     clear_page, at the dump's RIP less 0x12
//  1600   ffffffff81600000     strings, variables
//  1784   ffffffff81784000     init_thread_union, 8 KiB of stack
//  1787   ffffffff81787000     the guest's own page tables, 8 pages, in head_64.S's order
//  1a00   ffffffff81a00000     _end; from here the toolstack places:
//  1a00                        initrd, 0x3343 pages
//  4d43                        p2m list, 8 bytes a page of the domain
//  4dc3 4dc4 4dc5              start_info, xenstore ring, console ring
//  4dc6 4dc7 4dc8              Xen's L4, L3, L2: what xen_setup_kernel_pagetable recycles
//  4dc9 …                      Xen's L1s, in order of address: region 0x26's is 4dc9 + 26 = 4def, as in the dump

/** Where the kernel image's parts are linked: ascending, and all but `clearPage` on page boundaries. */
export interface KernelLayout {
  readonly text: bigint;
  readonly hypercallPage: bigint;
  readonly clearPage: bigint;
  readonly data: bigint;
  readonly initStack: bigint;
  readonly ownTables: bigint;
  readonly end: bigint;
}

export const LAYOUT_2013: KernelLayout = {
  text: 0xffff_ffff_8100_0000n,
  hypercallPage: 0xffff_ffff_8100_1000n,
  /** RIP of the dump, ffffffff81263f22, is 0x12 bytes into clear_page. */
  clearPage: 0xffff_ffff_8126_3f10n,
  data: 0xffff_ffff_8160_0000n,
  /** rbx of the dump, ffffffff81785f88, is 0x78 below this stack's top. */
  initStack: 0xffff_ffff_8178_4000n,
  /** The dump's L3 is level3_kernel_pgt (pfn 1789), its L2 level2_kernel_pgt (178d): the third and the seventh of eight. */
  ownTables: 0xffff_ffff_8178_7000n,
  end: 0xffff_ffff_81a0_0000n,
};

/** The pfn of the L4 that Xen built; its L3 and L2 follow. */
export const FIRST_TABLE_PFN = 0x4dc6;

/** 256 MiB: the p2m list then takes 0x80 pages. */
export const DOMAIN_PAGES = 0x1_0000;
/** So that Xen's L4 comes to lie at pfn 4dc6: 4dc6 - 3 (start_info, xenstore, console) - 80 (p2m) - 1a00 (_end). */
export const INITRD_BYTES = (FIRST_TABLE_PFN - 3 - 0x80 - 0x1a00) * 4096;

/**
 * The host's frames, by pfn. The dump has c3f18 + 1789 = c3f14 + 178d = c56a1 for the kernel's own tables and dc8b2 + 4def =
 * dc8da + 4dc7 = e16a1 for what lies behind the kernel: two extents, each handed out downwards. Where the first ends is not
 * known, only that it is between 178d and 4dc7: we take the end of the kernel.
 */
export const HOST_FRAMES: readonly { readonly pfns: number; readonly firstMfn: number; readonly step: 1 | -1 }[] = [
  { pfns: 0x1a00, firstMfn: 0xc56a1, step: -1 },
  { pfns: DOMAIN_PAGES - 0x1a00, firstMfn: 0xe16a1 - 0x1a00, step: -1 },
];
