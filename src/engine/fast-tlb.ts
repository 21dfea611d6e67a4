// The engine's fast lookup: what `Mmu.translate` answered, for as long as `mayRepeat` lets it be repeated, where generated
// code can look it up. It decides nothing: it can only be asked less often. Entries are drawn in layout.ts.
// It serves the vCPU that runs; when another one does, it is emptied.

import { PAGE_BYTES, PAGE_OFFSET_MASK, PAGE_SHIFT, type Vpn } from '../base/addresses.js';
import {
  DATA_TLB_ENTRIES,
  FETCH_TLB,
  FETCH_TLB_ENTRIES,
  LIVE_CONTEXT,
  READ_TLB,
  TLB_ENTRY_SHIFT,
  TLB_VALUE,
  WRITE_TLB,
} from './layout.js';

const READ_ENTRIES = LIVE_CONTEXT + READ_TLB;
const WRITE_ENTRIES = LIVE_CONTEXT + WRITE_TLB;
const ENTRY_BYTES = 1 << TLB_ENTRY_SHIFT;
/** No page address is odd. */
const EMPTY = -1;

export class FastTlb {
  readonly #words: Int32Array;
  /** Nothing was added since everything was dropped: page-table stores come in bursts, and each drops everything. */
  #isEmpty = false;

  constructor(words: Int32Array) {
    this.#words = words;
    this.dropAll();
  }

  /** Reads of the page go to these host bytes from now on. */
  addRead(page: Vpn, hostOffset: number): void {
    this.#add(READ_ENTRIES, page, hostOffset - pageLow(page));
  }

  /** Writes to the page go to these host bytes from now on. */
  addWrite(page: Vpn, hostOffset: number): void {
    this.#add(WRITE_ENTRIES, page, hostOffset - pageLow(page));
  }

  /** Instructions of the page are found through this offset table from now on. */
  addFetch(page: Vpn, table: number): void {
    const entry = FETCH_TLB + (page & (FETCH_TLB_ENTRIES - 1)) * ENTRY_BYTES;
    this.#set(entry, page, table);
  }

  /** The offset table through which instructions at this address are found, or 0; the halves are the address's. */
  fetchTable(low: number, high: number): number {
    const entry = FETCH_TLB + ((low >>> PAGE_SHIFT) & (FETCH_TLB_ENTRIES - 1)) * ENTRY_BYTES;
    const isOfPage = this.#words[entry >>> 2] === (low & ~PAGE_OFFSET_MASK) && this.#words[(entry + 4) >>> 2] === high;
    return isOfPage ? this.#words[(entry + TLB_VALUE) >>> 2]! : 0;
  }

  dropPage(page: Vpn): void {
    const data = (page & (DATA_TLB_ENTRIES - 1)) * ENTRY_BYTES;
    this.#dropIfOf(READ_ENTRIES + data, page);
    this.#dropIfOf(WRITE_ENTRIES + data, page);
    this.dropFetch(page);
  }

  dropFetch(page: Vpn): void {
    this.#dropIfOf(FETCH_TLB + (page & (FETCH_TLB_ENTRIES - 1)) * ENTRY_BYTES, page);
  }

  dropAll(): void {
    if (this.#isEmpty) return;
    this.#isEmpty = true;
    this.#fill(READ_ENTRIES, DATA_TLB_ENTRIES);
    this.#fill(WRITE_ENTRIES, DATA_TLB_ENTRIES);
    this.#fill(FETCH_TLB, FETCH_TLB_ENTRIES);
  }

  /** Sends writes to these host bytes, by whatever page they are reached, the slow way again. */
  dropWritesTo(hostOffset: number): void {
    for (let entry = WRITE_ENTRIES; entry < WRITE_ENTRIES + DATA_TLB_ENTRIES * ENTRY_BYTES; entry += ENTRY_BYTES) {
      const low = this.#words[entry >>> 2]!;
      const addend = this.#words[(entry + TLB_VALUE) >>> 2]!;
      if (low !== EMPTY && ((low + addend) | 0) === (hostOffset | 0)) this.#drop(entry);
    }
  }

  #add(entries: number, page: Vpn, addend: number): void {
    this.#set(entries + (page & (DATA_TLB_ENTRIES - 1)) * ENTRY_BYTES, page, addend);
  }

  #set(entry: number, page: Vpn, value: number): void {
    this.#isEmpty = false;
    this.#words[entry >>> 2] = pageLow(page);
    this.#words[(entry + 4) >>> 2] = pageHigh(page);
    this.#words[(entry + TLB_VALUE) >>> 2] = value;
  }

  #dropIfOf(entry: number, page: Vpn): void {
    if (this.#words[entry >>> 2] === pageLow(page) && this.#words[(entry + 4) >>> 2] === pageHigh(page))
      this.#drop(entry);
  }

  #drop(entry: number): void {
    this.#words.fill(EMPTY, entry >>> 2, (entry + 8) >>> 2);
  }

  #fill(from: number, entries: number): void {
    this.#words.fill(EMPTY, from >>> 2, (from + entries * ENTRY_BYTES) >>> 2);
  }
}

/** The low half of the page's canonical address, signed. */
const pageLow = (page: Vpn): number => (page * PAGE_BYTES) | 0;
/** The high half: bits 47:32 of the address, sign-extended. */
const pageHigh = (page: Vpn): number => ((page / 0x10_0000) << 16) >> 16;
