// The toolstack's arithmetic: where the parts of the initial area go.

import { describe, expect, test } from 'vitest';
import { type Layout, type LayoutRequest, layOut, minimumPages } from '../../src/builder/index.js';

const KERNEL_BASE = 0xffff_ffff_8000_0000n;
const MiB = 0x10_0000n;

const request = (changes: Partial<LayoutRequest>): LayoutRequest => ({
  virtBase: 0n,
  virtStart: changes.virtBase ?? 0n,
  virtEnd: (changes.virtBase ?? 0n) + MiB,
  initrdBytes: 0,
  unmappedInitrd: false,
  initP2m: undefined,
  pages: 8192,
  ...changes,
});

/** "kernel 0+100 p2m 100+10 …": the parts as pfn+pages, hexadecimal. */
function sketch(layout: Layout): string {
  const parts = [
    ['kernel', layout.kernel],
    ['initrd', layout.initrd],
    ['p2m', layout.p2m],
    ['start', layout.startInfo],
    ['store', layout.xenstore],
    ['console', layout.console],
    ['tables', layout.tables],
    ['stack', layout.bootStack],
  ] as const;
  return parts
    .flatMap(([name, area]) => (area ? [`${name} ${area.pfn.toString(16)}+${area.pages.toString(16)}`] : []))
    .join(' ');
}

const tablesOf = (layout: Layout, level: number): number[] =>
  layout.tablePages.filter((table) => table.level === level).map((table) => table.pfn);

describe('order and sizes', () => {
  test.each<[string, Partial<LayoutRequest>, string]>([
    [
      'a small kernel at 0',
      {},
      'kernel 0+100 p2m 100+10 start 110+1 store 111+1 console 112+1 tables 113+5 stack 118+1',
    ],
    [
      'an initrd lies between kernel and p2m',
      { initrdBytes: 5000 },
      'kernel 0+100 initrd 100+2 p2m 102+10 start 112+1 store 113+1 console 114+1 tables 115+5 stack 11a+1',
    ],
    [
      'a kernel above VIRT_BASE leaves a gap',
      { virtBase: KERNEL_BASE, virtStart: KERNEL_BASE + 16n * MiB, virtEnd: KERNEL_BASE + 17n * MiB, pages: 0x4000 },
      'kernel 1000+100 p2m 1100+20 start 1120+1 store 1121+1 console 1122+1 tables 1123+d stack 1130+1',
    ],
    [
      'an unmapped initrd lies behind the mapped end',
      { initrdBytes: 5000, unmappedInitrd: true },
      'kernel 0+100 initrd 400+2 p2m 100+10 start 110+1 store 111+1 console 112+1 tables 113+5 stack 118+1',
    ],
    [
      'INIT_P2M: the list follows everything, and its tables follow the list',
      { virtBase: KERNEL_BASE, initP2m: 0x80_0000_0000n, initrdBytes: 5000, unmappedInitrd: true },
      'kernel 0+100 initrd 400+2 p2m 402+10 start 100+1 store 101+1 console 102+1 tables 103+5 stack 108+1',
    ],
  ])('%s', (_, changes, expected) => {
    expect(sketch(layOut(request(changes)))).toBe(expected);
  });

  test('the mapping ends on 4 MiB with at least 512 KiB behind the boot stack', () => {
    for (let kernelPages = 1; kernelPages < 3000; kernelPages += 7) {
      const layout = layOut(request({ virtEnd: BigInt(kernelPages) * 4096n }));
      expect(layout.mappedEnd % (4n * MiB)).toBe(0n);
      const behind = layout.mappedEnd - BigInt(layout.bootStack.pfn + 1) * 4096n;
      expect(behind).toBeGreaterThanOrEqual(MiB / 2n);
      expect(behind).toBeLessThan(MiB / 2n + 4n * MiB + 4096n);
    }
  });

  test('INIT_P2M: three tables of its own, an L4 shared, counted among the p2m frames', () => {
    const layout = layOut(request({ virtBase: KERNEL_BASE, initP2m: 0x80_0000_0000n }));
    expect([4, 3, 2, 1].map((level) => tablesOf(layout, level))).toEqual([
      [0x103],
      [0x104, 0x410],
      [0x105, 0x411],
      [0x106, 0x107, 0x412],
    ]);
    expect(layout.p2mFrames).toBe(0x10 + 3);
    expect(layout.pagesNeeded).toBe(0x413);
  });
});

test("the seed's guest: L4, L3, L2 at 4dc6, 4dc7, 4dc8, the L1 tables from 4dc9, region 0x26 in 4def", () => {
  // 512 MiB: a p2m list of 0x100 pages; start_info, xenstore and console then lie at 4dc3 to 4dc5.
  const kernelPages = 0x4dc3 - 0x100;
  const layout = layOut(
    request({
      virtBase: KERNEL_BASE,
      virtEnd: KERNEL_BASE + BigInt(kernelPages) * 4096n,
      pages: 0x2_0000,
    }),
  );
  expect([4, 3, 2].map((level) => tablesOf(layout, level))).toEqual([[0x4dc6], [0x4dc7], [0x4dc8]]);
  const l1s = tablesOf(layout, 1);
  expect(l1s[0]).toBe(0x4dc9);
  expect(l1s[0x26]).toBe(0x4def);
  expect(l1s).toHaveLength(0x28);
});

describe('the smallest domain', () => {
  test.each<[string, Partial<LayoutRequest>]>([
    ['a small kernel', {}],
    ['with an initrd of 9 MiB', { initrdBytes: 9 << 20 }],
    [
      'high, with p2m and initrd unmapped',
      { virtBase: KERNEL_BASE, initP2m: 0x80_0000_0000n, unmappedInitrd: true, initrdBytes: 9 << 20 },
    ],
  ])('%s fits, and one page less does not', (_, changes) => {
    const { pages: _pages, ...rest } = request(changes);
    const pages = minimumPages(rest);
    expect(layOut({ ...rest, pages }).pagesNeeded).toBeLessThanOrEqual(pages);
    expect(layOut({ ...rest, pages: pages - 1 }).pagesNeeded).toBeGreaterThan(pages - 1);
  });
});
