// A built domain, read back the way its kernel would: through its page tables, from its start_info.

import { describe, expect, test } from 'vitest';
import { hypercallPage } from '../../src/abi/hypercalls.js';
import { entryFrame, PTE_P, tableIndex } from '../../src/abi/paging.js';
import { type Mfn, maddr, mfn, mfnToMaddr } from '../../src/base/addresses.js';
import { InputError } from '../../src/base/failures.js';
import { viewOf } from '../../src/builder/bytes.js';
import {
  type BuildOptions,
  type BuiltDomain,
  buildDomain,
  minimumDomainPages,
  readKernel,
} from '../../src/builder/index.js';
import { ascending, descending, type MachineMemory } from '../../src/memory/index.js';
import { KERNEL_BASE, memoryFor, orderFor, SHARED_INFO, sample, sampleKernel, withNotes } from './sample.js';

const PAGES = 2048;

interface Built {
  readonly built: BuiltDomain;
  readonly memory: MachineMemory;
}

function build(bytes: Uint8Array, options: Partial<BuildOptions> = {}, pages = PAGES): Built {
  const memory = memoryFor(pages);
  const built = buildDomain(readKernel(bytes), {
    memory,
    frames: orderFor(pages),
    sharedInfo: SHARED_INFO,
    xenstorePort: 1,
    consolePort: 2,
    ...options,
  });
  return { built, memory };
}

/** The L1 entry that maps the address, or undefined when some level is not present. */
function l1e(memory: MachineMemory, l4: Mfn, address: bigint): bigint | undefined {
  let table = l4;
  for (const level of [4, 3, 2, 1] as const) {
    const entry = memory.read64(maddr(mfnToMaddr(table) + tableIndex(address, level) * 8));
    if (!(entry & PTE_P)) return undefined;
    if (level === 1) return entry;
    expect(entry & 0xfffn).toBe(0x67n);
    table = mfn(entryFrame(entry));
  }
  return undefined;
}

/** Bytes at a virtual address of the guest. */
function peek({ memory, built }: Built, address: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => {
    const entry = l1e(memory, built.l4, address + BigInt(at)) as bigint;
    return memory.read8(maddr(mfnToMaddr(mfn(entryFrame(entry))) + Number((address + BigInt(at)) & 0xfffn)));
  });
}

const word = (guest: Built, address: bigint): bigint => viewOf(peek(guest, address, 8)).getBigUint64(0, true);

function startInfo(guest: Built): Record<string, bigint | number | string> {
  const base = guest.built.startInfo;
  const view = viewOf(peek(guest, base, 1168));
  const text = (at: number): string =>
    new TextDecoder().decode(peek(guest, base + BigInt(at), 64)).split('\0')[0] as string;
  return {
    magic: text(0),
    nr_pages: view.getBigUint64(0x20, true),
    shared_info: view.getBigUint64(0x28, true),
    flags: view.getUint32(0x30, true),
    store_mfn: view.getBigUint64(0x38, true),
    store_evtchn: view.getUint32(0x40, true),
    console_mfn: view.getBigUint64(0x48, true),
    console_evtchn: view.getUint32(0x50, true),
    pt_base: view.getBigUint64(0x58, true),
    nr_pt_frames: view.getBigUint64(0x60, true),
    mfn_list: view.getBigUint64(0x68, true),
    mod_start: view.getBigUint64(0x70, true),
    mod_len: view.getBigUint64(0x78, true),
    cmd_line: text(0x80),
    first_p2m_pfn: view.getBigUint64(0x480, true),
    nr_p2m_frames: view.getBigUint64(0x488, true),
  };
}

describe('the image', () => {
  const guest = build(sampleKernel(), { cmdline: 'console=hvc0 ümlaut' });
  const at = (pfn: number): bigint => KERNEL_BASE + BigInt(pfn) * 4096n;

  test('segments stand at their addresses, and what the file does not give is zero', () => {
    expect(peek(guest, KERNEL_BASE, 0x1800)).toEqual(sample.segments[0]?.bytes);
    expect(peek(guest, KERNEL_BASE + 0x2040n, 0x100)).toEqual(sample.segments[1]?.bytes);
    expect(peek(guest, KERNEL_BASE + 0x2140n, 0xec0)).toEqual(new Uint8Array(0xec0));
  });

  test('the hypercall page holds the stubs', () => {
    expect(peek(guest, KERNEL_BASE + 0x3000n, 4096)).toEqual(hypercallPage());
  });

  test('start_info says where everything is', () => {
    const { built } = guest;
    expect(startInfo(guest)).toEqual({
      magic: 'xen-3.0-x86_64',
      nr_pages: 2048n,
      shared_info: 0x10000n,
      flags: 0x10,
      store_mfn: 0x10_000cn,
      store_evtchn: 1,
      console_mfn: 0x10_000dn,
      console_evtchn: 2,
      pt_base: at(0xe),
      nr_pt_frames: 5n,
      mfn_list: at(7),
      mod_start: 0n,
      mod_len: 0n,
      cmd_line: 'console=hvc0 ümlaut',
      first_p2m_pfn: 0n,
      nr_p2m_frames: 0n,
    });
    expect(built).toMatchObject({
      l4: 0x10_000e,
      entry: KERNEL_BASE + 0x10n,
      startInfo: at(0xb),
      stackEnd: at(0x14),
      xenstore: { pfn: 0xc, mfn: 0x10_000c },
      console: { pfn: 0xd, mfn: 0x10_000d },
      ptBase: at(0xe),
      ptFrames: 5,
      mappedEnd: KERNEL_BASE + 0x40_0000n,
    });
    expect(built.areas.map(({ name, pfn, pages }) => `${name} ${pfn}+${pages}`)).toEqual([
      'kernel 0+7',
      'p2m list 7+4',
      'start_info 11+1',
      'xenstore 12+1',
      'console 13+1',
      'page tables 14+5',
      'boot stack 19+1',
    ]);
  });

  test('the tables map pfn 0 to the mapped end, page-table pages read-only, with the raw flags of the toolstack', () => {
    const { built, memory } = guest;
    const tables = new Set(Array.from({ length: built.ptFrames }, (_, index) => 0xe + index));
    for (let pfn = 0; pfn < 1024; pfn++) {
      const flags = tables.has(pfn) ? 0x21n : 0x23n;
      expect(l1e(memory, built.l4, at(pfn))).toBe((BigInt(built.p2m[pfn] as Mfn) << 12n) | flags);
    }
    expect(l1e(memory, built.l4, at(1024))).toBeUndefined();
    expect(l1e(memory, built.l4, 0n)).toBeUndefined();
  });

  test('the p2m list names every frame of the domain, mapped or not', () => {
    for (const pfn of [0, 1, 1023, 1024, 2047])
      expect(word(guest, at(7) + BigInt(pfn) * 8n)).toBe(0x10_0000n + BigInt(pfn));
  });
});

describe('frame orders', () => {
  test('frames come in the order that is configured, and the tables follow it', () => {
    const frames = [descending(16, 0xc_56a1), ascending(PAGES - 16, 0xe_0000)];
    const guest = build(sampleKernel(), { frames });
    expect(guest.built.p2m.slice(14, 18)).toEqual([0xc_5693, 0xc_5692, 0xe_0000, 0xe_0001]);
    expect(guest.built.l4).toBe(0xc_5693);
    expect(l1e(guest.memory, guest.built.l4, KERNEL_BASE + 0xf000n)).toBe(0xc_5692_021n);
    expect(startInfo(guest)['store_mfn']).toBe(0xc_5695n);
  });
});

describe('initrd and p2m', () => {
  const initrd = Uint8Array.from({ length: 5000 }, (_, at) => at * 3);

  test('an initrd is mapped behind the kernel, its length exact', () => {
    const guest = build(sampleKernel(), { initrd });
    const info = startInfo(guest);
    expect(info).toMatchObject({ mod_start: KERNEL_BASE + 0x7000n, mod_len: 5000n, flags: 0x10 });
    expect(peek(guest, KERNEL_BASE + 0x7000n, 5000)).toEqual(initrd);
  });

  test('with MOD_START_PFN it is unmapped, named by its pfn, its length in whole pages', () => {
    const guest = build(withNotes({ modStartPfn: 1n }), { initrd });
    const pfn = 1024;
    expect(startInfo(guest)).toMatchObject({ mod_start: BigInt(pfn), mod_len: 8192n, flags: 0x18 });
    const frame = guest.built.p2m[pfn + 1] as Mfn;
    expect(guest.memory.read8(maddr(mfnToMaddr(frame) + 903))).toBe((4999 * 3) & 0xff);
  });

  test('with INIT_P2M the list is mapped there alone', () => {
    const guest = build(withNotes({ initP2m: 0x80_0000_0000n }));
    expect(startInfo(guest)).toMatchObject({ mfn_list: 0x80_0000_0000n, first_p2m_pfn: 1024n, nr_p2m_frames: 7n });
    expect(word(guest, 0x80_0000_0000n + 8n * 2047n)).toBe(0x10_07ffn);
    expect(l1e(guest.memory, guest.built.l4, 0x80_0000_0000n)).toBe((0x10_0400n << 12n) | 0x23n);
    expect(l1e(guest.memory, guest.built.l4, 0x80_0000_4000n)).toBeUndefined();
  });

  test.each([
    ['above the kernel', KERNEL_BASE + 0x1000_0000n],
    ['off a page boundary', 0x80_0000_0008n],
  ])('an INIT_P2M %s is ignored', (_, initP2m) => {
    expect(startInfo(build(withNotes({ initP2m })))).toMatchObject({
      mfn_list: KERNEL_BASE + 0x7000n,
      nr_p2m_frames: 0n,
    });
  });

  test('the 4.1 toolstack knows neither note and sets no flags', () => {
    const guest = build(withNotes({ initP2m: 0x80_0000_0000n, modStartPfn: 1n }), { initrd, toolstack: '4.1' });
    expect(startInfo(guest)).toMatchObject({
      mfn_list: KERNEL_BASE + 0x9000n,
      mod_start: KERNEL_BASE + 0x7000n,
      mod_len: 5000n,
      flags: 0,
      nr_p2m_frames: 0n,
    });
  });
});

test('a kernel with BSD_SYMTAB finds its symbols behind it, as a small ELF file', () => {
  const bytes = withNotes({ bsdSymtab: 'yes' });
  const guest = build(bytes);
  const symtab = KERNEL_BASE + 0x6040n;
  const view = viewOf(peek(guest, symtab, 264));
  expect(view.getUint32(0, true)).toBe(336 + 13 - 4);
  expect([...peek(guest, symtab + 4n, 4)]).toEqual([0x7f, 0x45, 0x4c, 0x46]);
  expect(view.getUint16(4 + 60, true)).toBe(3);
  expect(view.getBigUint64(4 + 64 + 64 + 24, true)).toBe(260n);
  expect(word(guest, symtab + 264n + 24n + 8n)).toBe(KERNEL_BASE + 0x10n);
  const strings = view.getBigUint64(4 + 64 + 128 + 24, true);
  expect(new TextDecoder().decode(peek(guest, symtab + 4n + strings, 13))).toBe('\0start\0table\0');
});

describe('what does not fit', () => {
  const complaint = (bytes: Uint8Array, options: Partial<BuildOptions> = {}, pages = PAGES): string => {
    const memory = memoryFor(pages);
    try {
      buildDomain(readKernel(bytes), {
        memory,
        frames: orderFor(pages),
        sharedInfo: SHARED_INFO,
        xenstorePort: 1,
        consolePort: 2,
        ...options,
      });
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
      expect(memory.frames).toHaveLength(0);
      return (error as InputError).message;
    }
    return 'built';
  };

  test('too little memory: the message gives the size needed, and that size is enough', () => {
    expect(complaint(sampleKernel(), {}, 1000)).toBe(
      'not enough memory for this kernel: the domain has 3.91 MiB (1000 pages), needed are at least 4 MiB (1024 pages)',
    );
    const needed = minimumDomainPages(readKernel(sampleKernel()));
    expect(complaint(sampleKernel(), {}, needed)).toBe('built');
    expect(complaint(sampleKernel(), {}, needed - 1)).toContain('not enough memory');
  });

  test.each<[string, Uint8Array, Partial<BuildOptions>, string]>([
    [
      'a long command line',
      sampleKernel(),
      { cmdline: 'x'.repeat(1024) },
      "the guest's command line has 1024 bytes, at most 1023 fit into start_info",
    ],
    ['a NUL in it', sampleKernel(), { cmdline: 'a\0b' }, "the guest's command line contains a NUL character"],
    [
      'a hypercall page elsewhere',
      withNotes({ hypercallPage: 0x5000n }),
      {},
      "damaged Xen notes: HYPERCALL_PAGE 0x5000 lies outside the domain's memory (0xffffffff80000000..0xffffffff80800000)",
    ],
    [
      'INIT_P2M in the hole',
      withNotes({ initP2m: 0xffff_8000_0000_0000n }),
      {},
      "this kernel's initial mapping 0xffff800000000000..0xffff800000004000 does not fit the guest's part of the address space (outside Xen's 0xffff800000000000..0xffff880000000000)",
    ],
    [
      'INIT_P2M right below the kernel',
      withNotes({ initP2m: KERNEL_BASE - 0x1000n }),
      {},
      "damaged Xen notes: the p2m list at INIT_P2M 0xffffffff7ffff000 runs into the kernel's mapping",
    ],
    [
      'a kernel at the top of the address space',
      sampleKernel({
        entry: 0xffff_ffff_ffff_8000n,
        segments: [{ vaddr: 0xffff_ffff_ffff_8000n, bytes: new Uint8Array(16) }],
        notes: { loader: 'generic', xenVersion: 'xen-3.0', virtBase: 0xffff_ffff_ffff_8000n },
      }),
      {},
      "this kernel's initial mapping 0xffffffffffff8000..0x10000000000400000 does not fit the guest's part of the address space (outside Xen's 0xffff800000000000..0xffff880000000000)",
    ],
  ])('%s', (_, bytes, options, expected) => {
    expect(complaint(bytes, options)).toBe(expected);
  });
});
