// Laws of a run, on random code: it never throws, it does not matter how it is cut into slices, and wrong paths change nothing
// that the guest can see.
import { describe, expect, test } from 'vitest';
import { GPR_NAMES, RSP } from '../../src/abi/registers.js';
import { type Random, random } from '../../src/base/random.js';
import { rows } from '../../src/isa/index.js';
import { randomEncoding } from '../isa/generate.js';
import type { TestMachine, TestMachineOptions } from './machine.js';
import { CODE, DATA, exitText, storyMachine } from './story.js';

const INSTRUCTIONS = 400;

/** Two pages of random instructions, of which many branch, and registers of which many point at memory that is there. */
function prepared(seed: number, options: TestMachineOptions = {}): TestMachine {
  const dice = random(seed);
  const machine = storyMachine(options);
  machine.poke(CODE, randomCode(dice));
  GPR_NAMES.forEach((_, i) => {
    machine.vcpu.writeGpr(i, randomValue(dice));
  });
  machine.vcpu.writeGpr(RSP, DATA + 0x1000n);
  machine.vcpu.rip = CODE + BigInt(dice.below(64));
  machine.vcpu.rflags = BigInt(0x202 | (dice.next32() & 0x8d5));
  return machine;
}

const UNCONDITIONAL = /^(JMP|RET|CALL|IRET|INT|UD|SYSCALL)/;
const NEVER_ALLOWED = rows.filter(({ privilege }) => privilege !== 'none').map(({ mnemonic }) => mnemonic);
const QUIET = rows.filter(({ mnemonic }) => !UNCONDITIONAL.test(mnemonic) && !NEVER_ALLOWED.includes(mnemonic));

function randomCode(dice: Random): Uint8Array {
  const code = new Uint8Array(0x2000);
  for (let offset = 0; offset < code.length; ) {
    const row = dice.oneIn(10) ? rows[dice.below(rows.length)]! : QUIET[dice.below(QUIET.length)]!;
    // Most operands in registers, and short branches: so that code runs for a while.
    const isBranch = row.operands[0]?.source === 'J';
    const bytes = isBranch ? Uint8Array.of(0x70 + dice.below(16), dice.below(60) - 20) : randomEncoding(row, dice);
    code.set(bytes.subarray(0, code.length - offset), offset);
    offset += bytes.length;
  }
  return code;
}

function randomValue(dice: Random): bigint {
  switch (dice.below(4)) {
    case 0:
      return BigInt(dice.below(16));
    case 1:
      return CODE + BigInt(dice.below(0x2000));
    default:
      return DATA + BigInt(dice.below(0x2400));
  }
}

const stateOf = (machine: TestMachine): string =>
  [
    ...GPR_NAMES.map((name, i) => `${name}=${machine.vcpu.readGpr(i).toString(16)}`),
    `rip=${machine.vcpu.rip.toString(16)}`,
    `flags=${machine.vcpu.rflags.toString(16)}`,
    `retired=${machine.engine.retired}`,
    Buffer.from(machine.peek(CODE, 0x2000)).toString('base64'),
    Buffer.from(machine.peek(DATA, 0x3000)).toString('base64'),
  ].join('\n');

/** Runs in slices; past an exception or system call it goes on a byte further, so that more is seen of the code. */
function story(machine: TestMachine, slice: (left: number) => number): string {
  const ends: string[] = [];
  for (let left = INSTRUCTIONS; left > 0 && ends.length < 60; ) {
    const before = machine.engine.retired;
    const budget = Math.min(left, slice(left));
    const exit = machine.run(budget);
    left -= machine.engine.retired - before;
    if (exit.reason === 'budget') expect(machine.engine.retired - before).toBe(budget);
    else {
      ends.push(`${machine.engine.retired} ${exitText(exit)}`);
      machine.vcpu.rip = CODE + ((machine.vcpu.rip + 1n) & 0x1fffn);
    }
  }
  return `${ends.join('\n')}\n${stateOf(machine)}`;
}

describe('random code', () => {
  const seeds = Array.from({ length: 60 }, (_, i) => i + 1);

  test.each(seeds)('seed %d', (seed) => {
    const whole = story(prepared(seed), (left) => left);
    expect(story(prepared(seed), () => 1)).toBe(whole);
    const dice = random(seed);
    expect(story(prepared(seed), () => 1 + dice.below(20))).toBe(whole);
    const speculating = {
      predictsBranches: true,
      staleness: { refill: { kind: 'wrong-path', instructions: 16 } },
    } as const;
    expect(story(prepared(seed, speculating), () => 50)).toBe(whole);
  });
});

test('random bytes never make the machine throw', () => {
  const dice = random(5);
  const machine = storyMachine();
  const ends = new Map<string, number>();
  for (let round = 0; round < 3000; round++) {
    machine.poke(
      CODE + 0x800n,
      Uint8Array.from({ length: 32 }, () => dice.below(256)),
    );
    machine.vcpu.rip = CODE + 0x800n;
    GPR_NAMES.forEach((_, i) => {
      machine.vcpu.writeGpr(i, randomValue(dice));
    });
    const end = exitText(machine.run(20)).replace(/[( ].*/, '');
    ends.set(end, (ends.get(end) ?? 0) + 1);
  }
  expect([...ends.keys()].sort()).toEqual(expect.arrayContaining(['#DB', '#GP', '#PF', '#UD', '']));
});
