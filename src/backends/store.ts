// Xenstore's contents: a tree of small values with permissions, and transactions on it.
// Sources: Xen 4.17 docs/misc/xenstore.txt, tools/xenstore/xenstored_core.c (permissions), xenstored_transaction.c.
// Left out: persistence, accounting of memory (the quotas of session.ts bound it), live update.
//
// Nodes are never changed: a write makes new ones along the path, and a transaction is a root of its own beside the store's.
// A node's generation changes with its value, its permissions and its list of children. A transaction commits when every
// node it looked at or changed still has the generation that it had at its start; its changes are then made again.

/** Names as the wire carries them: the errno of a request that failed. */
export type XsError =
  | 'E2BIG'
  | 'EACCES'
  | 'EAGAIN'
  | 'EBUSY'
  | 'EEXIST'
  | 'EINVAL'
  | 'EISDIR'
  | 'ENOENT'
  | 'ENOSPC'
  | 'ENOSYS'
  | 'EPERM';

export const XS_PERM_READ = 1;
export const XS_PERM_WRITE = 2;

/** Of a node's list the first names its owner, and what everybody may who is not named; the others name domains. */
export interface Permission {
  readonly domain: number;
  /** XS_PERM_* bits. */
  readonly rights: number;
}

/** A node as of one moment; a change makes another one. */
export interface StoreNode {
  readonly value: Uint8Array;
  readonly permissions: readonly Permission[];
  /** In the order in which they were made. */
  readonly children: ReadonlyMap<string, StoreNode>;
  readonly generation: number;
}

/** What happened to a path, for watches. `exact`: only a watch on this very path is told. */
export interface StoreChange {
  readonly path: string;
  readonly exact: boolean;
  /** Of a node that is gone, or before they changed. */
  readonly permissions: readonly Permission[] | undefined;
}

const NO_VALUE = new Uint8Array(0);

/** What domain `domain` may do by this list; dom0 and the owner may do everything. */
export function rightsOf(domain: number, permissions: readonly Permission[]): number {
  const [owner, ...named] = permissions;
  if (domain === 0 || owner?.domain === domain) return XS_PERM_READ | XS_PERM_WRITE;
  return (named.find((permission) => permission.domain === domain) ?? owner)?.rights ?? 0;
}

/** "/a/b" is ["a", "b"], "/" is []. The path is valid. */
const partsOf = (path: string): string[] => (path === '/' ? [] : path.slice(1).split('/'));

/** The path one level up; "/" of "/". */
export const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf('/')));

/** What can be done to a tree of nodes: to the store's own, or to a transaction's. */
export class Tree {
  root: StoreNode;
  readonly #nextGeneration: () => number;

  constructor(root: StoreNode, nextGeneration: () => number) {
    this.root = root;
    this.#nextGeneration = nextGeneration;
  }

  get(path: string): StoreNode | undefined {
    let node: StoreNode | undefined = this.root;
    for (const part of partsOf(path)) node = node?.children.get(part);
    return node;
  }

  /** Gives a node its value and permissions, making it if it is new; its children stay. Its parent must exist. */
  put(path: string, value: Uint8Array, permissions: readonly Permission[]): void {
    const children = this.get(path)?.children ?? new Map<string, StoreNode>();
    this.#replace(path, { value, permissions, children, generation: this.#nextGeneration() });
  }

  /** Takes a node and all below it away; it must exist and not be the root. */
  remove(path: string): void {
    this.#replace(path, undefined);
  }

  #replace(path: string, node: StoreNode | undefined): void {
    this.root = this.#rebuilt(this.root, partsOf(path), node);
  }

  /** A copy of `node` with `next` at the end of the path below it. */
  #rebuilt(node: StoreNode, parts: readonly string[], next: StoreNode | undefined): StoreNode {
    const [first, ...rest] = parts;
    if (first === undefined) return next ?? node;
    const children = new Map(node.children);
    const child = children.get(first);
    const listChanges = rest.length === 0 && (next === undefined || child === undefined);
    if (rest.length === 0) {
      if (next) children.set(first, next);
      else children.delete(first);
    } else if (child) children.set(first, this.#rebuilt(child, rest, next));
    return { ...node, children, generation: listChanges ? this.#nextGeneration() : node.generation };
  }
}

/** Looks and changes on the store itself, or within a transaction. */
export class StoreView {
  readonly tree: Tree;
  /** Told of each path that is looked at or changed. */
  protected readonly touch: (path: string) => void;
  protected readonly changed: (change: StoreChange, redo: (tree: Tree) => void) => void;

  constructor(
    tree: Tree,
    touch: (path: string) => void,
    changed: (change: StoreChange, redo: (tree: Tree) => void) => void,
  ) {
    this.tree = tree;
    this.touch = touch;
    this.changed = changed;
  }

  get(path: string): StoreNode | undefined {
    this.touch(path);
    return this.tree.get(path);
  }

  /** Writes a value; missing parents are made. What a domain other than dom0 makes, it owns. */
  write(path: string, value: Uint8Array, maker: number): void {
    const permissions = this.get(path)?.permissions ?? this.#makeRoomFor(path, maker);
    this.#put(path, value, permissions, undefined);
  }

  setPermissions(path: string, permissions: readonly Permission[]): void {
    const node = this.get(path);
    if (node) this.#put(path, node.value, permissions, node.permissions);
  }

  /** Removes a node with all below it. Watches below are told of their own paths. */
  remove(path: string): void {
    const node = this.get(path);
    if (!node || path === '/') return;
    this.touch(parentOf(path));
    this.tree.remove(path);
    this.changed({ path, exact: false, permissions: node.permissions }, (tree) => {
      if (tree.get(path)) tree.remove(path);
    });
    for (const below of descendants(path, node))
      this.changed({ path: below.path, exact: true, permissions: below.node.permissions }, () => {});
  }

  /** How many nodes a domain owns, as seen from here. */
  nodesOwnedBy(domain: number): number {
    let count = 0;
    for (const { node } of descendants('', this.tree.root)) if (node.permissions[0]?.domain === domain) count++;
    return count;
  }

  /** Makes the parents of a node that is to be made, and says which permissions it gets. */
  #makeRoomFor(path: string, maker: number): readonly Permission[] {
    const up = parentOf(path);
    const parent = this.get(up);
    if (!parent) this.write(up, NO_VALUE, maker);
    const [owner, ...named] = (this.tree.get(up) as StoreNode).permissions as [Permission, ...Permission[]];
    return [maker === 0 ? owner : { ...owner, domain: maker }, ...named];
  }

  #put(
    path: string,
    value: Uint8Array,
    permissions: readonly Permission[],
    before: readonly Permission[] | undefined,
  ): void {
    this.tree.put(path, value, permissions);
    this.changed({ path, exact: false, permissions: before }, (tree) => tree.put(path, value, permissions));
  }
}

function* descendants(path: string, node: StoreNode): Generator<{ path: string; node: StoreNode }> {
  for (const [name, child] of node.children) {
    yield { path: `${path}/${name}`, node: child };
    yield* descendants(`${path}/${name}`, child);
  }
}

/** A transaction: nothing of it shows outside until it commits. */
export class StoreTransaction extends StoreView {
  readonly #store: Store;
  readonly #base: Tree;
  readonly #touched: Set<string>;
  readonly #redo: { readonly change: StoreChange; readonly redo: (tree: Tree) => void }[];

  constructor(store: Store, nextGeneration: () => number) {
    const touched = new Set<string>();
    const done: { change: StoreChange; redo: (tree: Tree) => void }[] = [];
    super(
      new Tree(store.tree.root, nextGeneration),
      (path) => touched.add(path),
      (change, redo) => done.push({ change, redo }),
    );
    this.#store = store;
    this.#base = new Tree(store.tree.root, nextGeneration);
    this.#touched = touched;
    this.#redo = done;
  }

  /** How much there is to remember of it: paths looked at, and changes. */
  get size(): number {
    return this.#touched.size + this.#redo.length;
  }

  /** True when the changes were made; false (EAGAIN) when something that it depends on has changed meanwhile. */
  commit(): boolean {
    for (const path of this.#touched)
      if (this.#base.get(path)?.generation !== this.#store.tree.get(path)?.generation) return false;
    for (const { redo } of this.#redo) redo(this.#store.tree);
    for (const { change } of this.#redo) this.#store.tell(change);
    return true;
  }
}

/** The store itself: what is done here is in force at once, and told to listeners. A new one has a root, and no more. */
export class Store extends StoreView {
  readonly #listeners = new Set<(change: StoreChange) => void>();
  readonly #nextGeneration: () => number;

  constructor() {
    let generation = 0;
    const nextGeneration = (): number => ++generation;
    const permissions = [{ domain: 0, rights: 0 }];
    const root: StoreNode = { value: NO_VALUE, permissions, children: new Map(), generation: nextGeneration() };
    super(
      new Tree(root, nextGeneration),
      () => {},
      (change) => this.tell(change),
    );
    this.#nextGeneration = nextGeneration;
  }

  /** A transaction on the store as it is now. */
  begin(): StoreTransaction {
    return new StoreTransaction(this, this.#nextGeneration);
  }

  /** Adds a listener for every change that is in force; the returned function removes it. */
  onChange(listener: (change: StoreChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the listeners of a change that has come into force. */
  tell(change: StoreChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/** A node's name may be built of these; nothing else can be asked for. */
export const isValidPath = (path: string): boolean => /^\/(?:[A-Za-z0-9\-_@]+(?:\/[A-Za-z0-9\-_@]+)*)?$/.test(path);

/** Whether `path` is `ancestor` or lies below it. */
export const isWithin = (path: string, ancestor: string): boolean =>
  path === ancestor || ancestor === '/' || path.startsWith(`${ancestor}/`);
