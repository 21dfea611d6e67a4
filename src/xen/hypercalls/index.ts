// Every hypercall that Paravane implements, by number. What is not here returns -ENOSYS.

import { HYPERCALL_NAMES } from '../../abi/hypercalls.js';
import type { Hypercall } from '../hypercall.js';

const table: ReadonlyMap<number, Hypercall> = new Map<number, Hypercall>([]);

/** The hypercall of this number, or undefined when Paravane has none. */
export const hypercallByNumber = (number: number): Hypercall | undefined => table.get(number);

/** Its name in the ABI, or its number for those that have none. */
export const hypercallName = (number: number): string => HYPERCALL_NAMES[number] ?? `hypercall ${number}`;
