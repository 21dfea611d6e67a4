// The comparison behind PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM: two strings of up to 16 characters, every one with every
// other. Source: SDM 1 "SSE4.2 String and Text Instructions" and SDM 2 "Imm8 Control Byte Operation for PCMPESTRI…" (§4.1).
//
//   imm8   6           5:4                          3:2                          1:0
//          see meaning 0 as is, 1 negated           0 any of, 1 in ranges of     0 bytes, 1 words, unsigned
//                      3 negated where b is valid   2 equal, 3 begins here       2 bytes, 3 words, signed

export interface StringComparison {
  /** A bit for each character of the second string. */
  readonly result: number;
  /** As in RFLAGS: CF some bit is set, OF the lowest is, ZF the second string ends, SF the first does. */
  readonly flags: number;
}

/** The length is that of the string as it stands: up to the first character 0. */
export const IMPLICIT_LENGTH = 64;

const [CF, ZF, SF, OF] = [0x01, 0x40, 0x80, 0x800];

/** Lengths count up to what fits, by their magnitude; IMPLICIT_LENGTH for a string that ends with 0. */
export function compareStrings(
  a: bigint,
  b: bigint,
  aLength: number,
  bLength: number,
  immediate: number,
): StringComparison {
  const bits = (immediate & 1) === 0 ? 8 : 16;
  const count = 128 / bits;
  const isSigned = (immediate & 2) !== 0;
  const [first, second] = [charactersOf(a, bits, isSigned), charactersOf(b, bits, isSigned)];
  const [firstLength, secondLength] = [lengthOf(first, aLength), lengthOf(second, bLength)];
  const matches = aggregate((immediate >> 2) & 3, first, second, firstLength, secondLength);
  let result = 0;
  for (let j = 0; j < count; j++) {
    const isNegated = (immediate & 0x10) !== 0 && ((immediate & 0x20) === 0 || j < secondLength);
    if (matches(j) !== isNegated) result |= 1 << j;
  }
  const flags =
    (result !== 0 ? CF : 0) |
    ((result & 1) !== 0 ? OF : 0) |
    (secondLength < count ? ZF : 0) |
    (firstLength < count ? SF : 0);
  return { result, flags };
}

const charactersOf = (vector: bigint, bits: number, isSigned: boolean): readonly number[] =>
  Array.from({ length: 128 / bits }, (_, i) => {
    const character = vector >> BigInt(i * bits);
    return Number(isSigned ? BigInt.asIntN(bits, character) : BigInt.asUintN(bits, character));
  });

function lengthOf(characters: readonly number[], length: number): number {
  if (length !== IMPLICIT_LENGTH) return Math.min(Math.abs(length), characters.length);
  const end = characters.indexOf(0);
  return end < 0 ? characters.length : end;
}

/** Whether character j of the second string is what is looked for. */
function aggregate(
  mode: number,
  first: readonly number[],
  second: readonly number[],
  firstLength: number,
  secondLength: number,
): (j: number) => boolean {
  const isIn = (j: number): boolean => j < secondLength;
  switch (mode) {
    case 0:
      return (j) => isIn(j) && first.slice(0, firstLength).includes(second[j]!);
    case 1:
      return (j) => {
        for (let i = 0; i + 1 < firstLength; i += 2)
          if (isIn(j) && second[j]! >= first[i]! && second[j]! <= first[i + 1]!) return true;
        return false;
      };
    case 2:
      // Beyond both ends the strings are equal.
      return (j) => (j < firstLength && isIn(j) ? first[j] === second[j] : j >= firstLength && !isIn(j));
    default:
      return (j) => {
        for (let i = 0; i < firstLength && i + j < second.length; i++)
          if (!isIn(i + j) || first[i] !== second[i + j]) return false;
        return true;
      };
  }
}
