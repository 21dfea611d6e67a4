// What the toolstack puts into xenstore for a new PV domain, and who may write where.
// Source: Xen 4.17 tools/libs/light/libxl_create.c, libxl_console.c, libxl_dom.c (libxl__build_post);
// docs/misc/xenstore-paths.pandoc. Left out: devices (each backend adds its own), migration, libxl's private records.

import type { Mfn } from '../base/addresses.js';
import { type Permission, type Store, XS_PERM_READ } from './store.js';

/** What the toolstack knows of a new domain. */
export interface DomUDescription {
  readonly domain: number;
  readonly name: string;
  readonly uuid: string;
  readonly memoryKib: number;
  readonly vcpus: number;
  readonly console: { readonly port: number; readonly mfn: Mfn };
  readonly xenstore: { readonly port: number; readonly mfn: Mfn };
}

/** Makes the domain's own directory and its entry under /vm. */
export function addDomU(store: Store, description: DomUDescription): void {
  const { domain, name, uuid, memoryKib, vcpus, console, xenstore } = description;
  const home = `/local/domain/${domain}`;
  const readable: readonly Permission[] = [
    { domain: 0, rights: 0 },
    { domain, rights: XS_PERM_READ },
  ];
  const own: readonly Permission[] = [{ domain, rights: 0 }];
  const put = (path: string, value: string, permissions: readonly Permission[]): void => {
    store.write(path, new TextEncoder().encode(value), 0);
    store.setPermissions(path, permissions);
  };
  const readOnly: Readonly<Record<string, string>> = {
    [`/vm/${uuid}`]: '',
    [`/vm/${uuid}/name`]: name,
    [`/vm/${uuid}/uuid`]: uuid,
    [home]: '',
    [`${home}/vm`]: `/vm/${uuid}`,
    [`${home}/name`]: name,
    [`${home}/domid`]: `${domain}`,
    [`${home}/cpu`]: '',
    [`${home}/memory`]: '',
    [`${home}/memory/static-max`]: `${memoryKib}`,
    [`${home}/memory/target`]: `${memoryKib}`,
    [`${home}/device`]: '',
    [`${home}/control`]: '',
    [`${home}/control/platform-feature-multiprocessor-suspend`]: '1',
    [`${home}/control/platform-feature-xs_reset_watches`]: '1',
    [`${home}/store`]: '',
    [`${home}/store/port`]: `${xenstore.port}`,
    [`${home}/store/ring-ref`]: `${xenstore.mfn}`,
    [`${home}/console`]: '',
    [`${home}/console/backend`]: `/local/domain/0/backend/console/${domain}/0`,
    [`${home}/console/backend-id`]: '0',
    [`${home}/console/limit`]: '1048576',
    [`${home}/console/type`]: 'xenconsoled',
    [`${home}/console/output`]: 'pty',
    [`${home}/console/port`]: `${console.port}`,
    [`${home}/console/ring-ref`]: `${console.mfn}`,
  };
  const writable: Readonly<Record<string, string>> = {
    [`${home}/control/shutdown`]: '',
    [`${home}/control/feature-poweroff`]: '',
    [`${home}/control/feature-reboot`]: '',
    [`${home}/control/feature-suspend`]: '',
    [`${home}/control/sysrq`]: '',
    [`${home}/device/suspend/event-channel`]: '',
    [`${home}/data`]: '',
    [`${home}/drivers`]: '',
    [`${home}/feature`]: '',
    [`${home}/attr`]: '',
    [`${home}/error`]: '',
  };
  for (const [path, value] of Object.entries(readOnly)) put(path, value, readable);
  for (let vcpu = 0; vcpu < vcpus; vcpu++) put(`${home}/cpu/${vcpu}/availability`, 'online', readable);
  for (const [path, value] of Object.entries(writable)) put(path, value, own);
}
