// The execution engine. Reading order: engine (how a run goes), layout (what is where), record and form (a decoded
// instruction), generator (from meaning to WebAssembly), record-target, core-module, interpreter, code-cache, slow-access
// with data-access and speculative-access, fast-tlb, services, vcpu; wasm/ is the byte emitter.

export { Engine, type EngineCounters, type EngineOptions, type Exit } from './engine.js';
export type { EngineHost, SystemRegisters } from './services.js';
export { Vcpu } from './vcpu.js';
export type { X87Image } from './x87-state.js';
