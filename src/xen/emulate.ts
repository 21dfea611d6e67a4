// Privileged instructions of a PV guest, which all of them raise #GP(0) at CPL 3: what Xen carries out for it. And CPUID asked
// for by force: ud2; .ascii "xen"; cpuid.
// Sources: Xen 4.1.3 arch/x86/traps.c emulate_privileged_op, emulate_forced_invalid_op; Xen 4.17 arch/x86/pv/emul-priv-op.c,
// emul-inv-op.c. Not emulated, and so #GP for the guest: hlt, invlpg, lmsw, lgdt, lidt, lldt, ltr, swapgs, sysret, invd, rdpmc.
// Left out: I/O bitmaps and ports that exist (all reads give ones, all writes go nowhere), XSETBV's effects.

import { RAX, RBX, RCX, RDI, RDX, RFLAGS_DF, RFLAGS_RF, RSI } from '../abi/registers.js';
import { hex } from '../base/hex.js';
import type { Instruction, Operand } from '../isa/instruction.js';
import { newGuestRoot } from './base-pointers.js';
import { guestCr0, guestCr4, writeGuestCr0, writeGuestCr4 } from './control-registers.js';
import { policyCpuid } from './cpuid.js';
import { readDebugRegister, setDebugRegister } from './debug-registers.js';
import { fetchInstruction } from './fetch.js';
import { copyFromGuest, copyToGuest } from './guest-memory.js';
import { readMsr, writeMsr } from './msr.js';
import { getPage, putPage } from './page-types.js';
import type { XenVcpu } from './vcpu.js';
import { hasVmAssist, VMASST_TYPE_architectural_iopl } from './vm-assist.js';

/** ud2 and the letters "xen", then cpuid. */
const FORCED_CPUID = [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2] as const;

/** Carries out CPUID asked for by force; false when the bytes at rip are no such thing. */
export function emulateForcedInvalid(vcpu: XenVcpu): boolean {
  const { registers, domain } = vcpu;
  return domain.hypervisor.onBehalfOf(vcpu, undefined, 'forced CPUID', () => {
    const bytes = copyFromGuest(vcpu, registers.rip, FORCED_CPUID.length);
    if (!bytes || FORCED_CPUID.some((byte, index) => bytes[index] !== byte)) return false;
    cpuid(vcpu);
    step(vcpu, FORCED_CPUID.length);
    return true;
  });
}

/** Carries out the privileged instruction at rip; false: the guest gets its #GP. */
export function emulatePrivileged(vcpu: XenVcpu): boolean {
  const { hypervisor } = vcpu.domain;
  return hypervisor.onBehalfOf(vcpu, undefined, `privileged instruction at ${hex(vcpu.registers.rip)}`, () => {
    const instruction = fetchInstruction(vcpu);
    if (!instruction) return false;
    const done = portAccess(vcpu, instruction) ?? (vcpu.kernelMode ? kernelOnly(vcpu, instruction) : false);
    if (done === true) step(vcpu, instruction.length);
    return done !== false;
  });
}

/** False: not carried out. 'repeat': one round of a string instruction is done, and rip stays. */
type Done = boolean | 'repeat';

/** Goes on behind the instruction. */
function step({ registers }: XenVcpu, lengthBytes: number): void {
  registers.rip = BigInt.asUintN(64, registers.rip + BigInt(lengthBytes));
  registers.rflags &= ~BigInt(RFLAGS_RF);
}

const low32 = (value: bigint): number => Number(BigInt.asUintN(32, value));

function cpuid(vcpu: XenVcpu): void {
  const { registers } = vcpu;
  const answer = policyCpuid(vcpu, low32(registers.readGpr(RAX)), low32(registers.readGpr(RCX)));
  registers.writeGpr(RAX, BigInt(answer.eax >>> 0));
  registers.writeGpr(RBX, BigInt(answer.ebx >>> 0));
  registers.writeGpr(RCX, BigInt(answer.ecx >>> 0));
  registers.writeGpr(RDX, BigInt(answer.edx >>> 0));
}

/** What only the guest's kernel may do. */
function kernelOnly(vcpu: XenVcpu, instruction: Instruction): boolean {
  const { registers } = vcpu;
  switch (instruction.row.mnemonic) {
    case 'CLTS':
      vcpu.taskSwitched = false;
      return true;
    case 'WBINVD':
      // Caches are coherent here, and a domain without devices has no use for it: Xen ignores it.
      return true;
    case 'MOV':
      return moveSpecial(vcpu, instruction.operands);
    case 'RDMSR': {
      const value = readMsr(vcpu, low32(registers.readGpr(RCX)));
      if (value === undefined) return false;
      registers.writeGpr(RAX, BigInt.asUintN(32, value));
      registers.writeGpr(RDX, value >> 32n);
      return true;
    }
    case 'WRMSR': {
      const value = (BigInt.asUintN(32, registers.readGpr(RDX)) << 32n) | BigInt.asUintN(32, registers.readGpr(RAX));
      return writeMsr(vcpu, low32(registers.readGpr(RCX)), value);
    }
    default:
      return false;
  }
}

/** MOV to and from control and debug registers. */
function moveSpecial(vcpu: XenVcpu, [to, from]: readonly Operand[]): boolean {
  const { registers } = vcpu;
  if (to?.kind === 'register') {
    const value =
      from?.kind === 'control'
        ? readControl(vcpu, from.register)
        : from?.kind === 'debug'
          ? readDebugRegister(vcpu, from.register)
          : undefined;
    if (value === undefined) return false;
    registers.writeGpr(to.register, value);
    return true;
  }
  if (from?.kind !== 'register') return false;
  const value = registers.readGpr(from.register);
  if (to?.kind === 'control') return writeControl(vcpu, to.register, value);
  return to?.kind === 'debug' && setDebugRegister(vcpu, to.register, value) === 0;
}

function readControl(vcpu: XenVcpu, register: number): bigint | undefined {
  switch (register) {
    case 0:
      return guestCr0(vcpu);
    case 2:
      return vcpu.cr2;
    case 3:
      return BigInt(vcpu.kernelTable?.mfn ?? 0) << 12n;
    case 4:
      return guestCr4(vcpu);
    default:
      return undefined;
  }
}

function writeControl(vcpu: XenVcpu, register: number, value: bigint): boolean {
  const { hypervisor } = vcpu.domain;
  switch (register) {
    case 0:
      if (writeGuestCr0(vcpu, value)) return true;
      if (hypervisor.config.profile === '4.1')
        hypervisor.console.print(`traps.c:2298:d${vcpu.domain.id} Attempt to change unmodifiable CR0 flags.`);
      else if (hypervisor.config.debug)
        hypervisor.console.print(
          `arch/x86/pv/emul-priv-op.c:809:d${vcpu.domain.id}v${vcpu.id} Attempt to change unmodifiable CR0 flags`,
        );
      return false;
    case 2:
      vcpu.setCr2(value);
      return true;
    case 3: {
      const page = getPage(hypervisor, value >> 12n, vcpu.domain);
      if (!page) return false;
      const status = newGuestRoot(vcpu, BigInt(page.mfn));
      putPage(hypervisor, page);
      return status === 0;
    }
    case 4:
      writeGuestCr4(vcpu, value);
      return true;
    default:
      return false;
  }
}

/** IN, OUT, INS, OUTS, CLI, STI: for whom the virtual IOPL allows them. Undefined for any other instruction. */
function portAccess(vcpu: XenVcpu, instruction: Instruction): Done | undefined {
  const { mnemonic, privilege } = instruction.row;
  if (privilege !== 'iopl') return undefined;
  // The guest's kernel counts as ring 1, or as ring 0 where it asked for that.
  const ring = vcpu.kernelMode ? (hasVmAssist(vcpu.domain, VMASST_TYPE_architectural_iopl) ? 0 : 1) : 3;
  if (ring > vcpu.iopl) return false;
  if (mnemonic === 'OUT') return true;
  if (mnemonic.startsWith('OUTS')) return stringStep(vcpu, instruction, RSI, undefined);
  if (mnemonic === 'IN') {
    const rax = vcpu.registers.readGpr(RAX);
    const bytes = Math.min(instruction.operandSize, 4);
    vcpu.registers.writeGpr(RAX, bytes === 4 ? 0xffff_ffffn : rax | ((1n << BigInt(bytes * 8)) - 1n));
    return true;
  }
  if (mnemonic.startsWith('INS')) return stringStep(vcpu, instruction, RDI, 0xff);
  // CLI and STI do not touch the virtual interrupt flag: nothing could trap POPF.
  return mnemonic === 'CLI' || mnemonic === 'STI';
}

/** One round of INS (which stores `fill`) or OUTS. */
function stringStep(vcpu: XenVcpu, instruction: Instruction, pointer: number, fill: number | undefined): Done {
  const { registers } = vcpu;
  const bytes = Math.min(instruction.operandSize, 4);
  const count = registers.readGpr(RCX);
  if (instruction.repeat !== undefined && count === 0n) return true;
  const address = registers.readGpr(pointer);
  const reached =
    fill === undefined
      ? copyFromGuest(vcpu, address, bytes) !== undefined
      : copyToGuest(vcpu, address, new Uint8Array(bytes).fill(fill));
  if (!reached) return false;
  const by = (registers.rflags & BigInt(RFLAGS_DF)) === 0n ? BigInt(bytes) : -BigInt(bytes);
  registers.writeGpr(pointer, BigInt.asUintN(64, address + by));
  if (instruction.repeat === undefined) return true;
  registers.writeGpr(RCX, BigInt.asUintN(64, count - 1n));
  return count === 1n ? true : 'repeat';
}
