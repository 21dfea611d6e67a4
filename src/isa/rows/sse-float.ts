// Floating point in SSE registers: arithmetic, comparisons, roundings, conversions. SDM 2A–2B under each mnemonic.
// Without a prefix four floats of 32 bits, with 66 two of 64, with F3 one of 32, with F2 one of 64.

import * as m from '../meaning/index.js';
import type { Meaning } from '../meaning/semantics.js';
import { row, type UnplacedRow } from '../row.js';

const sse = { cpuid: 'SSE' } as const;
const sse2 = { cpuid: 'SSE2' } as const;
const sse3 = { cpuid: 'SSE3' } as const;
const sse41 = { cpuid: 'SSE4_1' } as const;

/** The four forms, by the letters behind the name; `tail`: operands behind the first two. */
const four = (
  name: string,
  opcode: string,
  means: Readonly<Record<'ps' | 'ss' | 'pd' | 'sd', Meaning>>,
  tail = '',
): UnplacedRow[] => [
  row(`${name}PS`, `Vps,Wps${tail}`, `NP 0F ${opcode} /r`, means.ps, sse),
  row(`${name}SS`, `Vss,Wss${tail}`, `F3 0F ${opcode} /r`, means.ss, sse),
  row(`${name}PD`, `Vpd,Wpd${tail}`, `66 0F ${opcode} /r`, means.pd, sse2),
  row(`${name}SD`, `Vsd,Wsd${tail}`, `F2 0F ${opcode} /r`, means.sd, sse2),
];

/** PS and PD, without a prefix and with 66. */
const packed = (name: string, opcode: string, ps: Meaning, pd: Meaning, tail = ''): UnplacedRow[] => [
  row(`${name}PS`, `Vps,Wps${tail}`, `NP 0F ${opcode} /r`, ps, sse),
  row(`${name}PD`, `Vpd,Wpd${tail}`, `66 0F ${opcode} /r`, pd, sse2),
];

export const sseFloatRows: readonly UnplacedRow[] = [
  ...four('ADD', '58', m.addFloats),
  ...four('MUL', '59', m.multiplyFloats),
  ...four('SUB', '5C', m.subtractFloats),
  ...four('MIN', '5D', m.minimum),
  ...four('DIV', '5E', m.divideFloats),
  ...four('MAX', '5F', m.maximum),
  ...four('SQRT', '51', m.squareRoots),
  ...four('CMP', 'C2', m.compareFloats, ',Ib'),
  row('ADDSUBPS', 'Vps,Wps', 'F2 0F D0 /r', m.addsubps, sse3),
  row('ADDSUBPD', 'Vpd,Wpd', '66 0F D0 /r', m.addsubpd, sse3),
  row('HADDPS', 'Vps,Wps', 'F2 0F 7C /r', m.haddps, sse3),
  row('HADDPD', 'Vpd,Wpd', '66 0F 7C /r', m.haddpd, sse3),
  row('HSUBPS', 'Vps,Wps', 'F2 0F 7D /r', m.hsubps, sse3),
  row('HSUBPD', 'Vpd,Wpd', '66 0F 7D /r', m.hsubpd, sse3),
  row('DPPS', 'Vps,Wps,Ib', '66 0F 3A 40 /r', m.dpps, sse41),
  row('DPPD', 'Vpd,Wpd,Ib', '66 0F 3A 41 /r', m.dppd, sse41),
  row('ROUNDPS', 'Vps,Wps,Ib', '66 0F 3A 08 /r', m.roundFloats.ps, sse41),
  row('ROUNDPD', 'Vpd,Wpd,Ib', '66 0F 3A 09 /r', m.roundFloats.pd, sse41),
  row('ROUNDSS', 'Vss,Wss,Ib', '66 0F 3A 0A /r', m.roundFloats.ss, sse41),
  row('ROUNDSD', 'Vsd,Wsd,Ib', '66 0F 3A 0B /r', m.roundFloats.sd, sse41),
  row('UCOMISS', 'Vss,Wss', 'NP 0F 2E /r', m.ucomiss, sse),
  row('COMISS', 'Vss,Wss', 'NP 0F 2F /r', m.comiss, sse),
  row('UCOMISD', 'Vsd,Wsd', '66 0F 2E /r', m.ucomisd, sse2),
  row('RSQRTPS', 'Vps,Wps', 'NP 0F 52 /r', m.rsqrt, sse),
  row('RSQRTSS', 'Vss,Wss', 'F3 0F 52 /r', m.rsqrtScalar, sse),
  row('RCPPS', 'Vps,Wps', 'NP 0F 53 /r', m.rcp, sse),
  row('RCPSS', 'Vss,Wss', 'F3 0F 53 /r', m.rcpScalar, sse),
  row('COMISD', 'Vsd,Wsd', '66 0F 2F /r', m.comisd, sse2),

  ...packed('AND', '54', m.pand, m.pand),
  ...packed('ANDN', '55', m.pandn, m.pandn),
  ...packed('OR', '56', m.por, m.por),
  ...packed('XOR', '57', m.pxor, m.pxor),
  ...packed('UNPCKL', '14', m.punpckldq, m.punpcklqdq),
  ...packed('UNPCKH', '15', m.punpckhdq, m.punpckhqdq),
  ...packed('SHUF', 'C6', m.shufps, m.shufpd, ',Ib'),

  row('CVTPS2PD', 'Vpd,Wq', 'NP 0F 5A /r', m.cvtps2pd, sse2),
  row('CVTPD2PS', 'Vps,Wpd', '66 0F 5A /r', m.cvtpd2ps, sse2),
  row('CVTSS2SD', 'Vsd,Wss', 'F3 0F 5A /r', m.cvtss2sd, sse2),
  row('CVTSD2SS', 'Vss,Wsd', 'F2 0F 5A /r', m.cvtsd2ss, sse2),
  row('CVTDQ2PS', 'Vps,Wdq', 'NP 0F 5B /r', m.cvtdq2ps, sse2),
  row('CVTPS2DQ', 'Vdq,Wps', '66 0F 5B /r', m.cvtps2dq, sse2),
  row('CVTTPS2DQ', 'Vdq,Wps', 'F3 0F 5B /r', m.cvttps2dq, sse2),
  row('CVTDQ2PD', 'Vpd,Wq', 'F3 0F E6 /r', m.cvtdq2pd, sse2),
  row('CVTPD2DQ', 'Vdq,Wpd', 'F2 0F E6 /r', m.cvtpd2dq, sse2),
  row('CVTTPD2DQ', 'Vdq,Wpd', '66 0F E6 /r', m.cvttpd2dq, sse2),
  // From memory no MMX register is used, and x87 is left alone (tried on AMD EPYC).
  row('CVTPI2PS', 'Vq,Nq', 'NP 0F 2A /r', m.cvtpi2ps, sse),
  row('CVTPI2PS', 'Vq,Mq', 'NP 0F 2A /r', m.cvtpi2ps, sse),
  row('CVTPI2PD', 'Vpd,Nq', '66 0F 2A /r', m.cvtdq2pd, sse2),
  row('CVTPI2PD', 'Vpd,Mq', '66 0F 2A /r', m.cvtdq2pd, sse2),
  row('CVTPS2PI', 'Pq,Wq', 'NP 0F 2D /r', m.cvtps2pi, sse),
  row('CVTTPS2PI', 'Pq,Wq', 'NP 0F 2C /r', m.cvttps2pi, sse),
  row('CVTPD2PI', 'Pq,Wpd', '66 0F 2D /r', m.cvtpd2dq, sse2),
  row('CVTTPD2PI', 'Pq,Wpd', '66 0F 2C /r', m.cvttpd2dq, sse2),
  row('CVTSI2SS', 'Vss,Ey', 'F3 0F 2A /r', m.cvtsi2ss, sse),
  row('CVTSI2SD', 'Vsd,Ey', 'F2 0F 2A /r', m.cvtsi2sd, sse2),
  row('CVTSS2SI', 'Gy,Wss', 'F3 0F 2D /r', m.cvtss2si, sse),
  row('CVTTSS2SI', 'Gy,Wss', 'F3 0F 2C /r', m.cvttss2si, sse),
  row('CVTSD2SI', 'Gy,Wsd', 'F2 0F 2D /r', m.cvtsd2si, sse2),
  row('CVTTSD2SI', 'Gy,Wsd', 'F2 0F 2C /r', m.cvttsd2si, sse2),
];
