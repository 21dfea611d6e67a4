// CPUID of the modelled processor: what the engine's rows can do, and no more. What a guest sees is up to Xen's policy.
// Source: SDM 2A "CPUID", AMD 3 "CPUID". Family, model and stepping are those of the first 64-bit Xeon (the DL380 G4's) and
// of a K8 Opteron. Left out until their rows exist: AVX and all later vector extensions, XSAVE, BMI.

import { PHYSICAL_ADDRESS_BITS } from '../abi/paging.js';
import type { CpuName } from '../mmu/index.js';
import type { CpuidResult, HardwareCpuid } from '../xen/index.js';

interface Processor {
  readonly vendor: string;
  readonly brand: string;
  /** Leaf 1 EAX: family, model, stepping. */
  readonly signature: number;
}

const PROCESSORS: Readonly<Record<CpuName, Processor>> = {
  intel: { vendor: 'GenuineIntel', brand: 'Paravane modelled Intel processor', signature: 0x0f43 },
  amd: { vendor: 'AuthenticAMD', brand: 'Paravane modelled AMD processor', signature: 0x0f5a },
};

const HIGHEST_BASIC = 7;
const HIGHEST_EXTENDED = 0x8000_0008;

const bits = (...positions: readonly number[]): number => positions.reduce((mask, bit) => mask | (1 << bit), 0) >>> 0;

/** SSE3, SSSE3, CX16, SSE4.1, SSE4.2, MOVBE, POPCNT. */
const LEAF1_ECX = bits(0, 9, 13, 19, 20, 22, 23);
/** FPU, PSE, TSC, MSR, PAE, CX8, PGE, CMOV, CLFSH, MMX, FXSR, SSE, SSE2. */
const LEAF1_EDX = bits(0, 3, 4, 5, 6, 8, 13, 15, 19, 23, 24, 25, 26);
/** What CLFLUSH flushes: 64 bytes, in units of 8. */
const LEAF1_EBX = 8 << 8;
/** ADX, CLFLUSHOPT, CLWB. */
const LEAF7_EBX = bits(19, 23, 24);
/** LAHF64, LZCNT, PREFETCHW. */
const EXTENDED_ECX = bits(0, 5, 8);
/** SYSCALL, NX, 1 GiB pages, RDTSCP, LM. */
const EXTENDED_EDX = bits(11, 20, 26, 27, 29);
/** Bits of a linear address and of a physical one. */
const ADDRESS_SIZES = (48 << 8) | PHYSICAL_ADDRESS_BITS;

/** The four bytes at `offset` of a text that is padded with zeros. */
const word = (text: string, offset: number): number => {
  let value = 0;
  for (let i = 3; i >= 0; i--) value = value * 256 + (text.charCodeAt(offset + i) || 0);
  return value;
};

const registers = (eax: number, ebx = 0, ecx = 0, edx = 0): CpuidResult => ({ eax, ebx, ecx, edx });

/** What the processor answers. Leaves beyond its highest give zeros. */
export function hardwareCpuid(cpu: CpuName): HardwareCpuid {
  const { vendor, brand, signature } = PROCESSORS[cpu];
  return (leaf, subleaf) => {
    switch (leaf >>> 0) {
      case 0:
        return registers(HIGHEST_BASIC, word(vendor, 0), word(vendor, 8), word(vendor, 4));
      case 1:
        return registers(signature, LEAF1_EBX, LEAF1_ECX, LEAF1_EDX);
      case 7:
        return registers(0, subleaf === 0 ? LEAF7_EBX : 0);
      case 0x8000_0000:
        return registers(HIGHEST_EXTENDED, word(vendor, 0), word(vendor, 8), word(vendor, 4));
      case 0x8000_0001:
        return registers(signature, 0, EXTENDED_ECX, EXTENDED_EDX);
      case 0x8000_0002:
      case 0x8000_0003:
      case 0x8000_0004: {
        const at = ((leaf >>> 0) - 0x8000_0002) * 16;
        return registers(word(brand, at), word(brand, at + 4), word(brand, at + 8), word(brand, at + 12));
      }
      case 0x8000_0008:
        return registers(ADDRESS_SIZES);
      default:
        return registers(0);
    }
  };
}
