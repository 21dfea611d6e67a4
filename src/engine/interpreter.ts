// Tier 0: the interpreter, generated from the rows' meanings when a machine starts.
//
//   run(record, budget, context):
//     next:  budget used up? -> exit
//            br_table on the record's handler:
//              RESOLVE GOTO LINK      records that are no instructions
//              one case for each hot form ──────────────> next record, or the one that a branch links to
//              otherwise: call through the table ───────> the record that the function returns
//     jump:  fetch TLB -> offset table -> record         (indirect jumps, other pages)
//
// A form that is not hot becomes a function in a small module of its own when its first instruction is decoded, and is put
// into the table from outside: thousands of modules that import one table cost V8 gigabytes (measured on Node 20 and 22).
// V8 does not replace a running function by its optimised version, so whoever calls `run` gives it about a millisecond's
// worth of instructions at a time.

import { invariant } from '../base/failures.js';
import { CORE_FUNCTIONS, coreModule, type InterpreterCallbacks } from './core-module.js';
import { type Form, formKey } from './form.js';
import { Generator } from './generator.js';
import { hotForms } from './hot-forms.js';
import { FIRST_FORM } from './record.js';
import { type CoreFunctions, EXECUTE, FunctionTarget } from './record-target.js';
import { Code } from './wasm/code.js';
import { ModuleBuilder } from './wasm/module.js';

/**
 * Compiled modules, by what they are made from: a process with many machines (`demo --matrix`) compiles and optimises each
 * once. They hold no state of any machine.
 */
const compiled = new Map<string, WebAssembly.Module>();

function compiledOnce(key: string, make: () => Uint8Array): WebAssembly.Module {
  let module = compiled.get(key);
  if (!module) {
    module = new WebAssembly.Module(make());
    compiled.set(key, module);
  }
  return module;
}

export interface InterpreterOptions {
  readonly memory: WebAssembly.Memory;
  readonly callbacks: InterpreterCallbacks;
  /** Whether conditional branches are predicted, and `mispredicted` called. Costs nothing when not. */
  readonly predicts: boolean;
}

export class Interpreter {
  /** Runs from a record, for at most `budget` instructions; an ExitCode. */
  readonly run: (record: number, budget: number, context: number) => number;
  readonly #options: InterpreterOptions;
  readonly #handlers = new Map<string, number>();
  readonly #table: WebAssembly.Table;
  readonly #core: Record<string, unknown>;

  constructor(options: InterpreterOptions) {
    this.#options = options;
    for (const form of hotForms) this.#handlers.set(formKey(form), FIRST_FORM + this.#handlers.size);
    invariant(this.#handlers.size === hotForms.length, 'no hot form is listed twice');
    const core = compiledOnce(`core/${options.predicts}`, () => coreModule(options.predicts));
    this.#core = instantiate(core, { memory: options.memory, ...options.callbacks });
    this.#table = this.#core['table'] as WebAssembly.Table;
    this.run = this.#core['run'] as Interpreter['run'];
  }

  /** The handler for instructions of this form; generated now if it is the first. */
  handlerOf(form: Form): number {
    const key = formKey(form);
    let handler = this.#handlers.get(key);
    if (handler === undefined) {
      handler = FIRST_FORM + this.#handlers.size;
      this.#handlers.set(key, handler);
      if (handler >= this.#table.length) this.#table.grow(this.#table.length);
      const { memory, predicts } = this.#options;
      const module = compiledOnce(`${key}/${predicts}`, () => formModule(form, predicts));
      this.#table.set(handler, instantiate(module, { memory, ...this.#core })['execute']);
    }
    return handler;
  }
}

/** The exports of a new instance of the module. */
function instantiate(module: WebAssembly.Module, env: Record<string, unknown>): Record<string, unknown> {
  return new WebAssembly.Instance(module, { env }).exports;
}

/** A module with the function for one form, under the name `execute`. */
export function formModule(form: Form, predicts: boolean): Uint8Array {
  const builder = new ModuleBuilder();
  const functions = Object.fromEntries(
    Object.entries(CORE_FUNCTIONS).map(([name, type]) => [name, builder.importFunction(name, type)]),
  ) as Record<keyof CoreFunctions, number>;
  const code = new Code(EXECUTE);
  builder.addFunction(code, 'execute');
  const target = new FunctionTarget(code, functions, predicts);
  new Generator(form, code, target).emit();
  target.goToNext();
  return builder.bytes();
}
