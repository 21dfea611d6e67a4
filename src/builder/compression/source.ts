// Packed bytes read from front to back, for all the decoders here. Whatever is wrong with them ends in one InputError that
// names the format and the place in the file.

import { InputError } from '../../base/failures.js';
import { hex0x } from '../../base/hex.js';
import { viewOf } from '../bytes.js';

/** A position in packed data. Every read is checked: none reaches beyond the data, whatever the data say. */
export class Source {
  readonly bytes: Uint8Array;
  /** The next byte to be read. */
  position = 0;
  readonly #view: DataView;
  readonly #format: string;
  readonly #fileOffset: number;

  /** `fileOffset`: where `bytes` begin in the file that the user gave. */
  constructor(format: string, bytes: Uint8Array, fileOffset: number) {
    this.bytes = bytes;
    this.#view = viewOf(bytes);
    this.#format = format;
    this.#fileOffset = fileOffset;
  }

  get left(): number {
    return this.bytes.length - this.position;
  }

  u8(): number {
    return this.bytes[this.skip(1)] as number;
  }

  u16(): number {
    return this.#view.getUint16(this.skip(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.skip(8), true);
  }

  take(length: number): Uint8Array {
    const start = this.skip(length);
    return this.bytes.subarray(start, start + length);
  }

  /** Steps over `length` bytes and returns where they begin. */
  skip(length: number): number {
    const start = this.position;
    if (length < 0 || length > this.left) this.fail('the data end too early', this.bytes.length);
    this.position = start + length;
    return start;
  }

  /** Throws the InputError: "damaged XZ data at byte 0x52cc of the file: …". */
  fail(what: string, at = this.position): never {
    throw new InputError(`damaged ${this.#format} data at byte ${hex0x(this.#fileOffset + at)} of the file: ${what}`);
  }

  /** As fail, for data that are well-formed and beyond what is read here. */
  refuse(what: string): never {
    throw new InputError(
      `${this.#format} data with ${what} (at byte ${hex0x(this.#fileOffset + this.position)}): not supported`,
    );
  }
}

/** Below this many bytes a loop is faster than asking the typed array to copy. */
const SHORT_COPY = 48;

/** Copies `length` bytes of what has been unpacked from `distance` bytes back to `end`, where they may overlap. */
export function copyMatch(output: Uint8Array, end: number, distance: number, length: number): void {
  if (distance >= length && length >= SHORT_COPY) output.copyWithin(end, end - distance, end - distance + length);
  else for (let to = end, from = end - distance; to < end + length; to++, from++) output[to] = output[from] as number;
}

/** Copies bytes [from, from + length) of `input` to `output` at `end`; both ranges are known to exist. */
export function copyLiterals(input: Uint8Array, from: number, output: Uint8Array, end: number, length: number): void {
  if (length >= SHORT_COPY) output.set(input.subarray(from, from + length), end);
  else for (let at = 0; at < length; at++) output[end + at] = input[from + at] as number;
}
