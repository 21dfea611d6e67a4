// Memory accesses on a wrong path. They load translations as the processor's speculation does (the access bit SPECULATIVE says
// so to the Mmu), and that is all that stays: loads see the path's own stores, which go nowhere else.
// A translation that fails and an access that is not allowed end the path; nothing faults.
// Instructions are fetched by walking the tables without effect, so that only data accesses load translations here.

import { type Mfn, vaddr } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import { joinHalves } from '../base/words.js';
import type { MachineMemory } from '../memory/index.js';
import { type Mmu, RIGHT_EXECUTE, RIGHT_USER, SPECULATIVE, translation, USER } from '../mmu/index.js';
import { type FetchAnswer, isCanonicalHigh, type Piece, pageOf, SlowAccess } from './slow-access.js';

export class SpeculativeAccess extends SlowAccess {
  /** The Mmu of the vCPU whose wrong path this is. */
  mmu: Mmu | undefined;
  readonly #end: () => never;
  readonly #translation = translation();
  /** By host address: bytes that the path has stored. */
  readonly #stored = new Map<number, number>();

  /** `end` leaves the path, by throwing. */
  constructor(memory: MachineMemory, end: () => never) {
    super(memory);
    this.#end = end;
  }

  /** A new path begins, and has stored nothing. */
  begin(mmu: Mmu): void {
    this.mmu = mmu;
    this.#stored.clear();
  }

  override fetchFrame(low: number, high: number): FetchAnswer {
    if (!isCanonicalHigh(high)) this.#end();
    const needed = RIGHT_USER | RIGHT_EXECUTE;
    const { frame, rights = 0 } = this.#unit().walk(vaddr(joinHalves(low, high)));
    if (frame === undefined || (rights & needed) !== needed) return this.#end();
    return { frame, mayRepeat: false };
  }

  protected override translate(low: number, high: number, access: number): Mfn {
    if (this.#unit().translate(pageOf(low, high), access | USER | SPECULATIVE, this.#translation))
      return this.#translation.frame;
    return this.#end();
  }

  protected override refuse(): never {
    return this.#end();
  }

  /** Every byte may be one that the path has stored. */
  protected override directRead(): boolean {
    return false;
  }
  protected override directWrite(): boolean {
    return false;
  }

  protected override load({ host, size }: Piece, to: number): void {
    for (let i = 0; i < size; i++) this.bytes[to + i] = this.#stored.get(host + i) ?? this.bytes[host + i]!;
  }

  protected override save({ host, size }: Piece, from: number): void {
    for (let i = 0; i < size; i++) this.#stored.set(host + i, this.bytes[from + i]!);
  }

  #unit(): Mmu {
    invariant(this.mmu, "a wrong path is some vCPU's");
    return this.mmu;
  }
}
