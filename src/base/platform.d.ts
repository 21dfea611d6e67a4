// What Node and every browser share, and the core may therefore use. The core is compiled without DOM and Node types
// (src/tsconfig.json), so that a clock, a file or a random number cannot slip in below `app`.
// Follows the WebAssembly JavaScript Interface and the Encoding Standard; leaves out what the core does not call.

declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Table {
    constructor(descriptor: { element: 'anyfunc'; initial: number; maximum?: number });
    readonly length: number;
    get(index: number): unknown;
    set(index: number, value: unknown): void;
    grow(by: number): number;
  }
  class Global {
    constructor(descriptor: { value: 'i32' | 'i64' | 'f64'; mutable?: boolean }, value: number | bigint);
    value: number | bigint;
  }
  function validate(bytes: Uint8Array): boolean;
}

declare class TextEncoder {
  encode(text?: string): Uint8Array;
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array): string;
}
