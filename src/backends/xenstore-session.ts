// One domain's dealings with xenstore: its requests, its transactions, its watches. What a message means, once it is whole.
// Sources: Xen 4.17 docs/misc/xenstore.txt, public/io/xs_wire.h, tools/xenstore/xenstored_core.c, xenstored_watch.c,
// xenstored_transaction.c. Left out: what only dom0's tools ask for (a guest is refused it), watches with a depth.

import * as R from '../abi/rings.js';
import {
  isValidPath,
  isWithin,
  type Permission,
  parentOf,
  rightsOf,
  type Store,
  type StoreChange,
  type StoreNode,
  type StoreTransaction,
  type StoreView,
  XS_PERM_READ,
  XS_PERM_WRITE,
  type XsError,
} from './store.js';

// xenstored's quotas for a guest.
const MAX_NODES = 1000;
const MAX_NODE_BYTES = 2048;
const MAX_WATCHES = 128;
const MAX_TRANSACTIONS = 10;
const MAX_PERMISSIONS = 5;
/** Paths looked at and changes made in one transaction. */
const MAX_TRANSACTION_SIZE = 1024;

/** A reply's message type (the request's, or XS_ERROR) and payload. */
export interface XenstoreReply {
  readonly type: number;
  readonly payload: Uint8Array;
}

interface Watch {
  readonly path: string;
  readonly token: string;
  /** Whether the guest gave a path relative to its own directory, and gets such paths back. */
  readonly relative: boolean;
}

type Result = Uint8Array | XsError;

const OK = bytesOf('OK\0');
const NOTHING = new Uint8Array(0);

/** Requests of one domain, carried out one after another; between them it hears of what it watches. */
export class XenstoreSession {
  readonly #store: Store;
  readonly #domain: number;
  readonly #onEvent: (payload: Uint8Array) => void;
  readonly #transactions = new Map<number, StoreTransaction>();
  #nextTransaction = 1;
  #watches: Watch[] = [];
  readonly #stopListening: () => void;

  /** `onEvent` gets the payload of each watch event, at the moment of the change. */
  constructor(store: Store, domain: number, onEvent: (payload: Uint8Array) => void) {
    this.#store = store;
    this.#domain = domain;
    this.#onEvent = onEvent;
    this.#stopListening = store.onChange((change) => this.#notice(change));
  }

  /** Drops watches and transactions for good. */
  close(): void {
    this.#stopListening();
    this.#reset();
  }

  /** Carries a request out. Its payload is at most 4096 bytes. An error is a reply, too. */
  request(type: number, transaction: number, payload: Uint8Array): XenstoreReply {
    const result = this.#carryOut(type, transaction, payload);
    return typeof result === 'string'
      ? { type: R.XS_ERROR, payload: bytesOf(`${result}\0`) }
      : { type, payload: result };
  }

  #carryOut(type: number, transaction: number, payload: Uint8Array): Result {
    const text = textOf(payload);
    if (type === R.XS_WATCH) return this.#watch(text);
    if (type === R.XS_UNWATCH) return this.#unwatch(text);
    if (FOR_TOOLS.has(type)) return 'EACCES';
    if (type === R.XS_TRANSACTION_END) return this.#endTransaction(transaction, text);
    const within = this.#transactions.get(transaction);
    if (transaction !== 0 && !within) return 'ENOENT';
    if (within && within.size >= MAX_TRANSACTION_SIZE) return 'ENOSPC';
    const view = within ?? this.#store;
    switch (type) {
      case R.XS_READ:
        return this.#find(view, oneString(text), XS_PERM_READ, ({ value }) => value);
      case R.XS_DIRECTORY:
        return this.#find(view, oneString(text), XS_PERM_READ, directory);
      case R.XS_DIRECTORY_PART:
        return this.#directoryPart(view, text);
      case R.XS_GET_PERMS:
        return this.#find(view, oneString(text), XS_PERM_READ, ({ permissions }) =>
          bytesOf(permissions.map((permission) => `${printPermission(permission)}\0`).join('')),
        );
      case R.XS_WRITE:
        return this.#write(view, payload, text);
      case R.XS_MKDIR:
        return this.#mkdir(view, oneString(text));
      case R.XS_RM:
        return this.#remove(view, oneString(text));
      case R.XS_SET_PERMS:
        return this.#setPermissions(view, text);
      case R.XS_TRANSACTION_START:
        return this.#startTransaction(transaction);
      case R.XS_GET_DOMAIN_PATH:
        return domainPath(oneString(text));
      case R.XS_RESET_WATCHES:
        this.#reset();
        return OK;
      default:
        return 'ENOSYS';
    }
  }

  // --- Nodes ----------------------------------------------------------------------------------------------------------

  /** The whole path of what the guest named, or undefined when it is no valid path. */
  #pathOf(name: string | undefined): string | undefined {
    if (name === undefined) return undefined;
    const home = `/local/domain/${this.#domain}/`;
    const path = name.startsWith('/') ? name : `${home}${name}`;
    const [, prefix = ''] = /^(\/local\/domain\/\d{1,5}\/)/.exec(path) ?? [];
    return isValidPath(path) && path.length <= prefix.length + R.XENSTORE_REL_PATH_MAX ? path : undefined;
  }

  #may(node: StoreNode, rights: number): boolean {
    return (rightsOf(this.#domain, node.permissions) & rights) === rights;
  }

  /** The node at a path, if the guest has these rights. A guest that may not look there is not told what is missing. */
  #lookup(view: StoreView, path: string, rights: number): StoreNode | XsError {
    const node = view.get(path);
    if (node) return this.#may(node, rights) ? node : 'EACCES';
    let ancestor: StoreNode | undefined;
    for (let up = parentOf(path); !ancestor; up = parentOf(up)) ancestor = view.get(up);
    return this.#may(ancestor, rights) ? 'ENOENT' : 'EACCES';
  }

  #find(view: StoreView, name: string | undefined, rights: number, use: (node: StoreNode) => Result): Result {
    const path = this.#pathOf(name);
    if (path === undefined) return 'EINVAL';
    const node = this.#lookup(view, path, rights);
    if (typeof node === 'string') return node;
    const result = use(node);
    return result.length > R.XENSTORE_PAYLOAD_MAX ? 'E2BIG' : result;
  }

  /** path\0offset\0: the directory's text from a byte on, behind the node's generation; an empty name ends the list. */
  #directoryPart(view: StoreView, text: string): Result {
    const [name, offsetText, ...rest] = strings(text);
    if (name === undefined || offsetText === undefined || rest.length > 0) return 'EINVAL';
    return this.#find(view, name, XS_PERM_READ, (node) => {
      const generation = `${node.generation}\0`;
      const all = textOf(directory(node));
      const offset = Number.parseInt(offsetText, 10) || 0;
      if (offset < 0 || offset >= all.length) return bytesOf(`${generation}\0`);
      const room = R.XENSTORE_PAYLOAD_MAX - generation.length - 1;
      const part = all.slice(offset, offset + room);
      const whole = part.slice(0, part.lastIndexOf('\0') + 1);
      return bytesOf(`${generation}${whole}${offset + whole.length === all.length ? '\0' : ''}`);
    });
  }

  /** path\0value */
  #write(view: StoreView, payload: Uint8Array, text: string): Result {
    const end = text.indexOf('\0');
    if (end < 0) return 'EINVAL';
    return this.#make(view, text.slice(0, end), payload.slice(end + 1), true);
  }

  #mkdir(view: StoreView, name: string | undefined): Result {
    return this.#make(view, name, NOTHING, false);
  }

  /** Makes a node with its missing parents, or gives one that exists another value (`overwrite`) or leaves it alone. */
  #make(view: StoreView, name: string | undefined, value: Uint8Array, overwrite: boolean): Result {
    const path = this.#pathOf(name);
    if (path === undefined) return 'EINVAL';
    const node = this.#lookup(view, path, XS_PERM_WRITE);
    if (node === 'ENOENT' && view.nodesOwnedBy(this.#domain) >= MAX_NODES) return 'ENOSPC';
    if (typeof node === 'string' && node !== 'ENOENT') return node;
    if (node !== 'ENOENT' && !overwrite) return OK;
    if (value.length >= MAX_NODE_BYTES) return 'ENOSPC';
    view.write(path, value, this.#domain);
    return OK;
  }

  #remove(view: StoreView, name: string | undefined): Result {
    const path = this.#pathOf(name);
    if (path === undefined) return 'EINVAL';
    const node = this.#lookup(view, path, XS_PERM_WRITE);
    if (node === 'ENOENT') return view.get(parentOf(path)) ? OK : 'ENOENT';
    if (typeof node === 'string') return node;
    if (path === '/') return 'EINVAL';
    view.remove(path);
    return OK;
  }

  /** path\0permission\0…: the owner's to change, but not to give away. */
  #setPermissions(view: StoreView, text: string): Result {
    const [name, ...texts] = strings(text);
    const permissions = texts.map(parsePermission);
    const path = this.#pathOf(name);
    if (path === undefined || permissions.length === 0) return 'EINVAL';
    if (permissions.length > MAX_PERMISSIONS) return 'ENOSPC';
    if (!permissions.every((permission) => permission !== undefined)) return 'EINVAL';
    const node = this.#lookup(view, path, XS_PERM_WRITE);
    if (typeof node === 'string') return node;
    if (node.permissions[0]?.domain !== this.#domain) return 'EACCES';
    if (permissions[0]?.domain !== this.#domain) return 'EPERM';
    view.setPermissions(path, permissions);
    return OK;
  }

  // --- Transactions ---------------------------------------------------------------------------------------------------

  #startTransaction(within: number): Result {
    if (within !== 0) return 'EBUSY';
    if (this.#transactions.size >= MAX_TRANSACTIONS) return 'ENOSPC';
    while (this.#nextTransaction === 0 || this.#transactions.has(this.#nextTransaction))
      this.#nextTransaction = (this.#nextTransaction + 1) >>> 0;
    const id = this.#nextTransaction;
    this.#nextTransaction = (id + 1) >>> 0;
    this.#transactions.set(id, this.#store.begin());
    return bytesOf(`${id}\0`);
  }

  #endTransaction(id: number, text: string): Result {
    if (text !== 'T\0' && text !== 'F\0') return 'EINVAL';
    const transaction = this.#transactions.get(id);
    if (!transaction) return 'ENOENT';
    this.#transactions.delete(id);
    return text === 'F\0' || transaction.commit() ? OK : 'EAGAIN';
  }

  // --- Watches --------------------------------------------------------------------------------------------------------

  /** path\0token\0. The watch fires once at once. */
  #watch(text: string): Result {
    const [name, token] = strings(text);
    if (name === undefined || token === undefined) return 'EINVAL';
    const path = name.startsWith('@') ? name : this.#pathOf(name);
    if (path === undefined || path.length > R.XENSTORE_REL_PATH_MAX) return 'EINVAL';
    if (this.#watches.some((watch) => watch.path === path && watch.token === token)) return 'EEXIST';
    if (this.#watches.length >= MAX_WATCHES) return 'E2BIG';
    const watch: Watch = { path, token, relative: !/^[/@]/.test(name) };
    this.#watches.push(watch);
    this.#fire(watch, path);
    return OK;
  }

  #unwatch(text: string): Result {
    const [name, token] = strings(text);
    if (name === undefined || token === undefined) return 'EINVAL';
    const path = /^[/@]/.test(name) ? name : `/local/domain/${this.#domain}/${name}`;
    const left = this.#watches.filter((watch) => watch.path !== path || watch.token !== token);
    if (left.length === this.#watches.length) return 'ENOENT';
    this.#watches = left;
    return OK;
  }

  #reset(): void {
    this.#watches = [];
    this.#transactions.clear();
  }

  #notice(change: StoreChange): void {
    const watches = this.#watches.filter(({ path }) =>
      change.exact ? path === change.path : isWithin(change.path, path),
    );
    if (watches.length === 0 || !this.#maySee(change)) return;
    for (const watch of watches) this.#fire(watch, change.path);
  }

  /** A change is seen by whoever may read the node, could until now, or may read its parent. */
  #maySee({ path, permissions }: StoreChange): boolean {
    const lists = [permissions, this.#store.get(path)?.permissions, this.#store.get(parentOf(path))?.permissions];
    return lists.some((list) => list && (rightsOf(this.#domain, list) & XS_PERM_READ) !== 0);
  }

  #fire({ token, relative }: Watch, path: string): void {
    const home = `/local/domain/${this.#domain}/`;
    const shown = relative && path.startsWith(home) ? path.slice(home.length) : path;
    this.#onEvent(bytesOf(`${shown}\0${token}\0`));
  }
}

/** What a guest may not ask for. */
const FOR_TOOLS: ReadonlySet<number> = new Set([
  R.XS_CONTROL,
  R.XS_INTRODUCE,
  R.XS_RELEASE,
  R.XS_IS_DOMAIN_INTRODUCED,
  R.XS_RESUME,
  R.XS_SET_TARGET,
]);

const directory = ({ children }: StoreNode): Uint8Array =>
  bytesOf([...children.keys()].map((name) => `${name}\0`).join(''));

function domainPath(id: string | undefined): Result {
  if (id === undefined) return 'EINVAL';
  return bytesOf(`/local/domain/${Number.parseInt(id, 10) || 0}\0`);
}

const PERMISSION_LETTERS = 'nrwb';

/** "n0", "r5", "w5", "b5": the letter's place in the alphabet above is its rights. */
const printPermission = ({ domain, rights }: Permission): string => `${PERMISSION_LETTERS.charAt(rights)}${domain}`;

/** The permission that "n0", "r5", "w5" or "b5" says; undefined for other texts. */
export function parsePermission(text: string): Permission | undefined {
  const match = /^([nrwb])(\d{1,5})$/.exec(text);
  return match ? { domain: Number(match[2]), rights: PERMISSION_LETTERS.indexOf(match[1] as string) } : undefined;
}

/** The text of a payload that is one NUL-terminated string and nothing else. */
const oneString = (text: string): string | undefined =>
  text.indexOf('\0') === text.length - 1 && text.length > 0 ? text.slice(0, -1) : undefined;

/** The NUL-terminated strings of a payload; what follows the last NUL is dropped. */
const strings = (text: string): string[] => text.split('\0').slice(0, -1);

/** Each byte as one character: names are ASCII, and other bytes make an invalid name without changing the length. */
function textOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
