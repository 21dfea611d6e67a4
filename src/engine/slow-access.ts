// The slow way of a memory access: what the fast TLB has no entry for comes here, and so does whatever crosses a page, reaches
// code, or has an address that is not canonical. This is what the right path's way (data-access.ts) and the wrong path's
// (speculative-access.ts) have in common: an access is one run of bytes, or two when it crosses a page, and both pages are
// translated before anything else happens.
//
// A read or a modification is answered with the host address of its bytes. Where they have none of their own (two pages,
// code, no RAM, a wrong path) it is a scratch slot, and what a modification leaves there is put in its place by `commit`.

import { SS } from '../abi/registers.js';
import { type Mfn, PAGE_BYTES, PAGE_OFFSET_MASK, type Vpn } from '../base/addresses.js';
import type { MachineMemory } from '../memory/index.js';
import { READ, WRITE } from '../mmu/index.js';
import { ACCESS_OPERAND, ACCESS_STACK, accessSize, accessSlot } from './generator.js';
import { ADDRESS, CURRENT_RECORD, SCRATCH, SCRATCH_SLOT_BYTES, SCRATCH_SLOTS } from './layout.js';
import { SEGMENT } from './record.js';

/** A run of bytes in one frame: where they are in the frame and in the WebAssembly memory (-1: no RAM). */
export class Piece {
  frame = 0 as Mfn;
  host = -1;
  offset = 0;
  size = 0;
}

/** Where an access goes, and what a scratch slot holds belongs; `second.size` is 0 unless it crosses a page. */
export interface Place {
  readonly first: Piece;
  readonly second: Piece;
}

export interface FetchAnswer {
  readonly frame: Mfn;
  /** Whether the answer may be kept. */
  readonly mayRepeat: boolean;
}

/** The page number of an address in halves. */
export const pageOf = (low: number, high: number): Vpn => ((high & 0xffff) * 0x10_0000 + (low >>> 12)) as Vpn;

/** Bits 63:47 all equal, of an address whose high half this is. */
export const isCanonicalHigh = (high: number): boolean => high >> 15 === 0 || high >> 15 === -1;

const scratchAddress = (slot: number): number => SCRATCH + SCRATCH_SLOT_BYTES * slot;

export abstract class SlowAccess {
  protected readonly memory: MachineMemory;
  protected readonly bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #places: readonly Place[] = Array.from({ length: SCRATCH_SLOTS }, () => ({
    first: new Piece(),
    second: new Piece(),
  }));

  constructor(memory: MachineMemory) {
    this.memory = memory;
    this.bytes = new Uint8Array(memory.memory.buffer);
    this.#words = new Int32Array(memory.memory.buffer);
  }

  /** The host address of the bytes at ADDRESS, or of a copy. */
  read(access: number): number {
    const place = this.#locate(access, READ, 0);
    return this.directRead(place) ? place.first.host : this.#toScratch(place, 0);
  }

  /** The same, for bytes that are going to be written. */
  modify(access: number): number {
    const slot = accessSlot(access);
    const place = this.#locate(access, READ | WRITE, slot);
    return this.directWrite(place) ? place.first.host : this.#toScratch(place, slot);
  }

  /** Stores what is in scratch slot 0 at ADDRESS. */
  store(access: number): void {
    const place = this.#locate(access, WRITE, 0);
    if (this.directWrite(place)) {
      const { host, size } = place.first;
      this.bytes.copyWithin(host, SCRATCH, SCRATCH + size);
    } else this.#fromScratch(place, 0);
  }

  /** Puts what is in a modification's scratch slot where it belongs. */
  commit(access: number): void {
    const slot = accessSlot(access);
    this.#fromScratch(this.#places[slot]!, slot);
  }

  /** The frame out of which an instruction is fetched; the halves are those of the first byte wanted of its page. */
  abstract fetchFrame(low: number, high: number): FetchAnswer;

  /** The frame for an access to these addresses, or no return. */
  protected abstract translate(low: number, high: number, access: number): Mfn;
  /** The address is not canonical. */
  protected abstract refuse(isStack: boolean): never;
  /** Whether a read, or a write, may go straight to the first piece's host bytes. */
  protected abstract directRead(place: Place): boolean;
  protected abstract directWrite(place: Place): boolean;
  /** Copies a piece's bytes to a host address, or from one. Never a piece that is no RAM. */
  protected abstract load(piece: Piece, to: number): void;
  protected abstract save(piece: Piece, from: number): void;

  /** The page of ADDRESS. */
  protected get page(): Vpn {
    return pageOf(this.#words[ADDRESS >>> 2]!, this.#words[(ADDRESS + 4) >>> 2]!);
  }

  #locate(access: number, rights: number, slot: number): Place {
    const low = this.#words[ADDRESS >>> 2]!;
    const high = this.#words[(ADDRESS + 4) >>> 2]!;
    const within = low & PAGE_OFFSET_MASK;
    const size = accessSize(access);
    const place = this.#places[slot]!;
    const { first, second } = place;
    first.size = Math.min(size, PAGE_BYTES - within);
    second.size = size - first.size;
    const nextLow = (low - within + PAGE_BYTES) | 0;
    const nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
    if (!isCanonicalHigh(high) || (second.size > 0 && !isCanonicalHigh(nextHigh))) this.refuse(this.#isStack(access));
    this.#find(first, low, high, rights);
    if (second.size > 0) this.#find(second, nextLow, nextHigh, rights);
    return place;
  }

  #find(piece: Piece, low: number, high: number, rights: number): void {
    piece.frame = this.translate(low, high, rights);
    piece.offset = low & PAGE_OFFSET_MASK;
    const hostOffset = this.memory.hostOffset(piece.frame);
    piece.host = hostOffset < 0 ? -1 : hostOffset + piece.offset;
  }

  #isStack(access: number): boolean {
    if ((access & ACCESS_STACK) !== 0) return true;
    return (access & ACCESS_OPERAND) !== 0 && this.bytes[this.#words[CURRENT_RECORD >>> 2]! + SEGMENT] === SS;
  }

  #toScratch({ first, second }: Place, slot: number): number {
    let to = scratchAddress(slot);
    for (const piece of [first, second]) {
      if (piece.host < 0) this.bytes.fill(0xff, to, to + piece.size);
      else if (piece.size > 0) this.load(piece, to);
      to += piece.size;
    }
    return scratchAddress(slot);
  }

  #fromScratch({ first, second }: Place, slot: number): void {
    let from = scratchAddress(slot);
    for (const piece of [first, second]) {
      if (piece.host >= 0 && piece.size > 0) this.save(piece, from);
      from += piece.size;
    }
  }
}
