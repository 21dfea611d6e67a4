// From addresses to names.

import { describe, expect, test } from 'vitest';
import { elfSymbols, SymbolTable, systemMapSymbols } from '../../src/symbols/index.js';

const table = new SymbolTable([
  { name: 'outer', address: 0x1000n, sizeBytes: 0x100n },
  { name: 'inner', address: 0x1040n, sizeBytes: 0x10n },
  { name: 'label', address: 0x1100n, sizeBytes: 0n, limit: 0x2000n },
  { name: 'alias', address: 0x1200n, sizeBytes: 0n },
  { name: 'sized', address: 0x1200n, sizeBytes: 8n },
  { name: 'last', address: 0x1300n, sizeBytes: 0n, limit: 0x1400n },
]);

describe('names for addresses', () => {
  test.each<[bigint, string | undefined]>([
    [0xfffn, undefined],
    [0x1000n, 'outer'],
    [0x1001n, 'outer+0x1'],
    [0x1040n, 'inner'],
    [0x104fn, 'inner+0xf'],
    [0x1050n, 'outer+0x50'],
    [0x10ffn, 'outer+0xff'],
    [0x1100n, 'label'],
    [0x11ffn, 'label+0xff'],
    [0x1200n, 'sized'],
    [0x1208n, undefined],
    [0x1300n, 'last'],
    [0x13ffn, 'last+0xff'],
    [0x1400n, undefined],
    [0xffff_ffff_ffff_ffffn, undefined],
  ])('%x is %s', (address, expected) => {
    expect(table.format(address)).toBe(expected);
  });

  test('addresses for names, also for a name that another one hides', () => {
    expect([table.find('alias'), table.find('sized'), table.find('nothing')]).toEqual([0x1200n, 0x1200n, undefined]);
    expect(table.size).toBe(5);
  });

  test('an empty table knows nothing', () => {
    expect(new SymbolTable([]).lookup(0n)).toBeUndefined();
  });
});

/** One ELF symbol entry. */
function entry(name: number, info: number, section: number, value: bigint, size: bigint): number[] {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, name, true);
  view.setUint8(4, info);
  view.setUint16(6, section, true);
  view.setBigUint64(8, value, true);
  view.setBigUint64(16, size, true);
  return [...new Uint8Array(view.buffer)];
}

describe('ELF symbol tables', () => {
  const strings = new TextEncoder().encode('\0weak\0strong\0file.c\0undefined\0start');
  const at = (name: string): number => new TextDecoder().decode(strings).indexOf(name);
  const [FUNC, FILE, NOTYPE, LOCAL, GLOBAL, WEAK] = [2, 4, 0, 0, 1 << 4, 2 << 4];
  const symbols = elfSymbols({
    entries: Uint8Array.from([
      ...entry(0, 0, 0, 0n, 0n),
      ...entry(at('weak'), WEAK | FUNC, 1, 0x1000n, 0x10n),
      ...entry(at('strong'), GLOBAL | FUNC, 1, 0x1000n, 0x10n),
      ...entry(at('file.c'), LOCAL | FILE, 1, 0x1000n, 0n),
      ...entry(at('undefined'), GLOBAL | FUNC, 0, 0x3000n, 0n),
      ...entry(at('start'), LOCAL | NOTYPE, 1, 0x2000n, 0n),
      ...entry(9999, GLOBAL | FUNC, 1, 0x2100n, 0n),
      ...[1, 2, 3],
    ]),
    strings,
    sections: [
      { address: 0n, sizeBytes: 0n },
      { address: 0x1000n, sizeBytes: 0x1800n },
    ],
  });

  test.each<[bigint, string | undefined]>([
    [0x1004n, 'strong+0x4'],
    [0x2000n, 'start'],
    [0x27ffn, 'start+0x7ff'],
    [0x2800n, undefined],
    [0x3000n, undefined],
  ])('%x is %s', (address, expected) => {
    expect(symbols.format(address)).toBe(expected);
  });
});

test('System.map and nm lines, whatever stands between them', () => {
  const symbols = systemMapSymbols(
    'ffffffff81000000 T _text\nffffffff81000040 t helper\r\n\n                 U printk\n0000000000000001 a absolute\nnoise\n',
  );
  expect(symbols.size).toBe(2);
  expect(symbols.format(0xffff_ffff_8100_0039n)).toBe('_text+0x39');
  expect(symbols.format(0xffff_ffff_8100_0040n)).toBe('helper');
});
