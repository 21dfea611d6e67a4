// Every kind of line that the scanner knows, in the order in which they are tried. Docs: docs/explain.md.

import type { Format } from './format.js';
import { LINUX_OOPS_FORMATS } from './linux-oops.js';
import { LINUX_REPORT_FORMATS } from './linux-reports.js';
import { LINUX_STATE_FORMATS } from './linux-state.js';
import { LISTING_FORMATS } from './listing.js';
import { XEN_GUEST_FORMATS } from './xen-guest.js';
import { XEN_PANIC_FORMATS } from './xen-panic.js';
import { XEN_STATE_FORMATS } from './xen-state.js';

export const FORMATS: readonly Format[] = [
  ...XEN_GUEST_FORMATS,
  ...XEN_STATE_FORMATS,
  ...XEN_PANIC_FORMATS,
  ...LINUX_OOPS_FORMATS,
  ...LINUX_REPORT_FORMATS,
  ...LINUX_STATE_FORMATS,
  ...LISTING_FORMATS,
];
