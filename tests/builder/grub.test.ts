// A kernel that nobody here wrote: Debian's GRUB for Xen PV (package grub-xen-host).

import { describe, expect, test } from 'vitest';
import { buildDomain, minimumDomainPages, readKernel } from '../../src/builder/index.js';
import { debianFile } from '../support/debian.js';
import { memoryFor, orderFor, SHARED_INFO } from './sample.js';

const grub = debianFile('grub-xen-host', 'usr/lib/grub-xen/grub-x86_64-xen.bin');

describe('GRUB for Xen PV', () => {
  test('its notes, its place, and where the toolstack puts the rest', (context) => {
    if ('missing' in grub) return context.skip(grub.missing);
    const kernel = readKernel(grub.bytes);
    expect(kernel.notes).toMatchObject({
      source: 'PT_NOTE',
      guestOs: 'GRUB',
      loader: 'generic',
      xenVersion: 'xen-3.0',
      entry: 0n,
      virtBase: 0n,
    });
    expect(kernel.hypercallPage).toBeUndefined();
    expect(kernel.symbols).toBeUndefined();
    const pages = 8192;
    const built = buildDomain(kernel, {
      memory: memoryFor(pages),
      frames: orderFor(pages),
      sharedInfo: SHARED_INFO,
      xenstorePort: 1,
      consolePort: 2,
    });
    expect(built.areas.map(({ name, pfn, pages }) => `${name} ${pfn.toString(16)}+${pages}`)).toEqual([
      'kernel 0+1556',
      'p2m list 614+16',
      'start_info 624+1',
      'xenstore 625+1',
      'console 626+1',
      'page tables 627+7',
      'boot stack 62e+1',
    ]);
    expect(built.mappedEnd).toBe(0x80_0000n);
    expect(minimumDomainPages(kernel)).toBe(2048);
  });

  test('its 32-bit sibling is refused', (context) => {
    const sibling = debianFile('grub-xen-host', 'usr/lib/grub-xen/grub-i386-xen.bin');
    if ('missing' in sibling) return context.skip(sibling.missing);
    expect(() => readKernel(sibling.bytes)).toThrow(
      'a 32-bit ELF file (Intel 80386): only 64-bit x86 PV kernels are supported',
    );
  });
});
