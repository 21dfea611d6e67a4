// The machine's RAM: which machine frame numbers exist, and where each one's 4096 bytes lie in the WebAssembly memory.
//
//  WebAssembly memory (given; the engine keeps its own state below storageOffset)
//  0                storageOffset                                          storageOffset + 4096 * storageFrames
//  +----------------+--------+--------+--------+------------------------+
//  | engine         | slot 0 | slot 1 | slot 2 | …                      |
//  +----------------+--------+--------+--------+------------------------+
//                      ^         ^
//  frame map:   mfn dc8da    mfn c3f18      a frame number costs nothing, only a slot does
//
// Frames get slots in the order in which they are added, so a machine may number its few frames as a host with much
// more RAM did. Accesses here never fault and know nothing of page tables: the caller has translated, and has checked
// `isRam`. An access to a frame that is no RAM, or across the end of a frame, is a broken invariant (EmulatorBug).
// Not modelled: memory types (caches are coherent and invisible), ROM, MMIO, ECC.

import { type Maddr, type Mfn, PAGE_BYTES } from '../base/addresses.js';
import { EmulatorBug, invariant } from '../base/failures.js';
import { hex } from '../base/hex.js';
import { FrameMap, NO_SLOT } from './frame-map.js';

export interface MachineMemoryOptions {
  /** Must not be grown afterwards: growing detaches the views that are held on it. */
  readonly memory: WebAssembly.Memory;
  /** Where slot 0 begins, in bytes; a multiple of 4096. From here on the memory is zero, as a new one is. */
  readonly storageOffset: number;
  /** How many frames can be added at most. */
  readonly storageFrames: number;
  /** Frame numbers are below this; at most 2^30. */
  readonly maxMfn: number;
}

/** Told that bytes of a frame that was marked as code have changed; the mark is already gone. */
export type CodeWriteListener = (frame: Mfn) => void;

export class MachineMemory {
  readonly memory: WebAssembly.Memory;
  readonly maxMfn: number;
  /**
   * The whole WebAssembly memory as 32-bit words, for those who walk page tables by `hostOffset(mfn) >>> 2`. Reading
   * only: a store through it would miss the marks on code.
   */
  readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #storageOffset: number;
  readonly #map: FrameMap;
  /** By slot: 1 while the frame is marked as code. */
  readonly #code: Uint8Array;
  readonly #frames: Mfn[] = [];
  #codeListeners: readonly CodeWriteListener[] = [];

  constructor({ memory, storageOffset, storageFrames, maxMfn }: MachineMemoryOptions) {
    invariant(storageOffset % PAGE_BYTES === 0 && storageOffset >= 0, 'frame storage begins on a page boundary');
    invariant(
      storageOffset + storageFrames * PAGE_BYTES <= memory.buffer.byteLength,
      'the frame storage lies inside the WebAssembly memory',
    );
    this.memory = memory;
    this.maxMfn = maxMfn;
    this.words = new Int32Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#storageOffset = storageOffset;
    this.#map = new FrameMap(maxMfn);
    this.#code = new Uint8Array(storageFrames);
  }

  /** Makes the frame RAM, zero as its slot is. There must be a free slot, and the frame must not be RAM yet. */
  addFrame(frame: Mfn): void {
    const slot = this.#frames.length;
    invariant(slot < this.#code.length, () => `no more than ${this.#code.length} frames are added`);
    this.#map.add(frame, slot);
    this.#frames.push(frame);
  }

  /** The frames that are RAM, in the order in which they were added. */
  get frames(): readonly Mfn[] {
    return this.#frames;
  }

  /** How many frames can still be added. */
  get freeSlots(): number {
    return this.#code.length - this.#frames.length;
  }

  /** Any number may be asked for, also one that no frame can have. */
  isRam(frame: number): boolean {
    return this.#map.slot(frame) !== NO_SLOT;
  }

  /** Byte offset of the frame in the WebAssembly memory, or -1 when it is no RAM. Any number may be asked for. */
  hostOffset(frame: number): number {
    const slot = this.#map.slot(frame);
    return slot === NO_SLOT ? -1 : this.#storageOffset + slot * PAGE_BYTES;
  }

  read8(address: Maddr): number {
    return this.#view.getUint8(this.#locate(address, 1));
  }
  read16(address: Maddr): number {
    return this.#view.getUint16(this.#locate(address, 2), true);
  }
  read32(address: Maddr): number {
    return this.#view.getUint32(this.#locate(address, 4), true);
  }
  read64(address: Maddr): bigint {
    return this.#view.getBigUint64(this.#locate(address, 8), true);
  }

  write8(address: Maddr, value: number): void {
    this.#view.setUint8(this.#locate(address, 1), value);
    this.#written(address);
  }
  write16(address: Maddr, value: number): void {
    this.#view.setUint16(this.#locate(address, 2), value, true);
    this.#written(address);
  }
  write32(address: Maddr, value: number): void {
    this.#view.setUint32(this.#locate(address, 4), value, true);
    this.#written(address);
  }
  write64(address: Maddr, value: bigint): void {
    this.#view.setBigUint64(this.#locate(address, 8), value, true);
    this.#written(address);
  }

  /** A copy of `lengthBytes` bytes from machine-contiguous RAM; may cross frames. */
  copyOut(address: Maddr, lengthBytes: number): Uint8Array {
    const result = new Uint8Array(lengthBytes);
    this.#eachPiece(address, lengthBytes, (offset, done, piece) => {
      result.set(this.#bytes.subarray(offset, offset + piece), done);
    });
    return result;
  }

  /** Stores the bytes into machine-contiguous RAM; may cross frames. */
  copyIn(address: Maddr, bytes: Uint8Array): void {
    this.#eachPiece(address, bytes.length, (offset, done, piece) => {
      this.#bytes.set(bytes.subarray(done, done + piece), offset);
      this.#written((address + done) as Maddr);
    });
  }

  /** Fills one frame with a byte. */
  fillFrame(frame: Mfn, byte: number): void {
    const offset = this.#frameOffset(frame);
    this.#bytes.fill(byte, offset, offset + PAGE_BYTES);
    this.#changed(frame);
  }

  /** Copies one whole frame onto another. */
  copyFrame(from: Mfn, to: Mfn): void {
    const source = this.#frameOffset(from);
    this.#bytes.copyWithin(this.#frameOffset(to), source, source + PAGE_BYTES);
    this.#changed(to);
  }

  /**
   * A live view of the frame's bytes, for looking only: stores belong to the write functions, which mind the code
   * marks.
   */
  frameBytes(frame: Mfn): Uint8Array {
    const offset = this.#frameOffset(frame);
    return this.#bytes.subarray(offset, offset + PAGE_BYTES);
  }

  /** Marks a frame out of which code was decoded: its next write tells the listeners, once. */
  markCode(frame: Mfn): void {
    this.#code[this.#slot(frame)] = 1;
  }

  /** True from `markCode` until the frame's next write. False for what is no RAM. */
  isCode(frame: Mfn): boolean {
    const slot = this.#map.slot(frame);
    return slot !== NO_SLOT && this.#code[slot] === 1;
  }

  /** Adds a listener for writes to marked frames; it runs after the write. The returned function removes it. */
  onCodeWrite(listener: CodeWriteListener): () => void {
    this.#codeListeners = [...this.#codeListeners, listener];
    return () => {
      this.#codeListeners = this.#codeListeners.filter((other) => other !== listener);
    };
  }

  #written(address: Maddr): void {
    this.#changed(Math.floor(address / PAGE_BYTES) as Mfn);
  }

  #changed(frame: Mfn): void {
    const slot = this.#map.slot(frame);
    if (this.#code[slot] === 0) return;
    this.#code[slot] = 0;
    for (const listener of this.#codeListeners) listener(frame);
  }

  #slot(frame: Mfn): number {
    const slot = this.#map.slot(frame);
    if (slot === NO_SLOT) throw new EmulatorBug(`invalid frame: mfn ${hex(frame)} is no RAM`);
    return slot;
  }

  #frameOffset(frame: Mfn): number {
    return this.#storageOffset + this.#slot(frame) * PAGE_BYTES;
  }

  #locate(address: Maddr, sizeBytes: number): number {
    const frame = Math.floor(address / PAGE_BYTES);
    const within = address - frame * PAGE_BYTES;
    if (within + sizeBytes > PAGE_BYTES) throw new EmulatorBug(`access across a frame's end at maddr ${hex(address)}`);
    return this.#frameOffset(frame as Mfn) + within;
  }

  #eachPiece(address: Maddr, lengthBytes: number, use: (offset: number, done: number, piece: number) => void): void {
    for (let done = 0; done < lengthBytes; ) {
      const at = address + done;
      const within = at % PAGE_BYTES;
      const piece = Math.min(PAGE_BYTES - within, lengthBytes - done);
      use(this.#frameOffset(Math.floor(at / PAGE_BYTES) as Mfn) + within, done, piece);
      done += piece;
    }
  }
}
