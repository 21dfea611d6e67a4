// Names for addresses: given all symbols of a program, which one an address lies in, and where a name is.

/** A name and the addresses that it stands for. */
export interface NamedAddress {
  readonly name: string;
  readonly address: bigint;
  /** 0 when unknown (a label of an assembler file): it then reaches to the next symbol or to `limit`. */
  readonly sizeBytes: bigint;
  /** The end of whatever contains it (its section), where known. */
  readonly limit?: bigint;
}

/** The symbol that an address lies in. */
export interface SymbolHit {
  readonly symbol: NamedAddress;
  /** How far behind the symbol's address the asked one lies. */
  readonly offset: bigint;
}

/** All names of one program. Looking up takes logarithmic time. */
export class SymbolTable {
  /** One symbol per address, ascending. */
  readonly #sorted: readonly NamedAddress[];
  /** For each of #sorted, the index of the nearest earlier one that reaches beyond its address, or -1. */
  readonly #enclosing: readonly number[];
  readonly #byName: ReadonlyMap<string, NamedAddress>;

  /** Of several symbols at one address a sized one names it, then the one given first. */
  constructor(symbols: Iterable<NamedAddress>) {
    const byAddress = new Map<bigint, NamedAddress>();
    const byName = new Map<string, NamedAddress>();
    for (const symbol of symbols) {
      const known = byAddress.get(symbol.address);
      if (!known || (known.sizeBytes === 0n && symbol.sizeBytes > 0n)) byAddress.set(symbol.address, symbol);
      if (!byName.has(symbol.name)) byName.set(symbol.name, symbol);
    }
    this.#byName = byName;
    this.#sorted = [...byAddress.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
    const open: number[] = [];
    this.#enclosing = this.#sorted.map((symbol, index) => {
      while (open.length > 0 && this.#end(open[open.length - 1] as number) <= symbol.address) open.pop();
      const enclosing = open[open.length - 1] ?? -1;
      open.push(index);
      return enclosing;
    });
  }

  /** The number of different addresses that have a name. */
  get size(): number {
    return this.#sorted.length;
  }

  /** The address of a name, if it is known. */
  find(name: string): bigint | undefined {
    return this.#byName.get(name)?.address;
  }

  /** The innermost symbol that covers the address. */
  lookup(address: bigint): SymbolHit | undefined {
    let index = this.#lastAtOrBelow(address);
    while (index >= 0 && address >= this.#end(index)) index = this.#enclosing[index] as number;
    const symbol = this.#sorted[index];
    return symbol && { symbol, offset: address - symbol.address };
  }

  /** "name" or "name+0x1c", or undefined when no symbol covers the address. */
  format(address: bigint): string | undefined {
    const hit = this.lookup(address);
    if (!hit) return undefined;
    return hit.offset === 0n ? hit.symbol.name : `${hit.symbol.name}+0x${hit.offset.toString(16)}`;
  }

  /** One past the last address that the symbol covers. */
  #end(index: number): bigint {
    const { address, sizeBytes, limit } = this.#sorted[index] as NamedAddress;
    if (sizeBytes > 0n) return address + sizeBytes;
    const next = this.#sorted[index + 1]?.address;
    if (limit === undefined) return next ?? address + 1n;
    return next === undefined || limit < next ? limit : next;
  }

  #lastAtOrBelow(address: bigint): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] as NamedAddress).address <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
