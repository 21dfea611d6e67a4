// The part of the WebAssembly memory that belongs to the engine. Guest RAM begins at ENGINE_BYTES (machine-memory.ts).
//
//   000000  never used, so that address 0 can say "none"
//   000400  running state     the registers of the vCPU that runs; a Vcpu that does not run keeps a copy elsewhere
//   000800  exchange          what generated code and JavaScript tell each other
//   001000  fetch TLB         virtual page -> code unit
//   002000  live context      read TLB, write TLB, predictor
//   00b000  wrong-path context: the same, with TLBs that stay empty
//   014000  code cache        records, and the offset tables of code units
//   ENGINE_BYTES
//
//  running state (bytes from RUNNING_STATE)
//   +0    rax rcx rdx rbx rsp rbp rsi rdi r8 … r15        16 x 8
//   +128  segment bases: es cs ss ds (always 0) fs gs      6 x 8
//   +176  zero: stands for a base or index register that is not there
//   +184  flag result  +192 flag carries (isa/meaning/flags.ts)  +200 the other flags
//   +208  rip, when no code runs     +216 the virtual page that the running record is in
//   +224  selectors: es cs ss ds fs gs                     6 x 2
//   +240  mxcsr (4)   +244 whether CR0.TS is set, as the hypervisor shows it: 0 or 1 (4)
//   +256  xmm0 … xmm15                                     16 x 16
//   +512  x87 registers by their own number, R0 … R7 (not counted from TOP): 8 bytes of significand, in which mm0 … mm7
//         live, and 2 of sign and exponent                 8 x 16
//   +640  x87 control word (2), status word (2), tags (2: a bit for each register, R0 lowest, 1 for not empty), last opcode (2),
//         last instruction's address (8), last operand's (8): as FXSAVE has them; their segments' selectors (2, 2)

import { PAGE_BYTES } from '../base/addresses.js';

export const RUNNING_STATE = 0x400;
export const STATE_BYTES = 672;

/** Of a general register's 8 bytes; AH and the like are at + 1. */
export const gprAddress = (register: number): number => RUNNING_STATE + 8 * register;
export const SEGMENT_BASES = RUNNING_STATE + 128;
export const ZERO = RUNNING_STATE + 176;
export const FLAG_RESULT = RUNNING_STATE + 184;
export const FLAG_CARRIES = RUNNING_STATE + 192;
export const SYSTEM_FLAGS = RUNNING_STATE + 200;
export const RIP = RUNNING_STATE + 208;
/** The address of the first byte of the page in which execution is: a record's rip is this plus its `start`. */
export const PAGE = RUNNING_STATE + 216;
export const SELECTORS = RUNNING_STATE + 224;

export const MXCSR = RUNNING_STATE + 240;
export const TASK_SWITCHED = RUNNING_STATE + 244;
export const xmmAddress = (register: number): number => RUNNING_STATE + 256 + 16 * register;
/** Of an x87 register by its own number: its significand, which is also the MMX register of that number. */
export const x87Address = (register: number): number => RUNNING_STATE + 512 + 16 * register;
/** From an x87 register's address to its sign and exponent. */
export const X87_EXPONENT = 8;
export const X87_CONTROL = RUNNING_STATE + 640;
export const X87_STATUS = RUNNING_STATE + 642;
export const X87_TAGS = RUNNING_STATE + 644;
export const X87_OPCODE = RUNNING_STATE + 646;
export const X87_INSTRUCTION = RUNNING_STATE + 648;
export const X87_OPERAND = RUNNING_STATE + 656;
export const X87_CODE_SEGMENT = RUNNING_STATE + 664;
export const X87_DATA_SEGMENT = RUNNING_STATE + 666;

const EXCHANGE = 0x800;
/** The linear address that a slow path is about; 8 bytes. */
export const ADDRESS = EXCHANGE;
/** The record that is being executed, and the instructions that may still be started after it. */
export const CURRENT_RECORD = EXCHANGE + 8;
export const REMAINING = EXCHANGE + 12;
/** Why the interpreter returned: an ExitCode. */
export const EXIT = EXCHANGE + 16;
/** An exception on its way out: vector, whether there is an error code, the error code (8 bytes). */
export const VECTOR = EXCHANGE + 20;
export const HAS_ERROR_CODE = EXCHANGE + 24;
export const ERROR_CODE = EXCHANGE + 32;
/** What `ask` passes, and then what it answers: words of 8 bytes. */
export const ANSWERS = EXCHANGE + 40;
export const ANSWER_COUNT = 8;
/** Where slow accesses work on bytes that have no single place in memory; SCRATCH_SLOTS of 16 bytes. */
export const SCRATCH = EXCHANGE + 112;
export const SCRATCH_SLOT_BYTES = 16;
export const SCRATCH_SLOTS = 4;
/** Host addresses below this are scratch. */
export const SCRATCH_END = SCRATCH + SCRATCH_SLOT_BYTES * SCRATCH_SLOTS;

// TLB entries, of each kind: 16 bytes, found by the low bits of the virtual page number.
//   data TLBs:  0 page address (8; -1 when empty)  8 what to add to the address's low half to get the host address (4)
//   fetch TLB:  0 page address (8; -1 when empty)  8 host address of the unit's offset table (4)
export const TLB_ENTRY_SHIFT = 4;
export const TLB_VALUE = 8;
export const FETCH_TLB = 0x1000;
export const FETCH_TLB_ENTRIES = 256;
export const DATA_TLB_ENTRIES = 1024;
const DATA_TLB_BYTES = DATA_TLB_ENTRIES << TLB_ENTRY_SHIFT;

// A context: what differs between the right path and the wrong one. Offsets from its beginning.
export const READ_TLB = 0;
export const WRITE_TLB = DATA_TLB_BYTES;
/** Two-bit counters, one byte each: 0, 1 predict not taken, 2, 3 taken. */
export const PREDICTOR = 2 * DATA_TLB_BYTES;
export const PREDICTOR_ENTRIES = 4096;
const CONTEXT_BYTES = PREDICTOR + PREDICTOR_ENTRIES;

export const LIVE_CONTEXT = 0x2000;
export const WRONG_PATH_CONTEXT = LIVE_CONTEXT + CONTEXT_BYTES;

export const CODE_CACHE = WRONG_PATH_CONTEXT + CONTEXT_BYTES;

/** The code cache of a default machine: about 700 pages of fully decoded code. */
export const DEFAULT_CODE_CACHE_BYTES = 32 << 20;
/** Less than this could not hold one page of code. */
export const LEAST_CODE_CACHE_BYTES = 1 << 20;

/** How much of the memory the engine takes with a code cache of this size: where guest RAM may begin. */
export const engineBytes = (codeCacheBytes: number): number =>
  Math.ceil((CODE_CACHE + codeCacheBytes) / PAGE_BYTES) * PAGE_BYTES;

/** What `run` returns. */
export const ExitCode = {
  /** The budget is used up; the current record is the next one to run. */
  budget: 0,
  /** The current record is a SYSCALL that is done. */
  syscall: 1,
  /** The current record is done, and the run must be looked at again (TF changed). */
  pause: 2,
} as const;
