// The byte emitter, against V8: numbers of every size come back, and modules are what WebAssembly takes.
import { describe, expect, test } from 'vitest';
import { Bytes } from '../../src/engine/wasm/bytes.js';
import { Code } from '../../src/engine/wasm/code.js';
import { ModuleBuilder } from '../../src/engine/wasm/module.js';

const memory = new WebAssembly.Memory({ initial: 1 });

function run(code: Code): unknown {
  const builder = new ModuleBuilder();
  builder.addFunction(code, 'f');
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(builder.bytes()), { env: { memory } });
  return (exports['f'] as () => unknown)();
}

describe('LEB128', () => {
  test.each([
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [624485, 'e58e26'],
    [0xffffffff, 'ffffffff0f'],
  ])('unsigned %d', (value, expected) => {
    const bytes = new Bytes();
    bytes.unsigned(value);
    expect(Buffer.from(bytes.view()).toString('hex')).toBe(expected);
  });

  test.each([0, 1, -1, 63, 64, -64, -65, 8191, 8192, -123456, 0x7fffffff, -0x80000000])('i32 %d', (value) => {
    const code = new Code({ parameters: [], results: ['i32'] });
    code.constant32(value);
    expect(run(code)).toBe(value);
  });

  test.each([0n, 1n, -1n, 63n, 64n, -64n, -65n, 1n << 62n, -(1n << 63n), (1n << 63n) - 1n])('i64 %d', (value) => {
    const code = new Code({ parameters: [], results: ['i64'] });
    code.constant64(value);
    expect(run(code)).toBe(value);
  });
});

test('blocks, loops and br_table go where their labels say', () => {
  const dispatch = (index: number): unknown => {
    const code = new Code({ parameters: [], results: ['i32'] });
    code.block((last) => {
      code.block((second) => {
        code.block((first) => {
          code.constant32(index);
          code.branchTable([first, second], last);
        });
        code.constant32(10);
        code.return();
      });
      code.constant32(20);
      code.return();
    });
    code.constant32(30);
    return run(code);
  };
  expect([0, 1, 2, 99].map(dispatch)).toEqual([10, 20, 30, 30]);
});

test('locals are given out again behind withLocals, and not within', () => {
  const code = new Code({ parameters: ['i32'], results: [] });
  const outer = code.local('i64');
  const inner: number[] = [];
  code.withLocals(() => inner.push(code.local('i64'), code.local('i64')));
  expect(outer).toBe(1);
  expect(inner).toEqual([2, 3]);
  const later = [code.local('i64'), code.local('i64'), code.local('i64'), code.local('i32')];
  expect(new Set(later).size).toBe(4);
  expect(later.slice(0, 2).sort()).toEqual([2, 3]);
  expect(later).not.toContain(outer);
});
