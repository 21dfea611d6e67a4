// An instruction back to bytes: the inverse of decode.ts, over the same rows. Sources as there.
// The shortest displacement is chosen unless one is asked for; prefixes that mean nothing are not written.

import { DS, ES, FS, GS, RBP, RBX, RDI, RSI, RSP } from '../abi/registers.js';
import { decode } from './decode.js';
import {
  type ImmediateOperand,
  type IntegerSize,
  type MemoryOperand,
  NO_REGISTER,
  type Operand,
  type OperandSpec,
  type RegisterOperand,
  RIP,
  type Row,
  type VectorOperand,
} from './instruction.js';
import { operandSizeOf, widthBytes } from './sizes.js';

/** What is to be encoded: an Instruction, or as much of one as says what it does. */
export interface EncodeRequest {
  readonly row: Row;
  readonly operandSize: IntegerSize;
  readonly addressSize: 4 | 8;
  readonly lock: boolean;
  readonly repeat: 'rep' | 'repne' | undefined;
  /** As the row lists them, silent ones included. */
  readonly operands: readonly Operand[];
  /** Displacement bytes to spend even where fewer would do. */
  readonly displacementBytes?: 0 | 1 | 4 | undefined;
}

/** The bytes, or undefined when the row cannot say this. */
export function encode(request: EncodeRequest): Uint8Array | undefined {
  const bytes = new Encoder(request).run();
  if (bytes === undefined) return undefined;
  // Another row may own these bytes: 90 is NOP, and not rAX exchanged with itself as its neighbours suggest.
  const back = decode(bytes, 0, bytes.length);
  return typeof back !== 'string' && back.row === request.row ? bytes : undefined;
}

const OVERRIDES: Readonly<Record<number, number>> = { [FS]: 0x64, [GS]: 0x65 };
/** [rSI], [rDI], [rBX]: where the operands are that no byte names. */
const IMPLIED_BASES: Readonly<Record<string, number>> = { X: RSI, Y: RDI, B: RBX, T: RDI };
/** The ways to say an operand size: nothing, 66, REX.W. */
const SIZE_PREFIXES = [
  { w: false, p66: false },
  { w: false, p66: true },
  { w: true, p66: false },
] as const;
const REX = 0x40;
const REX_W = 0x48;

/** One instruction being written. Each part is collected by itself; `run` puts them in order. */
class Encoder {
  private readonly request: EncodeRequest;
  private readonly row: Row;
  /** An operand that this row cannot have was met. */
  private misfit = false;
  private override = 0;
  /** W, R, X and B; beside them the bare 0x40 where a byte register needs it. */
  private rex = 0;
  /** AH, CH, DH or BH is used: there must be no REX. */
  private highByte = false;
  private opcodeRegister = 0;
  private mod = 3;
  private reg: number;
  private rm: number;
  /** SIB and displacement. */
  private readonly address: number[] = [];
  private readonly immediates: number[] = [];

  constructor(request: EncodeRequest) {
    this.request = request;
    this.row = request.row;
    this.reg = (this.row.encoding.modrmValue >> 3) & 7;
    this.rm = this.row.encoding.modrmValue & 7;
  }

  run(): Uint8Array | undefined {
    const { row, request } = this;
    if (request.operands.length !== row.operands.length) return undefined;
    row.operands.forEach((spec, i) => {
      this.place(spec, request.operands[i] as Operand);
    });
    const prefixes = this.prefixes();
    if (this.misfit || (this.highByte && this.rex !== 0)) return undefined;
    const { map, opcode, modrm } = row.encoding;
    return Uint8Array.from([
      ...prefixes,
      ...(this.rex === 0 ? [] : [this.rex]),
      ...([[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][map] as readonly number[]),
      opcode | this.opcodeRegister,
      ...(modrm ? [(this.mod << 6) | (this.reg << 3) | this.rm] : []),
      ...this.address,
      ...this.immediates,
    ]);
  }

  /** Everything before REX; and REX.W, which the operand size asks for. */
  private prefixes(): readonly number[] {
    const { row, request } = this;
    const { mandatory } = row.encoding;
    const size = SIZE_PREFIXES.find(({ w, p66 }) => operandSizeOf(row, w, p66) === request.operandSize);
    this.need(size !== undefined);
    if (size?.w) this.rex |= REX_W;
    this.need(request.repeat === undefined || row.repeats !== 'none');
    return [
      ...(request.lock ? [0xf0] : []),
      ...(request.repeat === undefined ? [] : [request.repeat === 'rep' ? 0xf3 : 0xf2]),
      ...(this.override === 0 ? [] : [this.override]),
      ...(request.addressSize === 4 ? [0x67] : []),
      ...(size?.p66 || mandatory === '66' ? [0x66] : []),
      ...(mandatory === 'F2' ? [0xf2] : mandatory === 'F3' ? [0xf3] : []),
    ];
  }

  private need(condition: boolean): void {
    if (!condition) this.misfit = true;
  }

  private place(spec: OperandSpec, operand: Operand): void {
    const size = widthBytes(spec.width, this.request.operandSize);
    switch (operand.kind) {
      case 'register':
        this.placeRegister(spec, operand, size);
        break;
      case 'xmm':
      case 'mm':
        this.placeVector(spec, operand);
        break;
      case 'st':
        if (spec.source === 'STi') this.putRm(operand.register);
        else this.need(spec.source === 'ST' && operand.register === 0);
        break;
      case 'memory':
        this.placeMemory(spec, operand, size);
        break;
      case 'immediate':
        this.placeImmediate(spec, operand, size);
        break;
      case 'relative':
        this.need(spec.source === 'J' && fitsSigned(BigInt(operand.displacement), size));
        this.putImmediate(BigInt(operand.displacement), size);
        break;
      case 'segment':
        if (spec.source === 'fixed-segment') this.need(operand.register === spec.fixed);
        else this.putReg(spec.source === 'S', operand.register);
        break;
      case 'control':
        this.putReg(spec.source === 'C', operand.register);
        break;
      case 'debug':
        this.putReg(spec.source === 'D', operand.register);
        break;
    }
  }

  private placeRegister(spec: OperandSpec, operand: RegisterOperand, size: number): void {
    this.need(operand.size === size);
    if (operand.high) this.highByte = true;
    else if (size === 1 && operand.register >= 4) this.rex |= REX;
    const number = operand.high ? operand.register + 4 : operand.register;
    switch (spec.source) {
      case 'E':
      case 'R':
        this.putRm(number);
        break;
      case 'G':
        this.putReg(true, number);
        break;
      case 'Z':
        this.opcodeRegister = number & 7;
        this.putRexBit(number, 1);
        break;
      case 'fixed-register':
        // SPL to DIL never stand here, so that the bare REX that they would need is not asked for.
        this.need(operand.register === spec.fixed && !operand.high);
        break;
      default:
        this.misfit = true;
    }
  }

  private placeVector(spec: OperandSpec, { kind, register }: VectorOperand): void {
    const [inReg, inRm] = kind === 'xmm' ? ['V', 'WU'] : ['P', 'QN'];
    if (inRm.includes(spec.source)) this.putRm(register);
    else this.putReg(spec.source === inReg, register);
  }

  private placeImmediate(spec: OperandSpec, operand: ImmediateOperand, size: number): void {
    switch (spec.source) {
      case 'one':
        this.need(operand.value === 1n);
        break;
      case 'I':
        this.need(operand.size === size);
        this.putImmediate(operand.value, size);
        break;
      case 'Is':
        this.need(operand.size === this.request.operandSize);
        this.need(fitsSigned(BigInt.asIntN(8 * operand.size, operand.value), size));
        this.putImmediate(operand.value, size);
        break;
      default:
        this.misfit = true;
    }
  }

  private placeMemory(spec: OperandSpec, operand: MemoryOperand, size: number): void {
    this.need(operand.size === size);
    if (spec.source !== 'Y') this.override = OVERRIDES[operand.segment] ?? 0;
    const bare = operand.index === NO_REGISTER && operand.displacement === 0n;
    switch (spec.source) {
      case 'E':
      case 'M':
      case 'W':
      case 'Q':
        this.putAddress(operand);
        break;
      case 'O':
        this.need(operand.base === NO_REGISTER && operand.index === NO_REGISTER);
        this.need(this.request.addressSize === 8 || BigInt.asUintN(32, operand.displacement) === operand.displacement);
        this.putImmediate(operand.displacement, this.request.addressSize);
        break;
      case 'X':
      case 'Y':
      case 'B':
      case 'T':
        this.need(bare && operand.base === IMPLIED_BASES[spec.source]);
        this.need(spec.source !== 'Y' || operand.segment === ES);
        this.need(spec.source === 'Y' || operand.segment === DS || this.override !== 0);
        break;
      default:
        this.misfit = true;
    }
  }

  /** ModRM, SIB and displacement: SDM 2 tables 2-2 and 2-3. */
  private putAddress({ base, index, scale, displacement }: MemoryOperand): void {
    this.need(index !== RSP && fitsSigned(displacement, 4));
    const noBase = base === NO_REGISTER;
    const bytes = base === RIP || noBase ? 4 : this.displacementBytes(base, displacement);
    this.mod = base === RIP || noBase ? 0 : bytes === 4 ? 2 : bytes;
    if (base !== RIP && (noBase || index !== NO_REGISTER || (base & 7) === RSP)) {
      this.rm = 4;
      const indexField = index === NO_REGISTER ? 4 : index & 7;
      this.address.push((Math.log2(scale) << 6) | (indexField << 3) | (noBase ? 5 : base & 7));
      if (index !== NO_REGISTER) this.putRexBit(index, 2);
    } else {
      this.rm = base === RIP ? 5 : base & 7;
    }
    if (base !== RIP && !noBase) this.putRexBit(base, 1);
    putLittleEndian(this.address, displacement, bytes);
  }

  /** 0, 1 or 4. A base of rBP or r13 cannot do without. */
  private displacementBytes(base: number, displacement: bigint): number {
    const needed = displacement === 0n && (base & 7) !== RBP ? 0 : fitsSigned(displacement, 1) ? 1 : 4;
    return Math.max(needed, this.request.displacementBytes ?? 0);
  }

  private putRm(number: number): void {
    this.mod = 3;
    this.rm = number & 7;
    this.putRexBit(number, 1);
  }

  private putReg(allowed: boolean, number: number): void {
    this.need(allowed);
    this.reg = number & 7;
    this.putRexBit(number, 4);
  }

  private putRexBit(number: number, bit: number): void {
    if (number >= 8) this.rex |= REX | bit;
  }

  private putImmediate(value: bigint, size: number): void {
    putLittleEndian(this.immediates, value, size);
  }
}

const fitsSigned = (value: bigint, bytes: number): boolean => BigInt.asIntN(8 * bytes, value) === value;

function putLittleEndian(into: number[], value: bigint, bytes: number): void {
  for (let shift = 0n; shift < BigInt(8 * bytes); shift += 8n) into.push(Number((value >> shift) & 0xffn));
}
