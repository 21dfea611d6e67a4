// Bytes to instructions, in 64-bit mode: prefixes, opcode, ModRM, SIB, displacement, immediates, against the rows.
// Sources: SDM 2 "Instruction Format" (2.1), "IA-32e Mode" (2.2: REX, default operand sizes, RIP-relative addressing).
// Where processors differ, this is Intel's way (docs/isa.md, "Where manuals and processors differ").
// Leaves out compatibility mode, VEX, EVEX and XOP; bytes that only they give a meaning are 'invalid'.

import { CS, DS, ES, FS, GS, RBP, RBX, RDI, RSI, RSP, SS } from '../abi/registers.js';
import {
  type DecodeFailure,
  type Encoding,
  type Instruction,
  type IntegerSize,
  MAX_INSTRUCTION_BYTES,
  type MemoryOperand,
  NO_REGISTER,
  type OpcodeMap,
  type Operand,
  type OperandSpec,
  type RegisterOperand,
  RIP,
  type Row,
  type VectorOperand,
} from './instruction.js';
import { operandSizeOf, widthBytes } from './sizes.js';
import { candidates, NO_ROW, opcodeKind, WITH_MODRM } from './table.js';

/**
 * The instruction that begins at `bytes[offset]`, or why there is none. `limit` is where the bytes end: nothing at or
 * beyond it is read.
 */
export function decode(bytes: Uint8Array, offset: number, limit: number): Instruction | DecodeFailure {
  return new Decoding(bytes, offset, limit).run();
}

const REX_B = 1;
const REX_X = 2;
const REX_R = 4;
const REX_W = 8;

/** Control registers that exist (SDM 3A "Control Registers"); naming another is #UD. As bits. */
const CONTROL_REGISTERS = 0b1_0001_1101;

/** One instruction being read: the cursor, and what the bytes so far have said. */
class Decoding {
  private readonly bytes: Uint8Array;
  private readonly start: number;
  private readonly limit: number;
  /** The limit, or where an instruction would be longer than 15 bytes. */
  private readonly end: number;
  private position: number;
  /** Something had to be read at or beyond `end`. */
  private short = false;
  /** A register was named that does not exist. */
  private noSuchRegister = false;

  private prefix66 = false;
  private prefix67 = false;
  private lock = false;
  private repeatPrefix: 0 | 0xf2 | 0xf3 = 0;
  private segmentPrefix = NO_REGISTER;
  /** FS or GS when overridden: the other overrides do nothing in 64-bit mode, not even undo an earlier FS or GS. */
  private override = NO_REGISTER;
  private rex = 0;

  private mod = 0;
  private reg = 0;
  private rm = 0;
  private base = NO_REGISTER;
  private index = NO_REGISTER;
  private scale: 1 | 2 | 4 | 8 = 1;
  private displacement = 0;
  private displacementBytes: 0 | 1 | 4 = 0;

  constructor(bytes: Uint8Array, offset: number, limit: number) {
    this.bytes = bytes;
    this.start = offset;
    this.position = offset;
    this.limit = limit;
    this.end = Math.min(limit, offset + MAX_INSTRUCTION_BYTES);
  }

  run(): Instruction | DecodeFailure {
    let opcode = this.readPrefixes();
    let map: OpcodeMap = 0;
    if (opcode === 0x0f) {
      opcode = this.readByte();
      map = opcode === 0x38 ? 2 : opcode === 0x3a ? 3 : 1;
      if (map !== 1) opcode = this.readByte();
    }
    if (this.short) return this.shortage();
    const kind = opcodeKind(map, opcode);
    if (kind === NO_ROW) return 'invalid';
    let modrm = 0;
    if (kind === WITH_MODRM) {
      modrm = this.readByte();
      if (this.short) return this.shortage();
    }
    const reg = (modrm >> 3) & 7;
    for (const row of candidates(map, opcode, reg))
      if (this.fits(row, modrm)) {
        this.mod = row.encoding.form === 'ignored' ? 3 : modrm >> 6;
        this.reg = reg;
        this.rm = row.encoding.opcodeRegister ? opcode & 7 : modrm & 7;
        return this.readRest(row);
      }
    return 'invalid';
  }

  /** Reads up to and including the first byte that is no prefix, and gives it. REX counts only next to the opcode. */
  private readPrefixes(): number {
    for (;;) {
      const byte = this.readByte();
      switch (byte) {
        case 0x66:
          this.prefix66 = true;
          break;
        case 0x67:
          this.prefix67 = true;
          break;
        case 0xf0:
          this.lock = true;
          break;
        case 0xf2:
        case 0xf3:
          this.repeatPrefix = byte;
          break;
        case 0x26:
          this.segmentPrefix = ES;
          break;
        case 0x2e:
          this.segmentPrefix = CS;
          break;
        case 0x36:
          this.segmentPrefix = SS;
          break;
        case 0x3e:
          this.segmentPrefix = DS;
          break;
        case 0x64:
          this.segmentPrefix = FS;
          this.override = FS;
          break;
        case 0x65:
          this.segmentPrefix = GS;
          this.override = GS;
          break;
        default:
          if ((byte & 0xf0) !== 0x40) return byte;
          this.rex = byte;
          continue;
      }
      this.rex = 0;
    }
  }

  private fits(row: Row, modrm: number): boolean {
    const encoding = row.encoding;
    if ((modrm & encoding.modrmMask) !== encoding.modrmValue) return false;
    if (encoding.form === 'register' && modrm < 0xc0) return false;
    if (encoding.form === 'memory' && modrm >= 0xc0) return false;
    if (encoding.rexBClear && this.rex & REX_B) return false;
    if (encoding.operandSize !== 0 && encoding.operandSize !== this.operandSize(row)) return false;
    if (encoding.addressSize !== 0 && encoding.addressSize !== this.addressSize()) return false;
    return this.fitsMandatory(encoding.mandatory);
  }

  private fitsMandatory(mandatory: Encoding['mandatory']): boolean {
    switch (mandatory) {
      case 'any':
        return true;
      case 'NP':
        return this.repeatPrefix === 0 && !this.prefix66;
      case 'NFx':
        return this.repeatPrefix === 0;
      case '66':
        return this.repeatPrefix === 0 && this.prefix66;
      case 'F2':
        return this.repeatPrefix === 0xf2;
      case 'F3':
        return this.repeatPrefix === 0xf3;
    }
  }

  private operandSize(row: Row): IntegerSize {
    return operandSizeOf(row, (this.rex & REX_W) !== 0, this.prefix66);
  }

  private addressSize(): 4 | 8 {
    return this.prefix67 ? 4 : 8;
  }

  /** Everything behind ModRM, now that the row is known. */
  private readRest(row: Row): Instruction | DecodeFailure {
    if (row.encoding.modrm && this.mod !== 3) this.readMemory();
    const operandSize = this.operandSize(row);
    const operands = row.operands.map((spec) => this.readOperand(spec, operandSize));
    if (this.short) return this.shortage();
    if (this.noSuchRegister) return 'invalid';
    const destination = operands[0];
    // CS changes only by a far branch: as a destination of MOV it is #UD.
    if (destination?.kind === 'segment' && destination.register === CS) return 'invalid';
    if (this.lock && !(row.lockable && destination?.kind === 'memory')) return 'invalid';
    const isOpcode = row.encoding.mandatory === 'F2' || row.encoding.mandatory === 'F3';
    return {
      row,
      length: this.position - this.start,
      operandSize,
      addressSize: this.addressSize(),
      lock: this.lock,
      repeat: this.repeat(row),
      operands,
      modrm: row.encoding.modrm ? (this.mod << 6) | (this.reg << 3) | this.rm : 0,
      repeatPrefix: isOpcode ? 0 : this.repeatPrefix,
      segmentPrefix: this.segmentPrefix,
      displacementBytes: this.displacementBytes,
    };
  }

  private repeat(row: Row): Instruction['repeat'] {
    if (row.repeats === 'none' || this.repeatPrefix === 0) return undefined;
    return row.repeats === 'compare' && this.repeatPrefix === 0xf2 ? 'repne' : 'rep';
  }

  /** SIB and displacement: SDM 2 tables 2-2, 2-3 and 2-7. */
  private readMemory(): void {
    const mod = this.mod;
    if (this.rm === 4) {
      const sib = this.readByte();
      const index = ((sib >> 3) & 7) | this.rexBit(REX_X);
      // Without REX.X the number 4 means no index, and the scale nothing; with REX.X it is r12.
      if (index !== RSP) {
        this.index = index;
        this.scale = (1 << (sib >> 6)) as 1 | 2 | 4 | 8;
      }
      this.base = mod === 0 && (sib & 7) === 5 ? NO_REGISTER : (sib & 7) | this.rexBit(REX_B);
    } else {
      this.base = mod === 0 && this.rm === 5 ? RIP : this.rm | this.rexBit(REX_B);
    }
    this.displacementBytes = mod === 1 ? 1 : mod === 2 || this.base === RIP || this.base === NO_REGISTER ? 4 : 0;
    this.displacement = this.readSigned(this.displacementBytes);
  }

  private readOperand(spec: OperandSpec, operandSize: IntegerSize): Operand {
    const size = widthBytes(spec.width, operandSize);
    switch (spec.source) {
      case 'E':
        return this.mod === 3 ? this.register(this.rm | this.rexBit(REX_B), size) : this.memory(size);
      case 'R':
      case 'Z':
        return this.register(this.rm | this.rexBit(REX_B), size);
      case 'M':
        return this.memory(size);
      case 'G':
        return this.register(this.reg | this.rexBit(REX_R), size);
      case 'S':
        this.noSuchRegister ||= this.reg > GS;
        return { kind: 'segment', register: this.reg };
      case 'C': {
        const register = this.reg | this.rexBit(REX_R);
        this.noSuchRegister ||= (CONTROL_REGISTERS & (1 << register)) === 0;
        return { kind: 'control', register };
      }
      case 'D':
        this.noSuchRegister ||= (this.rex & REX_R) !== 0;
        return { kind: 'debug', register: this.reg };
      case 'I':
        return { kind: 'immediate', value: this.readUnsigned(size), size: size as IntegerSize };
      case 'Is': {
        const value = BigInt.asUintN(8 * operandSize, BigInt(this.readSigned(size)));
        return { kind: 'immediate', value, size: operandSize };
      }
      case 'J':
        return { kind: 'relative', displacement: this.readSigned(size) };
      case 'O':
        return this.absolute(size);
      case 'X':
        return this.implied(RSI, this.override < 0 ? DS : this.override, size);
      case 'Y':
        return this.implied(RDI, ES, size);
      case 'B':
        return this.implied(RBX, this.override < 0 ? DS : this.override, size);
      case 'T':
        return this.implied(RDI, this.override < 0 ? DS : this.override, size);
      case 'V':
        return { kind: 'xmm', register: this.reg | this.rexBit(REX_R) };
      case 'W':
        return this.mod === 3 ? this.xmmOfRm() : this.memory(size);
      case 'U':
        return this.xmmOfRm();
      // REX does not reach beyond the eight MMX registers.
      case 'P':
        return { kind: 'mm', register: this.reg };
      case 'Q':
        return this.mod === 3 ? { kind: 'mm', register: this.rm } : this.memory(size);
      case 'N':
        return { kind: 'mm', register: this.rm };
      case 'ST':
        return { kind: 'st', register: 0 };
      case 'STi':
        return { kind: 'st', register: this.rm };
      case 'fixed-register':
        return { kind: 'register', register: spec.fixed, size: size as IntegerSize, high: false };
      case 'fixed-segment':
        return { kind: 'segment', register: spec.fixed };
      case 'one':
        return { kind: 'immediate', value: BigInt(spec.fixed), size: 1 };
    }
  }

  /** A bit of REX as the fourth bit of a register number. */
  private rexBit(bit: number): number {
    return (this.rex & bit) === 0 ? 0 : 8;
  }

  /** Byte registers 4 to 7 are AH, CH, DH, BH, but with any REX they are SPL, BPL, SIL, DIL. */
  private register(register: number, size: number): RegisterOperand {
    const high = size === 1 && this.rex === 0 && register >= 4;
    return { kind: 'register', register: high ? register - 4 : register, size: size as IntegerSize, high };
  }

  private xmmOfRm(): VectorOperand {
    return { kind: 'xmm', register: this.rm | this.rexBit(REX_B) };
  }

  private memory(size: number): MemoryOperand {
    const onStack = this.base === RSP || this.base === RBP;
    return {
      kind: 'memory',
      base: this.base,
      index: this.index,
      scale: this.scale,
      displacement: BigInt(this.displacement),
      segment: this.override >= 0 ? this.override : onStack ? SS : DS,
      size,
    };
  }

  /** [rSI] and its like, which no byte names. */
  private implied(base: number, segment: number, size: number): MemoryOperand {
    return { kind: 'memory', base, index: NO_REGISTER, scale: 1, displacement: 0n, segment, size };
  }

  /** The address itself stands in the instruction. */
  private absolute(size: number): MemoryOperand {
    const address = this.readUnsigned(this.addressSize());
    const displacement = BigInt.asIntN(64, address);
    const segment = this.override >= 0 ? this.override : DS;
    return { kind: 'memory', base: NO_REGISTER, index: NO_REGISTER, scale: 1, displacement, segment, size };
  }

  private readByte(): number {
    if (this.position >= this.end) {
      this.short = true;
      return 0;
    }
    return this.bytes[this.position++] as number;
  }

  /** 0, 1, 2 or 4 bytes as a two's complement number. */
  private readSigned(size: number): number {
    let value = 0;
    for (let shift = 0; shift < 8 * size; shift += 8) value |= this.readByte() << shift;
    const unused = 32 - 8 * size;
    return (value << unused) >> unused;
  }

  /** 1, 2, 4 or 8 bytes. */
  private readUnsigned(size: number): bigint {
    const low = BigInt.asUintN(8 * Math.min(size, 4), BigInt(this.readSigned(Math.min(size, 4))));
    return size === 8 ? low | (BigInt.asUintN(32, BigInt(this.readSigned(4))) << 32n) : low;
  }

  private shortage(): DecodeFailure {
    return this.limit - this.start >= MAX_INSTRUCTION_BYTES ? 'too-long' : 'truncated';
  }
}
