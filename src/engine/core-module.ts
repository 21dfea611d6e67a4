// The interpreter's core as a WebAssembly module: the loop with its hot forms, the table for all others, and the short
// functions through which every module of ours reaches JavaScript.

import { Generator } from './generator.js';
import { hotForms } from './hot-forms.js';
import {
  ADDRESS,
  CURRENT_RECORD,
  ERROR_CODE,
  EXIT,
  FETCH_TLB,
  FETCH_TLB_ENTRIES,
  HAS_ERROR_CODE,
  PAGE,
  REMAINING,
  TLB_ENTRY_SHIFT,
  TLB_VALUE,
  VECTOR,
} from './layout.js';
import * as record from './record.js';
import { BUDGET, CONTEXT, type CoreFunctions, EXECUTE, LoopTarget, RECORD } from './record-target.js';
import { Code, type EngineOp, type FunctionType, type Label, type StoreOp } from './wasm/code.js';
import { ModuleBuilder } from './wasm/module.js';

/**
 * What generated code calls in JavaScript. CURRENT_RECORD, REMAINING and, where it is about an address, ADDRESS are set
 * before. Each may throw, to leave the run.
 */
export interface InterpreterCallbacks {
  readonly read: (access: number) => number;
  readonly modify: (access: number) => number;
  readonly store: (access: number) => void;
  readonly commit: (access: number) => void;
  /** The exception is in VECTOR, HAS_ERROR_CODE, ERROR_CODE; always throws. */
  readonly raise: () => void;
  readonly ask: (service: number) => void;
  /** The record for the instruction at ADDRESS, which is not in the fetch TLB or not decoded. */
  readonly fetch: () => number;
  /** Where to go on from a RESOLVE record. */
  readonly resolve: () => number;
  /** The conditional branch at the current record goes (`taken`) the way that was not predicted. */
  readonly mispredicted: (taken: number) => void;
}

const ACCESS: FunctionType = { parameters: ['i64', 'i32', 'i32', 'i32'], results: ['i32'] };
const STORE: FunctionType = { parameters: ['i64', 'i32', 'i32', 'i32'], results: [] };
const NUMBER: FunctionType = { parameters: ['i32', 'i32', 'i32'], results: [] };

/** The core's functions by name and type: what a module of a single form imports, in this order. */
export const CORE_FUNCTIONS: Readonly<Record<keyof CoreFunctions, FunctionType>> = {
  read: ACCESS,
  modify: ACCESS,
  store: STORE,
  commit: NUMBER,
  raise: { parameters: ['i32', 'i32', 'i64', 'i32', 'i32'], results: [] },
  ask: NUMBER,
  lookup: { parameters: ['i64', 'i32', 'i32'], results: ['i32'] },
  mispredicted: NUMBER,
};

/** Room in the table for this many forms at first. */
const FIRST_TABLE_SIZE = 1024;

/** Exports `run`, `table`, and the core functions by their names. */
export function coreModule(predicts: boolean): Uint8Array {
  const builder = new ModuleBuilder();
  const { functions, resolve } = addCoreFunctions(builder);
  builder.addTable(FIRST_TABLE_SIZE, 'table');
  const code = new Code(EXECUTE);
  builder.addFunction(code, 'run');
  writeLoop(code, functions, resolve, builder.typeIndex(EXECUTE), predicts);
  return builder.bytes();
}

/** Functions that note where execution is and then call JavaScript: short, so that what calls them stays short. */
function addCoreFunctions(builder: ModuleBuilder): { readonly functions: CoreFunctions; readonly resolve: number } {
  const one: FunctionType = { parameters: ['i32'], results: ['i32'] };
  const noAnswer: FunctionType = { parameters: ['i32'], results: [] };
  const answer: FunctionType = { parameters: [], results: ['i32'] };
  const callbacks = {
    read: builder.importFunction('read', one),
    modify: builder.importFunction('modify', one),
    store: builder.importFunction('store', noAnswer),
    commit: builder.importFunction('commit', noAnswer),
    raise: builder.importFunction('raise', { parameters: [], results: [] }),
    ask: builder.importFunction('ask', noAnswer),
    fetch: builder.importFunction('fetch', answer),
    resolve: builder.importFunction('resolve', answer),
    mispredicted: builder.importFunction('mispredicted', noAnswer),
  } satisfies Record<keyof InterpreterCallbacks, number>;

  const add = (name: keyof CoreFunctions, write: (code: Code) => void): number => {
    const code = new Code(CORE_FUNCTIONS[name]);
    write(code);
    return builder.addFunction(code, name);
  };
  /** (address, access, record, budget) */
  const withAddress = (name: 'read' | 'modify' | 'store'): number =>
    add(name, (code) => {
      note(code, 'i64.store', ADDRESS, 0);
      notePosition(code, 2);
      code.localGet(1);
      code.call(callbacks[name]);
    });
  /** (number, record, budget) */
  const withNumber = (name: 'commit' | 'ask' | 'mispredicted'): number =>
    add(name, (code) => {
      notePosition(code, 1);
      code.localGet(0);
      code.call(callbacks[name]);
    });

  const functions: CoreFunctions = {
    read: withAddress('read'),
    modify: withAddress('modify'),
    store: withAddress('store'),
    commit: withNumber('commit'),
    ask: withNumber('ask'),
    mispredicted: withNumber('mispredicted'),
    raise: add('raise', (code) => {
      note(code, 'i32.store', VECTOR, 0);
      note(code, 'i32.store', HAS_ERROR_CODE, 1);
      note(code, 'i64.store', ERROR_CODE, 2);
      notePosition(code, 3);
      code.call(callbacks.raise);
    }),
    lookup: add('lookup', (code) => {
      const found = code.local('i32');
      writeFetchLookup(code, 0, found, () => {
        code.localGet(found);
        code.return();
      });
      note(code, 'i64.store', ADDRESS, 0);
      notePosition(code, 1);
      code.call(callbacks.fetch);
    }),
  };
  return { functions, resolve: callbacks.resolve };
}

/** Stores a local where JavaScript reads it. */
function note(code: Code, op: StoreOp, address: number, local: number): void {
  code.constant32(0);
  code.localGet(local);
  code.store(op, address);
}

/** Stores the record and the budget, which are in this local and the next. */
function notePosition(code: Code, first: number): void {
  note(code, 'i32.store', CURRENT_RECORD, first);
  note(code, 'i32.store', REMAINING, first + 1);
}

/**
 * Looks up the address in local `target`. If its page is in the fetch TLB and its instruction is decoded, local `found` is
 * the record, PAGE is set, and what `hit` emits runs; else execution goes on behind this.
 */
function writeFetchLookup(code: Code, target: number, found: number, hit: () => void): void {
  const [page, entry] = [code.local('i64'), code.local('i32')];
  const compute32 = (op: EngineOp | 'i32.add' | 'i32.and', constant: number): void => {
    code.constant32(constant);
    code.operate(op);
  };
  code.localGet(target);
  code.constant64(-4096n);
  code.operate('i64.and');
  code.localSet(page);
  code.localGet(target);
  code.constant64(BigInt(12 - TLB_ENTRY_SHIFT));
  code.operate('i64.shr_u');
  code.operate('i32.wrap_i64');
  compute32('i32.and', (FETCH_TLB_ENTRIES - 1) << TLB_ENTRY_SHIFT);
  code.localTee(entry);
  code.load('i64.load', FETCH_TLB);
  code.localGet(page);
  code.operate('i64.eq');
  code.if(() => {
    code.localGet(entry);
    code.load('i32.load', FETCH_TLB + TLB_VALUE);
    code.localGet(target);
    code.operate('i32.wrap_i64');
    compute32('i32.and', 0xfff);
    compute32('i32.shl', 2);
    code.operate('i32.add');
    code.load('i32.load');
    code.localTee(found);
    code.if(() => {
      note(code, 'i64.store', PAGE, page);
      hit();
    });
  });
}

function writeLoop(
  code: Code,
  functions: CoreFunctions,
  resolve: number,
  executeType: number,
  predicts: boolean,
): void {
  const jumpTarget = code.local('i64');
  const found = code.local('i32');
  code.block((exit) => {
    code.loop((next) => {
      code.block((jump) => {
        const target = new LoopTarget(code, functions, predicts, { next, jump, exit, jumpTarget });
        writeBudgetCheck(code, exit);
        writeDispatch(code, [
          () => {
            refund(code);
            notePosition(code, RECORD);
            code.call(resolve);
            target.goOn();
          },
          () => {
            refund(code);
            target.jump(target.field64(record.DISPLACEMENT));
          },
          () => {
            refund(code);
            code.localGet(RECORD);
            code.load('i32.load', record.IMMEDIATE);
            target.goOn();
          },
          ...hotForms.map((form) => () => {
            new Generator(form, code, target).emit();
            target.goToNext();
          }),
          () => writeCall(code, executeType, next, exit),
        ]);
      });
      // Behind `jump`: any branch to an address, not a record.
      writeFetchLookup(code, jumpTarget, found, () => {
        code.localGet(found);
        code.localSet(RECORD);
        code.branch(next);
      });
      code.localGet(jumpTarget);
      code.localGet(RECORD);
      code.localGet(BUDGET);
      code.call(functions.lookup);
      code.localSet(RECORD);
      code.branch(next);
    });
  });
  notePosition(code, RECORD);
  code.constant32(0);
  code.load('i32.load', EXIT);
}

function writeBudgetCheck(code: Code, exit: Label): void {
  code.localGet(BUDGET);
  code.operate('i32.eqz');
  code.branchIf(exit);
  code.localGet(BUDGET);
  code.constant32(1);
  code.operate('i32.sub');
  code.localSet(BUDGET);
}

/** The record was no instruction. */
function refund(code: Code): void {
  code.localGet(BUDGET);
  code.constant32(1);
  code.operate('i32.add');
  code.localSet(BUDGET);
}

/** Goes to the case that the record's handler says; the last one is for all handlers that have none. Cases don't end. */
function writeDispatch(code: Code, cases: readonly (() => void)[]): void {
  const labels: Label[] = [];
  const open = (depth: number): void => {
    if (depth === cases.length) {
      // Opened from the last case inwards, so the innermost block is the first case's.
      labels.reverse();
      code.localGet(RECORD);
      code.load('i32.load16_u', record.HANDLER);
      code.branchTable(labels.slice(0, -1), labels.at(-1) as Label);
      return;
    }
    code.block((label) => {
      labels.push(label);
      open(depth + 1);
    });
    code.withLocals(cases[cases.length - 1 - depth] as () => void);
  };
  open(0);
}

/** Calls the function of a form that has no case of its own. */
function writeCall(code: Code, executeType: number, next: Label, exit: Label): void {
  code.localGet(RECORD);
  code.localGet(BUDGET);
  code.localGet(CONTEXT);
  code.localGet(RECORD);
  code.load('i32.load16_u', record.HANDLER);
  code.callIndirect(executeType);
  code.localSet(RECORD);
  code.constant32(0);
  code.load('i32.load', EXIT);
  code.operate('i32.eqz');
  code.branchIf(next);
  code.branch(exit);
}
