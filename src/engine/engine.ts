// The execution engine: runs a vCPU for a number of instructions, exactly, or until the platform has to act. Here the parts
// come together: interpreter, code cache, memory accesses, wrong paths. `xen` and the machine see Exits.
//
// Generated code leaves in two ways: it returns an ExitCode, or JavaScript that it called throws UNWIND through it, having
// noted why. Either way the vCPU is at an instruction boundary: of REP, between two iterations.
// Sources: SDM 3A "Interrupt and Exception Handling" (§6), "Single-Stepping" (§17.3.2).
// Leaves out: alignment checks, debug registers, the shadow of MOV SS and STI (a #DB may come between MOV SS and the next
// instruction), compatibility mode.

import { type CpuException, X86_EXC_DB, X86_EXC_UD } from '../abi/exceptions.js';
import { RFLAGS_TF } from '../abi/registers.js';
import { type Mfn, PAGE_BYTES, PAGE_OFFSET_MASK, vaddr } from '../base/addresses.js';
import { invariant } from '../base/failures.js';
import type { MachineMemory } from '../memory/index.js';
import type { Mmu } from '../mmu/index.js';
import { CodeCache } from './code-cache.js';
import { DataAccess } from './data-access.js';
import { FastTlb } from './fast-tlb.js';
import { RAISE_TRAP } from './generator.js';
import { Interpreter } from './interpreter.js';
import {
  ADDRESS,
  ANSWERS,
  CODE_CACHE,
  CURRENT_RECORD,
  DEFAULT_CODE_CACHE_BYTES,
  ERROR_CODE,
  EXIT,
  ExitCode,
  engineBytes,
  HAS_ERROR_CODE,
  LEAST_CODE_CACHE_BYTES,
  LIVE_CONTEXT,
  PAGE,
  PREDICTOR,
  PREDICTOR_ENTRIES,
  REMAINING,
  RIP,
  RUNNING_STATE,
  STATE_BYTES,
  SYSTEM_FLAGS,
  VECTOR,
  WRONG_PATH_CONTEXT,
} from './layout.js';
import * as record from './record.js';
import { answerService, asksPlatform, type EngineHost } from './services.js';
import { pageOf, type SlowAccess } from './slow-access.js';
import { SpeculativeAccess } from './speculative-access.js';
import { Vcpu } from './vcpu.js';
import { X87Registers } from './x87-state.js';

/** Why a run ended. */
export type Exit =
  /** As many instructions as were asked for have retired. */
  | { readonly reason: 'budget' }
  /** A SYSCALL: rcx and r11 are set, rip is behind it. */
  | { readonly reason: 'syscall' }
  /** rip is at the instruction, or behind it for a trap (`software`, and #DB). */
  | { readonly reason: 'exception'; readonly exception: CpuException };

export interface EngineOptions {
  /** Its storage begins at or behind `Engine.bytes(codeCacheBytes)`. */
  readonly memory: MachineMemory;
  readonly codeCacheBytes?: number;
  /** Predict branches, and execute wrong paths when the Mmu has a budget for them. Costs some speed. */
  readonly predictsBranches?: boolean;
}

export interface EngineCounters {
  /** Wrong paths that were executed. */
  wrongPaths: number;
  /** How often the code cache was full, and emptied. */
  codeCacheFlushes: number;
}

/** Instructions between two returns to JavaScript: at most about a millisecond of interpreting (see interpreter.ts). */
const SLICE = 1 << 16;

/** What is thrown through generated code. It says nothing: the thrower has noted why. */
const UNWIND: unique symbol = Symbol('unwind');

const BUDGET_EXIT: Exit = { reason: 'budget' };
const SYSCALL_EXIT: Exit = { reason: 'syscall' };

/** What is going on, between an UNWIND's throwing and its catching. */
type Unwound =
  | { readonly kind: 'exception'; readonly exception: CpuException }
  | { readonly kind: 'code cache full' }
  | { readonly kind: 'budget' };

export class Engine {
  readonly counters: EngineCounters = { wrongPaths: 0, codeCacheFlushes: 0 };
  readonly #memory: MachineMemory;
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #x87: X87Registers;
  readonly #bytes: Uint8Array;
  readonly #fastTlb: FastTlb;
  readonly #codeCache: CodeCache;
  readonly #dataAccess: DataAccess;
  readonly #speculativeAccess: SpeculativeAccess;
  readonly #interpreter: Interpreter;
  /** The way of slow accesses now: of the right path or of a wrong one. */
  #access: SlowAccess;
  #active: Vcpu | undefined;
  /** Instructions retired before the slice that runs. */
  #retiredBefore = 0;
  /** How many instructions the slice may run; 0 when none runs. */
  #slice = 0;
  /** 1 while the instruction that was started last has not retired. */
  #unfinished = 0;
  /** `retired` as it was when the wrong path began that is executed now. */
  #frozenRetired: number | undefined;
  /** RIP is set already to the address whose fetch is under way. */
  #fetching = false;
  #unwound: Unwound | undefined;
  readonly #savedState = new Uint8Array(STATE_BYTES);

  /** How much of a WebAssembly memory's beginning an engine takes. */
  static bytes(codeCacheBytes = DEFAULT_CODE_CACHE_BYTES): number {
    invariant(codeCacheBytes >= LEAST_CODE_CACHE_BYTES, `a code cache has at least ${LEAST_CODE_CACHE_BYTES} bytes`);
    return engineBytes(codeCacheBytes);
  }

  constructor({ memory, codeCacheBytes = DEFAULT_CODE_CACHE_BYTES, predictsBranches = false }: EngineOptions) {
    const { buffer } = memory.memory;
    this.#memory = memory;
    this.#words = new Int32Array(buffer);
    this.#view = new DataView(buffer);
    this.#x87 = new X87Registers(this.#view, 0);
    this.#bytes = new Uint8Array(buffer);
    this.#fastTlb = new FastTlb(this.#words);
    this.#words.fill(-1, WRONG_PATH_CONTEXT >>> 2, (WRONG_PATH_CONTEXT + PREDICTOR) >>> 2);
    // Weakly taken: a branch that was never seen is more often a loop's than not.
    this.#bytes.fill(2, LIVE_CONTEXT + PREDICTOR, LIVE_CONTEXT + PREDICTOR + PREDICTOR_ENTRIES);
    this.#codeCache = new CodeCache({
      buffer,
      begin: CODE_CACHE,
      end: Engine.bytes(codeCacheBytes),
      handlerOf: (form) => this.#interpreter.handlerOf(form),
      watch: (frame, host) => {
        memory.markCode(frame);
        this.#fastTlb.dropWritesTo(host);
      },
      forget: (unit) => this.#fastTlb.dropFetch(unit.page),
    });
    memory.onCodeWrite((frame) => this.#codeCache.frameChanged(frame));
    this.#dataAccess = new DataAccess({
      memory,
      fastTlb: this.#fastTlb,
      codeCache: this.#codeCache,
      raise: (vector, errorCode, address) =>
        this.#raise({ vector, errorCode, ...(address === undefined ? {} : { vaddr: address }) }),
    });
    this.#speculativeAccess = new SpeculativeAccess(memory, () => {
      throw UNWIND;
    });
    this.#access = this.#dataAccess;
    this.#interpreter = new Interpreter({
      memory: memory.memory,
      predicts: predictsBranches,
      callbacks: {
        read: (access) => {
          this.#unfinished = 1;
          return this.#access.read(access);
        },
        modify: (access) => {
          this.#unfinished = 1;
          return this.#access.modify(access);
        },
        store: (access) => {
          this.#unfinished = 1;
          this.#access.store(access);
        },
        commit: (access) => {
          this.#unfinished = 1;
          this.#access.commit(access);
        },
        raise: () => this.#raiseFromCode(),
        ask: (service) => this.#ask(service),
        fetch: () => this.#fetch(),
        resolve: () => this.#resolve(),
        mispredicted: (taken) => this.#mispredicted(taken !== 0),
      },
    });
  }

  /** Instructions retired so far, by all vCPUs; exact also when asked from within a run. */
  get retired(): number {
    if (this.#frozenRetired !== undefined) return this.#frozenRetired;
    if (this.#slice === 0) return this.#retiredBefore;
    return this.#retiredBefore + this.#slice - this.#words[REMAINING >>> 2]! - this.#unfinished;
  }

  /** A vCPU whose memory accesses the Mmu translates. All its registers are 0, but for IF. */
  createVcpu(mmu: Mmu, host: EngineHost): Vcpu {
    const vcpu = new Vcpu(mmu, host);
    mmu.derived = {
      dropPage: (page) => {
        if (this.#active === vcpu) this.#fastTlb.dropPage(page);
      },
      dropAll: () => {
        if (this.#active === vcpu) this.#fastTlb.dropAll();
      },
    };
    return vcpu;
  }

  /** Runs until `budget` instructions have retired (an iteration of REP is one), or something else ends the run first. */
  run(vcpu: Vcpu, budget: number): Exit {
    invariant(Number.isSafeInteger(budget) && budget >= 0, 'a budget is a number of instructions');
    invariant(this.#slice === 0, 'a run does not begin inside another');
    this.#activate(vcpu);
    vcpu.setExecuting(() => this.#currentRip());
    try {
      for (let left = budget, next = 0; left > 0; ) {
        const before = this.#retiredBefore;
        const isStepping = (this.#words[SYSTEM_FLAGS >>> 2]! & RFLAGS_TF) !== 0;
        const outcome = this.#runSlice(next, isStepping ? 1 : Math.min(left, SLICE));
        left -= this.#retiredBefore - before;
        if (typeof outcome !== 'number') return outcome;
        if (isStepping && this.#retiredBefore > before)
          return { reason: 'exception', exception: { vector: X86_EXC_DB } };
        next = outcome;
      }
      return BUDGET_EXIT;
    } finally {
      this.#slice = 0;
      vcpu.setExecuting(undefined);
    }
  }

  #activate(vcpu: Vcpu): void {
    if (this.#active === vcpu) return;
    this.#active?.unload();
    vcpu.load(new DataView(this.#view.buffer, RUNNING_STATE, STATE_BYTES));
    this.#active = vcpu;
    this.#dataAccess.mmu = vcpu.mmu;
    this.#fastTlb.dropAll();
  }

  /** Runs from a record, or from rip when it is 0. Gives an exit, or the record to go on from (0: from rip). */
  #runSlice(from: number, budget: number): Exit | number {
    this.#words[REMAINING >>> 2] = budget;
    this.#words[EXIT >>> 2] = 0;
    this.#unfinished = 0;
    this.#slice = budget;
    try {
      const code = this.#interpreter.run(from || this.#enter(), budget, LIVE_CONTEXT);
      this.#endSlice(0);
      const current = this.#words[CURRENT_RECORD >>> 2]!;
      if (code === ExitCode.syscall) {
        this.#setRip(record.END);
        return SYSCALL_EXIT;
      }
      this.#setRip(record.START);
      return current;
    } catch (thrown) {
      if (thrown !== UNWIND) throw thrown;
      this.#endSlice(this.#unfinished);
      return this.#afterUnwinding();
    }
  }

  #endSlice(unfinished: number): void {
    this.#retiredBefore += this.#slice - this.#words[REMAINING >>> 2]! - unfinished;
    this.#slice = 0;
  }

  #afterUnwinding(): Exit | number {
    const unwound = this.#unwound;
    invariant(unwound, 'whoever throws UNWIND has noted why');
    this.#unwound = undefined;
    this.#fetching = false;
    if (unwound.kind === 'exception') return { reason: 'exception', exception: unwound.exception };
    if (unwound.kind === 'code cache full') {
      this.#codeCache.clear();
      this.counters.codeCacheFlushes++;
    }
    return 0;
  }

  // ---- where execution is

  /** The record for rip: where a run begins. */
  #enter(): number {
    this.#words.copyWithin(ADDRESS >>> 2, RIP >>> 2, (RIP + 8) >>> 2);
    const [low, high] = this.#addressHalves();
    const table = this.#fastTlb.fetchTable(low, high);
    const known = table === 0 ? 0 : this.#words[(table >>> 2) + (low & PAGE_OFFSET_MASK)]!;
    if (known === 0) return this.#fetch();
    this.#setPage(low, high);
    return known;
  }

  #addressHalves(): readonly [low: number, high: number] {
    return [this.#words[ADDRESS >>> 2]!, this.#words[(ADDRESS + 4) >>> 2]!];
  }

  #setPage(low: number, high: number): void {
    this.#words[PAGE >>> 2] = low & ~PAGE_OFFSET_MASK;
    this.#words[(PAGE + 4) >>> 2] = high;
  }

  /** The address at which the current record's instruction begins (START) or ends (END). */
  #ripOf(field: number): bigint {
    const current = this.#words[CURRENT_RECORD >>> 2]!;
    if (this.#view.getUint16(current + record.HANDLER, true) === record.GOTO)
      return this.#view.getBigUint64(current + record.DISPLACEMENT, true);
    return vaddr(this.#view.getBigUint64(PAGE, true) + BigInt(this.#view.getUint16(current + field, true)));
  }

  #setRip(field: number): void {
    this.#view.setBigUint64(RIP, this.#ripOf(field), true);
  }

  #currentRip(): bigint {
    if (this.#slice === 0 || this.#fetching) return this.#view.getBigUint64(RIP, true);
    return this.#ripOf(record.START);
  }

  // ---- what generated code asks for

  /** The record for the instruction at ADDRESS: translates, and decodes what is not decoded yet. */
  #fetch(): number {
    this.#unfinished = 0;
    this.#fetching = true;
    const [low, high] = this.#addressHalves();
    this.#words[RIP >>> 2] = low;
    this.#words[(RIP + 4) >>> 2] = high;
    // The jump was the last instruction: whether its target can be fetched is the next run's affair.
    if (this.#words[REMAINING >>> 2] === 0) this.#unwind({ kind: 'budget' });
    const { frame, mayRepeat } = this.#access.fetchFrame(low, high);
    this.#needRoom();
    const page = pageOf(low, high);
    const unit = this.#codeCache.unit(page, frame, this.#hostOfCode(frame));
    if (mayRepeat) this.#fastTlb.addFetch(page, unit.table);
    const found = this.#codeCache.recordAt(unit, low & PAGE_OFFSET_MASK);
    this.#setPage(low, high);
    this.#fetching = false;
    return found;
  }

  /** Where to go on from the current record, which is RESOLVE. */
  #resolve(): number {
    this.#unfinished = 0;
    const current = this.#words[CURRENT_RECORD >>> 2]!;
    const unit = this.#codeCache.ownerOf(current);
    if (!unit.valid) {
      this.#view.setBigUint64(ADDRESS, this.#ripOf(record.START), true);
      return this.#fetch();
    }
    this.#setRip(record.START);
    this.#needRoom();
    if (!this.#codeCache.isCrossing(unit, current)) return this.#codeCache.resolve(unit, current);
    const next = vaddr(unit.address + BigInt(PAGE_BYTES));
    const { frame } = this.#access.fetchFrame(Number(BigInt.asIntN(32, next)), Number(BigInt.asIntN(32, next >> 32n)));
    const host = this.#hostOfCode(frame);
    const following = this.#bytes.subarray(host, host + PAGE_BYTES);
    return this.#codeCache.crossingRecord(unit, this.#codeCache.startOf(current), following);
  }

  #raiseFromCode(): never {
    this.#unfinished = 1;
    const vector = this.#words[VECTOR >>> 2]!;
    if ((vector & RAISE_TRAP) !== 0) this.#trap(vector & ~RAISE_TRAP);
    const errorCode = this.#words[ERROR_CODE >>> 2]!;
    return this.#raise(this.#words[HAS_ERROR_CODE >>> 2] === 0 ? { vector } : { vector, errorCode });
  }

  /** A fault of the current instruction, or of the fetch under way. */
  #raise(exception: CpuException): never {
    if (!this.#fetching) this.#setRip(record.START);
    return this.#unwind({ kind: 'exception', exception });
  }

  /** The current instruction is done, and raises an exception behind itself. */
  #trap(vector: number): never {
    this.#unfinished = 0;
    this.#setRip(record.END);
    // Only INT1 traps to #DB: gate 1 is closed to INT n.
    const exception = vector === X86_EXC_DB ? { vector } : { vector, software: true };
    return this.#unwind({ kind: 'exception', exception });
  }

  #unwind(unwound: Unwound): never {
    if (this.#frozenRetired === undefined) this.#unwound = unwound;
    throw UNWIND;
  }

  #needRoom(): void {
    if (!this.#codeCache.hasRoom) this.#unwind({ kind: 'code cache full' });
  }

  /** Where the bytes of a frame with code are; a frame that is no RAM holds no instruction. */
  #hostOfCode(frame: Mfn): number {
    const host = this.#memory.hostOffset(frame);
    return host < 0 ? this.#raise({ vector: X86_EXC_UD }) : host;
  }

  #ask(service: number): void {
    this.#unfinished = 1;
    const { host } = this.#running();
    // A wrong path must leave no trace, and the platform may remember what it is asked.
    if (this.#frozenRetired !== undefined && asksPlatform(service)) throw UNWIND;
    const value = (index: number): bigint => this.#view.getBigUint64(ANSWERS + 8 * index, true);
    answerService({ host, x87: this.#x87 }, service, [
      value(0),
      value(1),
      value(2),
      value(3),
      value(4),
      value(5),
      value(6),
    ]).forEach((answer, index) => {
      this.#view.setBigUint64(ANSWERS + 8 * index, answer, true);
    });
  }

  #running(): Vcpu {
    invariant(this.#active, 'a vCPU runs');
    return this.#active;
  }

  // ---- wrong paths

  /**
   * The conditional branch at the current record goes the other way than its counter said: executes the way that it said,
   * on the same registers, and then puts everything back. Nothing stays but what the Mmu has loaded. Branches on the wrong
   * path have a predictor of their own, and begin no further paths.
   */
  #mispredicted(taken: boolean): void {
    if (this.#frozenRetired !== undefined) return;
    const { mmu } = this.#running();
    const budget = mmu.speculationBudget();
    if (budget === 0) return;
    this.counters.wrongPaths++;
    this.#unfinished = 1;
    this.#frozenRetired = this.retired;
    const branch = this.#words[CURRENT_RECORD >>> 2]!;
    const remaining = this.#words[REMAINING >>> 2]!;
    this.#savedState.set(this.#bytes.subarray(RUNNING_STATE, RUNNING_STATE + STATE_BYTES));
    this.#speculativeAccess.begin(mmu);
    this.#access = this.#speculativeAccess;
    try {
      const other = taken ? branch + record.RECORD_BYTES : this.#words[(branch + record.IMMEDIATE) >>> 2]!;
      this.#interpreter.run(other, budget, WRONG_PATH_CONTEXT);
    } catch (thrown) {
      if (thrown !== UNWIND) throw thrown;
    } finally {
      this.#access = this.#dataAccess;
      this.#bytes.set(this.#savedState, RUNNING_STATE);
      this.#words[CURRENT_RECORD >>> 2] = branch;
      this.#words[REMAINING >>> 2] = remaining;
      this.#words[EXIT >>> 2] = 0;
      this.#fetching = false;
      this.#unfinished = 1;
      this.#frozenRetired = undefined;
    }
  }
}
