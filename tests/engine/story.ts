// One instruction, or a few, as a line: what is set before, what the code is, what it says afterwards.
//
//   tell('push rax', 'rsp=20000')   ->   '#PF(6) at 1fff8'
//   tell('mov eax, 1; add eax, 2')  ->   'rax=3'
//
//   10000  code: writable and executable, two pages
//   20000  two pages of data          22000  a page that is read-only
//   23000  nothing                    24000  a page of the supervisor's
//   25000  a page of data behind it

import { GPR_NAMES, GS } from '../../src/abi/registers.js';
import type { Exit } from '../../src/engine/index.js';
import { assembleText, decode } from '../../src/isa/index.js';
import { type TestMachine, type TestMachineOptions, testMachine } from './machine.js';

export const CODE = 0x10000n;
export const DATA = 0x20000n;
export const READ_ONLY = 0x22000n;
export const NOTHING = 0x23000n;

/** A machine with the pages above. */
export function storyMachine(options: TestMachineOptions = {}): TestMachine {
  const machine = testMachine(options);
  for (const address of [CODE, CODE + 0x1000n]) machine.map(address);
  for (const address of [DATA, DATA + 0x1000n, 0x25000n]) machine.map(address, { executable: false });
  machine.map(READ_ONLY, { writable: false, executable: false });
  machine.map(0x24000n, { user: false });
  return machine;
}

/** Sets registers and memory from text: `rax=1 rflags=2 gs=… [20000]=8877`, values in hex. */
export function prepare(machine: TestMachine, text: string): void {
  for (const token of text.split(' ').filter(Boolean)) {
    const [name = '', value = ''] = token.split('=');
    const number = BigInt(`0x${value}`);
    const address = /^\[(\w+)\]$/.exec(name)?.[1];
    if (address !== undefined) machine.poke64(BigInt(`0x${address}`), number);
    else if (name === 'rip') machine.vcpu.rip = number;
    else if (name === 'rflags') machine.vcpu.rflags = number;
    else if (name === 'gsbase') machine.vcpu.writeSegmentBase(GS, number);
    else machine.vcpu.writeGpr(GPR_NAMES.indexOf(name as 'rax'), number);
  }
}

/** An exit in words: '' for the budget. */
export function exitText(exit: Exit): string {
  if (exit.reason !== 'exception') return exit.reason === 'budget' ? '' : exit.reason;
  const { vector, errorCode, vaddr, software } = exit.exception;
  const name = NAMES[vector] ?? `#${vector}`;
  const code = errorCode === undefined ? '' : `(${errorCode.toString(16)})`;
  const address = vaddr === undefined ? '' : ` at ${vaddr.toString(16)}`;
  return `${name}${code}${address}${software ? ' software' : ''}`;
}

const NAMES: Readonly<Record<number, string>> = {
  0: '#DE',
  1: '#DB',
  3: '#BP',
  6: '#UD',
  11: '#NP',
  12: '#SS',
  13: '#GP',
  14: '#PF',
};

export interface Told {
  /** How it ended, and what changed: registers by name, and rip when it is not behind the code. */
  readonly text: string;
  readonly machine: TestMachine;
}

/** Runs code that stands at CODE (`;` separates instructions; `db` begins bytes in hex), as many instructions as it has unless told otherwise. */
export function run(code: string, before = '', options: { machine?: TestMachine; steps?: number } = {}): Told {
  const { machine = storyMachine() } = options;
  const bytes = code.startsWith('db ') ? bytesOf(code.slice(3)) : assembleText(code.replaceAll(';', '\n'), CODE);
  machine.poke(CODE, bytes);
  machine.vcpu.rip = CODE;
  prepare(machine, before);
  const registers = GPR_NAMES.map((_, i) => machine.vcpu.readGpr(i));
  const exit = machine.run(options.steps ?? countOf(bytes));
  const changes = GPR_NAMES.flatMap((name, i) => {
    const value = machine.vcpu.readGpr(i);
    return value === registers[i] ? [] : [`${name}=${value.toString(16)}`];
  });
  const { rip } = machine.vcpu;
  if (rip !== CODE + BigInt(bytes.length)) changes.push(`rip=${rip.toString(16)}`);
  return { text: [exitText(exit), ...changes].filter(Boolean).join(' '), machine };
}

export const tell = (code: string, before?: string, options?: { machine?: TestMachine; steps?: number }): string =>
  run(code, before, options).text;

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text.split(' '), (byte) => Number.parseInt(byte, 16));

function countOf(bytes: Uint8Array): number {
  let count = 0;
  for (let offset = 0; offset < bytes.length; count++) {
    const instruction = decode(bytes, offset, bytes.length);
    offset += typeof instruction === 'string' ? bytes.length : instruction.length;
  }
  return count;
}
