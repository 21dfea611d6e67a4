// Slow accesses of the right path: they ask the Mmu, fault, and fill the fast TLB.
// Sources: SDM 1 "Canonical Addressing" (§3.3.7.1); SDM 3A "Page-Fault Exceptions" (§4.7). A fault's address is the first
// byte that was not allowed: of the access or, when its second page is to blame, of that page.
// A frame number that is no RAM reads as all ones and swallows writes, as unclaimed addresses of a PC do.
// Not modelled: alignment checks (#AC).

import { X86_EXC_GP, X86_EXC_PF, X86_EXC_SS } from '../abi/exceptions.js';
import { type Mfn, vaddr } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import { joinHalves } from '../base/words.js';
import type { MachineMemory } from '../memory/index.js';
import { FETCH, type Mmu, READ, translation, USER, WRITE } from '../mmu/index.js';
import type { CodeCache } from './code-cache.js';
import type { FastTlb } from './fast-tlb.js';
import { type FetchAnswer, isCanonicalHigh, type Piece, type Place, pageOf, SlowAccess } from './slow-access.js';

/** Raises a fault from a slow path: notes it and throws. */
export type Raise = (vector: number, errorCode: number, address?: bigint) => never;

export interface DataAccessOptions {
  readonly memory: MachineMemory;
  readonly fastTlb: FastTlb;
  readonly codeCache: CodeCache;
  readonly raise: Raise;
}

export class DataAccess extends SlowAccess {
  /** The Mmu of the vCPU that runs. */
  mmu: Mmu | undefined;
  readonly #fastTlb: FastTlb;
  readonly #codeCache: CodeCache;
  readonly #raise: Raise;
  readonly #translation = translation();

  constructor({ memory, fastTlb, codeCache, raise }: DataAccessOptions) {
    super(memory);
    this.#fastTlb = fastTlb;
    this.#codeCache = codeCache;
    this.#raise = raise;
  }

  override fetchFrame(low: number, high: number): FetchAnswer {
    if (!isCanonicalHigh(high)) this.refuse(false);
    const frame = this.translate(low, high, FETCH);
    return { frame, mayRepeat: (this.#translation.mayRepeat & FETCH) !== 0 };
  }

  protected override translate(low: number, high: number, access: number): Mfn {
    const { mmu } = this;
    invariant(mmu, 'memory is accessed for a vCPU that runs');
    if (mmu.translate(pageOf(low, high), access | USER, this.#translation)) return this.#translation.frame;
    const address = joinHalves(low, high);
    mmu.pageFault(vaddr(address));
    return this.#raise(X86_EXC_PF, this.#translation.errorCode, address);
  }

  protected override refuse(isStack: boolean): never {
    return this.#raise(isStack ? X86_EXC_SS : X86_EXC_GP, 0);
  }

  protected override directRead({ first, second }: Place): boolean {
    if (second.size > 0 || first.host < 0) return false;
    if ((this.#translation.mayRepeat & READ) !== 0) this.#fastTlb.addRead(this.page, first.host - first.offset);
    return true;
  }

  /** Not for code: its writes must be noticed. */
  protected override directWrite({ first, second }: Place): boolean {
    if (second.size > 0 || first.host < 0 || this.#codeCache.holds(first.frame)) return false;
    if ((this.#translation.mayRepeat & WRITE) !== 0) this.#fastTlb.addWrite(this.page, first.host - first.offset);
    return true;
  }

  protected override load({ host, size }: Piece, to: number): void {
    this.bytes.copyWithin(to, host, host + size);
  }

  protected override save({ frame, host, offset, size }: Piece, from: number): void {
    this.bytes.copyWithin(host, from, from + size);
    this.#codeCache.written(frame, offset, size);
  }
}
