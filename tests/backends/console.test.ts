// The console's backend against a guest that behaves, one that is slow, and one that writes nonsense into the page.

import { describe, expect, test } from 'vitest';
import * as R from '../../src/abi/rings.js';
import { ConsoleBackend } from '../../src/backends/index.js';
import { maddr, mfnToMaddr } from '../../src/base/addresses.js';
import { random } from '../../src/base/random.js';
import { DomU } from '../xen/domu.js';

class Guest {
  readonly domU = new DomU();
  output = '';
  readonly backend = new ConsoleBackend({
    memory: this.domU.memory,
    page: this.domU.built.console.mfn,
    events: this.domU.domain.events,
    port: this.domU.consolePort,
    onOutput: (bytes) => {
      this.output += Buffer.from(bytes).toString('latin1');
    },
  });

  field(offset: number): number {
    return this.domU.memory.read32(this.#at(offset));
  }
  set(offset: number, value: number): void {
    this.domU.memory.write32(this.#at(offset), value >>> 0);
  }
  #at(offset: number) {
    return maddr(mfnToMaddr(this.domU.built.console.mfn) + offset);
  }

  /** Writes as a driver does: as much as there is room for, then a notification. Says how much went. */
  print(text: string): number {
    const free = R.XENCONS_OUT_BYTES - ((this.field(R.XENCONS_out_prod) - this.field(R.XENCONS_out_cons)) >>> 0);
    const count = Math.min(free, text.length);
    const start = this.field(R.XENCONS_out_prod);
    for (let index = 0; index < count; index++)
      this.domU.memory.write8(
        this.#at(R.XENCONS_out + ((start + index) % R.XENCONS_OUT_BYTES)),
        text.charCodeAt(index),
      );
    this.set(R.XENCONS_out_prod, start + count);
    return count;
  }
  notify(): void {
    this.domU.domain.events.send(this.domU.consolePort);
  }

  /** Takes at most `limit` bytes of input. */
  read(limit: number): string {
    let text = '';
    while (text.length < limit && this.field(R.XENCONS_in_cons) !== this.field(R.XENCONS_in_prod)) {
      const at = this.field(R.XENCONS_in_cons);
      text += String.fromCharCode(this.domU.memory.read8(this.#at(R.XENCONS_in + (at % R.XENCONS_IN_BYTES))));
      this.set(R.XENCONS_in_cons, at + 1);
    }
    return text;
  }
  get told(): boolean {
    return (this.domU.events().ports & (1n << BigInt(this.domU.consolePort))) !== 0n;
  }
}

const type = (guest: Guest, text: string): void => guest.backend.type(new TextEncoder().encode(text));

describe('output', () => {
  test('comes out when the guest notifies, and the guest is told that there is room', () => {
    const guest = new Guest();
    guest.print('hello');
    expect(guest.output).toBe('');
    guest.notify();
    expect([guest.output, guest.field(R.XENCONS_out_cons), guest.told]).toEqual(['hello', 5, true]);
  });

  test('comes out without a notification when the backend looks', () => {
    const guest = new Guest();
    guest.print('quiet');
    guest.backend.service();
    expect(guest.output).toBe('quiet');
  });

  test('wraps round the ring and round 2^32', () => {
    const guest = new Guest();
    for (const offset of [R.XENCONS_out_cons, R.XENCONS_out_prod]) guest.set(offset, 2 ** 32 - 1000);
    let written = '';
    for (let round = 0; round < 20; round++) {
      const text = `${round}:${'abcdefghij'.repeat(30)};`;
      written += text.slice(0, guest.print(text));
      guest.notify();
    }
    expect(guest.output).toBe(written);
    expect(guest.field(R.XENCONS_out_cons)).toBe((written.length - 1000) >>> 0);
  });

  test('nothing to say is nothing to notify', () => {
    const guest = new Guest();
    guest.notify();
    expect(guest.told).toBe(false);
  });
});

describe('input', () => {
  test('stands in the ring, and the guest is told', () => {
    const guest = new Guest();
    type(guest, 'ls\r');
    expect([guest.told, guest.read(99)]).toEqual([true, 'ls\r']);
  });

  test('waits while the ring is full, and follows as the guest takes it', () => {
    const guest = new Guest();
    const text = Array.from({ length: 3000 }, (_, index) => String.fromCharCode(97 + (index % 26))).join('');
    type(guest, text);
    expect(guest.backend.waitingBytes).toBe(3000 - R.XENCONS_IN_BYTES);
    let seen = '';
    while (seen.length < text.length) {
      const part = guest.read(100);
      expect(part.length).toBeGreaterThan(0);
      seen += part;
      guest.backend.service();
    }
    expect(seen).toBe(text);
    expect(guest.backend.waitingBytes).toBe(0);
  });
});

describe('a guest that writes nonsense', () => {
  test.each<[string, number, number]>([
    ['producer behind consumer', 100, 50],
    ['more than the ring holds', 0, R.XENCONS_OUT_BYTES + 1],
    ['half the counter range', 0, 0x8000_0000],
  ])('output: %s: nothing is taken', (_, consumer, producer) => {
    const guest = new Guest();
    guest.set(R.XENCONS_out_cons, consumer);
    guest.set(R.XENCONS_out_prod, producer);
    guest.notify();
    expect([guest.output, guest.field(R.XENCONS_out_cons)]).toEqual(['', consumer]);
  });

  test('input: nothing is given while the counters are wrong, and all of it once they are right', () => {
    const guest = new Guest();
    guest.set(R.XENCONS_in_cons, 7);
    type(guest, 'abc');
    expect([guest.field(R.XENCONS_in_prod), guest.backend.waitingBytes]).toEqual([0, 3]);
    guest.set(R.XENCONS_in_cons, 0);
    guest.backend.service();
    expect(guest.read(9)).toBe('abc');
  });

  test('5000 random pages: no throw, and nothing outside the page changes', () => {
    const guest = new Guest();
    const chance = random(7);
    const neighbour = mfnToMaddr(guest.domU.built.xenstore.mfn);
    const before = guest.domU.memory.copyOut(neighbour, 4096);
    const wild = [0, 1, 1023, 1024, 1025, 2047, 2048, 2049, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    let taken = 0;
    for (let round = 0; round < 5000; round++) {
      guest.output = '';
      for (const offset of [R.XENCONS_in_cons, R.XENCONS_in_prod, R.XENCONS_out_cons, R.XENCONS_out_prod])
        guest.set(offset, (wild[chance.below(wild.length)] as number) + (chance.oneIn(2) ? chance.below(3000) : 0));
      type(guest, 'x');
      guest.notify();
      expect(guest.output.length).toBeLessThanOrEqual(R.XENCONS_OUT_BYTES);
      taken += guest.output.length;
    }
    expect(taken).toBeGreaterThan(0);
    expect(guest.domU.memory.copyOut(neighbour, 4096)).toEqual(before);
  });
});
