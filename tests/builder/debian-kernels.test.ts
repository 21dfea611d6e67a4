// The kernels that Debian ships, as they are on every machine that runs it: XZ with the x86 filter, and LZ4.

import { describe, expect, test } from 'vitest';
import { readKernel } from '../../src/builder/index.js';
import { kallsymsSymbols } from '../../src/symbols/index.js';
import { debianDependency, debianFile } from '../support/debian.js';

describe.each(['amd64', 'cloud-amd64', 'rt-amd64'])('linux-image-%s', (flavour) => {
  const image = debianDependency(`linux-image-${flavour}`);
  const file =
    'missing' in image ? image : debianFile(image.name, `boot/${image.name.replace('linux-image', 'vmlinuz')}`);

  test('is a PV kernel, and names its functions', { timeout: 60_000 }, (context) => {
    if ('missing' in file) return context.skip(file.missing);
    const kernel = readKernel(file.bytes);
    expect(kernel.notes).toMatchObject({
      guestOs: 'linux',
      xenVersion: 'xen-3.0',
      loader: 'generic',
      virtBase: 0xffff_ffff_8000_0000n,
      paddrOffset: 0n,
      initP2m: 0x80_0000_0000n,
      unmappedInitrd: true,
    });
    expect(kernel.hypercallPage).toBeUndefined();
    expect(kernel.symbols).toBeUndefined();
    expect(kernel.virtStart).toBe(0xffff_ffff_8100_0000n);

    const symbols = kallsymsSymbols(kernel.elf.bytes);
    if (!symbols) throw new Error('no kallsyms were found');
    expect(symbols.size).toBeGreaterThan(50_000);
    const [text, textEnd] = [symbols.find('_text') as bigint, symbols.find('_etext') as bigint];
    expect(text).toBe(kernel.virtStart);
    for (const name of ['clear_page_rep', 'clear_page_orig', 'clear_page_erms']) {
      const address = symbols.find(name) as bigint;
      expect(address > text && address < textEnd, name).toBe(true);
    }
    // It runs once, at boot: behind the text that stays, in what is freed later.
    const setup = symbols.find('xen_setup_kernel_pagetable') as bigint;
    expect(setup > textEnd && setup < kernel.virtEnd).toBe(true);
    expect(symbols.format(setup + 0x12n)).toBe('xen_setup_kernel_pagetable+0x12');
    expect(symbols.format(kernel.entry)).toBe('startup_xen');
  });
});
