// What the sanitizer asks of a machine: who runs and where, what a label means, what a frame is used for.
//
// A guest's stack is read when a translation changes, as it is gone when that turns out to have mattered; it is made sense of
// only then. Frame pointers are followed where rbp leads up the stack; below the first frame, and where there is none, each word
// that lies behind a function's start is taken for a return address, as Linux's own traces do with a question mark.

import { X86_EXC_PF } from '../abi/exceptions.js';
import { UVMF_FLUSHTYPE_MASK, UVMF_INVLPG, UVMF_NONE, UVMF_TLB_FLUSH } from '../abi/mmu-ops.js';
import { RBP, RSP } from '../abi/registers.js';
import type { Mfn } from '../base/addresses.js';
import type { MachineMemory } from '../memory/index.js';
import type { Why } from '../mmu/index.js';
import type { Call, FlushCause, Place, Surroundings } from '../sanitizer/index.js';
import type { SymbolTable } from '../symbols/index.js';
import { type Hypervisor, peekGuest, type XenVcpu, XenWhy } from '../xen/index.js';

const WORD = 8;
const STACK_WORDS = 96;
const FRAMES = 16;

export interface WitnessOptions {
  readonly memory: MachineMemory;
  readonly hypervisor: Hypervisor;
  readonly symbols: SymbolTable;
  /** By the number that the vCPU's Mmu has in events. */
  readonly vcpus: ReadonlyMap<number, XenVcpu>;
  /** The one that runs, by the same number. */
  readonly running: () => number;
}

export function witness({ memory, hypervisor, symbols, vcpus, running }: WitnessOptions): Surroundings {
  return {
    readEntry: (address) => (memory.isRam(Math.floor(address / 4096)) ? memory.read64(address) : undefined),
    levelOf: (table) => {
      const page = hypervisor.page(table);
      return page && isLevel(page.type) ? page.type : undefined;
    },
    place: (vcpu) => placeOf(vcpu, vcpus.get(vcpu), symbols),
    running,
    callOf: (why) => callOf(why, running()),
    flushCause,
    handlesFaults: (vcpu) => (vcpus.get(vcpu)?.trapTable[X86_EXC_PF]?.address ?? 0n) !== 0n,
    frameUse: (frame: Mfn) => {
      const page = hypervisor.page(frame);
      return page?.owner && `d${page.owner.id} ${isLevel(page.type) ? `L${page.type} table` : 'data'}`;
    },
    symbolOf: (address) => symbols.format(address),
  };
}

const isLevel = (type: number): type is 1 | 2 | 3 | 4 => type >= 1 && type <= 4;

function placeOf(number: number, vcpu: XenVcpu | undefined, symbols: SymbolTable): Place {
  if (!vcpu) return { vcpu: number, rip: 0n, stack: [] };
  const { registers } = vcpu;
  const rsp = registers.readGpr(RSP);
  const rbp = registers.readGpr(RBP);
  const words = stackWords(vcpu, rsp);
  let stack: readonly bigint[] | undefined;
  return {
    vcpu: number,
    rip: registers.rip,
    get stack() {
      stack ??= unwind(words, rsp, rbp, symbols);
      return stack;
    },
  };
}

/** The words from rsp up, as far as they are mapped: of its own page, and of the next if that is there. */
function stackWords(vcpu: XenVcpu, rsp: bigint): DataView {
  const within = Number((4096n - (rsp & 4095n)) & ~7n);
  const bytes =
    peekGuest(vcpu, rsp, STACK_WORDS * WORD) ??
    peekGuest(vcpu, rsp, Math.min(within, STACK_WORDS * WORD)) ??
    new Uint8Array(0);
  return new DataView(bytes.buffer, 0, bytes.length - (bytes.length % WORD));
}

function unwind(words: DataView, rsp: bigint, rbp: bigint, symbols: SymbolTable): readonly bigint[] {
  const at = (address: bigint): bigint | undefined => {
    const offset = address - rsp;
    return offset >= 0n && offset % 8n === 0n && offset + 8n <= BigInt(words.byteLength)
      ? words.getBigUint64(Number(offset), true)
      : undefined;
  };
  const chain: bigint[] = [];
  for (let frame = rbp; chain.length < FRAMES; ) {
    const [next, returns] = [at(frame), at(frame + 8n)];
    if (next === undefined || returns === undefined || !isCode(returns, symbols)) break;
    chain.push(returns);
    if (next <= frame) break;
    frame = next;
  }
  // Functions without a frame of their own leave return addresses below the first frame; without frames there is nothing else.
  const end = chain.length > 0 ? Number(rbp - rsp) : words.byteLength;
  const found: bigint[] = [];
  for (let offset = 0; offset + WORD <= end && found.length < FRAMES; offset += WORD) {
    const word = words.getBigUint64(offset, true);
    if (isCode(word, symbols)) found.push(word);
  }
  return [...found, ...chain].slice(0, FRAMES);
}

/** Inside a function: a return address is never a function's first byte. */
function isCode(address: bigint, symbols: SymbolTable): boolean {
  const hit = symbols.lookup(address);
  return hit !== undefined && hit.offset > 0n && hit.symbol.sizeBytes > 0n;
}

const UVMF_NAMES: Readonly<Record<number, string>> = {
  [UVMF_NONE]: 'UVMF_NONE',
  [UVMF_TLB_FLUSH]: 'UVMF_TLB_FLUSH',
  [UVMF_INVLPG]: 'UVMF_INVLPG',
};

/** What only some Xens do, for their own safety: see xen/flush.ts. */
const ACCIDENT = /type change of mfn|XPTI/;
const ASKED = /MMUEXT_(TLB_FLUSH|INVLPG)/;

function flushCause(why: Why): FlushCause {
  if (ACCIDENT.test(why.what)) return 'accident';
  if (!(why instanceof XenWhy) || !why.call) return 'promised';
  const { name } = why.call;
  if (name === 'mmu_update') return 'accident';
  return name.startsWith('update_va_mapping') || ASKED.test(why.detail) ? 'asked' : 'promised';
}

function callOf(why: Why, vcpu: number): Call | undefined {
  if (!(why instanceof XenWhy) || !why.call) return undefined;
  const { call } = why;
  const isUpdate = call.name.startsWith('update_va_mapping');
  const flags = isUpdate ? UVMF_NAMES[Number((call.args[2] ?? 0n) & BigInt(UVMF_FLUSHTYPE_MASK))] : undefined;
  return {
    vcpu,
    name: call.name,
    ...(flags !== undefined && { flags }),
    ...(call.within && { within: call.within }),
    site: call.returnsTo ?? call.rip,
  };
}
