// Xenstore as a guest sees it through its ring: requests and replies, watches, transactions, permissions, bad behaviour.

import { describe, expect, test } from 'vitest';
import * as R from '../../src/abi/rings.js';
import { addDomU, Store, XenstoreBackend } from '../../src/backends/index.js';
import { type Maddr, maddr, mfn, mfnToMaddr } from '../../src/base/addresses.js';
import { type Random, random } from '../../src/base/random.js';
import { DomU } from '../xen/domu.js';

interface Message {
  readonly type: number;
  readonly request: number;
  readonly transaction: number;
  readonly text: string;
}

class Guest {
  readonly domU: DomU;
  readonly store: Store;
  readonly backend: XenstoreBackend;
  #nextRequest = 1;
  #received = Buffer.alloc(0);
  /** Watch events that came in between, as "path token". */
  readonly events: string[] = [];

  constructor(store = new Store()) {
    this.domU = new DomU();
    this.store = store;
    addDomU(store, {
      domain: 1,
      name: 'guest',
      uuid: '0-0',
      memoryKib: 4400,
      vcpus: 1,
      console: { port: 2, mfn: mfn(77) },
      xenstore: { port: 1, mfn: mfn(78) },
    });
    this.backend = new XenstoreBackend({
      memory: this.domU.memory,
      page: this.domU.built.xenstore.mfn,
      events: this.domU.domain.events,
      port: this.domU.xenstorePort,
      store,
      domain: 1,
    });
  }

  at(offset: number): Maddr {
    return maddr(mfnToMaddr(this.domU.built.xenstore.mfn) + offset);
  }
  field(offset: number): number {
    return this.domU.memory.read32(this.at(offset));
  }
  set(offset: number, value: number): void {
    this.domU.memory.write32(this.at(offset), value >>> 0);
  }
  notify(): void {
    this.domU.domain.events.send(this.domU.xenstorePort);
  }

  /** Puts bytes into the ring, in pieces of at most `piece` bytes with a notification after each. */
  send(bytes: Uint8Array, piece = 64): void {
    for (let done = 0; done < bytes.length; ) {
      const free = R.XENSTORE_RING_BYTES - (this.field(R.XENSTORE_req_prod) - this.field(R.XENSTORE_req_cons));
      const count = Math.min(free, piece, bytes.length - done);
      if (count <= 0) return;
      for (let index = 0; index < count; index++) {
        const place = (this.field(R.XENSTORE_req_prod) + index) % R.XENSTORE_RING_BYTES;
        this.domU.memory.write8(this.at(R.XENSTORE_req + place), bytes[done + index] as number);
      }
      this.set(R.XENSTORE_req_prod, this.field(R.XENSTORE_req_prod) + count);
      done += count;
      this.notify();
      this.drain();
    }
  }

  /** Takes what stands in the reply ring. */
  drain(): void {
    for (;;) {
      const [consumer, producer] = [this.field(R.XENSTORE_rsp_cons), this.field(R.XENSTORE_rsp_prod)];
      if (consumer === producer || (producer - consumer) >>> 0 > R.XENSTORE_RING_BYTES) return;
      const bytes = Buffer.alloc((producer - consumer) >>> 0);
      for (let index = 0; index < bytes.length; index++)
        bytes[index] = this.domU.memory.read8(this.at(R.XENSTORE_rsp + ((consumer + index) % R.XENSTORE_RING_BYTES)));
      this.set(R.XENSTORE_rsp_cons, producer);
      this.#received = Buffer.concat([this.#received, bytes]);
      this.notify();
    }
  }

  /** The next whole message received, if there is one. */
  receive(): Message | undefined {
    this.drain();
    if (this.#received.length < 16) return undefined;
    const [type, request, transaction, length] = [0, 4, 8, 12].map((at) => this.#received.readUInt32LE(at)) as [
      number,
      number,
      number,
      number,
    ];
    if (this.#received.length < 16 + length) return undefined;
    const text = this.#received.toString('latin1', 16, 16 + length);
    this.#received = this.#received.subarray(16 + length);
    return { type, request, transaction, text };
  }

  /** Makes a request and returns its reply's payload, or "!ERROR" for an error. */
  ask(type: number, payload: string, transaction = 0, piece?: number): string {
    const request = this.#nextRequest++;
    this.send(message(type, request, transaction, payload), piece);
    for (let reply = this.receive(); reply; reply = this.receive()) {
      if (reply.type === R.XS_WATCH_EVENT) {
        expect([reply.request, reply.transaction]).toEqual([0, 0]);
        this.events.push(reply.text.split('\0').slice(0, 2).join(' '));
        continue;
      }
      expect([reply.request, reply.transaction]).toEqual([request, transaction]);
      if (reply.type === R.XS_ERROR) return `!${reply.text.slice(0, -1)}`;
      expect(reply.type).toBe(type);
      this.collectEvents();
      return reply.text;
    }
    return 'no reply';
  }
  collectEvents(): void {
    for (let next = this.receive(); next; next = this.receive())
      this.events.push(next.text.split('\0').slice(0, 2).join(' '));
  }
  takeEvents(): string[] {
    this.collectEvents();
    return this.events.splice(0);
  }

  read = (path: string, transaction = 0): string => this.ask(R.XS_READ, `${path}\0`, transaction);
  write = (path: string, value: string, transaction = 0): string =>
    this.ask(R.XS_WRITE, `${path}\0${value}`, transaction);
  directory = (path: string, transaction = 0): string[] | string => {
    const text = this.ask(R.XS_DIRECTORY, `${path}\0`, transaction);
    return text.startsWith('!') ? text : text.split('\0').slice(0, -1);
  };
  begin = (): number => Number.parseInt(this.ask(R.XS_TRANSACTION_START, '\0'), 10);
  end = (transaction: number, how: 'T' | 'F' = 'T'): string => this.ask(R.XS_TRANSACTION_END, `${how}\0`, transaction);
}

function message(type: number, request: number, transaction: number, payload: string): Uint8Array {
  const bytes = Buffer.alloc(16 + payload.length);
  for (const [index, word] of [type, request, transaction, payload.length].entries())
    bytes.writeUInt32LE(word, index * 4);
  bytes.write(payload, 16, 'latin1');
  return bytes;
}

const OK = 'OK\0';
const HOME = '/local/domain/1';
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe('requests', () => {
  test.each<[string, (guest: Guest) => unknown, unknown]>([
    ['read', (g) => g.read('domid'), '1'],
    ['read by whole path', (g) => g.read(`${HOME}/name`), 'guest'],
    ['directory', (g) => g.directory(''), '!EINVAL'],
    ['directory of the domain', (g) => (g.directory(HOME) as string[]).slice(0, 4), ['vm', 'name', 'domid', 'cpu']],
    ['directory without children', (g) => g.directory('name'), []],
    ['directory of nothing, where it may look', (g) => g.directory('device/vbd'), '!ENOENT'],
    [
      'write, where it may',
      (g) => [g.write('data/x/y', 'value'), g.read('data/x/y'), g.read('data/x')],
      [OK, 'value', ''],
    ],
    ['write an empty value', (g) => [g.write('data/x', ''), g.read('data/x')], [OK, '']],
    ['write bytes', (g) => [g.write('data/x', '\0\xff\0'), g.read('data/x')], [OK, '\0\xff\0']],
    ['write, where it may not', (g) => g.write('name', 'other'), '!EACCES'],
    ['make, where it may not', (g) => g.write('newdir/x', '1'), '!EACCES'],
    ["read another domain's", (g) => g.read('/local/domain/0/name'), '!EACCES'],
    ['mkdir', (g) => [g.ask(R.XS_MKDIR, 'data/d\0'), g.directory('data')], [OK, ['d']]],
    [
      'mkdir keeps a value',
      (g) => [g.write('data/d', 'v'), g.ask(R.XS_MKDIR, 'data/d\0'), g.read('data/d')],
      [OK, OK, 'v'],
    ],
    ['rm', (g) => [g.write('data/d/e', 'v'), g.ask(R.XS_RM, 'data/d\0'), g.directory('data')], [OK, OK, []]],
    ['rm of nothing', (g) => g.ask(R.XS_RM, 'data/nothing\0'), OK],
    ['rm of nothing in nothing', (g) => g.ask(R.XS_RM, 'data/no/thing\0'), '!ENOENT'],
    ['rm of what is not its own', (g) => g.ask(R.XS_RM, 'name\0'), '!EACCES'],
    ['get_perms', (g) => [g.ask(R.XS_GET_PERMS, 'name\0'), g.ask(R.XS_GET_PERMS, 'data\0')], ['n0\0r1\0', 'n1\0']],
    ['set_perms', (g) => [g.ask(R.XS_SET_PERMS, 'data\0n1\0b5\0'), g.ask(R.XS_GET_PERMS, 'data\0')], [OK, 'n1\0b5\0']],
    ['set_perms: not to another owner', (g) => g.ask(R.XS_SET_PERMS, 'data\0n0\0'), '!EPERM'],
    ['set_perms: only by the owner', (g) => g.ask(R.XS_SET_PERMS, 'name\0n1\0'), '!EACCES'],
    ['set_perms: nonsense', (g) => g.ask(R.XS_SET_PERMS, 'data\0x1\0'), '!EINVAL'],
    ['get_domain_path', (g) => g.ask(R.XS_GET_DOMAIN_PATH, '5\0'), '/local/domain/5\0'],
    [
      'what only tools may',
      (g) => [R.XS_CONTROL, R.XS_INTRODUCE, R.XS_RESUME].map((type) => g.ask(type, 'x\0')),
      ['!EACCES', '!EACCES', '!EACCES'],
    ],
    [
      'types that are none',
      (g) => [18 + 2, 23, 99].map((type) => g.ask(type, 'x\0')),
      ['!ENOSYS', '!ENOSYS', '!ENOSYS'],
    ],
    ['a reply as a request', (g) => g.ask(R.XS_ERROR, 'x\0'), '!ENOSYS'],
    ['a path without its NUL', (g) => g.ask(R.XS_READ, 'name'), '!EINVAL'],
    ['two paths', (g) => g.ask(R.XS_READ, 'name\0vm\0'), '!EINVAL'],
    [
      'an empty payload',
      (g) => [R.XS_READ, R.XS_WRITE, R.XS_WATCH, R.XS_SET_PERMS].map((type) => g.ask(type, '')),
      ['!EINVAL', '!EINVAL', '!EINVAL', '!EINVAL'],
    ],
    [
      'bad characters',
      (g) => [g.read('na me'), g.read('/a//b'), g.read('/a/'), g.read('a\xe4')],
      ['!EINVAL', '!EINVAL', '!EINVAL', '!EINVAL'],
    ],
    ['a path that is too long', (g) => g.read('x'.repeat(2049)), '!EINVAL'],
    ['a value that is too long', (g) => g.write('data/x', 'v'.repeat(2048)), '!ENOSPC'],
    ['a transaction that is none', (g) => [g.read('name', 5), g.end(5)], ['!ENOENT', '!ENOENT']],
    ['the root', (g) => [g.directory('/'), g.ask(R.XS_RM, '/\0')], ['!EACCES', '!EACCES']],
  ])('%s', (_, act, expected) => {
    expect(act(new Guest())).toEqual(expected);
  });

  test('1000 nodes are a guest’s share', () => {
    const guest = new Guest();
    let made = 0;
    while (guest.write(`data/n${made}`, 'x') === OK) made++;
    expect(guest.write('data/one-more', 'x')).toBe('!ENOSPC');
    expect(guest.store.nodesOwnedBy(1)).toBe(1000);
    guest.ask(R.XS_RM, 'data/n0\0');
    expect(guest.write('data/one-more', 'x')).toBe(OK);
  });

  test('a long directory comes in parts', () => {
    const guest = new Guest();
    const names = Array.from({ length: 400 }, (_, index) => `entry-${index}-${'n'.repeat(index % 20)}`);
    for (const name of names) guest.store.write(`${HOME}/data/${name}`, text(''), 1);
    expect(guest.directory('data')).toBe('!E2BIG');
    let list = '';
    let generation = '';
    for (;;) {
      const [first = '', ...rest] = guest.ask(R.XS_DIRECTORY_PART, `data\0${list.length}\0`).split('\0');
      generation ||= first;
      expect(first).toBe(generation);
      const part = rest.join('\0');
      if (part.endsWith('\0\0')) {
        list += part.slice(0, -1);
        break;
      }
      list += part;
    }
    expect(list.split('\0').slice(0, -1)).toEqual(names);
    expect(guest.ask(R.XS_DIRECTORY_PART, 'data\x0099999\0')).toBe(`${generation}\0\0`);
  });
});

describe('framing', () => {
  test.each([1, 2, 3, 7, 15, 16, 17, 64, 1024])('messages in pieces of %d bytes', (piece) => {
    const guest = new Guest();
    const value = 'v'.repeat(1900);
    expect(guest.ask(R.XS_WRITE, `data/x\0${value}`, 0, piece)).toBe(OK);
    expect(guest.ask(R.XS_READ, 'data/x\0', 0, piece)).toBe(value);
  });

  test('several requests at once are answered in order', () => {
    const guest = new Guest();
    guest.send(
      Buffer.concat([
        message(R.XS_READ, 7, 0, 'name\0'),
        message(R.XS_READ, 8, 0, 'domid\0'),
        message(R.XS_READ, 9, 0, 'x\0'),
      ]),
      1024,
    );
    expect([guest.receive(), guest.receive(), guest.receive()]).toEqual([
      { type: R.XS_READ, request: 7, transaction: 0, text: 'guest' },
      { type: R.XS_READ, request: 8, transaction: 0, text: '1' },
      { type: R.XS_ERROR, request: 9, transaction: 0, text: 'ENOENT\0' },
    ]);
  });

  test('a request without a payload is whole with its header', () => {
    const guest = new Guest();
    expect(guest.ask(R.XS_RESET_WATCHES, '', 0, 16)).toBe(OK);
  });

  test('the guest is told of each step', () => {
    const guest = new Guest();
    guest.read('name');
    expect(guest.domU.events().ports & 2n).toBe(2n);
  });
});

describe('watches', () => {
  const watch = (guest: Guest, path: string, token: string): string => guest.ask(R.XS_WATCH, `${path}\0${token}\0`);

  test('fire once at once, then for each change at or below the path', () => {
    const guest = new Guest();
    expect(watch(guest, 'data', 'tok')).toBe(OK);
    expect(guest.takeEvents()).toEqual(['data tok']);
    guest.write('data/x', '1');
    guest.write('data/x', '1');
    guest.write('attr', '1');
    guest.ask(R.XS_RM, 'data/x\0');
    expect(guest.takeEvents()).toEqual(['data/x tok', 'data/x tok', 'data/x tok']);
  });

  test('a watch by whole path gets whole paths, and changes by dom0 count too', () => {
    const guest = new Guest();
    watch(guest, `${HOME}/control`, 't');
    guest.takeEvents();
    guest.store.write(`${HOME}/control/shutdown`, text('poweroff'), 0);
    expect(guest.takeEvents()).toEqual([`${HOME}/control/shutdown t`]);
  });

  test('removing a parent tells watches below of their own path', () => {
    const guest = new Guest();
    guest.write('data/a/b', '1');
    watch(guest, 'data/a/b', 't');
    guest.takeEvents();
    guest.ask(R.XS_RM, 'data/a\0');
    expect(guest.takeEvents()).toEqual(['data/a/b t']);
  });

  test('what it may not read it is not told of', () => {
    const guest = new Guest();
    watch(guest, '/local/domain/0', 't');
    guest.takeEvents();
    guest.store.write('/local/domain/0/secret', text('x'), 0);
    expect(guest.takeEvents()).toEqual([]);
  });

  test.each<[string, (guest: Guest) => unknown, unknown]>([
    [
      'twice the same',
      (g) => [watch(g, 'data', 't'), watch(g, 'data', 't'), watch(g, 'data', 'u')],
      [OK, '!EEXIST', OK],
    ],
    [
      'unwatch',
      (g) => [watch(g, 'data', 't'), g.ask(R.XS_UNWATCH, 'data\0t\0'), g.ask(R.XS_UNWATCH, 'data\0t\0')],
      [OK, OK, '!ENOENT'],
    ],
    ['unwatch with another token', (g) => [watch(g, 'data', 't'), g.ask(R.XS_UNWATCH, 'data\0u\0')], [OK, '!ENOENT']],
    ['a special event', (g) => watch(g, '@releaseDomain', 't'), OK],
    ['no token', (g) => g.ask(R.XS_WATCH, 'data\0'), '!EINVAL'],
    ['129 of them', (g) => Array.from({ length: 129 }, (_, index) => watch(g, 'data', `${index}`)).at(-1), '!E2BIG'],
  ])('%s', (_, act, expected) => {
    expect(act(new Guest())).toEqual(expected);
  });

  test('reset_watches takes all of them', () => {
    const guest = new Guest();
    watch(guest, 'data', 't');
    guest.ask(R.XS_RESET_WATCHES, '\0');
    guest.takeEvents();
    guest.write('data/x', '1');
    expect(guest.takeEvents()).toEqual([]);
  });
});

describe('transactions', () => {
  test('what is changed in one shows outside when it ends with T', () => {
    const guest = new Guest();
    const id = guest.begin();
    guest.write('data/x', '1', id);
    expect([guest.read('data/x', id), guest.read('data/x')]).toEqual(['1', '!ENOENT']);
    expect(guest.end(id)).toBe(OK);
    expect(guest.read('data/x')).toBe('1');
    expect(guest.read('data/x', id)).toBe('!ENOENT');
  });

  test('and not at all when it ends with F', () => {
    const guest = new Guest();
    const id = guest.begin();
    guest.write('data/x', '1', id);
    expect([guest.end(id, 'F'), guest.read('data/x')]).toEqual([OK, '!ENOENT']);
  });

  test.each<[string, (guest: Guest, id: number) => void, (guest: Guest) => void, string]>([
    ['a value read, changed outside', (g, id) => g.read('data/x', id), (g) => g.write('data/x', '2'), '!EAGAIN'],
    ['a value read, another changed', (g, id) => g.read('data/x', id), (g) => g.write('data/y', '2'), OK],
    [
      'a directory listed, an entry added',
      (g, id) => g.directory('data', id),
      (g) => g.write('data/z', '1'),
      '!EAGAIN',
    ],
    ['a directory listed, an entry changed', (g, id) => g.directory('data', id), (g) => g.write('data/x', '2'), OK],
    ['nothing found, made outside', (g, id) => g.read('data/z', id), (g) => g.write('data/z', '1'), '!EAGAIN'],
    [
      'a value written, written outside',
      (g, id) => g.write('data/x', '3', id),
      (g) => g.write('data/x', '2'),
      '!EAGAIN',
    ],
    [
      'written below, its parent removed',
      (g, id) => g.write('data/x/y', '3', id),
      (g) => g.ask(R.XS_RM, 'data/x\0'),
      '!EAGAIN',
    ],
    [
      'permissions read, changed outside',
      (g, id) => g.ask(R.XS_GET_PERMS, 'data/x\0', id),
      (g) => g.ask(R.XS_SET_PERMS, 'data/x\0r1\0'),
      '!EAGAIN',
    ],
  ])('%s: %s', (_, inside, outside, expected) => {
    const guest = new Guest();
    guest.write('data/x', '1');
    guest.write('data/y', '1');
    const id = guest.begin();
    inside(guest, id);
    outside(guest);
    expect(guest.end(id)).toBe(expected);
  });

  test('watches hear of it when it commits', () => {
    const guest = new Guest();
    guest.ask(R.XS_WATCH, 'data\0t\0');
    guest.takeEvents();
    const id = guest.begin();
    guest.write('data/x', '1', id);
    expect(guest.takeEvents()).toEqual([]);
    guest.end(id);
    expect(guest.takeEvents()).toEqual(['data/x t']);
  });

  test('ten at a time, none inside another', () => {
    const guest = new Guest();
    const ids = Array.from({ length: 10 }, () => guest.begin());
    expect(new Set(ids).size).toBe(10);
    expect(guest.ask(R.XS_TRANSACTION_START, '\0')).toBe('!ENOSPC');
    expect(guest.ask(R.XS_TRANSACTION_START, '\0', ids[0])).toBe('!EBUSY');
    guest.end(ids[3] as number);
    expect(guest.begin()).toBeGreaterThan(0);
  });

  test('a transaction has bounds: what it looks at, and what it changes', () => {
    const looking = new Guest();
    const id = looking.begin();
    let looked = 0;
    while (looking.read(`data/n${looked}`, id) === '!ENOENT') looked++;
    expect([looking.read('data/x', id), looked]).toEqual(['!ENOSPC', 1023]);
    expect([looking.end(id), looking.read('name')]).toEqual([OK, 'guest']);
    const writing = new Guest();
    const other = writing.begin();
    let replies = '';
    for (let round = 0; round < 1100; round++) replies = writing.write('data/x', `${round}`, other);
    expect(replies).toBe('!ENOSPC');
  });

  test('two guests’ transactions on one store: the second to commit tries again', () => {
    const store = new Store();
    const guest = new Guest(store);
    const mine = store.begin();
    const theirs = guest.begin();
    mine.write(`${HOME}/data/counter`, text('mine'), 0);
    guest.write('data/counter', 'theirs', theirs);
    expect([mine.commit(), guest.end(theirs)]).toEqual([true, '!EAGAIN']);
  });
});

describe('a guest that breaks the protocol', () => {
  test.each<[string, (guest: Guest) => void, number]>([
    [
      'a message that is too long',
      (g) => g.send(Buffer.from([2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 16, 0, 0])),
      R.XENSTORE_ERROR_PROTO,
    ],
    [
      'a wild producer',
      (g) => {
        g.set(R.XENSTORE_req_prod, 5000);
        g.notify();
      },
      R.XENSTORE_ERROR_RINGIDX,
    ],
    [
      'a consumer ahead of its producer',
      (g) => {
        g.set(R.XENSTORE_req_cons, 1);
        g.notify();
      },
      R.XENSTORE_ERROR_RINGIDX,
    ],
    [
      'a wild reply consumer',
      (g) => {
        g.set(R.XENSTORE_rsp_cons, 77);
        g.send(message(R.XS_READ, 1, 0, 'name\0'));
      },
      R.XENSTORE_ERROR_RINGIDX,
    ],
  ])('%s: it is ignored from then on, and told why', (_, act, expected) => {
    const guest = new Guest();
    act(guest);
    expect([guest.backend.ignored, guest.field(R.XENSTORE_error)]).toEqual([true, expected]);
    const consumed = guest.field(R.XENSTORE_req_cons);
    guest.set(R.XENSTORE_req_prod, consumed + 16);
    guest.notify();
    expect(guest.field(R.XENSTORE_req_cons)).toBe(consumed);
  });

  test('one that does not read its replies is asked no more than is sane', () => {
    const guest = new Guest();
    guest.store.write(`${HOME}/data/big`, text('v'.repeat(2000)), 1);
    const request = message(R.XS_READ, 1, 0, 'data/big\0');
    let sent = 0;
    for (let round = 0; round < 2000; round++) {
      const free = R.XENSTORE_RING_BYTES - (guest.field(R.XENSTORE_req_prod) - guest.field(R.XENSTORE_req_cons));
      if (free < request.length) break;
      for (let index = 0; index < request.length; index++)
        guest.domU.memory.write8(guest.at((guest.field(R.XENSTORE_req_prod) + index) % 1024), request[index] as number);
      guest.set(R.XENSTORE_req_prod, guest.field(R.XENSTORE_req_prod) + request.length);
      guest.notify();
      sent++;
    }
    expect(sent).toBeLessThan(200);
    let received = 0;
    while (guest.receive()) received++;
    expect(received).toBe(sent);
  });

  /** Requests made of pieces of valid ones; sometimes garbage in the page. */
  function misbehave(guest: Guest, chance: Random): void {
    const paths = ['data', 'data/x', 'name', '/', `${HOME}/data/y`, '@x', 'data/x/y/z', 'a//b', ''];
    const pick = <T>(list: readonly T[]): T => list[chance.below(list.length)] as T;
    const payload = `${pick(paths)}\0${chance.oneIn(2) ? pick(['T', 'n1', 'tok', '3', '']) : ''}${chance.oneIn(2) ? '\0' : ''}`;
    const bytes = message(chance.below(25), chance.below(5), chance.oneIn(3) ? chance.below(4) : 0, payload);
    if (chance.oneIn(60)) bytes[chance.below(bytes.length)] = chance.below(256);
    if (chance.oneIn(400)) guest.set(pick([0x800, 0x804, 0x808, 0x80c]), chance.next32());
    if (chance.oneIn(200)) guest.domU.memory.write8(guest.at(chance.below(4096)), chance.below(256));
    const free = R.XENSTORE_RING_BYTES - ((guest.field(R.XENSTORE_req_prod) - guest.field(R.XENSTORE_req_cons)) >>> 0);
    if (free >= bytes.length && free <= R.XENSTORE_RING_BYTES) guest.send(bytes, 1 + chance.below(40));
    else guest.notify();
    if (!guest.backend.ignored && chance.oneIn(2)) guest.drain();
  }

  test('30 guests with 300 random requests each: no throw, and each goes on until it is ignored', () => {
    let ignored = 0;
    for (let seed = 0; seed < 30; seed++) {
      const guest = new Guest();
      const chance = random(seed);
      for (let round = 0; round < 300 && !guest.backend.ignored; round++) misbehave(guest, chance);
      if (guest.backend.ignored) ignored++;
      expect(guest.store.tree.get(`${HOME}/name`)?.value).toEqual(text('guest'));
    }
    expect(ignored).toBeGreaterThan(0);
    expect(ignored).toBeLessThan(30);
  });
});

test('what the toolstack puts in for a domain', () => {
  const guest = new Guest();
  const known = (path: string): string => guest.read(path);
  expect(
    ['name', 'domid', 'vm', 'memory/target', 'cpu/0/availability', 'store/port', 'store/ring-ref'].map(known),
  ).toEqual(['guest', '1', '/vm/0-0', '4400', 'online', '1', '78']);
  expect(['console/port', 'console/ring-ref', 'console/limit', 'console/type', 'control/shutdown'].map(known)).toEqual([
    '2',
    '77',
    '1048576',
    'xenconsoled',
    '',
  ]);
});
