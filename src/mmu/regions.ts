// The address space cut into what one entry of each level covers, counted in 4 KiB pages.
//
//   level        1        2        3          4
//   covers       4 KiB    2 MiB    1 GiB      512 GiB
//   pages        1        512      262144     134217728

import { type Level, TABLE_INDEX_MASK } from '../abi/paging.js';
import { type Vpn, vpn } from '../base/addresses.js';

const PAGES: readonly number[] = [0, 1, 512, 512 ** 2, 512 ** 3];

/** 4 KiB pages in what one entry of this level covers. */
export const pagesOf = (level: Level): number => PAGES[level]!;

/** The number of the region of this level's size that the page lies in: what the caches find an entry by. */
export const keyOf = (page: Vpn, level: Level): number => (level === 1 ? page : Math.floor(page / pagesOf(level)));

/** The first page of the region with this number. */
export const firstPageOf = (key: number, level: Level): Vpn => vpn(key * pagesOf(level));

/** The index of the page's entry in a table of this level. */
export const indexOf = (page: Vpn, level: Level): number => keyOf(page, level) & TABLE_INDEX_MASK;
