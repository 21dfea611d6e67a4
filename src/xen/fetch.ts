// Reading the guest's instruction that Xen is to emulate. Source: Xen 4.17 arch/x86/pv/emul-priv-op.c (insn_fetch),
// emul-inv-op.c. The bytes come through the guest's translations; instructions that Xen does not know yield nothing.

import { PAGE_BYTES } from '../base/addresses.js';
import { decode } from '../isa/decode.js';
import { type Instruction, MAX_INSTRUCTION_BYTES } from '../isa/instruction.js';
import { copyFromGuest } from './guest-memory.js';
import type { XenVcpu } from './vcpu.js';

/** The instruction at `address` (default: where the vCPU is), or undefined when it cannot be read or decoded. */
export function fetchInstruction(vcpu: XenVcpu, address = vcpu.registers.rip): Instruction | undefined {
  const bytes = fetchBytes(vcpu, address);
  const decoded = bytes && decode(bytes, 0, bytes.length);
  return typeof decoded === 'object' ? decoded : undefined;
}

/** Up to 15 bytes: fewer where the next page cannot be read. */
function fetchBytes(vcpu: XenVcpu, address: bigint): Uint8Array | undefined {
  const onPage = Math.min(MAX_INSTRUCTION_BYTES, PAGE_BYTES - Number(address % BigInt(PAGE_BYTES)));
  const first = copyFromGuest(vcpu, address, onPage);
  if (!first || onPage === MAX_INSTRUCTION_BYTES) return first;
  const rest = copyFromGuest(vcpu, BigInt.asUintN(64, address + BigInt(onPage)), MAX_INSTRUCTION_BYTES - onPage);
  return rest ? Uint8Array.from([...first, ...rest]) : first;
}
