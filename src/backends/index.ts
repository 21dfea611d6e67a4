// What dom0 does for a guest. Reading order: shared-ring, console; store, xenstore-session, xenstore, domu-tree.

export { ConsoleBackend, type ConsoleOptions } from './console.js';
export { addDomU, type DomUDescription } from './domu-tree.js';
export { SharedRing } from './shared-ring.js';
export { type Permission, Store, type StoreNode, StoreTransaction, XS_PERM_READ, XS_PERM_WRITE } from './store.js';
export { XenstoreBackend, type XenstoreOptions } from './xenstore.js';
export { type XenstoreReply, XenstoreSession } from './xenstore-session.js';
