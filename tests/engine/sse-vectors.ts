// Reading and replaying what a real processor did with SSE and MMX instructions: tests/vectors/README.md says what the lines mean.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { GPR_NAMES } from '../../src/abi/registers.js';
import { FLAGS_SHOWN, VectorMachine } from './vectors.js';

const INITIAL_MXCSR = 0x1f80;
const INITIAL_CONTROL = 0x37f;
/** Sign and exponent of every x87 register before the instruction. */
const EXPONENT_BEFORE = 0x1234n;
const LOW_64 = (1n << 64n) - 1n;

export interface SseVectors {
  readonly cpu: string;
  readonly groups: readonly { readonly title: string; readonly lines: readonly string[] }[];
  /** The values that lines name by number. */
  readonly pool: readonly bigint[];
}

export function readSseVectors(): SseVectors {
  const path = join(import.meta.dirname, '../vectors/sse.txt.gz');
  const [cpu = '', poolLine = '', ...lines] = gunzipSync(readFileSync(path)).toString().trimEnd().split('\n');
  const pool = poolLine
    .split(' ')
    .slice(1)
    .map((text) => BigInt(`0x${text}`));
  const groups: { title: string; lines: string[] }[] = [];
  for (const line of lines) {
    if (line.startsWith('# ')) groups.push({ title: line.slice(2), lines: [] });
    else groups.at(-1)?.lines.push(line);
  }
  return { cpu, groups, pool };
}

const hexBytes = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const littleEndian = (value: bigint, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));

/** Words `name=value` by name, and places in memory by address. */
interface State {
  readonly words: ReadonlyMap<string, bigint>;
  readonly memory: readonly { readonly address: bigint; readonly bytes: Uint8Array }[];
  readonly fault: string | undefined;
}

function parseState(text: string, pool: readonly bigint[]): State {
  const words = new Map<string, bigint>();
  const memory: { address: bigint; bytes: Uint8Array }[] = [];
  let fault: string | undefined;
  for (const token of text.split(' ').filter(Boolean)) {
    const [, name, at, value] = /^(\w+)=(@?)([0-9a-f]+)$/.exec(token) ?? [];
    const place = /^([0-9a-f]+)(?::([0-9a-f]+)|@([0-9a-f]+)\.(\d+))$/.exec(token);
    if (name !== undefined && value !== undefined)
      words.set(name, at === '' ? BigInt(`0x${value}`) : pool[Number.parseInt(value, 16)]!);
    else if (place) {
      const [, address, bytes, index, size] = place;
      const stored =
        bytes === undefined ? littleEndian(pool[Number.parseInt(index!, 16)]!, Number(size)) : hexBytes(bytes);
      memory.push({ address: BigInt(`0x${address}`), bytes: stored });
    } else if (token.startsWith('!')) fault = token.slice(1);
    else throw new Error(`cannot read ${token}`);
  }
  return { words, memory, fault };
}

/** Replays lines of the recording. */
export class SseMachine {
  readonly #vectors = new VectorMachine();
  readonly #pool: readonly bigint[];

  constructor(pool: readonly bigint[]) {
    this.#pool = pool;
  }

  /** What differs from the recording, in words. */
  replay(line: string): string[] {
    const [input = '', output = ''] = line.split(' >');
    const [bytesText = '', ...rest] = input.split(' ');
    const before = parseState(rest.join(' '), this.#pool);
    const after = parseState(output, this.#pool);
    const bytes = hexBytes(bytesText);
    const { vcpu } = this.#vectors.machine;
    for (let i = 0; i < 16; i++) vcpu.writeXmm(i, before.words.get(`x${i}`) ?? this.#pool[i]!);
    vcpu.mxcsr = Number(before.words.get('mxcsr') ?? INITIAL_MXCSR);
    const significand = (i: number): bigint => (before.words.get(`m${i}`) ?? this.#pool[i]!) & LOW_64;
    vcpu.x87 = {
      ...vcpu.x87,
      control: Number(before.words.get('cw') ?? INITIAL_CONTROL),
      status: Number(before.words.get('sw') ?? 0),
      tags: 0,
      registers: Array.from({ length: 8 }, (_, i) => (EXPONENT_BEFORE << 64n) | significand(i)),
    };
    const gpr = (words: State['words']): Map<number, bigint> =>
      new Map(GPR_NAMES.flatMap((name, i) => (words.has(name) ? [[i, words.get(name)!] as const] : [])));
    const flags = Number(before.words.get('f') ?? 0);
    const [, vector, errorCode, address] = /^(\d+):([0-9a-f]+)(?:@([0-9a-f]+))?$/.exec(after.fault ?? '') ?? [];
    const differences = this.#vectors.replay(
      {
        line,
        bytes,
        gpr: gpr(before.words),
        flags,
        memory: before.memory,
        after: {
          gpr: gpr(after.words),
          rip: after.words.get('rip') ?? 0x5000_0100n + BigInt(bytes.length),
          flags: Number(after.words.get('f') ?? flags) & FLAGS_SHOWN,
          steps: 1,
          memory: after.memory,
          fault:
            vector === undefined
              ? undefined
              : {
                  vector: Number(vector),
                  errorCode: Number.parseInt(errorCode!, 16),
                  address: address === undefined ? undefined : BigInt(`0x${address}`),
                },
        },
      },
      0,
      [],
    );
    const compare = (name: string, found: bigint, otherwise: bigint): void => {
      const expected = after.words.get(name) ?? before.words.get(name) ?? otherwise;
      if (found !== expected) differences.push(`${name} is ${found.toString(16)}, not ${expected.toString(16)}`);
    };
    for (let i = 0; i < 16; i++) compare(`x${i}`, vcpu.readXmm(i), this.#pool[i]!);
    compare('mxcsr', BigInt(vcpu.mxcsr), BigInt(INITIAL_MXCSR));
    const { status, tags, registers } = vcpu.x87;
    compare('sw', BigInt(status), 0n);
    compare('tags', BigInt(tags), 0n);
    registers.forEach((register, i) => {
      if ((register & LOW_64) !== (after.words.get(`m${i}`) ?? significand(i)))
        differences.push(`mm${i} is ${(register & LOW_64).toString(16)}`);
      compare(`e${i}`, register >> 64n, EXPONENT_BEFORE);
    });
    return differences;
  }
}
